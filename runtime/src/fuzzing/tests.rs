//! A few hundred thousand generated inputs, the same at each run.

use std::fs;
use std::path::Path;

use quorate_core::{Choice, Wire};

use super::*;

/// Bytes of some length, with more small values than chance would have.
fn generated(choice: &mut Choice, len_max: u32) -> Vec<u8> {
    let len = choice.choose(len_max + 1);
    let bytes = (0..len).map(|_| match choice.choose(3) {
        0 => choice.choose(4) as u8,
        _ => choice.choose(256) as u8,
    });
    bytes.collect()
}

fn message(choice: &mut Choice) -> Message {
    let text: String = (0..choice.choose(9)).map(|_| 'q').collect();
    let bytes = generated(choice, 40);
    let checksum = crc32c::crc32c(&bytes);
    Message {
        from: (choice.choose(2) == 0).then_some(NodeId(u64::from(choice.choose(9)))),
        frames: (0..choice.choose(4)).map(|n| Frame(n.into())).collect(),
        texts: vec![text; choice.choose(3) as usize],
        payloads: vec![Payload::from_vec(bytes, checksum); choice.choose(3) as usize],
        checkpoint: Checkpoint::default(),
    }
}

/// Runs every file of a target's corpus.
fn corpus(target: &str, run: impl Fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let mut count = 0;
    for entry in fs::read_dir(directory.join(target)).unwrap() {
        let path = entry.unwrap().path();
        run(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "{target} has a corpus");
}

#[test]
fn the_corpora_of_the_fuzz_targets() {
    corpus("peer_frames", peer_frames);
    corpus("handshake", handshake);
    corpus("log_recovery", log_recovery);
}

#[test]
fn frames_of_any_bytes() {
    let mut choice = Choice::Seeded(11);
    for _ in 0..100_000 {
        peer_frames(&generated(&mut choice, 120));
    }
}

#[test]
fn frames_with_something_changed() {
    let mut choice = Choice::Seeded(12);
    for _ in 0..60_000 {
        let mut frames = Vec::new();
        let mut body = Vec::new();
        for _ in 0..=choice.choose(2) {
            body.clear();
            let count = choice.choose(3);
            for _ in 0..count {
                message(&mut choice).encode(&mut body);
            }
            frames.extend_from_slice(&FrameHeader::of(&body, count).encode());
            frames.extend_from_slice(&body);
        }
        let intact = decode_frames::<Message>(&Arc::new(frames.clone()), FRAME_BYTES_MAX);
        assert!(intact.is_ok(), "{intact:?}");
        let at = choice.choose(frames.len() as u32) as usize;
        frames[at] ^= 1 << choice.choose(8);
        let changed = decode_frames::<Message>(&Arc::new(frames.clone()), FRAME_BYTES_MAX);
        assert!(changed.is_err(), "a changed byte is noticed");
        peer_frames(&frames);
        // And a body that is intact, but not what it should be.
        if let Some(byte) = body.last_mut() {
            *byte ^= 1 << choice.choose(8);
        }
        body.insert(0, choice.choose(3) as u8);
        peer_frames(&body);
    }
}

#[test]
fn handshakes_of_any_bytes() {
    let mut choice = Choice::Seeded(13);
    for _ in 0..100_000 {
        handshake(&generated(&mut choice, 90));
    }
}

#[test]
fn logs_written_crashed_and_damaged() {
    let mut choice = Choice::Seeded(14);
    for _ in 0..3_000 {
        log_recovery(&generated(&mut choice, 60));
    }
}
