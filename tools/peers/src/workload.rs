//! What everybody orders, and what everybody does with it.

use std::sync::Arc;

use quorate_core::Payload;

/// The size of a command.
pub const COMMAND_BYTES: usize = 256;
/// How many different commands there are before they begin anew.
const DISTINCT: usize = 4096;

/// The commands, made before any clock starts: clients bring them, replication does not make them. All
/// of them lie in one block, as what a network read brought does.
pub struct Commands(Vec<Payload>);

impl Commands {
    /// Makes them.
    #[must_use]
    pub fn new() -> Commands {
        let mut block = Vec::with_capacity(DISTINCT * COMMAND_BYTES);
        for number in 0..DISTINCT as u64 {
            let word = (number + 1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .to_le_bytes();
            for _ in 0..COMMAND_BYTES / word.len() {
                block.extend_from_slice(&word);
            }
        }
        let block = Arc::new(block);
        let ranges = (0..DISTINCT).map(|at| at * COMMAND_BYTES..(at + 1) * COMMAND_BYTES);
        // Nobody here verifies the checksum, which is computed where bytes enter a server.
        Commands(
            ranges
                .map(|range| Payload::new(block.clone(), range, 0))
                .collect(),
        )
    }

    /// The command with this number.
    #[must_use]
    pub fn get(&self, number: u64) -> &Payload {
        &self.0[number as usize % DISTINCT]
    }
}

/// The state machine: how many commands it has seen, and a digest of which and in what order. It looks
/// at the ends of each, which tell all commands apart, since it is replication that is measured.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct State {
    /// How many commands were applied.
    pub count: u64,
    /// A digest of all of them in order.
    pub digest: u64,
}

impl State {
    /// Applies the commands of a payload; none, if a protocol had to fill a position.
    pub fn apply(&mut self, payload: &[u8]) {
        let (commands, rest) = payload.as_chunks::<COMMAND_BYTES>();
        assert!(rest.is_empty(), "commands arrive whole");
        for command in commands {
            let first = u64::from_le_bytes(*command.first_chunk().expect("a command is longer"));
            let last = u64::from_le_bytes(*command.last_chunk().expect("a command is longer"));
            assert_eq!(first, last, "a command's words are all the same");
            self.count += 1;
            self.digest = (self.digest.rotate_left(7) ^ first).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
}
