//! Blocks are read as they were written, or not at all.

use std::sync::Arc;

use quorate_core::Choice;
use redb::backends::InMemoryBackend;

use super::*;

/// A file that outlives those who have it open.
#[derive(Clone, Debug)]
struct Kept(Arc<InMemoryBackend>);

impl StorageBackend for Kept {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset + out.len() as u64 > self.0.len()? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

impl Kept {
    fn new() -> Kept {
        Kept(Arc::new(InMemoryBackend::new()))
    }

    fn open(&self) -> io::Result<Blocks> {
        Blocks::open(Box::new(self.clone()), "test", None)
    }

    /// A file that is as long as so many blocks, with a header.
    fn begin(&self, blocks: u64) -> Blocks {
        let begun = self.open().expect("it opens");
        begun
            .set_len(blocks * BLOCK_BYTES as u64)
            .expect("it grows");
        begun.write(0, &[3]).expect("a write");
        begun
    }

    fn flip(&self, at: u64, bit: u32) {
        let mut byte = [0];
        self.0.read(at, &mut byte).expect("it is there");
        self.0
            .write(at, &[byte[0] ^ 1 << bit])
            .expect("it is there");
    }
}

fn is_damage(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|cause| cause.is::<DamagedBlock>())
}

#[test]
fn lengths_are_told_from_each_other() {
    for blocks in (0..3000).chain([1 << 20, (1 << 20) + 1]) {
        assert_eq!(blocks_in(file_bytes(blocks)), blocks);
    }
    // A file that was growing when the power failed has the blocks that it has whole.
    assert_eq!(blocks_in(file_bytes(2000) + 512), 2000);
}

#[test]
fn what_is_read_is_what_was_written() {
    let file = Kept::new();
    let mut choice = Choice::Seeded(5);
    // A little more than one group, so that runs are cut at its end.
    let count = GROUP_BLOCKS + 20;
    let mut blocks = file.begin(count);
    let mut model = vec![0; count as usize * BLOCK_BYTES];
    model[0] = 3;
    for _ in 0..600 {
        let near = match choice.choose(3) {
            0 => 0,
            1 => choice.choose(count as u32) as usize * BLOCK_BYTES,
            _ => (GROUP_BLOCKS as usize - 2) * BLOCK_BYTES,
        };
        let at = near + choice.choose(2) as usize * choice.choose(5000) as usize;
        let at = at.min(model.len() - 1);
        let len = match choice.choose(2) {
            0 => 1 + choice.choose(CONTENT_BYTES as u32) as usize,
            _ => BLOCK_BYTES << choice.choose(5),
        };
        let end = (at + len).min(model.len());
        // Of the first block there is only the header.
        let writable = at >= BLOCK_BYTES || end <= CONTENT_BYTES;
        match choice.choose(8) {
            0 => {
                blocks.sync_data().expect("it syncs");
                blocks = file.open().expect("it opens again");
            }
            1..5 if writable => {
                let byte = choice.choose(255) as u8;
                model[at..end].fill(byte);
                blocks.write(at as u64, &model[at..end]).expect("a write");
            }
            _ => {
                let mut out = vec![9; end - at];
                blocks.read(at as u64, &mut out).expect("a read");
                assert!(out == model[at..end], "{len} bytes at {at}");
            }
        }
    }
}

#[test]
fn blocks_that_are_cut_off_come_back_as_zeros() {
    let file = Kept::new();
    let blocks = file.begin(1);
    for cut in [3, 1 + GROUP_BLOCKS, GROUP_BLOCKS] {
        let count = GROUP_BLOCKS + 5;
        blocks
            .set_len(count * BLOCK_BYTES as u64)
            .expect("it grows");
        for block in 1..count {
            let place = block * BLOCK_BYTES as u64;
            blocks.write(place, &[7; BLOCK_BYTES]).expect("a write");
        }
        blocks
            .set_len(cut * BLOCK_BYTES as u64)
            .expect("it shrinks");
        blocks
            .set_len(count * BLOCK_BYTES as u64)
            .expect("it grows");
        blocks.sync_data().expect("it syncs");
        let again = file.open().expect("it opens again");
        for block in 1..count {
            let mut out = [1; BLOCK_BYTES];
            again
                .read(block * BLOCK_BYTES as u64, &mut out)
                .expect("a read");
            assert_eq!(out, [if block < cut { 7 } else { 0 }; BLOCK_BYTES]);
        }
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_harms_nothing() {
    let file = Kept::new();
    let blocks = file.begin(9);
    let mut wanted = vec![0; 9 * BLOCK_BYTES];
    wanted[..100].fill(3);
    wanted[BLOCK_BYTES..8 * BLOCK_BYTES].fill(4);
    blocks.write(0, &wanted[..100]).expect("a write");
    let written = &wanted[BLOCK_BYTES..8 * BLOCK_BYTES];
    blocks.write(BLOCK_BYTES as u64, written).expect("a write");
    blocks.sync_data().expect("it syncs");
    let (mut errors, mut harmless) = (0, 0);
    for at in (0..file.0.len().expect("a length")).step_by(37) {
        file.flip(at, (at % 8) as u32);
        let mut out = vec![0; wanted.len()];
        match file.open().and_then(|blocks| blocks.read(0, &mut out)) {
            Ok(()) => {
                assert!(out == wanted, "a bit at {at} changed what is read");
                harmless += 1;
            }
            Err(error) => {
                assert!(is_damage(&error), "{error}");
                errors += 1;
            }
        }
        file.flip(at, (at % 8) as u32);
    }
    // The copies of the header and the end of the table are a third of this small file.
    assert!(errors > 800 && harmless > 200, "{errors} {harmless}");
}

#[test]
fn a_write_that_never_was_is_noticed() {
    let file = Kept::new();
    let blocks = file.begin(5);
    blocks.write(8192, &[1; BLOCK_BYTES]).expect("a write");
    let mut old = [0; BLOCK_BYTES];
    file.0.read(place(2), &mut old).expect("it is there");
    blocks.write(8192, &[2; BLOCK_BYTES]).expect("a write");
    blocks.sync_data().expect("it syncs");
    file.0.write(place(2), &old).expect("the disk lies");
    let read = file.open().expect("it opens").read(8192, &mut old);
    let error = read.expect_err("it is not what was written");
    assert!(error.to_string().starts_with("block 2 in test"), "{error}");
}

#[test]
fn a_header_that_was_synced_survives_the_next_one_torn() {
    let file = Kept::new();
    let blocks = file.begin(5);
    for round in 1..9 {
        blocks.write(0, &[round; 320]).expect("a write");
        blocks.sync_data().expect("it syncs");
        // Several may follow each other before the next sync, and none of them is whole.
        blocks.write(0, &[100; 320]).expect("a write");
        blocks.write(0, &[101; 320]).expect("a write");
        let spoiled = 1 - blocks.read_state().header.synced;
        let at = spoiled * BLOCK_BYTES as u64 + 200;
        file.flip(at, 1);
        let mut out = [0; 320];
        let again = file.open().expect("it opens");
        again.read(0, &mut out).expect("a read");
        assert_eq!(out, [round; 320]);
        file.flip(at, 1);
    }
}

#[test]
fn a_file_of_another_format_says_so() {
    let file = Kept::new();
    file.0.set_len(8192).expect("it grows");
    file.0.write(0, b"redb\x1a\x0a").expect("a write");
    let error = file.open().expect_err("there are no checksums in it");
    assert!(error.to_string().contains("format 0"), "{error}");
    assert!(!is_damage(&error));
}
