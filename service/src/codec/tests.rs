//! What is encoded is decoded, and nothing else is.

use proptest::prelude::*;
use quorate_core::Choice;

use super::*;
use crate::command::{Compare, KeyRange, Operand, Order, Range, Relation, Rules, Target};
use crate::health::{Alarm, AlarmKind, Report};

fn bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

fn key_range() -> impl Strategy<Value = KeyRange> {
    (bytes(), bytes()).prop_map(|(key, end)| KeyRange { key, end })
}

fn put_strategy() -> impl Strategy<Value = Put> {
    (bytes(), bytes(), any::<i64>(), any::<[bool; 3]>()).prop_map(|(key, value, lease, flags)| {
        Put {
            key,
            value,
            lease,
            prev_kv: flags[0],
            ignore_value: flags[1],
            ignore_lease: flags[2],
        }
    })
}

fn delete_strategy() -> impl Strategy<Value = DeleteRange> {
    (key_range(), any::<bool>()).prop_map(|(range, prev_kv)| DeleteRange { range, prev_kv })
}

fn range_strategy() -> impl Strategy<Value = Range> {
    let order = prop_oneof![Just(Order::None), Just(Order::Ascend), Just(Order::Descend)];
    let target = prop_oneof![
        Just(Target::Key),
        Just(Target::Version),
        Just(Target::Create),
        Just(Target::Mod),
        Just(Target::Value)
    ];
    let numbers = any::<[i64; 6]>();
    (key_range(), order, target, any::<[bool; 2]>(), numbers).prop_map(
        |(range, order, target, flags, numbers)| Range {
            range,
            order,
            target,
            keys_only: flags[0],
            count_only: flags[1],
            limit: numbers[0],
            revision: numbers[1],
            min_mod_revision: numbers[2],
            max_mod_revision: numbers[3],
            min_create_revision: numbers[4],
            max_create_revision: numbers[5],
        },
    )
}

fn compare_strategy() -> impl Strategy<Value = Compare> {
    let relation = prop_oneof![
        Just(Relation::Equal),
        Just(Relation::Greater),
        Just(Relation::Less),
        Just(Relation::NotEqual)
    ];
    let operand = prop_oneof![
        any::<i64>().prop_map(Operand::Version),
        any::<i64>().prop_map(Operand::Create),
        any::<i64>().prop_map(Operand::Mod),
        bytes().prop_map(Operand::Value),
        any::<i64>().prop_map(Operand::Lease),
    ];
    (key_range(), relation, operand).prop_map(|(range, relation, operand)| Compare {
        range,
        relation,
        operand,
    })
}

fn txn_strategy() -> impl Strategy<Value = Txn> {
    let leaf = prop_oneof![
        put_strategy().prop_map(Op::Put),
        range_strategy().prop_map(Op::Range),
        delete_strategy().prop_map(Op::DeleteRange),
    ];
    let op = leaf.prop_recursive(3, 12, 3, |op| txn_of(op).prop_map(Op::Txn).boxed());
    txn_of(op)
}

fn txn_of(op: impl Strategy<Value = Op> + Clone) -> impl Strategy<Value = Txn> {
    (
        proptest::collection::vec(compare_strategy(), 0..3),
        proptest::collection::vec(op.clone(), 0..3),
        proptest::collection::vec(op, 0..3),
    )
        .prop_map(|(compares, success, failure)| Txn {
            compares,
            success,
            failure,
        })
}

fn member_strategy() -> impl Strategy<Value = Member> {
    let texts = || proptest::collection::vec(".{0,8}", 0..3);
    (any::<u64>(), ".{0,8}", texts(), texts(), any::<bool>()).prop_map(
        |(id, name, peer_urls, client_urls, is_learner)| Member {
            id,
            name,
            peer_urls,
            client_urls,
            is_learner,
        },
    )
}

fn rules() -> impl Strategy<Value = Rules> {
    any::<(bool, u32)>().prop_map(|(strict, learners_max)| Rules {
        strict,
        learners_max,
    })
}

fn alarm() -> impl Strategy<Value = Alarm> {
    any::<(bool, u64)>().prop_map(|(corrupt, member)| Alarm {
        kind: AlarmKind::ALL[usize::from(corrupt)],
        member,
    })
}

fn report() -> impl Strategy<Value = Report> {
    any::<[u64; 4]>().prop_map(|[member, position, digest, applied]| Report {
        member,
        position,
        digest,
        applied,
    })
}

fn command_strategy() -> impl Strategy<Value = Command> {
    let texts = || proptest::collection::vec(".{0,8}", 0..3);
    prop_oneof![
        put_strategy().prop_map(Command::Put),
        delete_strategy().prop_map(Command::DeleteRange),
        txn_strategy().prop_map(Command::Txn),
        any::<i64>().prop_map(|revision| Command::Compact { revision }),
        any::<(i64, i64)>().prop_map(|(id, ttl)| Command::LeaseGrant { id, ttl }),
        any::<i64>().prop_map(|id| Command::LeaseRevoke { id }),
        any::<i64>().prop_map(|id| Command::LeaseKeepAlive { id }),
        any::<(u64, u64)>().prop_map(|(epoch, elapsed_ms)| Command::Tick { epoch, elapsed_ms }),
        member_strategy().prop_map(Command::Publish),
        (member_strategy(), rules())
            .prop_map(|(member, rules)| Command::MemberAdd { member, rules }),
        (any::<u64>(), rules()).prop_map(|(id, rules)| Command::MemberRemove { id, rules }),
        (any::<u64>(), texts()).prop_map(|(id, peer_urls)| Command::MemberUpdate { id, peer_urls }),
        (any::<u64>(), rules()).prop_map(|(id, rules)| Command::MemberPromote { id, rules }),
        any::<u64>().prop_map(|epoch| Command::Check { epoch }),
        report().prop_map(Command::Report),
        alarm().prop_map(Command::Raise),
        alarm().prop_map(Command::Disarm),
    ]
}

fn batch_strategy() -> impl Strategy<Value = Batch> {
    (
        any::<[u64; 3]>(),
        proptest::collection::vec(command_strategy(), 0..6),
    )
        .prop_map(|(ids, commands)| Batch {
            origin: NodeId(ids[0]),
            incarnation: ids[1],
            sequence: ids[2],
            commands,
        })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(batch in batch_strategy()) {
        let payload = encode(&batch);
        prop_assert_eq!(payload.checksum(), crc32c::crc32c(payload.as_bytes()));
        prop_assert_eq!(decode(&payload), Ok(batch));
    }

    #[test]
    fn what_is_cut_or_extended_is_refused(batch in batch_strategy()) {
        let payload = encode(&batch);
        let whole = payload.as_bytes();
        for len in 0..whole.len() {
            prop_assert!(decode_bytes(Bytes::copy_from_slice(&whole[..len])).is_err());
        }
        let mut longer = whole.to_vec();
        longer.push(0);
        prop_assert!(decode_bytes(Bytes::from(longer)).is_err());
    }

    #[test]
    fn changed_bytes_are_refused_or_are_another_batch(
        batch in batch_strategy(),
        changes in proptest::collection::vec(any::<(prop::sample::Index, u8)>(), 1..4),
    ) {
        let mut changed = encode(&batch).as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(changed.len());
            changed[at] = byte;
        }
        if let Ok(decoded) = decode_bytes(Bytes::from(changed.clone())) {
            let again = encode(&decoded);
            prop_assert_eq!(again.as_bytes(), &changed[..]);
        }
    }
}

/// Bytes that nobody encoded, some with a plausible beginning.
#[test]
fn random_bytes_never_panic() {
    let mut choice = Choice::Seeded(7);
    for round in 0..200_000 {
        let len = choice.choose(120) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| choice.choose(256) as u8).collect();
        if round % 2 == 0 && len > HEADER_BYTES {
            bytes[0] = VERSION;
            let count = choice.choose(4);
            bytes[COUNT_AT..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
            // Small numbers are plausible tags, flags and lengths.
            for byte in &mut bytes[HEADER_BYTES..] {
                *byte %= 12;
            }
        }
        if let Ok(batch) = decode_bytes(Bytes::from(bytes.clone())) {
            assert_eq!(encode(&batch).as_bytes(), &bytes[..]);
        }
    }
}

#[test]
fn a_value_is_a_slice_of_the_payload() {
    let batch = Batch {
        origin: NodeId(1),
        incarnation: 2,
        sequence: 3,
        commands: vec![Command::Put(Put {
            key: Bytes::from_static(b"key"),
            value: Bytes::from(vec![7; 1000]),
            ..Put::default()
        })],
    };
    let payload = encode(&batch);
    let Ok(Batch { commands, .. }) = decode(&payload) else {
        panic!("it was encoded so");
    };
    let [Command::Put(put)] = &commands[..] else {
        panic!("one put was encoded");
    };
    let inside = payload.as_bytes().as_ptr_range();
    assert!(inside.contains(&put.value.as_ptr()));
}

#[test]
fn transactions_nested_without_end_are_refused() {
    let mut txn = Txn::default();
    for _ in 1..TXN_DEPTH_MAX {
        txn = Txn {
            success: vec![Op::Txn(txn)],
            ..Txn::default()
        };
    }
    let mut batch = Batch {
        origin: NodeId(1),
        incarnation: 1,
        sequence: 1,
        commands: vec![Command::Txn(txn.clone())],
    };
    assert!(decode(&encode(&batch)).is_ok());
    txn = Txn {
        success: vec![Op::Txn(txn)],
        ..Txn::default()
    };
    batch.commands = vec![Command::Txn(txn)];
    assert!(decode(&encode(&batch)).is_err());
}

#[test]
fn a_packer_counts_what_it_holds() {
    let mut packer = Packer::new(NodeId(1), 2, 3);
    let mut encoded = Vec::new();
    encode_command(&Command::LeaseRevoke { id: 5 }, &mut encoded);
    packer.push_encoded(&encoded);
    packer.push(&Command::Compact { revision: 9 });
    assert_eq!(packer.commands(), 2);
    assert_eq!(packer.bytes(), HEADER_BYTES + 2 * 9);
    let batch = decode(&packer.finish()).expect("it was encoded so");
    assert_eq!(
        batch.commands,
        [
            Command::LeaseRevoke { id: 5 },
            Command::Compact { revision: 9 }
        ]
    );
}
