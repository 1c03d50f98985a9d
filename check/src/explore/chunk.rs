//! States that wait to be expanded.

use super::Search;
use crate::model::Model;

/// Some of the states that wait, as they are or as bytes.
pub(super) enum Chunk<M: Model> {
    Plain(Vec<(M::State, u64)>),
    Packed(Packed),
}

/// States as bytes. Each is written as what it has different from the one before, which is not much: what
/// waits together was mostly reached from one state.
#[derive(Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    count: usize,
    /// The one before, in full.
    last: Vec<u8>,
    /// The one to be written.
    next: Vec<u8>,
}

impl<M: Model> Chunk<M> {
    pub(super) fn new(search: &Search<'_, M>) -> Chunk<M> {
        match search.packing {
            Some(_) => Chunk::Packed(Packed::default()),
            None => Chunk::Plain(Vec::new()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Chunk::Plain(states) => states.len(),
            Chunk::Packed(packed) => packed.count,
        }
    }

    pub(super) fn push(&mut self, search: &Search<'_, M>, state: &M::State, print: u64) {
        match self {
            Chunk::Plain(states) => states.push((state.clone(), print)),
            Chunk::Packed(packed) => {
                let packing = search.packing.as_ref();
                let packing = packing.expect("chunks are packed only if there is a packing");
                packed.next.clear();
                (packing.pack)(search.model, state, &mut packed.next);
                packed.write();
            }
        }
    }

    /// The states with their fingerprints.
    pub(super) fn into_states(self, search: &Search<'_, M>) -> Vec<(M::State, u64)> {
        match self {
            Chunk::Plain(states) => states,
            Chunk::Packed(packed) => {
                let packing = search.packing.as_ref();
                let packing = packing.expect("chunks are packed only if there is a packing");
                let mut states = Vec::with_capacity(packed.count);
                packed.read(|bytes| {
                    let state = (packing.unpack)(search.model, bytes);
                    let print = search.model.fingerprint(&state);
                    states.push((state, print));
                });
                states
            }
        }
    }

    /// Moves what is there to `chunks`, as one, without the room for more.
    pub(super) fn flush_into(&mut self, chunks: &mut Vec<Chunk<M>>) {
        if self.len() == 0 {
            return;
        }
        chunks.push(match self {
            Chunk::Plain(states) => {
                let mut full = std::mem::take(states);
                full.shrink_to_fit();
                Chunk::Plain(full)
            }
            Chunk::Packed(packed) => {
                let full = Packed {
                    bytes: packed.bytes.as_slice().to_vec(),
                    count: packed.count,
                    ..Packed::default()
                };
                packed.bytes.clear();
                packed.last.clear();
                packed.count = 0;
                Chunk::Packed(full)
            }
        });
    }
}

impl Packed {
    /// Writes `next`: its length, which of its bytes are others than those of `last`, and these. What is
    /// beyond the end of `last` counts as zero there.
    fn write(&mut self) {
        let len = u16::try_from(self.next.len()).expect("packed states are short");
        match u8::try_from(len) {
            Ok(len) if len < LONG => self.bytes.push(len),
            _ => {
                self.bytes.push(LONG);
                self.bytes.extend(len.to_le_bytes());
            }
        }
        self.last.resize(self.next.len(), 0);
        let pairs = self.next.chunks(8).zip(self.last.chunks(8));
        for (next, last) in pairs {
            let begin = self.bytes.len();
            self.bytes.push(0);
            for (at, (byte, before)) in next.iter().zip(last).enumerate() {
                if byte != before {
                    self.bytes[begin] |= 1 << at;
                    self.bytes.push(*byte);
                }
            }
        }
        std::mem::swap(&mut self.last, &mut self.next);
        self.count += 1;
    }

    /// Reads all of them, one after the other.
    fn read(&self, mut each: impl FnMut(&[u8])) {
        let mut bytes = self.bytes.iter().copied();
        let mut byte = || bytes.next().expect("what was written is complete");
        let mut state = Vec::new();
        for _ in 0..self.count {
            let len = match byte() {
                LONG => usize::from(u16::from_le_bytes([byte(), byte()])),
                len => usize::from(len),
            };
            state.resize(len, 0);
            for eight in state.chunks_mut(8) {
                let mut differs = byte();
                while differs != 0 {
                    eight[differs.trailing_zeros() as usize] = byte();
                    differs &= differs - 1;
                }
            }
            each(&state);
        }
    }
}

/// Stands for a length that takes more than a byte.
const LONG: u8 = u8::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut states: Vec<Vec<u8>> = Vec::new();
        for number in 0..100u32 {
            let len = number * number % 37 + if number % 10 == 0 { 600 } else { 0 };
            states.push((0..len).map(|at| (at * number / 9) as u8).collect());
        }
        let mut packed = Packed::default();
        for state in &states {
            packed.next.clear();
            packed.next.extend(state);
            packed.write();
        }
        let mut read = Vec::new();
        packed.read(|state| read.push(state.to_vec()));
        assert_eq!(read, states);
    }

    #[test]
    fn what_differs_little_takes_little() {
        let mut packed = Packed::default();
        for number in 0..100u8 {
            packed.next = vec![7; 40];
            packed.next[20] = number;
            packed.write();
        }
        // A length, five bytes that say what differs, one that does.
        assert!(packed.bytes.len() < 40 + 100 * 7, "{}", packed.bytes.len());
    }
}
