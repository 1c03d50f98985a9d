//! One test per rule that reimplementers of etcd get wrong, in the order and with the numbers of
//! the list of such rules. They run on the layers in memory and again on disk.

use super::random::read_history;
use super::*;
use crate::command::{Order, Target};
use crate::reply::{Event, KeyValue, LeaseStatus};

/// Runs a test on rows in memory, and on rows that are on disk as far as possible.
fn in_memory_and_on_disk(test: impl Fn(&mut Bench)) {
    for flushes in [false, true] {
        let mut bench = Bench::new();
        bench.flushes = flushes;
        test(&mut bench);
    }
}

fn delete(key: &str, end: &str) -> Op {
    Op::DeleteRange(DeleteRange {
        range: keys(key, end),
        prev_kv: false,
    })
}

fn op(key: &str, value: &str) -> Op {
    Op::Put(put(key, value))
}

fn with_lease(key: &str, lease: i64) -> Command {
    Command::Put(Put {
        lease,
        ..put(key, "v")
    })
}

fn row(bench: &Bench, key: &str) -> KeyValue {
    let mut reply = bench.range(at(key, "", 0)).expect("it can be read");
    reply.kvs.pop().expect("the key is there")
}

fn all_events(bench: &Bench, from: i64) -> Vec<Revision> {
    read_history(&bench.view(), &keys("\0", "\0"), from, 100)
}

#[test]
fn rule_1_the_first_put_is_revision_2_and_a_transaction_takes_one_revision() {
    in_memory_and_on_disk(|bench| {
        assert_eq!(bench.view().revision(), 1);
        assert_eq!(bench.put("a", "1"), 2);
        let ops = vec![op("b", "1"), op("c", "1"), delete("a", "")];
        let (revision, _) = bench.txn(vec![], ops, vec![]).expect("it runs");
        assert_eq!(revision, 3);
        // The operations' changes are in order within the revision.
        let events = all_events(bench, 3);
        let changed: Vec<_> = events[0].events.iter().map(|e| &e.kv.key[..]).collect();
        assert_eq!(changed, [b"b", b"c", b"a"]);
        assert!(events[0].events.iter().all(|e| e.kv.mod_revision == 3));
        // Without an effective change there is no revision.
        let ops = vec![get("b"), delete("nothing", "")];
        let (revision, reply) = bench.txn(vec![], ops, vec![]).expect("it runs");
        assert_eq!(revision, 3);
        assert!(reply.replies.iter().all(|(revision, _)| *revision == 3));
        assert_eq!(bench.delete("nothing", "").0, 3);
        assert_eq!(bench.view().revision(), 3);
    });
}

#[test]
fn rule_2_a_later_operation_sees_what_an_earlier_one_did() {
    in_memory_and_on_disk(|bench| {
        bench.put("a", "old");
        let ops = vec![
            get("a"),
            op("a", "new"),
            get("a"),
            delete("a", ""),
            get("a"),
        ];
        let (outer, reply) = bench.txn(vec![], ops, vec![]).expect("it runs");
        assert_eq!(outer, 3);
        let revisions: Vec<_> = reply.replies.iter().map(|reply| reply.0).collect();
        assert_eq!(revisions, [2, 3, 3, 3, 3]);
        let value = |at: usize| value_of(&reply.replies[at].1);
        assert_eq!(value(0).as_deref(), Some("old"));
        assert_eq!(value(2).as_deref(), Some("new"));
        assert_eq!(value(4), None);
    });
}

#[test]
fn rule_3_nested_comparisons_see_the_state_before_the_transaction() {
    in_memory_and_on_disk(|bench| {
        let exists = || vec![compare("a", "", Relation::Greater, Operand::Version(0))];
        let nested = |yes: &str, no: &str| {
            Op::Txn(Txn {
                compares: exists(),
                success: vec![op("which", yes)],
                failure: vec![op("which", no)],
            })
        };
        let ops = vec![op("a", "1"), nested("there", "not there")];
        bench.txn(vec![], ops, vec![]).expect("it runs");
        assert_eq!(&row(bench, "which").value[..], b"not there");
        let ops = vec![delete("a", ""), nested("there", "not there")];
        bench.txn(vec![], ops, vec![]).expect("it runs");
        assert_eq!(&row(bench, "which").value[..], b"there");
    });
}

#[test]
fn rule_4_errors_come_before_any_effect_and_only_from_the_branch_taken() {
    in_memory_and_on_disk(|bench| {
        bench.put("a", "1");
        bench.put("a", "2");
        bench.compact(3).expect("it exists");
        let bad = |put: Put| vec![op("x", "1"), Op::Put(put)];
        let unknown_lease = || Put {
            lease: 99,
            ..put("b", "1")
        };
        let ignore_value = Put {
            ignore_value: true,
            ..put("missing", "")
        };
        let ignore_lease = Put {
            ignore_lease: true,
            ..put("missing", "")
        };
        let range = |revision| vec![op("x", "1"), Op::Range(at("a", "", revision))];
        let cases = [
            (bad(unknown_lease()), Error::LeaseNotFound),
            (bad(ignore_value), Error::KeyNotFound),
            (bad(ignore_lease), Error::KeyNotFound),
            (range(2), Error::Compacted { compacted: 3 }),
            (range(9), Error::FutureRevision { current: 3 }),
        ];
        for (ops, error) in cases {
            let nested = vec![Op::Txn(Txn {
                success: ops.clone(),
                ..Txn::default()
            })];
            assert_eq!(bench.txn(vec![], ops.clone(), vec![]), Err(error.clone()));
            assert_eq!(bench.txn(vec![], nested, vec![]), Err(error));
            assert_eq!(bench.pairs("x", "", 0), []);
            assert_eq!(bench.view().revision(), 3);
            // What is wrong in the branch that is not taken is not looked at.
            let (revision, _) = bench.txn(vec![], vec![], ops).expect("it runs");
            assert_eq!(revision, 3);
        }
        let alone = |put: Put| Command::Put(put);
        assert_eq!(
            bench.apply(alone(unknown_lease())),
            Err(Error::LeaseNotFound)
        );
        let keeps_nothing = Put {
            ignore_value: true,
            ..put("missing", "")
        };
        assert_eq!(bench.apply(alone(keeps_nothing)), Err(Error::KeyNotFound));
    });
}

#[test]
fn rule_5_revisions_of_reads_inside_and_outside_of_transactions() {
    in_memory_and_on_disk(|bench| {
        bench.put("a", "1");
        bench.put("a", "2");
        let newest = [("a".to_owned(), "2".to_owned())];
        for revision in [0, -1, -5, 3] {
            assert_eq!(bench.pairs("a", "", revision), newest);
        }
        assert_eq!(
            bench.range(at("a", "", 4)),
            Err(Error::FutureRevision { current: 3 })
        );
        let read = |revision| vec![op("b", "1"), Op::Range(at("a", "", revision))];
        assert_eq!(
            bench.txn(vec![], read(-1), vec![]),
            Err(Error::Compacted { compacted: -1 })
        );
        // The revision that the transaction itself will take is still in the future.
        assert_eq!(
            bench.txn(vec![], read(4), vec![]),
            Err(Error::FutureRevision { current: 3 })
        );
        let (_, reply) = bench.txn(vec![], read(2), vec![]).expect("it runs");
        assert_eq!(value_of(&reply.replies[1].1).as_deref(), Some("1"));
    });
}

#[test]
fn rule_6_a_key_starts_anew_after_a_delete() {
    in_memory_and_on_disk(|bench| {
        bench.put("a", "1");
        bench.put("a", "2");
        let before = row(bench, "a");
        assert_eq!((before.create_revision, before.version), (2, 2));
        bench.delete("a", "");
        bench.put("a", "3");
        let after = row(bench, "a");
        assert_eq!((after.create_revision, after.version), (5, 1));
        let deletion = Event {
            kv: KeyValue {
                key: before.key.clone(),
                mod_revision: 4,
                ..KeyValue::default()
            },
            deleted: true,
            prev_kv: Some(before),
        };
        assert_eq!(all_events(bench, 4)[0].events, [deletion]);
    });
}

#[test]
fn rule_7_ranges_of_keys() {
    in_memory_and_on_disk(|bench| {
        for key in ["\0", "a", "a\0", "aa", "b"] {
            bench.put(key, "");
        }
        let found = |key: &str, end: &str| -> Vec<String> {
            let pairs = bench.pairs(key, end, 0);
            pairs.into_iter().map(|pair| pair.0).collect()
        };
        assert_eq!(found("a", ""), ["a"]);
        assert_eq!(found("a", "b"), ["a", "a\0", "aa"]);
        assert_eq!(found("a", "a\0"), ["a"]);
        assert_eq!(found("a\0", "\0"), ["a\0", "aa", "b"]);
        assert_eq!(found("\0", "\0"), ["\0", "a", "a\0", "aa", "b"]);
        assert_eq!(found("", "\0"), ["\0", "a", "a\0", "aa", "b"]);
        assert_eq!(found("b", "a"), [""; 0]);
        assert_eq!(found("a", "a"), [""; 0]);
        assert_eq!(bench.delete("b", "a").1.deleted, 0);
    });
}

#[test]
fn rule_8_count_ignores_limit_and_filters_and_more_does_not() {
    in_memory_and_on_disk(|bench| {
        for key in ["a", "b", "c", "d", "e", "f"] {
            bench.put(key, "");
        }
        let all = || at("a", "z", 0);
        let three_match = Range {
            limit: 1,
            min_mod_revision: 5,
            ..all()
        };
        let reply = bench.range(three_match).expect("it can be read");
        assert_eq!((reply.kvs.len(), reply.count, reply.more), (1, 6, true));
        let count_only = Range {
            limit: 1,
            count_only: true,
            ..all()
        };
        let reply = bench.range(count_only).expect("it can be read");
        assert_eq!((reply.kvs.len(), reply.count, reply.more), (0, 6, false));
        for (limit, len, more) in [(-1, 6, false), (0, 6, false), (5, 5, true), (6, 6, false)] {
            let reply = bench
                .range(Range { limit, ..all() })
                .expect("it can be read");
            assert_eq!((reply.kvs.len(), reply.count, reply.more), (len, 6, more));
        }
    });
}

#[test]
fn rule_9_orders_and_targets() {
    in_memory_and_on_disk(|bench| {
        for (key, value) in [("a", "2"), ("b", "3"), ("c", "1"), ("b", "3"), ("a", "2")] {
            bench.put(key, value);
        }
        let sorted = |order, target, keys_only, limit| -> Vec<String> {
            let range = Range {
                order,
                target,
                keys_only,
                limit,
                ..at("a", "z", 0)
            };
            let reply = bench.range(range).expect("it can be read");
            assert!(!keys_only || reply.kvs.iter().all(|kv| kv.value.is_empty()));
            assert_eq!(reply.more, limit == 2);
            let keys = reply.kvs.iter();
            keys.map(|kv| String::from_utf8_lossy(&kv.key).into_owned())
                .collect()
        };
        // Without an order, any other target than the key sorts upward.
        assert_eq!(
            sorted(Order::None, Target::Value, false, 0),
            ["c", "a", "b"]
        );
        assert_eq!(sorted(Order::None, Target::Mod, false, 0), ["c", "b", "a"]);
        assert_eq!(
            sorted(Order::None, Target::Create, false, 0),
            ["a", "b", "c"]
        );
        assert_eq!(
            sorted(Order::Ascend, Target::Version, false, 0),
            ["c", "a", "b"]
        );
        assert_eq!(
            sorted(Order::Descend, Target::Version, false, 0),
            ["a", "b", "c"]
        );
        assert_eq!(sorted(Order::Descend, Target::Key, false, 2), ["c", "b"]);
        // Values that are left out still sort.
        assert_eq!(
            sorted(Order::Descend, Target::Value, true, 0),
            ["b", "a", "c"]
        );
        assert_eq!(sorted(Order::Ascend, Target::Value, true, 2), ["c", "a"]);
    });
}

#[test]
fn rule_10_comparisons_of_missing_keys_and_of_ranges() {
    in_memory_and_on_disk(|bench| {
        bench.put("a", "1");
        bench.put("b", "1");
        bench.put("b", "2");
        let mut holds = |key: &str, end: &str, relation, operand| {
            let compares = vec![compare(key, end, relation, operand)];
            bench
                .txn(compares, vec![], vec![])
                .expect("it runs")
                .1
                .succeeded
        };
        let value = || Operand::Value(Bytes::from_static(b"1"));
        for relation in [
            Relation::Equal,
            Relation::NotEqual,
            Relation::Less,
            Relation::Greater,
        ] {
            assert!(!holds("missing", "", relation, value()));
            assert!(!holds("x", "z", relation, value()));
        }
        for zero in [
            Operand::Version(0),
            Operand::Create(0),
            Operand::Mod(0),
            Operand::Lease(0),
        ] {
            assert!(holds("missing", "", Relation::Equal, zero.clone()));
            assert!(holds("x", "z", Relation::Equal, zero.clone()));
            // An end before the key makes a range without keys.
            assert!(holds("b", "a", Relation::Equal, zero));
        }
        // It must hold for every key.
        assert!(holds("a", "c", Relation::Greater, Operand::Version(0)));
        assert!(!holds("a", "c", Relation::Equal, Operand::Version(1)));
        assert!(!holds("a", "c", Relation::Equal, value()));
        assert!(holds("a", "", Relation::Equal, value()));
    });
}

#[test]
fn rule_11_compaction_and_what_can_be_read_afterwards() {
    in_memory_and_on_disk(|bench| {
        // On a fresh store revision 0 can be compacted, once.
        assert_eq!(bench.compact(0), Ok(1));
        assert_eq!(bench.compact(0), Err(Error::Compacted { compacted: 0 }));
        for value in ["1", "2", "3"] {
            bench.put("a", value);
        }
        assert_eq!(bench.compact(5), Err(Error::FutureRevision { current: 4 }));
        assert_eq!(bench.compact(3), Ok(4));
        assert_eq!(bench.compact(3), Err(Error::Compacted { compacted: 3 }));
        assert_eq!(bench.compact(-1), Err(Error::Compacted { compacted: 3 }));
        let compacted = Err(Error::Compacted { compacted: 3 });
        assert_eq!(bench.range(at("a", "", 2)), compacted);
        assert_eq!(bench.pairs("a", "", 3), [("a".into(), "2".into())]);
        let below = bench.view().history(&keys("a", ""), 2, 100);
        assert_eq!(below, Err(Error::Compacted { compacted: 3 }));
        assert_eq!(all_events(bench, 3).len(), 2);
        // The newest revision can be compacted.
        assert_eq!(bench.compact(4), Ok(4));
        assert_eq!(bench.pairs("a", "", 4), [("a".into(), "3".into())]);
        assert_eq!(bench.pairs("a", "", 0), [("a".into(), "3".into())]);
    });
}

#[test]
fn rule_12_a_deletion_at_the_compacted_revision_is_still_an_event_there() {
    in_memory_and_on_disk(|bench| {
        bench.put("a", "1");
        bench.put("b", "1");
        bench.delete("a", "");
        bench.put("c", "1");
        bench.compact(4).expect("it exists");
        bench.settle();
        assert!(bench.view().compaction_finished(4));
        // The values that live at the revision are kept, the deleted one is not.
        assert_eq!(bench.pairs("a", "z", 4), [("b".into(), "1".into())]);
        let events = all_events(bench, 4);
        assert_eq!(events.len(), 2);
        assert!(events[0].events[0].deleted);
        assert_eq!(&events[0].events[0].kv.key[..], b"a");
        // What was before the compacted revision is gone.
        assert_eq!(events[0].events[0].prev_kv, None);
        // The next compaction forgets the deletion.
        bench.compact(5).expect("it exists");
        bench.settle();
        assert_eq!(bench.pairs("a", "z", 5).len(), 2);
        assert_eq!(all_events(bench, 5).len(), 1);
        let base = lock(&bench.machine.shared.disk).base.clone();
        let rows = redb::ReadableTableMetadata::len(&base.rows);
        assert_eq!(rows.expect("it is read"), 2);
    });
}

/// Compacting all at once or little by little, early or late, leaves the same.
#[test]
fn rule_12_replicas_that_sweep_at_different_times_answer_the_same() {
    let (mut one, mut two) = (Bench::new(), Bench::new());
    for bench in [&mut one, &mut two] {
        bench.machine.flusher().ask();
    }
    for round in 0..40 {
        for bench in [&mut one, &mut two] {
            bench.put("a", &round.to_string());
            bench.put("b", "");
            bench.delete("b", "");
            let revision = bench.view().revision();
            if round % 7 == 0 {
                bench.compact(revision - 1).expect("it exists");
            }
        }
        if round % 3 == 0 {
            one.settle();
        }
        let revision = one.view().compacted().max(1);
        assert_eq!(one.view().digest(), two.view().digest());
        assert_eq!(all_events(&one, revision), all_events(&two, revision));
        for at in revision..=one.view().revision() {
            assert_eq!(one.pairs("a", "z", at), two.pairs("a", "z", at));
        }
    }
}

#[test]
fn rule_16_the_row_before_an_event_is_the_one_at_the_revision_before() {
    in_memory_and_on_disk(|bench| {
        bench.put("a", "1");
        bench.put("b", "1");
        bench.put("a", "2");
        bench.delete("a", "");
        let prev = |bench: &Bench, from: i64| -> Vec<Option<i64>> {
            let events = all_events(bench, from).into_iter();
            let prev = events.map(|revision| revision.events[0].prev_kv.clone());
            prev.map(|prev| prev.map(|kv| kv.mod_revision)).collect()
        };
        assert_eq!(prev(bench, 2), [None, None, Some(2), Some(4)]);
        // Revision 3 can be read, so the event of revision 4 still has its row before.
        bench.compact(3).expect("it exists");
        bench.settle();
        assert_eq!(prev(bench, 3), [None, Some(2), Some(4)]);
        bench.compact(4).expect("it exists");
        bench.settle();
        assert_eq!(prev(bench, 4), [None, Some(4)]);
    });
}

#[test]
fn rule_18_leases_expire_by_agreed_time_and_their_keys_go_in_order_in_one_revision() {
    in_memory_and_on_disk(|bench| {
        let tick = |epoch, elapsed_ms| Command::Tick { epoch, elapsed_ms };
        for (id, ttl) in [(1, 2), (2, 2), (3, 60)] {
            bench
                .apply(Command::LeaseGrant { id, ttl })
                .expect("it is new");
        }
        for key in ["c", "a", "b"] {
            bench.apply(with_lease(key, 1)).expect("the lease is there");
        }
        bench.apply(with_lease("d", 3)).expect("the lease is there");
        // A second of grace, since the clock may have stood still for so long before the grant.
        for (elapsed_ms, remaining) in [(1999, 0), (2000, 0), (2999, -1)] {
            bench.apply(tick(1, elapsed_ms)).expect("it ticks");
            assert_eq!(bench.view().revision(), 5);
            assert_eq!(
                bench.view().lease(1).map(|lease| lease.remaining_ttl),
                Some(remaining)
            );
        }
        bench.apply(tick(1, 3000)).expect("it ticks");
        assert_eq!(bench.view().revision(), 6);
        assert_eq!(bench.out.events.len(), 1, "lease 2 had no keys");
        let deleted: Vec<_> = bench.out.events[0].events.iter().collect();
        assert!(deleted.iter().all(|event| event.deleted));
        let keys: Vec<_> = deleted.iter().map(|event| &event.kv.key[..]).collect();
        assert_eq!(keys, [b"a", b"b", b"c"]);
        assert_eq!(bench.view().leases(), [3]);
        // A new leader counts from where the clock stands; one that was replaced counts no more.
        bench.apply(tick(2, 500)).expect("it ticks");
        assert_eq!(bench.view().clock_ms(), 3500);
        bench.apply(tick(1, 90_000)).expect("it ticks");
        assert_eq!(bench.view().clock_ms(), 3500);
        bench.apply(tick(2, 400)).expect("it ticks");
        assert_eq!(bench.view().clock_ms(), 3500);
    });
}

/// Found by the simulator: the tick of a leader that lost its office, broadcast again and ordered behind
/// a renewal, ended the lease early together with the next leader's first.
#[test]
fn rule_18_a_tick_that_a_later_epoch_ordered_does_not_count() {
    let mut bench = Bench::new();
    let tick = |epoch, elapsed_ms| Command::Tick { epoch, elapsed_ms };
    let grant = Command::LeaseGrant { id: 1, ttl: 2 };
    bench.apply_in(1, grant).expect("it is new");
    bench.apply_in(1, tick(1, 500)).expect("it ticks");
    let renewal = Command::LeaseKeepAlive { id: 1 };
    bench.apply_in(2, renewal).expect("the lease is there");
    bench.apply_in(2, tick(1, 1500)).expect("it ticks");
    assert_eq!(bench.view().clock_ms(), 500);
    bench.apply_in(2, tick(2, 1000)).expect("it ticks");
    assert_eq!(bench.view().clock_ms(), 1500);
    assert_eq!(bench.view().leases(), [1]);
}

#[test]
fn rule_18_the_lease_due_first_ends_first() {
    let mut bench = Bench::new();
    for (id, ttl) in [(5, 3), (4, 2), (6, 2)] {
        bench
            .apply(Command::LeaseGrant { id, ttl })
            .expect("it is new");
        let key = id.to_string();
        bench
            .apply(with_lease(&key, id))
            .expect("the lease is there");
    }
    let tick = Command::Tick {
        epoch: 1,
        elapsed_ms: 5000,
    };
    bench.apply(tick).expect("it ticks");
    let ended = bench.out.events.iter();
    let ended: Vec<_> = ended
        .map(|revision| &revision.events[0].kv.key[..])
        .collect();
    assert_eq!(ended, [b"4", b"6", b"5"]);
}

#[test]
fn rule_19_attaching_detaching_and_revoking() {
    in_memory_and_on_disk(|bench| {
        let grant = |id| Command::LeaseGrant { id, ttl: 10 };
        bench.apply(grant(-5)).expect("ids may be negative");
        bench.apply(grant(6)).expect("it is new");
        assert_eq!(bench.apply(grant(6)), Err(Error::LeaseExists));
        for key in ["a", "b", "c"] {
            bench
                .apply(with_lease(key, -5))
                .expect("the lease is there");
        }
        // A put without a lease detaches, one that ignores leases does not, another lease takes over.
        bench.put("a", "2");
        let keep = Put {
            ignore_lease: true,
            ..put("b", "2")
        };
        bench.apply(Command::Put(keep)).expect("the key is there");
        bench.apply(with_lease("c", 6)).expect("the lease is there");
        let keys_of =
            |bench: &Bench, id| -> Vec<Bytes> { bench.view().lease(id).expect("it is there").keys };
        assert_eq!(keys_of(bench, -5), ["b"]);
        assert_eq!(keys_of(bench, 6), ["c"]);
        assert_eq!(row(bench, "b").lease, -5);
        assert_eq!(bench.view().leases(), [-5, 6]);
        // A deleted key is no longer attached, so the lease has nothing to delete.
        bench.delete("b", "");
        let revision = bench.view().revision();
        let revoke = |id| Command::LeaseRevoke { id };
        assert_eq!(bench.apply(revoke(-5)), Ok((revision, Reply::LeaseRevoke)));
        assert_eq!(bench.apply(revoke(-5)), Err(Error::LeaseNotFound));
        assert_eq!(
            bench.apply(revoke(6)),
            Ok((revision + 1, Reply::LeaseRevoke))
        );
        assert_eq!(bench.pairs("a", "z", 0), [("a".into(), "2".into())]);
        assert_eq!(bench.view().leases(), []);
    });
}

#[test]
fn rule_19_renewing_a_lease() {
    in_memory_and_on_disk(|bench| {
        let renew = |bench: &mut Bench, id| match bench.apply(Command::LeaseKeepAlive { id }) {
            Ok((_, Reply::LeaseKeepAlive { ttl })) => ttl,
            other => panic!("a renewal answered {other:?}"),
        };
        let tick = |bench: &mut Bench, elapsed_ms| {
            let tick = Command::Tick {
                epoch: 1,
                elapsed_ms,
            };
            bench.apply(tick).expect("it ticks");
        };
        assert_eq!(renew(bench, 1), 0);
        let grant = Command::LeaseGrant { id: 1, ttl: 3 };
        bench.apply(grant).expect("it is new");
        tick(bench, 2500);
        assert_eq!(renew(bench, 1), 3);
        tick(bench, 5000);
        let expected = LeaseStatus {
            id: 1,
            granted_ttl: 3,
            remaining_ttl: 0,
            keys: Vec::new(),
        };
        assert_eq!(bench.view().lease(1), Some(expected));
        tick(bench, 6500);
        assert_eq!(bench.view().lease(1), None);
        assert_eq!(renew(bench, 1), 0);
    });
}
