//! Which watches does a key concern? Single keys by hash; ranges by a treap over their starts in
//! which each node knows how far its subtree reaches, so that asking costs the logarithm of the
//! number of distinct ranges plus the number of answers.

use std::cmp::Ordering;
use std::collections::HashMap;

use bytes::Bytes;
use quorate_core::Choice;

use crate::command::KeyRange;

/// The watches in sync, by what they watch.
pub(super) struct Index {
    keys: HashMap<Bytes, Vec<u32>>,
    ranges: Link,
    shape: Choice,
}

type Link = Option<Box<Node>>;

struct Node {
    start: Bytes,
    end: End,
    /// The furthest end in this subtree.
    reach: End,
    priority: u32,
    slots: Vec<u32>,
    left: Link,
    right: Link,
}

/// The end of a range. The order of the variants is the order of ends.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum End {
    Before(Bytes),
    Never,
}

impl End {
    fn is_behind(&self, key: &[u8]) -> bool {
        match self {
            End::Before(end) => key < end.as_ref(),
            End::Never => true,
        }
    }
}

/// A range in the index's words, or the single key that it is.
fn bounds(range: &KeyRange) -> Option<(Bytes, End)> {
    match range.end.as_ref() {
        b"" => None,
        b"\0" => Some((range.key.clone(), End::Never)),
        _ => Some((range.key.clone(), End::Before(range.end.clone()))),
    }
}

impl Index {
    pub(super) fn new(seed: u64) -> Index {
        Index {
            keys: HashMap::new(),
            ranges: None,
            shape: Choice::Seeded(seed),
        }
    }

    pub(super) fn insert(&mut self, range: &KeyRange, slot: u32) {
        match bounds(range) {
            None => self.keys.entry(range.key.clone()).or_default().push(slot),
            Some((start, end)) => {
                let priority = self.shape.choose(u32::MAX);
                let root = self.ranges.take();
                self.ranges = Some(insert(root, start, end, slot, priority));
            }
        }
    }

    /// Takes a watch out; answers whether it was there.
    pub(super) fn remove(&mut self, range: &KeyRange, slot: u32) -> bool {
        match bounds(range) {
            None => {
                let Some(slots) = self.keys.get_mut(&range.key) else {
                    return false;
                };
                let found = take_out(slots, slot);
                if slots.is_empty() {
                    self.keys.remove(&range.key);
                }
                found
            }
            Some((start, end)) => remove(&mut self.ranges, &start, &end, slot),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.ranges.is_none()
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.ranges = None;
    }

    /// Calls `found` for every watch whose range contains the key.
    pub(super) fn matching(&self, key: &[u8], found: &mut impl FnMut(u32)) {
        if let Some(slots) = self.keys.get(key) {
            slots.iter().copied().for_each(&mut *found);
        }
        stab(&self.ranges, key, found);
    }
}

fn take_out(slots: &mut Vec<u32>, slot: u32) -> bool {
    let at = slots.iter().position(|&other| other == slot);
    at.map(|at| slots.swap_remove(at)).is_some()
}

impl Node {
    fn compare(&self, start: &Bytes, end: &End) -> Ordering {
        start.cmp(&self.start).then_with(|| end.cmp(&self.end))
    }

    /// Puts right what this node knows of its subtree.
    fn update(&mut self) {
        let below = [&self.left, &self.right];
        let reaches = below.into_iter().flatten().map(|node| &node.reach);
        let furthest = reaches.fold(&self.end, |far, reach| far.max(reach));
        if *furthest != self.reach {
            self.reach = furthest.clone();
        }
    }
}

fn insert(link: Link, start: Bytes, end: End, slot: u32, priority: u32) -> Box<Node> {
    let Some(mut node) = link else {
        return Box::new(Node {
            start,
            reach: end.clone(),
            end,
            priority,
            slots: vec![slot],
            left: None,
            right: None,
        });
    };
    match node.compare(&start, &end) {
        Ordering::Equal => node.slots.push(slot),
        Ordering::Less => {
            let child = insert(node.left.take(), start, end, slot, priority);
            if child.priority > node.priority {
                return rotate_right(node, child);
            }
            node.left = Some(child);
        }
        Ordering::Greater => {
            let child = insert(node.right.take(), start, end, slot, priority);
            if child.priority > node.priority {
                return rotate_left(node, child);
            }
            node.right = Some(child);
        }
    }
    node.update();
    node
}

/// `child`, which was to the left of `node`, becomes its parent.
fn rotate_right(mut node: Box<Node>, mut child: Box<Node>) -> Box<Node> {
    node.left = child.right.take();
    node.update();
    child.right = Some(node);
    child.update();
    child
}

/// `child`, which was to the right of `node`, becomes its parent.
fn rotate_left(mut node: Box<Node>, mut child: Box<Node>) -> Box<Node> {
    node.right = child.left.take();
    node.update();
    child.left = Some(node);
    child.update();
    child
}

fn remove(link: &mut Link, start: &Bytes, end: &End, slot: u32) -> bool {
    let Some(node) = link else {
        return false;
    };
    let found = match node.compare(start, end) {
        Ordering::Less => remove(&mut node.left, start, end, slot),
        Ordering::Greater => remove(&mut node.right, start, end, slot),
        Ordering::Equal => {
            let found = take_out(&mut node.slots, slot);
            if node.slots.is_empty() {
                let (left, right) = (node.left.take(), node.right.take());
                *link = merge(left, right);
                return found;
            }
            found
        }
    };
    node.update();
    found
}

/// One treap of two, all of whose ranges in `left` come before those in `right`.
fn merge(left: Link, right: Link) -> Link {
    let (mut left, mut right) = match (left, right) {
        (Some(left), Some(right)) => (left, right),
        (one, other) => return one.or(other),
    };
    let mut root = if left.priority >= right.priority {
        left.right = merge(left.right.take(), Some(right));
        left
    } else {
        right.left = merge(Some(left), right.left.take());
        right
    };
    root.update();
    Some(root)
}

fn stab(link: &Link, key: &[u8], found: &mut impl FnMut(u32)) {
    let Some(node) = link else {
        return;
    };
    if !node.reach.is_behind(key) {
        return;
    }
    stab(&node.left, key, found);
    if node.start.as_ref() <= key {
        if node.end.is_behind(key) {
            node.slots.iter().copied().for_each(&mut *found);
        }
        stab(&node.right, key, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(range: &KeyRange, key: &[u8]) -> bool {
        match range.end.as_ref() {
            b"" => range.key == key,
            b"\0" => range.key.as_ref() <= key,
            end => range.key.as_ref() <= key && key < end,
        }
    }

    fn random_range(choice: &mut Choice) -> KeyRange {
        let text = |choice: &mut Choice| {
            let len = 1 + choice.choose(2);
            let bytes: Vec<u8> = (0..len).map(|_| b'a' + choice.choose(4) as u8).collect();
            Bytes::from(bytes)
        };
        let key = text(choice);
        let end = match choice.choose(3) {
            0 => Bytes::new(),
            1 => Bytes::from_static(b"\0"),
            _ => text(choice),
        };
        KeyRange { key, end }
    }

    #[test]
    fn it_finds_exactly_the_ranges_that_contain_the_key() {
        for seed in 0..40 {
            let mut choice = Choice::Seeded(seed);
            let mut index = Index::new(seed);
            let mut naive: Vec<(KeyRange, u32)> = Vec::new();
            for slot in 0..300 {
                if choice.choose(3) == 0 && !naive.is_empty() {
                    let at = choice.choose(naive.len() as u32) as usize;
                    let (range, slot) = naive.swap_remove(at);
                    assert!(index.remove(&range, slot));
                    assert!(!index.remove(&range, slot));
                } else {
                    let range = random_range(&mut choice);
                    index.insert(&range, slot);
                    naive.push((range, slot));
                }
                let key = random_range(&mut choice).key;
                let mut found = Vec::new();
                index.matching(&key, &mut |slot| found.push(slot));
                found.sort_unstable();
                let of_this_key = naive.iter().filter(|(range, _)| contains(range, &key));
                let mut expected: Vec<u32> = of_this_key.map(|(_, slot)| *slot).collect();
                expected.sort_unstable();
                assert_eq!(found, expected, "seed {seed}, key {key:?}");
            }
        }
    }

    /// Ten thousand ranges inserted in order, the worst case for a tree that is not balanced: were it
    /// as deep as it has ranges, this test would overflow its stack.
    #[test]
    fn ranges_in_order_do_not_make_it_deep() {
        fn depth(link: &Link) -> usize {
            link.as_ref()
                .map_or(0, |node| 1 + depth(&node.left).max(depth(&node.right)))
        }
        let mut index = Index::new(7);
        for slot in 0..10_000u32 {
            let range = KeyRange {
                key: Bytes::from(slot.to_be_bytes().to_vec()),
                end: Bytes::from((slot + 1).to_be_bytes().to_vec()),
            };
            index.insert(&range, slot);
        }
        assert!(depth(&index.ranges) < 60, "{}", depth(&index.ranges));
        let mut found = Vec::new();
        index.matching(&77u32.to_be_bytes(), &mut |slot| found.push(slot));
        assert_eq!(found, [77]);
    }
}
