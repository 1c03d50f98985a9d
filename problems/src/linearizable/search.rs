//! The search for a sequential order of one part of a history.

use alloc::vec;
use alloc::vec::Vec;

use super::Sequential;
use super::memo::{Memo, NONE, Place, Uses, hash_of, index};
use super::supply::Supply;

/// How often an operation takes effect.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Once, before it returns.
    Answered,
    /// Once or never.
    Pending,
    /// Any number of times before it returns, if it does, or never.
    Free,
}

/// An operation, as the search sees it.
pub(super) struct Task<M: Sequential> {
    /// Its place in the history.
    pub(super) owner: usize,
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
    /// Operations of one class look the same as the first of it.
    class: Vec<u32>,
    first_of: Vec<u32>,
    /// The pending operations of each class, by their calls, and how many of them are used up.
    pending: Vec<Vec<u32>>,
    used: Vec<u32>,
    /// When free operations of each class are under way: apart, and in order.
    free: Vec<Vec<(u64, u64)>>,
    /// The classes of operations that need not take effect: all, those that touch each piece, those
    /// that touch everything.
    pending_classes: Vec<u32>,
    pending_of_piece: Vec<Vec<u32>>,
    pending_of_all: Vec<u32>,
    /// How late it is at each piece, since something with that call was linearized there: what returned
    /// before comes too late. Only free operations can; without any, there are no clocks.
    clocks: Vec<u64>,
    saved_clocks: Vec<u64>,
    /// How many, in `order`, are all linearized, and which behind that are.
    frontier: usize,
    ahead: Vec<u32>,
    last_use: u32,
    uses: Uses,
    memo: Memo<M::State>,
    /// What operations must find, and the last in the order of returns that could not.
    supply: Supply<M>,
    starved: usize,
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
        let (class, first_of) = classes(tasks);
        let classes = first_of.len();
        let mut search = Search {
            machine,
            tasks,
            order,
            position,
            next,
            previous,
            class,
            first_of,
            pending: vec![Vec::new(); classes],
            used: vec![0; classes],
            free: vec![Vec::new(); classes],
            pending_classes: Vec::new(),
            pending_of_piece: Vec::new(),
            pending_of_all: Vec::new(),
            clocks: Vec::new(),
            saved_clocks: Vec::new(),
            frontier: 0,
            ahead: Vec::new(),
            last_use: NONE,
            uses: Uses::default(),
            memo: Memo::new(),
            supply: Supply::new(machine, tasks),
            starved: 0,
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
        if self.tasks.iter().any(|task| task.kind == Kind::Free) {
            self.clocks = vec![0; len.max(1)];
        }
        for (at, task) in self.tasks.iter().enumerate() {
            let class = self.class[at] as usize;
            let is_new = self.pending[class].is_empty() && self.free[class].is_empty();
            match task.kind {
                Kind::Answered => continue,
                Kind::Pending => self.pending[class].push(index(at)),
                Kind::Free => match self.free[class].last_mut() {
                    Some((_, end)) if *end >= task.call => *end = task.end.max(*end),
                    _ => self.free[class].push((task.call, task.end)),
                },
            }
            if !is_new {
                continue; // The class is already where it belongs.
            }
            let class = index(class);
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
                .insert(place, &self.clocks, self.last_use, &self.uses, &self.used);
            if let Some(entry) = new {
                if self.memo.len() as u64 > configurations_max || self.memo.is_full() {
                    return Found::GaveUp;
                }
                self.open_frame(entry);
            }
            match self.take_next() {
                Some(next) => state = next,
                None => {
                    // Who starved would have had to return at that.
                    let before = self.order[furthest.max(self.starved)];
                    return Found::Stuck { before };
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

    /// Linearizes all reads that may come next and are right. That is never wrong, unless it comes
    /// too early for a free operation: in any order that goes on from here, such a read can be moved
    /// to the front.
    fn settle(&mut self, state: &M::State) {
        let end = self.tasks.len();
        let mut at = self.next[end] as usize;
        while at != end && self.tasks[at].call <= self.horizon() {
            let task = index(at);
            at = self.next[at] as usize;
            if self.tasks[task as usize].is_read
                && self.step(state, task).is_some()
                && !self.hurries(task)
            {
                self.linearize(task);
            }
        }
    }

    /// Whether a free operation that may still come, though not after this task, touches what it
    /// touches.
    fn hurries(&self, task: u32) -> bool {
        let Task { call, pieces, .. } = &self.tasks[task as usize];
        let is_passed = |&class: &u32| {
            let now = self.now(self.first_of[class as usize]);
            let free = &self.free[class as usize];
            let next = free.get(free.partition_point(|&(_, end)| end < now));
            next.is_some_and(|(_, end)| end < call)
        };
        if self.clocks.is_empty() {
            return false;
        }
        if pieces.is_empty() {
            return self.pending_classes.iter().any(is_passed);
        }
        let mut touching = pieces
            .iter()
            .flat_map(|&piece| &self.pending_of_piece[piece as usize]);
        touching.any(is_passed) || self.pending_of_all.iter().any(is_passed)
    }

    /// How late it is for an operation.
    fn now(&self, task: u32) -> u64 {
        let pieces = &self.tasks[task as usize].pieces;
        let latest = if self.clocks.is_empty() {
            None
        } else if pieces.is_empty() {
            self.clocks.iter().max()
        } else {
            pieces
                .iter()
                .map(|&piece| &self.clocks[piece as usize])
                .max()
        };
        latest.copied().unwrap_or(0)
    }

    /// An operation is linearized, not before `call`.
    fn tick(&mut self, task: u32, call: u64) {
        if self.clocks.is_empty() {
            return;
        }
        let now = self.now(task).max(call);
        let pieces = &self.tasks[task as usize].pieces;
        if pieces.is_empty() {
            self.clocks.fill(now);
        }
        for &piece in pieces {
            self.clocks[piece as usize] = now;
        }
    }

    fn linearize(&mut self, task: u32) {
        let (next, previous) = (self.next[task as usize], self.previous[task as usize]);
        self.next[previous as usize] = next;
        self.previous[next as usize] = previous;
        self.trail.push(task);
        self.supply.take(task, Kind::Answered);
        self.tick(task, self.tasks[task as usize].call);
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

    /// When an operation of a class that need not take effect may do so, if it may before the next
    /// return: as early as possible, which is best.
    fn chance(&self, class: u32) -> Option<u64> {
        let used = self.used[class as usize] as usize;
        let call = match self.pending[class as usize].get(used) {
            Some(&task) => self.tasks[task as usize].call,
            None => {
                let now = self.now(self.first_of[class as usize]);
                let free = &self.free[class as usize];
                free.get(free.partition_point(|&(_, end)| end < now))?.0
            }
        };
        (call <= self.horizon()).then_some(call)
    }

    fn take_chance(&mut self, class: u32, call: u64) {
        self.tick(self.first_of[class as usize], call);
        let pending = &self.pending[class as usize];
        let Some(&task) = pending.get(self.used[class as usize] as usize) else {
            return; // It is free, and so will be again.
        };
        self.used[class as usize] += 1;
        self.supply.take(task, Kind::Pending);
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
            self.supply.take_back(task, self.tasks[task as usize].kind);
            if self.position[task as usize] == NONE {
                self.used[self.class[task as usize] as usize] -= 1;
                self.last_use = self.uses.take_back(self.last_use);
                continue;
            }
            let (next, previous) = (self.next[task as usize], self.previous[task as usize]);
            self.next[previous as usize] = task;
            self.previous[next as usize] = task;
        }
        let clocks = self.saved_clocks.len() - self.clocks.len();
        self.clocks.copy_from_slice(&self.saved_clocks[clocks..]);
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
                let clocks = self.saved_clocks.len() - self.clocks.len();
                self.saved_clocks.truncate(clocks);
                self.frames.pop();
            }
        }
    }

    fn take(&mut self, entry: u32, candidate: Candidate) -> Option<M::State> {
        let state = self.after(self.memo.state(entry), candidate)?;
        if self.starves(entry, candidate, &state) {
            return None;
        }
        match candidate {
            Candidate::Answered(task) => self.linearize(task),
            Candidate::Pending(class) => self.take_chance(class, self.chance(class)?),
        }
        Some(state)
    }

    /// Whether after this somebody can never find what it needs.
    fn starves(&mut self, entry: u32, candidate: Candidate, after: &M::State) -> bool {
        let at = match candidate {
            Candidate::Answered(task) => task,
            Candidate::Pending(class) => self.first_of[class as usize],
        };
        let (before, task) = (self.memo.state(entry), &self.tasks[at as usize]);
        let starved = self.supply.starves(self.machine, task, at, before, after);
        let position = starved.map(|task| self.position[task as usize] as usize);
        self.starved = self.starved.max(position.unwrap_or(0));
        position.is_some()
    }

    fn after(&self, state: &M::State, candidate: Candidate) -> Option<M::State> {
        match candidate {
            Candidate::Answered(task) => self.step(state, task),
            Candidate::Pending(class) => self.step(state, self.first_of[class as usize]),
        }
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
        self.saved_clocks.extend_from_slice(&self.clocks);
        self.add_answered(entry, first);
    }

    /// Lists the answered operations that may come next. The one that must return first comes first
    /// if it can; then those that make it possible; then the others.
    fn add_answered(&mut self, entry: u32, first: usize) {
        let urgent = self.order[self.frontier];
        let is_limited = self.mark_relevant(urgent);
        let horizon = self.horizon();
        let end = self.tasks.len();
        let mut may_come: Vec<usize> = Vec::new();
        let mut at = self.next[end] as usize;
        while at != end && self.tasks[at].call <= horizon {
            // Without free operations, a read is either settled or wrong in this state.
            let is_left = !self.tasks[at].is_read || !self.clocks.is_empty();
            if is_left && (!is_limited || self.touches_relevant(at)) {
                may_come.push(at);
            }
            at = self.next[at] as usize;
        }
        self.clear_relevant();
        // Of those that look the same, only the one that returns first; free operations may wait for
        // another that was called earlier.
        may_come.sort_unstable_by_key(|&task| self.position[task]);
        for (at, &task) in may_come.iter().enumerate() {
            let is_as_good = |&other: &usize| {
                self.class[other] == self.class[task]
                    && (self.clocks.is_empty() || self.tasks[other].call <= self.tasks[task].call)
            };
            if !may_come[..at].iter().any(is_as_good) {
                self.candidates.push(Candidate::Answered(index(task)));
            }
        }
        if self.step(self.memo.state(entry), urgent).is_some() {
            return;
        }
        // It waits for something. If nothing that may come next can help, this leads nowhere.
        if !self.can_be_helped(entry, urgent) {
            self.candidates.truncate(first);
        } else {
            self.add_pending(entry);
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.has_pending = true;
        }
        self.prefer_enabling(first, self.memo.state(entry).clone(), urgent);
    }

    /// Whether the operation that must return first, which cannot come next, ever can: its one piece
    /// must have been written by something that may come next.
    fn can_be_helped(&self, entry: u32, urgent: u32) -> bool {
        let &[piece] = self.tasks[urgent as usize].pieces.as_slice() else {
            return true;
        };
        if !self.machine.effects_overwrite() || !self.pending_of_all.is_empty() {
            return true;
        }
        let state = self.memo.state(entry);
        let helps = |task: &Task<M>| {
            let effects = self.machine.effects(&task.input, task.output.as_ref());
            effects.iter().any(|effect| {
                let next = self.machine.step(state, effect, None);
                next.is_some_and(|next| self.step(&next, urgent).is_some())
            })
        };
        let (end, horizon) = (self.tasks.len(), self.horizon());
        let mut at = self.next[end] as usize;
        while at != end && self.tasks[at].call <= horizon {
            let task = &self.tasks[at];
            if task.pieces.is_empty() || task.pieces.contains(&piece) && helps(task) {
                return true;
            }
            at = self.next[at] as usize;
        }
        let mut pending = self.pending_of_piece[piece as usize].iter();
        pending.any(|&class| {
            let first = &self.tasks[self.first_of[class as usize] as usize];
            self.chance(class).is_some() && helps(first)
        })
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
        let state = self.memo.state(entry).clone();
        for class in classes {
            let candidate = Candidate::Pending(class);
            let next = self
                .chance(class)
                .and_then(|_| self.after(&state, candidate));
            if next.is_some_and(|next| next != state && !self.can_wait(class, &state, &next)) {
                self.candidates.push(candidate);
            }
        }
    }

    /// Whether a pending operation that touches one piece can as well come later, if at all.
    ///
    /// It can if nothing else that may come next, and touches that piece, makes a difference between the
    /// states without and with it, and all that was answered is right without it. Proof: take an order
    /// that goes on from here with such operations up to another one, which may come next too. That one
    /// can be moved to the front: it does the same there. Those that it overtakes still can
    /// follow it, unless it overwrites what they wrote; then they can be left out.
    fn can_wait(&self, class: u32, without: &M::State, with: &M::State) -> bool {
        let first = &self.tasks[self.first_of[class as usize] as usize];
        let &[piece] = first.pieces.as_slice() else {
            return false;
        };
        if !self.machine.effects_overwrite()
            || !self.clocks.is_empty()
            || !self.pending_of_all.is_empty()
        {
            return false;
        }
        let is_indifferent =
            |task: &Task<M>| self.machine.is_indifferent(&task.input, without, with);
        let (end, horizon) = (self.tasks.len(), self.horizon());
        let mut at = self.next[end] as usize;
        while at != end && self.tasks[at].call <= horizon {
            let task = &self.tasks[at];
            let touches = task.pieces.is_empty() || task.pieces.contains(&piece);
            let is_right = || self.step(without, index(at)).is_some();
            if touches && !(is_right() && is_indifferent(task)) {
                return false;
            }
            at = self.next[at] as usize;
        }
        let mut others = self.pending_of_piece[piece as usize].iter();
        others.all(|&other| {
            let task = &self.tasks[self.first_of[other as usize] as usize];
            other == class || is_indifferent(task) || self.chance(other).is_none()
        })
    }

    /// Puts those candidates first after which the urgent operation can follow.
    fn prefer_enabling(&mut self, first: usize, state: M::State, urgent: u32) {
        let enables = |candidate: &Candidate| {
            let next = self.after(&state, *candidate);
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
        if wide.any(|&class| self.chance(class).is_some()) {
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
                if self.chance(class).is_some() {
                    self.mark(self.first_of[class as usize] as usize);
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

    fn touches_relevant(&self, task: usize) -> bool {
        let mut pieces = self.tasks[task].pieces.iter();
        pieces.any(|&piece| self.is_relevant[piece as usize])
    }

    fn clear_relevant(&mut self) {
        for piece in self.relevant.drain(..) {
            self.is_relevant[piece as usize] = false;
        }
    }
}

/// Numbers operations so that those which look the same have the same number; also answers the first
/// operation of each number. Those of different kinds never look the same.
fn classes<M: Sequential>(tasks: &[Task<M>]) -> (Vec<u32>, Vec<u32>) {
    let look = |at: usize| {
        let task = &tasks[at];
        (task.kind, &task.input, &task.output)
    };
    let mut hashed: Vec<(u32, usize)> = (0..tasks.len())
        .map(|at| (hash_of(&look(at)), at))
        .collect();
    hashed.sort_unstable();
    let mut class = vec![NONE; tasks.len()];
    let mut first_of: Vec<u32> = Vec::new();
    for group in hashed.chunk_by(|one, two| one.0 == two.0) {
        let known = first_of.len();
        for &(_, at) in group {
            let mut others = first_of[known..].iter();
            class[at] = match others.position(|&first| look(first as usize) == look(at)) {
                Some(same) => index(known + same),
                None => {
                    first_of.push(index(at));
                    index(first_of.len() - 1)
                }
            };
        }
    }
    (class, first_of)
}
