//! The records of earlier incarnations, read one by one; where some are lost, part by part.

use alloc::vec::Vec;

use quorate_core::{Frame, NodeId};

use crate::log::{Content, Entry, Epoch as Term, Index, Log, Position};

use super::message::Record;
use super::{Configuration, Configurations, Flaw};

/// The records of earlier incarnations, read one by one.
///
/// Compaction drops frames from the front, up to where it was told or not as far, so what is left
/// may begin anywhere: entries may come before the record that says where the log begins.
pub(super) struct Replay {
    pub(super) term: Term,
    pub(super) vote: Option<NodeId>,
    pub(super) rejoining: bool,
    pub(super) log: Log,
    pub(super) configurations: Configurations,
    flaw: Option<Flaw>,
    /// What is known of the place where the log begins.
    pub(super) ground: Ground,
    /// Whether a record said what was promised, and so what all before it had said.
    pub(super) promised: bool,
    /// Where a record said that the log begins, and who takes part there.
    pub(super) beginning: Option<(Position, Configuration)>,
    /// The last frame.
    pub(super) end: Frame,
}

/// What is known of the place where a part of the log begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Ground {
    /// Its index.
    Index,
    /// Its term too.
    Term,
    /// And who takes part there.
    Members,
}

impl Replay {
    /// The records of a log in which nothing is lost.
    pub(super) fn whole(
        records: impl Iterator<Item = (Frame, Record)>,
        founders: &Configuration,
        flaw: Option<Flaw>,
    ) -> Replay {
        let mut replay = Replay::new(founders.clone(), flaw);
        for (frame, record) in records {
            replay.record(frame, record);
        }
        replay
    }

    /// The records of a log in which some are lost, oldest first: each part has all between its first frame and
    /// its last, and nothing is known of what was before.
    pub(super) fn parts(
        records: impl Iterator<Item = (Frame, Record)>,
        founders: &Configuration,
        flaw: Option<Flaw>,
    ) -> Vec<Replay> {
        let mut parts: Vec<Replay> = Vec::new();
        for (frame, record) in records {
            let goes_on = |part: &&mut Replay| frame <= part.end.next();
            match parts.last_mut().filter(goes_on) {
                Some(part) => part.record(frame, record),
                None => {
                    let mut part = Replay::new(founders.clone(), flaw);
                    part.ground = Ground::Index;
                    part.record(frame, record);
                    parts.push(part);
                }
            }
        }
        for part in &mut parts {
            // The founders are said by a record, and that may be lost.
            if part.beginning.is_none() {
                part.ground = part.ground.min(Ground::Term);
            }
        }
        parts
    }

    pub(super) fn new(founders: Configuration, flaw: Option<Flaw>) -> Replay {
        Replay {
            term: Term(0),
            vote: None,
            rejoining: false,
            log: Log::default(),
            configurations: Configurations::new(Index(0), founders),
            flaw,
            ground: Ground::Members,
            promised: false,
            beginning: None,
            end: Frame(0),
        }
    }

    fn record(&mut self, frame: Frame, record: Record) {
        self.end = frame;
        match record {
            Record::Vote { term, vote } => (self.term, self.vote) = (term, vote),
            Record::Promised {
                term,
                vote,
                rejoining,
                behind,
            } => {
                (self.term, self.vote, self.rejoining) = (term, vote, rejoining);
                self.promised = true;
                self.end_at(behind);
            }
            Record::Append { index, entry } => self.append(index, entry, frame),
            Record::Base { position, members } => self.base(position, members),
            Record::Reset { position, members } => {
                self.log.reset(position);
                self.configurations = Configurations::new(position.index, members.clone());
                self.ground = Ground::Members;
                self.beginning = Some((position, members));
            }
            Record::Rejoining => self.rejoining = true,
            Record::Rejoined => self.rejoining = false,
        }
    }

    /// The log ends here, perhaps to go on. If it has nothing like that, the frames before are gone.
    fn end_at(&mut self, position: Position) {
        if self.log.matches(position) {
            self.log.truncate(position.index.next());
            self.configurations.truncate(position.index.next());
        } else {
            self.log.reset(position);
            self.configurations.restart(position.index);
            self.ground = Ground::Term;
        }
    }

    fn append(&mut self, index: Index, entry: Entry, frame: Frame) {
        // Where frames are missing, what is left may contradict itself.
        let ordered = self.log.epoch_at(index.before()) <= Some(entry.epoch);
        let follows = index > self.log.base().index && index <= self.log.last().index.next();
        let follows = follows && ordered;
        if !follows {
            // The frames before are gone. A record to come says what was before this entry.
            self.log.reset(Position {
                index: index.before(),
                epoch: Term(0),
            });
            self.configurations.restart(index.before());
            self.ground = match index {
                Index(1) => Ground::Members,
                _ => Ground::Index,
            };
        } else if index <= self.log.last().index {
            self.log.truncate(index);
            self.configurations.truncate(index);
        }
        if let Content::Members(members) = &entry.content {
            let next = Flaw::after(self.flaw, &self.configurations.latest().1, members);
            self.configurations.push(index, next);
        }
        self.log.push(entry, frame);
    }

    fn base(&mut self, position: Position, members: Configuration) {
        self.beginning = Some((position, members.clone()));
        let base = self.log.base();
        if position.index < base.index {
            return; // Of an earlier compaction; that of the later one is still to come.
        }
        if position.index == base.index {
            self.log.ground(position.epoch);
        } else if self.log.matches(position) {
            self.log.compact(position.index);
        } else {
            self.log.reset(position);
            self.configurations = Configurations::new(position.index, members.clone());
        }
        self.configurations.ground(position.index, members);
        self.ground = Ground::Members;
    }
}
