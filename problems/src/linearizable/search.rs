//! The search for a sequential order of one part of a history.

use alloc::vec;
use alloc::vec::Vec;

use super::Sequential;
use super::memo::{Memo, NONE, Place, Uses, hash_of, index};

/// How often an operation takes effect.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Once, before it returns.
    Answered,
    /// Once or never.
    Pending,
    /// Any number of times.
    Free,
}

/// An operation, as the search sees it.
pub(super) struct Task<M: Sequential> {
    pub(super) kind: Kind,
    pub(super) input: M::Input,
    pub(super) output: Option<M::Output>,
    pub(super) call: u64,
    /// When it returned; at the end of time if it did not.
    pub(super) end: u64,
    /// What it touches, numbered; nothing stands for everything.
    pub(super) pieces: Vec<u32>,
    /// Whether it changes nothing, in no state.
    pub(super) is_read: bool,
}

/// What a search found.
pub(super) enum Found {
    /// An order; pending operations that are not in it never took effect.
    Order(Vec<u32>),
    /// No order. The furthest that any attempt got is before the return of this operation.
    Stuck {
        /// The operation.
        before: u32,
    },
    /// More configurations than it was allowed to look at.
    GaveUp,
}

/// Searches for an order of these operations, which are sorted by their calls. Also answers how many
/// configurations it looked at.
pub(super) fn search<M: Sequential>(
    machine: &M,
    tasks: &[Task<M>],
    configurations_max: u64,
) -> (Found, u64) {
    let mut search = Search::new(machine, tasks);
    let found = search.run(configurations_max);
    (found, search.memo.len() as u64)
}

/// What a search may do next: linearize an answered operation, or the first unused pending one of a
/// class.
#[derive(Clone, Copy)]
enum Candidate {
    Answered(u32),
    Pending(u32),
}

/// A configuration whose alternatives are not all tried.
struct Frame {
    /// Where its state is.
    entry: u32,
    /// What it looked like: the trail, the frontier and what was ahead of it.
    trail: usize,
    frontier: usize,
    ahead: usize,
    /// The next alternative; the alternatives of the last frame end where the list ends.
    next: usize,
    first: usize,
    /// Pending operations come last, since most need not take effect.
    has_pending: bool,
}

struct Search<'a, M: Sequential> {
    machine: &'a M,
    tasks: &'a [Task<M>],
    /// The answered operations in the order of their returns, and where each one is in it.
    order: Vec<u32>,
    position: Vec<u32>,
    /// The answered operations that are not yet linearized, in the order of their calls: a ring through
    /// `tasks.len()`.
    next: Vec<u32>,
    previous: Vec<u32>,
    /// Operations of one class look the same.
    class: Vec<u32>,
    /// The operations of each class that need not take effect, by their calls, and how many of them are
    /// used up.
    pending: Vec<Vec<u32>>,
    used: Vec<u32>,
    /// The classes of pending operations: all, those that touch each piece, those that touch everything.
    pending_classes: Vec<u32>,
    pending_of_piece: Vec<Vec<u32>>,
    pending_of_all: Vec<u32>,
    /// How many, in `order`, are all linearized, and which behind that are.
    frontier: usize,
    ahead: Vec<u32>,
    last_use: u32,
    uses: Uses,
    memo: Memo<M::State>,
    /// What was linearized, in that order.
    trail: Vec<u32>,
    frames: Vec<Frame>,
    candidates: Vec<Candidate>,
    saved_ahead: Vec<u32>,
    /// Scratch: the pieces that matter now.
    is_relevant: Vec<bool>,
    relevant: Vec<u32>,
}

impl<'a, M: Sequential> Search<'a, M> {
    fn new(machine: &'a M, tasks: &'a [Task<M>]) -> Search<'a, M> {
        let len = tasks.len();
        let mut order: Vec<u32> = (0..index(len))
            .filter(|&task| tasks[task as usize].kind == Kind::Answered)
            .collect();
        let mut next = vec![NONE; len + 1];
        let mut previous = vec![NONE; len + 1];
        let mut last = len;
        for &task in order.iter().chain([&index(len)]) {
            next[last] = task;
            previous[task as usize] = index(last);
            last = task as usize;
        }
        order.sort_by_key(|&task| tasks[task as usize].end);
        let mut position = vec![NONE; len];
        for (at, &task) in order.iter().enumerate() {
            position[task as usize] = index(at);
        }
        let (class, classes) = classes(tasks);
        let mut search = Search {
            machine,
            tasks,
            order,
            position,
            next,
            previous,
            class,
            pending: vec![Vec::new(); classes],
            used: vec![0; classes],
            pending_classes: Vec::new(),
            pending_of_piece: Vec::new(),
            pending_of_all: Vec::new(),
            frontier: 0,
            ahead: Vec::new(),
            last_use: NONE,
            uses: Uses::default(),
            memo: Memo::new(),
            trail: Vec::new(),
            frames: Vec::new(),
            candidates: Vec::new(),
            saved_ahead: Vec::new(),
            is_relevant: Vec::new(),
            relevant: Vec::new(),
        };
        search.index_pending();
        search
    }

    fn index_pending(&mut self) {
        let pieces = self.tasks.iter().flat_map(|task| &task.pieces);
        let len = pieces.max().map_or(0, |&last| last as usize + 1);
        self.pending_of_piece = vec![Vec::new(); len];
        self.is_relevant = vec![false; len];
        for (at, task) in self.tasks.iter().enumerate() {
            if task.kind == Kind::Answered {
                continue;
            }
            let class = self.class[at];
            let members = &mut self.pending[class as usize];
            members.push(index(at));
            if members.len() > 1 {
                continue; // The class is already where it belongs.
            }
            self.pending_classes.push(class);
            if task.pieces.is_empty() {
                self.pending_of_all.push(class);
            }
            for &piece in &task.pieces {
                self.pending_of_piece[piece as usize].push(class);
            }
        }
    }

    fn run(&mut self, configurations_max: u64) -> Found {
        let mut state = self.machine.initial();
        let mut furthest = 0;
        loop {
            self.settle(&state);
            if self.frontier == self.order.len() {
                return Found::Order(core::mem::take(&mut self.trail));
            }
            furthest = furthest.max(self.frontier);
            let place = Place {
                frontier: index(self.frontier),
                ahead: &self.ahead,
                state: &state,
            };
            let new = self
                .memo
                .insert(place, self.last_use, &self.uses, &self.used);
            if let Some(entry) = new {
                if self.memo.len() as u64 > configurations_max || self.memo.is_full() {
                    return Found::GaveUp;
                }
                self.open_frame(entry);
            }
            match self.take_next() {
                Some(next) => state = next,
                None => {
                    return Found::Stuck {
                        before: self.order[furthest],
                    };
                }
            }
        }
    }

    /// When the operation returns that must be linearized first. Whatever was called until then may
    /// be linearized now.
    fn horizon(&self) -> u64 {
        let first = self.order.get(self.frontier);
        first.map_or(u64::MAX, |&task| self.tasks[task as usize].end)
    }

    /// Linearizes all reads that may come next and are right. That is never wrong: in any order that
    /// goes on from here, such a read can be moved to the front.
    fn settle(&mut self, state: &M::State) {
        let end = self.tasks.len();
        let mut at = self.next[end] as usize;
        while at != end && self.tasks[at].call <= self.horizon() {
            let task = index(at);
            at = self.next[at] as usize;
            if self.tasks[task as usize].is_read && self.step(state, task).is_some() {
                self.linearize(task);
            }
        }
    }

    fn linearize(&mut self, task: u32) {
        let (next, previous) = (self.next[task as usize], self.previous[task as usize]);
        self.next[previous as usize] = next;
        self.previous[next as usize] = previous;
        self.trail.push(task);
        let position = self.position[task as usize];
        if position as usize != self.frontier {
            let at = self.ahead.partition_point(|&other| other < position);
            self.ahead.insert(at, position);
            return;
        }
        self.frontier += 1;
        let mut passed = 0;
        while self.ahead.get(passed) == Some(&index(self.frontier)) {
            self.frontier += 1;
            passed += 1;
        }
        self.ahead.drain(..passed);
    }

    /// The first pending operation of a class that is not used up, if it has been called by now.
    fn unused(&self, class: u32) -> Option<u32> {
        let used = self.used[class as usize] as usize;
        let task = *self.pending[class as usize].get(used)?;
        (self.tasks[task as usize].call <= self.horizon()).then_some(task)
    }

    fn use_up(&mut self, class: u32, task: u32) {
        if self.tasks[task as usize].kind == Kind::Free {
            return;
        }
        self.used[class as usize] += 1;
        self.trail.push(task);
        self.last_use = self
            .uses
            .push(self.last_use, class, self.used[class as usize]);
    }

    /// Takes back everything after a frame was opened.
    fn undo_to_last_frame(&mut self) {
        let Some(frame) = self.frames.last() else {
            return;
        };
        while self.trail.len() > frame.trail {
            let Some(task) = self.trail.pop() else { break };
            if self.tasks[task as usize].kind == Kind::Pending {
                self.used[self.class[task as usize] as usize] -= 1;
                self.last_use = self.uses.take_back(self.last_use);
                continue;
            }
            let (next, previous) = (self.next[task as usize], self.previous[task as usize]);
            self.next[previous as usize] = task;
            self.previous[next as usize] = task;
        }
        self.frontier = frame.frontier;
        self.ahead.clear();
        self.ahead
            .extend_from_slice(&self.saved_ahead[frame.ahead..]);
    }

    /// Takes the next alternative of the last configuration that has one: the state after it.
    fn take_next(&mut self) -> Option<M::State> {
        loop {
            self.undo_to_last_frame();
            let frame = self.frames.last_mut()?;
            let entry = frame.entry;
            if let Some(&candidate) = self.candidates.get(frame.next) {
                frame.next += 1;
                if let Some(state) = self.take(entry, candidate) {
                    return Some(state);
                }
            } else if !frame.has_pending {
                frame.has_pending = true;
                self.add_pending(entry);
            } else {
                self.candidates.truncate(frame.first);
                self.saved_ahead.truncate(frame.ahead);
                self.frames.pop();
            }
        }
    }

    fn take(&mut self, entry: u32, candidate: Candidate) -> Option<M::State> {
        let task = match candidate {
            Candidate::Answered(task) => task,
            Candidate::Pending(class) => self.unused(class)?,
        };
        let state = self.step(self.memo.state(entry), task)?;
        match candidate {
            Candidate::Answered(task) => self.linearize(task),
            Candidate::Pending(class) => self.use_up(class, task),
        }
        Some(state)
    }

    fn step(&self, state: &M::State, task: u32) -> Option<M::State> {
        let Task { input, output, .. } = &self.tasks[task as usize];
        self.machine.step(state, input, output.as_ref())
    }

    fn open_frame(&mut self, entry: u32) {
        let first = self.candidates.len();
        self.frames.push(Frame {
            entry,
            trail: self.trail.len(),
            frontier: self.frontier,
            ahead: self.saved_ahead.len(),
            next: first,
            first,
            has_pending: false,
        });
        self.saved_ahead.extend_from_slice(&self.ahead);
        self.add_answered(entry, first);
    }

    /// Lists the answered operations that may come next. The one that must return first comes first
    /// if it can; then those that make it possible; then the others.
    fn add_answered(&mut self, entry: u32, first: usize) {
        let urgent = self.order[self.frontier];
        let is_limited = self.mark_relevant(urgent);
        let horizon = self.horizon();
        let end = self.tasks.len();
        let mut at = self.next[end] as usize;
        while at != end && self.tasks[at].call <= horizon {
            let task = index(at);
            at = self.next[at] as usize;
            // A read is either settled or wrong in this state.
            let may_change = !self.tasks[task as usize].is_read;
            if may_change && (!is_limited || self.touches_relevant(task)) {
                self.candidates.push(Candidate::Answered(task));
            }
        }
        self.clear_relevant();
        // Of those that look the same, only the one that returns first.
        let mut rest = self.candidates.split_off(first);
        rest.sort_by_key(|candidate| self.rank_in_order(*candidate));
        for candidate in rest {
            let class = self.class_of(candidate);
            let known = &self.candidates[first..];
            if !known.iter().any(|&other| self.class_of(other) == class) {
                self.candidates.push(candidate);
            }
        }
        let state = self.memo.state(entry);
        if self.step(state, urgent).is_none() {
            self.prefer_enabling(first, state.clone(), urgent);
        }
    }

    fn rank_in_order(&self, candidate: Candidate) -> u32 {
        match candidate {
            Candidate::Answered(task) => self.position[task as usize],
            Candidate::Pending(_) => NONE,
        }
    }

    fn class_of(&self, candidate: Candidate) -> u32 {
        match candidate {
            Candidate::Answered(task) => self.class[task as usize],
            Candidate::Pending(class) => class,
        }
    }

    /// Lists the pending operations that may come next and change something.
    fn add_pending(&mut self, entry: u32) {
        let urgent = self.order[self.frontier];
        let is_limited = self.mark_relevant(urgent);
        let mut classes = Vec::new();
        if is_limited {
            for &piece in &self.relevant {
                classes.extend_from_slice(&self.pending_of_piece[piece as usize]);
            }
            classes.sort_unstable();
            classes.dedup();
        } else {
            classes.extend_from_slice(&self.pending_classes);
        }
        self.clear_relevant();
        let first = self.candidates.len();
        let state = self.memo.state(entry).clone();
        for class in classes {
            let Some(task) = self.unused(class) else {
                continue;
            };
            if self.step(&state, task).is_some_and(|next| next != state) {
                self.candidates.push(Candidate::Pending(class));
            }
        }
        self.prefer_enabling(first, state, urgent);
    }

    /// Puts those candidates first after which the urgent operation can follow.
    fn prefer_enabling(&mut self, first: usize, state: M::State, urgent: u32) {
        let enables = |candidate: &Candidate| {
            let task = match *candidate {
                Candidate::Answered(task) => Some(task),
                Candidate::Pending(class) => self.unused(class),
            };
            let next = task.and_then(|task| self.step(&state, task));
            next.is_some_and(|next| self.step(&next, urgent).is_some())
        };
        let (mut now, later): (Vec<_>, Vec<_>) =
            self.candidates[first..].iter().copied().partition(enables);
        now.extend(later);
        self.candidates.truncate(first);
        self.candidates.append(&mut now);
    }

    /// Marks the pieces that can have to do with the urgent operation before it returns: its own, and
    /// those that operations which may come next connect with them. Everything else that may come next is
    /// independent of it, and can as well come later. Answers false if all pieces matter.
    fn mark_relevant(&mut self, urgent: u32) -> bool {
        if self.is_relevant.len() <= 1 {
            return false;
        }
        let horizon = self.horizon();
        let end = self.tasks.len();
        let mut open = Vec::new();
        let mut at = self.next[end] as usize;
        while at != end && self.tasks[at].call <= horizon {
            if self.tasks[at].pieces.is_empty() {
                return false;
            }
            open.push(at);
            at = self.next[at] as usize;
        }
        let mut wide = self.pending_of_all.iter();
        if wide.any(|&class| self.unused(class).is_some()) {
            return false;
        }
        self.mark(urgent as usize);
        let mut from = 0;
        while from < self.relevant.len() {
            let piece = self.relevant[from];
            from += 1;
            for &task in &open {
                if self.tasks[task].pieces.contains(&piece) {
                    self.mark(task);
                }
            }
            for at in 0..self.pending_of_piece[piece as usize].len() {
                let class = self.pending_of_piece[piece as usize][at];
                if let Some(task) = self.unused(class) {
                    self.mark(task as usize);
                }
            }
        }
        true
    }

    fn mark(&mut self, task: usize) {
        for &piece in &self.tasks[task].pieces {
            if !self.is_relevant[piece as usize] {
                self.is_relevant[piece as usize] = true;
                self.relevant.push(piece);
            }
        }
    }

    fn touches_relevant(&self, task: u32) -> bool {
        let mut pieces = self.tasks[task as usize].pieces.iter();
        pieces.any(|&piece| self.is_relevant[piece as usize])
    }

    fn clear_relevant(&mut self) {
        for piece in self.relevant.drain(..) {
            self.is_relevant[piece as usize] = false;
        }
    }
}

/// Numbers operations so that those which look the same have the same number; also answers how many
/// numbers there are. Those of different kinds never do.
fn classes<M: Sequential>(tasks: &[Task<M>]) -> (Vec<u32>, usize) {
    let look = |at: usize| {
        let task = &tasks[at];
        (task.kind, &task.input, &task.output)
    };
    let mut hashed: Vec<(u32, usize)> = (0..tasks.len())
        .map(|at| (hash_of(&look(at)), at))
        .collect();
    hashed.sort_unstable();
    let mut class = vec![NONE; tasks.len()];
    let mut count = 0;
    for group in hashed.chunk_by(|one, two| one.0 == two.0) {
        let mut firsts: Vec<usize> = Vec::new();
        for &(_, at) in group {
            if let Some(&same) = firsts.iter().find(|&&first| look(first) == look(at)) {
                class[at] = class[same];
            } else {
                class[at] = count;
                count += 1;
                firsts.push(at);
            }
        }
    }
    (class, count as usize)
}
