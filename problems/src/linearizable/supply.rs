//! What operations must find, and who can still leave it there.
//!
//! An operation that found something in a piece of the state needs somebody to have left it there just
//! before. Once it has been overwritten while somebody still needs it, and nobody is left who could
//! leave it there again, no order can be completed. That shows in the step that overwrites it, and not only
//! when the one who needs it must return, with all that could be tried in between.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::Sequential;
use super::memo::index;
use super::search::{Kind, Task};

/// As many as free operations count for: they are never used up.
const FREE: u64 = 1 << 40;

/// What is needed, and what there is of it.
pub(super) struct Supply<M: Sequential> {
    slots: Vec<Slot<M::Piece>>,
    numbers: BTreeMap<(M::Piece, u64), u32>,
    /// For each operation, what it must find, and what it may leave that somebody must find.
    found_by: Vec<Vec<u32>>,
    left_by: Vec<Vec<u32>>,
    /// The pieces that it may overwrite.
    overwritten_by: Vec<Vec<M::Piece>>,
    is_done: Vec<bool>,
}

/// Something in a piece of the state that operations must find.
struct Slot<P> {
    piece: P,
    content: u64,
    /// Who must find it, by when they return.
    needy: Vec<u32>,
    /// How many of them are left, and how many who may leave it there.
    needs: u32,
    sources: u64,
}

impl<M: Sequential> Supply<M> {
    /// What these operations need of one another; nothing if the machine does not tell.
    pub(super) fn new(machine: &M, tasks: &[Task<M>]) -> Supply<M> {
        let mut supply = Supply {
            slots: Vec::new(),
            numbers: BTreeMap::new(),
            found_by: vec![Vec::new(); tasks.len()],
            left_by: vec![Vec::new(); tasks.len()],
            overwritten_by: vec![Vec::new(); tasks.len()],
            is_done: vec![false; tasks.len()],
        };
        if machine.effects_overwrite() {
            supply.count_needs(machine, tasks);
            supply.count_sources(machine, tasks);
        }
        supply
    }

    fn count_needs(&mut self, machine: &M, tasks: &[Task<M>]) {
        for (at, task) in tasks.iter().enumerate() {
            let Some(output) = task.output.as_ref().filter(|_| task.kind == Kind::Answered) else {
                continue;
            };
            for (piece, content) in machine.finds(&task.input, output) {
                let next = index(self.slots.len());
                let key = (piece.clone(), content);
                let number = *self.numbers.entry(key).or_insert(next);
                if number == next {
                    self.slots.push(Slot {
                        piece,
                        content,
                        needy: Vec::new(),
                        needs: 0,
                        sources: 0,
                    });
                }
                let slot = &mut self.slots[number as usize];
                slot.needy.push(index(at));
                slot.needs += 1;
                self.found_by[at].push(number);
            }
        }
        for slot in &mut self.slots {
            slot.needy.sort_by_key(|&at| tasks[at as usize].end);
        }
    }

    fn count_sources(&mut self, machine: &M, tasks: &[Task<M>]) {
        let initial = machine.initial();
        for (at, task) in tasks.iter().enumerate() {
            for effect in machine.effects(&task.input, task.output.as_ref()) {
                let super::Pieces::Of(pieces) = machine.pieces(&effect) else {
                    continue;
                };
                let Some(after) = machine.step(&initial, &effect, None) else {
                    continue;
                };
                for piece in pieces {
                    let content = machine.content(&after, &piece);
                    if let Some(&number) = self.numbers.get(&(piece.clone(), content)) {
                        self.left_by[at].push(number);
                        self.slots[number as usize].sources += worth(task.kind);
                    }
                    self.overwritten_by[at].push(piece);
                }
            }
        }
    }

    /// An operation takes effect: it needs nothing any more, and leaves nothing later.
    pub(super) fn take(&mut self, task: u32, kind: Kind) {
        let at = task as usize;
        self.is_done[at] = true;
        for &slot in &self.found_by[at] {
            self.slots[slot as usize].needs -= 1;
        }
        for &slot in self.left_by[at].iter().filter(|_| kind != Kind::Free) {
            self.slots[slot as usize].sources -= 1;
        }
    }

    /// It does not after all.
    pub(super) fn take_back(&mut self, task: u32, kind: Kind) {
        let at = task as usize;
        self.is_done[at] = false;
        for &slot in &self.found_by[at] {
            self.slots[slot as usize].needs += 1;
        }
        for &slot in self.left_by[at].iter().filter(|_| kind != Kind::Free) {
            self.slots[slot as usize].sources += 1;
        }
    }

    /// Who can never find what it needs if this operation, which has not been taken, leads from one
    /// state to the other.
    pub(super) fn starves(
        &self,
        machine: &M,
        task: &Task<M>,
        at: u32,
        before: &M::State,
        after: &M::State,
    ) -> Option<u32> {
        let at = at as usize;
        let overwritten = self.overwritten_by[at].iter().filter_map(|piece| {
            let content = machine.content(before, piece);
            let was = self.numbers.get(&(piece.clone(), content));
            was.copied()
        });
        let touched = overwritten.chain(self.left_by[at].iter().copied());
        let mut first: Option<u32> = None;
        for number in touched {
            let slot = &self.slots[number as usize];
            let own = |slots: &[u32]| slots.iter().filter(|&&own| own == number).count();
            let sources = match task.kind {
                Kind::Free => slot.sources,
                Kind::Answered | Kind::Pending => slot.sources - own(&self.left_by[at]) as u64,
            };
            let needs = slot.needs as usize - own(&self.found_by[at]);
            if needs == 0 || sources > 0 || machine.content(after, &slot.piece) == slot.content {
                continue;
            }
            let mut needy = slot.needy.iter().copied();
            let is_left = |&other: &u32| other as usize != at && !self.is_done[other as usize];
            // Any of them is reason enough.
            first = first.or(needy.find(is_left));
        }
        first
    }
}

/// How many times an operation of a kind may leave something.
fn worth(kind: Kind) -> u64 {
    match kind {
        Kind::Answered | Kind::Pending => 1,
        Kind::Free => FREE,
    }
}
