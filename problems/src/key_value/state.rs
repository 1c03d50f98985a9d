//! What a store holds, in a form that is cheap to copy, change and compare: a search keeps many states
//! that differ little.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

/// The longest a chunk gets before it is split.
const CHUNK_MAX: usize = 32;

type Chunk = Vec<(u32, u32)>;

/// Keys and values, sorted by key, in chunks that states share.
#[derive(Clone, Default, Debug)]
pub(crate) struct State {
    /// A hash of the contents, kept up to date with each change.
    hash: u64,
    chunks: Rc<Vec<Rc<Chunk>>>,
}

impl PartialEq for State {
    /// Equal contents may be in different chunks.
    fn eq(&self, other: &State) -> bool {
        self.hash == other.hash
            && (self.chunks == other.chunks || self.entries().eq(other.entries()))
    }
}

impl Eq for State {}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

impl State {
    /// What is under a key.
    pub(super) fn read(&self, key: u32) -> Option<u32> {
        let chunk = &self.chunks[self.chunk_of(key)?];
        let at = chunk.binary_search_by_key(&key, |&(key, _)| key).ok()?;
        Some(chunk[at].1)
    }

    /// Puts a value under a key, or nothing.
    pub(super) fn write(&mut self, key: u32, value: Option<u32>) {
        let before = self.read(key);
        if before == value {
            return;
        }
        self.hash ^= mix(key, before) ^ mix(key, value);
        let chunks = Rc::make_mut(&mut self.chunks);
        let which = chunks
            .partition_point(|chunk| chunk[0].0 <= key)
            .saturating_sub(1);
        let Some(shared) = chunks.get_mut(which) else {
            chunks.extend(value.map(|value| Rc::new(Vec::from([(key, value)]))));
            return;
        };
        let chunk = Rc::make_mut(shared);
        match (chunk.binary_search_by_key(&key, |&(key, _)| key), value) {
            (Ok(at), Some(value)) => chunk[at].1 = value,
            (Ok(at), None) => {
                chunk.remove(at);
            }
            (Err(at), Some(value)) => chunk.insert(at, (key, value)),
            (Err(_), None) => {}
        }
        if chunk.is_empty() {
            chunks.remove(which);
        } else if chunk.len() > CHUNK_MAX {
            let rest = chunk.split_off(CHUNK_MAX / 2);
            chunks.insert(which + 1, Rc::new(rest));
        }
    }

    /// Everything that is there, by key.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, u32)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().copied())
    }

    fn chunk_of(&self, key: u32) -> Option<usize> {
        self.chunks
            .partition_point(|chunk| chunk[0].0 <= key)
            .checked_sub(1)
    }
}

/// A number for a value under a key; 0 for nothing, so that the hash depends on the contents only.
fn mix(key: u32, value: Option<u32>) -> u64 {
    let Some(value) = value else {
        return 0;
    };
    let mut z = (u64::from(key) << 32 | u64::from(value)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use quorate_core::Choice;

    #[test]
    fn it_holds_what_a_map_holds_whatever_the_order_of_writes() {
        let mut choice = Choice::Seeded(5);
        let mut state = State::default();
        let mut map = BTreeMap::new();
        for _ in 0..3000 {
            let key = choice.choose(200) + 1;
            let value = (choice.choose(3) > 0).then(|| choice.choose(4));
            let before = state.clone();
            assert_eq!(state.read(key), map.get(&key).copied());
            state.write(key, value);
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
            assert_eq!(state == before, state.read(key) == before.read(key));
        }
        // Chunks are cut differently if the same is written in order, but the contents hash alike.
        let mut again = State::default();
        for (&key, &value) in &map {
            again.write(key, Some(value));
        }
        assert_eq!(state, again);
        assert!(state.entries().eq(map.clone()));
        assert!((1..=200).all(|key| state.read(key) == map.get(&key).copied()));
        for key in 1..=200 {
            state.write(key, None);
        }
        assert_eq!(state, State::default());
    }
}
