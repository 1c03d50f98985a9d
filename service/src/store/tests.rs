//! Encodings of what is stored.

use bytes::Bytes;
use proptest::prelude::*;
use quorate_core::Choice;

use super::row::{Kind, Row, Stamp, StoredRow, decode_key, encode_row_key, split_row_key};
use super::state::{Meta, Sweep};
use super::tables::{decode_event, encode_event};
use crate::command::Member;
use crate::members::Members;

fn key() -> impl Strategy<Value = Vec<u8>> {
    // Few different bytes, so that keys are prefixes of each other, and those that are special.
    proptest::collection::vec(prop_oneof![Just(0), Just(1), Just(0xfe), Just(0xff)], 0..6)
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Changed),
        Just(Kind::Created),
        Just(Kind::Deleted)
    ]
}

fn stamp() -> impl Strategy<Value = Stamp> {
    (0..1000i64, 0..3u32).prop_map(|(main, sub)| Stamp { main, sub })
}

proptest! {
    #[test]
    fn stored_keys_sort_like_keys_with_the_newest_version_first(
        one in (key(), stamp()),
        two in (key(), stamp()),
    ) {
        let encode = |(key, stamp): &(Vec<u8>, Stamp)| {
            let mut stored = Vec::new();
            encode_row_key(key, *stamp, &mut stored);
            stored
        };
        let order = one.0.cmp(&two.0).then(two.1.cmp(&one.1));
        prop_assert_eq!(encode(&one).cmp(&encode(&two)), order);
        let stored = encode(&one);
        let (shared, stamp) = split_row_key(&stored).expect("it was encoded so");
        let mut key = Vec::new();
        decode_key(shared, &mut key).expect("it was encoded so");
        prop_assert_eq!((key, stamp), one);
    }

    #[test]
    fn a_row_is_read_as_it_was_written_and_not_in_another_place(
        key in key(),
        stamp in stamp(),
        value in proptest::collection::vec(any::<u8>(), 0..50),
        numbers in any::<[i64; 3]>(),
        flip in any::<prop::sample::Index>(),
    ) {
        let [create, version, lease] = numbers;
        let row = Row::put(&key, stamp, Bytes::from(value), create, version, lease);
        let mut stored = Vec::new();
        row.encode(&mut stored);
        let read = StoredRow::decode(&key, stamp, &stored).expect("it was encoded so");
        prop_assert_eq!(read.to_row(), row);
        prop_assert!(StoredRow::decode(b"elsewhere", stamp, &stored).is_err());
        prop_assert!(StoredRow::decode(&key, stamp.before(), &stored).is_err());
        let at = flip.index(stored.len());
        stored[at] ^= 4;
        prop_assert!(StoredRow::decode(&key, stamp, &stored).is_err());
    }

    #[test]
    fn an_event_is_read_as_it_was_written(key in key(), stamp in stamp(), kind in kind()) {
        let mut stored = Vec::new();
        encode_event(stamp, kind, &key, &mut stored);
        prop_assert_eq!(decode_event(stamp, &stored), Ok((kind, &key[..])));
        prop_assert!(decode_event(stamp.before(), &stored).is_err());
        for at in 0..stored.len() {
            let mut changed = stored.clone();
            changed[at] ^= 1;
            prop_assert!(decode_event(stamp, &changed).is_err());
        }
    }
}

#[test]
fn the_record_of_the_state_is_read_as_it_was_written() {
    let mut meta = Meta::new(Members::of(vec![Member {
        id: 3,
        name: "three".into(),
        peer_urls: vec!["a".into(), "b".into()],
        client_urls: Vec::new(),
        is_learner: true,
    }]));
    meta.revision = 77;
    meta.compacted = 12;
    meta.batches.insert(5, (6, 7));
    meta.clock.tick(4, 900);
    meta.digest(99);
    let sweep = Sweep {
        finished: 9,
        target: 12,
        next: Stamp { main: 10, sub: 2 },
        stored_bytes: 1234,
    };
    let stored = meta.encode(&sweep);
    assert_eq!(Meta::decode(&stored), Ok((meta, sweep)));
    for at in 0..stored.len() {
        let mut changed = stored.clone();
        changed[at] ^= 1;
        assert!(Meta::decode(&changed).is_err());
        assert!(Meta::decode(&stored[..at]).is_err());
    }
}

/// What decodes stored bytes meets only damaged ones in a test like this, and never panics.
#[test]
fn random_bytes_never_panic() {
    let mut choice = Choice::Seeded(11);
    for _ in 0..200_000 {
        let len = choice.choose(90) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| choice.choose(4) as u8).collect();
        let _ = decode_event(Stamp::FIRST, &bytes);
        let _ = StoredRow::decode(b"key", Stamp::FIRST, &bytes);
        if let Ok((shared, _)) = split_row_key(&bytes) {
            let _ = decode_key(shared, &mut Vec::new());
        }
        if bytes.len() > 8 {
            // With a good checksum and format, so that the fields are looked at.
            bytes[4..8].copy_from_slice(&super::state::FORMAT.to_le_bytes());
            let crc = crc32c::crc32c(&bytes[4..]);
            bytes[..4].copy_from_slice(&crc.to_le_bytes());
            let _ = Meta::decode(&bytes);
        }
    }
}

#[test]
fn a_store_of_another_format_says_so() {
    let mut stored = Meta::new(Members::default()).encode(&Sweep::NONE);
    stored[4] = 9;
    let crc = crc32c::crc32c(&stored[4..]);
    stored[..4].copy_from_slice(&crc.to_le_bytes());
    let error = Meta::decode(&stored).expect_err("it is of the future");
    assert!(error.to_string().contains("format 9"), "{error}");
}
