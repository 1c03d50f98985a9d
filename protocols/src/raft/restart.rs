//! How a replica starts from what survived (figure 2, persistent state; paper 7).

use core::time::Duration;

use quorate_core::{Boot, Effects, Frame, NodeId, Survival};
use quorate_problems::total_order::{Membership, Output};

use crate::log::{Content, Entry, Epoch as Term, Index, Log, Position};

use super::message::{Message, Record, Timer};
use super::role::Role;
use super::{Config, Configuration, Configurations, Flaw, Raft, Rejoin};

impl Raft {
    pub(super) fn restart(config: &Config, boot: Boot<'_, Raft>, fx: &mut Effects<Raft>) -> Raft {
        let members = Membership::new(0, config.members.iter().copied(), []);
        let founders = Configuration::settled(members);
        let mut replay = Replay::new(founders.clone(), config.flaw);
        for (frame, record) in boot.records {
            replay.record(frame, record);
        }
        let mut raft = Raft {
            me: boot.me,
            incarnation: boot.incarnation,
            config: config.clone(),
            configurations: replay.configurations,
            term: replay.term,
            vote: replay.vote,
            log: replay.log,
            commit: Index(0),
            delivered: Index(0),
            leader: None,
            told: (Term(0), None),
            told_members: 0,
            role: Role::Follower,
            leased: false,
            rejoining: replay.rejoining,
            beginning: match boot.survival {
                Survival::Fresh => Beginning::Unwritten,
                Survival::Intact | Survival::Damaged => Beginning::Durable,
            },
        };
        if boot.survival != Survival::Fresh {
            // What it answered before it stopped may have given a lease, although nothing is written.
            raft.give_lease(fx);
        }
        let state = Position::from(boot.checkpoint);
        if boot.survival == Survival::Damaged {
            raft.become_damaged(state, founders, fx);
            raft.open_members(fx);
            return raft;
        }
        assert!(
            replay.grounded,
            "the oldest record says where the log begins"
        );
        raft.meet_state(state, fx);
        raft.open_members(fx);
        raft.ask_for_help(fx);
        raft.await_first_election(fx);
        raft.tell_leader(fx);
        raft
    }

    /// Brings log and application state together. Each may be ahead of the other.
    fn meet_state(&mut self, state: Position, fx: &mut Effects<Raft>) {
        if self.beginning == Beginning::Unwritten {
            // Nothing was ever delivered here, so this state is what somebody founded the cluster with.
            self.log.reset(state);
            let founders = self.configurations.latest().1.clone();
            self.configurations = Configurations::new(state.index, founders);
        }
        let base = self.log.base();
        if base.index > state.index {
            // A snapshot arrived and the log was reset to it, but the state was not replaced yet.
            fx.output(Output::Install(base.into()));
        }
        self.delivered = base.index.max(state.index);
        // What a quorum had on disk was applied before it was on the disk here. The log must not be made
        // longer than it is: who took part there may stand in an entry that this replica never had, or
        // has no longer.
        self.commit = match self.log.matches(state) {
            true => state.index,
            false => base.index,
        };
    }

    /// Tells who takes part, as far as this replica knows.
    fn open_members(&mut self, fx: &mut Effects<Raft>) {
        let members = self.configurations.at(self.commit).in_force().clone();
        self.told_members = members.version;
        fx.output(Output::Members(members));
    }

    /// A lone voter need not wait for anybody. Others listen for a leader first, but not for as long
    /// as if one had just been lost: a canvass disturbs no one.
    fn await_first_election(&self, fx: &mut Effects<Raft>) {
        let alone = self.configurations.latest().1.is_quorum(|id| id == self.me);
        let first = if alone {
            Duration::ZERO..Duration::ZERO
        } else {
            let heartbeat = self.config.heartbeat;
            heartbeat..heartbeat.max(self.config.election_timeout)
        };
        fx.set_timer(Timer::Election, first);
    }

    /// Writes down term and vote. What a replica began with comes before the first of them, so that what
    /// it is configured with is read only once.
    pub(super) fn write_vote(&mut self, fx: &mut Effects<Raft>) {
        if self.beginning == Beginning::Unwritten {
            self.beginning = Beginning::Written;
            fx.persist(self.reset_record());
            fx.send(self.me, Message::Begun);
        }
        fx.persist(self.vote_record());
    }

    /// Where the log begins, and who takes part there, to be written down.
    pub(super) fn reset_record(&self) -> Record {
        let position = self.log.base();
        Record::Reset {
            position,
            members: self.configurations.at(position.index).clone(),
        }
    }

    /// Term and vote, to be written down.
    pub(super) fn vote_record(&self) -> Record {
        Record::Vote {
            term: self.term,
            vote: self.vote,
        }
    }
}

/// Whether anything was ever written. Until it is certain nothing is delivered: a replica that finds a
/// state and no records must be able to tell that the state was there before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Beginning {
    Unwritten,
    /// Perhaps not on disk yet.
    Written,
    Durable,
}

/// The records of earlier incarnations, read one by one.
///
/// Compaction drops frames from the front, up to where it was told or not as far, so what is left
/// may begin anywhere: entries may come before the record that says where the log begins.
struct Replay {
    term: Term,
    vote: Option<NodeId>,
    log: Log,
    configurations: Configurations,
    flaw: Option<Flaw>,
    /// Whether the term at the log's base is known.
    grounded: bool,
    rejoining: Option<Rejoin>,
}

impl Replay {
    fn new(founders: Configuration, flaw: Option<Flaw>) -> Replay {
        Replay {
            term: Term(0),
            vote: None,
            log: Log::default(),
            configurations: Configurations::new(Index(0), founders),
            flaw,
            grounded: true,
            rejoining: None,
        }
    }

    fn record(&mut self, frame: Frame, record: Record) {
        match record {
            Record::Vote { term, vote } => (self.term, self.vote) = (term, vote),
            Record::Append { index, entry } => self.append(index, entry, frame),
            Record::Base { position, members } => self.base(position, members),
            Record::Reset { position, members } => {
                self.log.reset(position);
                self.configurations = Configurations::new(position.index, members);
                self.grounded = true;
            }
            Record::Rejoining => self.rejoining = Some(Rejoin::Asking),
            Record::Rejoined => self.rejoining = None,
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
            self.grounded = index == Index(1);
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
        self.grounded = true;
    }
}
