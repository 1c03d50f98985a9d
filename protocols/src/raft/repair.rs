//! How a replica gets back the entries of its log that it cannot read (Alagappan et al., "Protocol-aware
//! recovery for consensus-based storage", FAST 2018; `README.md` has the argument).
//!
//! An entry's index and term name all entries before it, for good (log matching, 5.3). So if the end of the
//! log can be read, anybody who can read what leads to it may say what is missing before: nothing is decided by
//! that, the replica reads again what it had written. What it had promised by then every frame says.
//! Until it has all of it back it takes part in nothing.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use quorate_core::{Effects, Frame, NodeId};

use crate::log::{Content, Entries, Entry, Epoch as Term, Index, Log, Position};

use super::message::{Message, Record};
use super::recovery::{Damage, Rejoin};
use super::replay::{Ground, Replay};
use super::role::Role;
use super::{Configuration, Configurations, Flaw, Raft};

/// A limit that no log reaches, and that can be added to.
const NO_LIMIT: u64 = u64::MAX >> 1;

/// For how many rounds of questions nobody may have anything to say before it is asked for a new beginning too.
const ROUNDS_MAX: u32 = 2;

/// A part of the log: what frames without a gap between them tell of it.
#[derive(Clone, Hash, Debug)]
pub(super) struct Part {
    log: Log,
    configurations: Configurations,
    ground: Ground,
}

/// What is known of a log whose end can be read, besides its parts.
#[derive(Clone, Hash, Debug)]
pub(super) struct Repair {
    /// What was promised by the end.
    term: Term,
    vote: Option<NodeId>,
    rejoining: bool,
    /// Where a record said that the log begins, and who takes part there.
    beginning: Option<(Position, Configuration)>,
    /// How many questions in a row led to nothing.
    rounds: u32,
    /// How many entries were fetched.
    fetched: u64,
}

/// The same, borrowed: of a whole replica it is all of its log.
#[derive(Clone, Copy)]
struct Known<'a> {
    log: &'a Log,
    configurations: &'a Configurations,
    ground: Ground,
}

impl Known<'_> {
    /// The first place whose index and term are known.
    fn lowest(&self) -> Index {
        let base = self.log.base().index;
        match self.ground {
            Ground::Index if base > Index(0) => base.next(),
            Ground::Index | Ground::Term | Ground::Members => base,
        }
    }

    /// The first place of all, from which on nothing is missing.
    fn anchor(&self) -> Position {
        let index = self.lowest();
        let epoch = self.log.epoch_at(index);
        Position {
            index,
            epoch: epoch.expect("a part that does not know where it begins has an entry"),
        }
    }

    /// Whether it has this place, and so says what all before it is.
    fn has(&self, position: Position) -> bool {
        position.index >= self.lowest() && self.log.matches(position)
    }

    /// The entries from behind `after` on through `index`, or the last of them if they are many; what they
    /// follow, and who takes part there.
    fn leads_to(
        &self,
        index: Index,
        after: Index,
        bytes_max: u64,
    ) -> (Position, Option<Configuration>, Entries) {
        // The one at `index` may be known; at least one more must fit.
        let before = index.before();
        let fits = self.log.tail(before, bytes_max).min(before.before());
        let from = fits.max(after).max(self.lowest()).min(index);
        let epoch = self.log.epoch_at(from);
        let previous = Position {
            index: from,
            epoch: epoch.expect("it lies in the log"),
        };
        let entries = match index.since(from) {
            0 => Entries::NONE,
            count => self.log.gather(from.next(), count, NO_LIMIT),
        };
        let members = self.configurations.at(from);
        let members = (self.ground == Ground::Members).then(|| members.clone());
        (previous, members, entries)
    }
}

impl Part {
    fn known(&self) -> Known<'_> {
        Known {
            log: &self.log,
            configurations: &self.configurations,
            ground: self.ground,
        }
    }

    /// The same log from an earlier place on.
    fn extend(&mut self, previous: Position, entries: &[Entry]) {
        let behind = previous.index.plus(entries.len());
        let mut log = Log::default();
        log.reset(previous);
        for entry in entries {
            log.push(entry.clone(), Frame(0));
        }
        for (_, entry, frame) in self.log.iter().filter(|(index, ..)| *index > behind) {
            log.push(entry.clone(), frame);
        }
        self.log = log;
        self.ground = Ground::Term;
    }

    /// Takes what an older part knows of what leads to this one, if it does.
    fn join(&mut self, older: &Part, flaw: Option<Flaw>) {
        let (anchor, known) = (self.known().anchor(), older.known());
        let begins = older.ground == Ground::Members;
        if !known.has(anchor) || (self.ground == Ground::Members && !begins) {
            return;
        }
        let base = older.log.base();
        match anchor.index.since(base.index) {
            0 => {}
            count => {
                let entries = older.log.gather(base.index.next(), count, NO_LIMIT);
                self.extend(base, entries.as_slice());
                self.ground = older.ground.min(Ground::Term);
            }
        }
        if begins {
            self.begin_with(older.configurations.at(base.index).clone(), flaw);
        }
    }

    /// Who takes part where it begins is known now.
    fn begin_with(&mut self, members: Configuration, flaw: Option<Flaw>) {
        self.configurations = Configurations::along(&self.log, members, flaw);
        self.ground = Ground::Members;
    }
}

impl Configurations {
    /// The configurations of a log where these take part at its base.
    fn along(log: &Log, members: Configuration, flaw: Option<Flaw>) -> Configurations {
        let mut configurations = Configurations::new(log.base().index, members);
        for (index, entry, _) in log.iter() {
            if let Content::Members(members) = &entry.content {
                let next = Flaw::after(flaw, &configurations.latest().1, members);
                configurations.push(index, next);
            }
        }
        configurations
    }
}

impl Repair {
    /// What can be repaired of a log that ends before the frame `next`: nothing, unless its end can be read and
    /// says what was promised. If the application's state is older than where the log begins, it is the state that
    /// is lost, and no entry helps.
    pub(super) fn new(
        parts: &[Replay],
        next: Frame,
        state: Position,
        flaw: Option<Flaw>,
    ) -> Option<Repair> {
        let last = parts.last()?;
        if last.end.next() != next || !last.promised {
            return None;
        }
        let beginning = parts.iter().rev().find_map(|part| part.beginning.clone());
        if beginning
            .as_ref()
            .is_some_and(|(position, _)| position.index > state.index)
        {
            return None;
        }
        let believed = match flaw {
            Some(Flaw::OldPromises) => parts.iter().find(|part| part.promised)?,
            _ => last,
        };
        Some(Repair {
            term: believed.term,
            vote: believed.vote,
            rejoining: believed.rejoining,
            beginning,
            rounds: 0,
            fetched: 0,
        })
    }

    /// Another round of questions.
    pub(super) fn ask(&mut self) {
        self.rounds = self.rounds.saturating_add(1);
    }

    /// Nobody has had anything to say for so long that a new beginning is asked for too.
    pub(super) fn is_given_up(&self) -> bool {
        self.rounds > ROUNDS_MAX
    }

    /// The same where replicas have other names.
    pub(super) fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> Repair {
        let mut repair = self.clone();
        repair.vote = self.vote.map(&name);
        repair.beginning = self
            .beginning
            .as_ref()
            .map(|(position, members)| (*position, members.renamed(&name)));
        repair
    }

    /// How far back entries are needed: to the application's state, or if that is not in this log, to where
    /// it began.
    fn after(&self, part: &Part, state: Position) -> Index {
        let known = part.known();
        let misses = state.index >= known.lowest() && !known.has(state);
        let floor = match (&self.beginning, misses) {
            (Some((position, _)), true) => position.index,
            (None, true) => Index(0),
            (_, false) => state.index,
        };
        floor.min(part.log.base().index)
    }

    /// Whether nothing is missing any more.
    fn is_whole(&self, part: &Part, state: Position) -> bool {
        let base = part.log.base();
        let mut begins = self.beginning.iter().map(|(position, _)| *position);
        let reaches = base.index <= state.index && part.known().has(state);
        part.ground == Ground::Members && (reaches || begins.any(|position| position == base))
    }
}

impl From<Replay> for Part {
    fn from(replay: Replay) -> Part {
        Part {
            log: replay.log,
            configurations: replay.configurations,
            ground: replay.ground,
        }
    }
}

impl Part {
    /// The same where replicas have other names.
    pub(super) fn renamed(&self, name: &dyn Fn(NodeId) -> NodeId) -> Part {
        Part {
            log: self.log.renamed(name),
            configurations: self.configurations.renamed(name),
            ground: self.ground,
        }
    }
}

impl Raft {
    /// The question for what is missing.
    pub(super) fn lacking(&self) -> Option<Message> {
        let Role::Damaged(damage) = &self.role else {
            return None;
        };
        let ((part, older), repair) = (damage.parts.split_last()?, damage.repair.as_ref()?);
        let (state, known) = (damage.state, part.known());
        // Where an older part ends the hole may begin, unless that end was replaced in it.
        let base = part.log.base().index;
        let ends = older.iter().map(|older| older.log.last().index);
        let near = ends.filter(|end| *end < base || part.ground == Ground::Index && *end == base);
        // If the log has the state, only who takes part is missing. Who has dropped the entries before knows that
        // at the state.
        let (anchor, after) = match repair.rounds > 1 && known.has(state) {
            true => (state, state.index),
            false => {
                let floor = repair.after(part, state);
                (known.anchor(), near.fold(floor, Index::max))
            }
        };
        Some(Message::Lacking {
            incarnation: self.incarnation,
            anchor,
            after,
        })
    }

    /// All who may know what is missing: who takes part, as far as anything that can be read names them.
    pub(super) fn witnesses(&self, damage: &Damage) -> BTreeSet<NodeId> {
        let parts = damage.parts.iter().map(|part| &part.configurations);
        let lists = parts.chain([&self.configurations]);
        let named = lists.flat_map(|list| list.iter().flat_map(|(_, members)| members.iter()));
        named.filter(|id| *id != self.me).collect()
    }

    /// Somebody lacks what leads to a place of its log. Whoever has that place knows it, damaged or not: it was
    /// written once, behind one log.
    pub(super) fn on_lacking(
        &self,
        from: NodeId,
        incarnation: u64,
        anchor: Position,
        after: Index,
        fx: &mut Effects<Raft>,
    ) {
        let bytes_max = self.config.message_bytes_max;
        let blind = self.has(Flaw::BlindFill);
        let answers = |known: Known<'_>| {
            let ends = known.lowest() < anchor.index && anchor.index <= known.log.last().index;
            let fits = known.has(anchor) || blind && ends;
            fits.then(|| known.leads_to(anchor.index, after, bytes_max))
        };
        let answer = match &self.role {
            Role::Damaged(damage) => {
                let found = damage.parts.iter().filter_map(|part| answers(part.known()));
                found.min_by_key(|(previous, ..)| previous.index)
            }
            Role::Follower
            | Role::PreCandidate { .. }
            | Role::Candidate { .. }
            | Role::Leader(_) => answers(Known {
                log: &self.log,
                configurations: &self.configurations,
                ground: Ground::Members,
            }),
        };
        if let Some((previous, members, entries)) = answer {
            // Early: it is written once, and stays true whatever is forgotten here.
            fx.send_early(
                from,
                Message::Filling {
                    incarnation,
                    previous,
                    members,
                    entries,
                },
            );
        }
    }

    /// Somebody knows what leads to the first place from which on nothing is missing here.
    pub(super) fn on_filling(
        &mut self,
        from: NodeId,
        previous: Position,
        members: Option<Configuration>,
        entries: &Entries,
        fx: &mut Effects<Raft>,
    ) {
        let flaw = self.config.flaw;
        let Role::Damaged(damage) = &mut self.role else {
            return;
        };
        let (Some(part), Some(repair)) = (damage.parts.last_mut(), &mut damage.repair) else {
            return;
        };
        let entries = entries.as_slice();
        let end = Position {
            index: previous.index.plus(entries.len()),
            epoch: entries.last().map_or(previous.epoch, |entry| entry.epoch),
        };
        let (base, known) = (part.log.base().index, part.known());
        let blind = flaw == Some(Flaw::BlindFill) && end.index == known.anchor().index;
        let fits = known.has(end) || blind;
        let deeper = match part.ground {
            Ground::Index => previous.index <= base,
            Ground::Term | Ground::Members => previous.index < base,
        };
        let grounds = part.ground < Ground::Members && members.is_some();
        if !fits || !(deeper || grounds && previous.index <= damage.state.index) {
            return; // It leads elsewhere, or says nothing new.
        }
        repair.rounds = 0;
        repair.fetched += base.since(previous.index);
        part.extend(previous, entries);
        if let Some(members) = members {
            part.begin_with(members, flaw);
        }
        if !self.maybe_mend(fx)
            && let Some(question) = self.lacking()
        {
            // Early: a question promises nothing.
            fx.send_early(from, question);
        }
    }

    /// Takes what the older parts know of the newest one; if nothing is missing then, this replica is what it was
    /// before. Answers whether it is.
    pub(super) fn maybe_mend(&mut self, fx: &mut Effects<Raft>) -> bool {
        let flaw = self.config.flaw;
        let Role::Damaged(damage) = &mut self.role else {
            return false;
        };
        let (Some((newest, older)), Some(repair)) = (damage.parts.split_last_mut(), &damage.repair)
        else {
            return false;
        };
        for part in older.iter().rev() {
            newest.join(part, flaw);
        }
        if let Some((position, members)) = &repair.beginning
            && newest.ground == Ground::Term
            && newest.log.base() == *position
        {
            newest.begin_with(members.clone(), flaw);
        }
        let state = damage.state;
        if !repair.is_whole(newest, state) {
            return false;
        }
        let (part, repair) = (newest.clone(), repair.clone());
        self.go_on_with(part, &repair, state, fx);
        true
    }

    /// The log is what it was. It is written down once more, as a whole and instead of the old frames, and from
    /// there on it is as after any other restart.
    fn go_on_with(&mut self, part: Part, repair: &Repair, state: Position, fx: &mut Effects<Raft>) {
        self.repaired += repair.fetched;
        (self.term, self.vote) = (repair.term, repair.vote);
        self.rejoining = repair.rejoining.then_some(Rejoin::Asking);
        self.configurations = part.configurations;
        self.log.reset(part.log.base());
        let mut records = Vec::from([self.reset_record()]);
        for (index, entry, _) in part.log.iter() {
            let entry = entry.clone();
            self.log.push(entry.clone(), fx.frame());
            records.push(Record::Append { index, entry });
        }
        fx.compact(fx.frame(), records);
        self.role = Role::Follower;
        fx.stop_timer(super::Timer::Recovery);
        self.meet_state(state, fx);
        self.tell_members(fx);
        self.ask_for_help(fx);
        self.await_election(fx);
        self.tell_leader(fx);
    }
}
