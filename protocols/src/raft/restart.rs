//! How a replica starts from what survived (figure 2, persistent state; paper 7).

use core::time::Duration;

use quorate_core::{Boot, Effects, Frame, NodeId, Survival};
use quorate_problems::total_order::Output;

use crate::log::{Entry, Epoch as Term, Index, Log, Position};

use super::message::{Record, Timer};
use super::role::Role;
use super::{Config, Raft, Voters};

impl Raft {
    pub(super) fn restart(config: &Config, boot: Boot<'_, Raft>, fx: &mut Effects<Raft>) -> Raft {
        let mut replay = Replay::default();
        for (frame, record) in boot.records {
            replay.record(frame, record);
        }
        let mut raft = Raft {
            me: boot.me,
            incarnation: boot.incarnation,
            config: config.clone(),
            voters: Voters::new(&config.members),
            term: replay.term,
            vote: replay.vote,
            log: replay.log,
            commit: Index(0),
            leader: None,
            told: (Term(0), None),
            role: Role::Follower,
            rejoining: replay.rejoining,
        };
        let state = Position::from(boot.checkpoint);
        if boot.survival == Survival::Damaged {
            raft.become_damaged(state, fx);
            return raft;
        }
        assert!(
            replay.grounded,
            "the oldest record says where the log begins"
        );
        raft.meet_state(state, fx);
        raft.maybe_rejoined(fx);
        raft.await_first_election(fx);
        raft.tell_leader(fx);
        raft
    }

    /// Brings log and application state together. Each may be ahead of the other.
    fn meet_state(&mut self, state: Position, fx: &mut Effects<Raft>) {
        let base = self.log.base();
        if base.index > state.index {
            // A snapshot arrived and the log was reset to it, but the state was not replaced yet.
            fx.output(Output::Install(base.into()));
        } else if !self.log.matches(state) {
            // What a quorum had on disk was applied before it was on the disk here. What the log
            // holds beyond was never committed and only ever promised to leaders of earlier terms.
            self.log.reset(state);
            fx.persist(Record::Reset(state));
        }
        self.commit = self.log.base().index.max(state.index);
        // The term was persisted before its entries, but the state may have survived without either.
        // A vote in that term cannot have left, since it would have waited for the disk.
        let term = self.log.last().epoch;
        if term > self.term {
            self.term = term;
            self.vote = None;
            fx.persist(self.vote_record());
        }
    }

    /// A lone voter need not wait for anybody. Others listen for a leader first, but not for as long
    /// as if one had just been lost: a canvass disturbs no one.
    fn await_first_election(&self, fx: &mut Effects<Raft>) {
        let first = if self.voters.is_quorum(|id| id == self.me) {
            Duration::ZERO..Duration::ZERO
        } else {
            let heartbeat = self.config.heartbeat;
            heartbeat..heartbeat.max(self.config.election_timeout)
        };
        fx.set_timer(Timer::Election, first);
    }

    /// Term and vote, to be written down.
    pub(super) fn vote_record(&self) -> Record {
        Record::Vote {
            term: self.term,
            vote: self.vote,
        }
    }
}

/// The records of earlier incarnations, read one by one.
///
/// Compaction drops frames from the front, up to where it was told or not as far, so what is left
/// may begin anywhere: entries may come before the record that says where the log begins.
struct Replay {
    term: Term,
    vote: Option<NodeId>,
    log: Log,
    /// Whether the term at the log's base is known.
    grounded: bool,
    rejoining: Option<Term>,
}

impl Default for Replay {
    fn default() -> Replay {
        Replay {
            term: Term(0),
            vote: None,
            log: Log::default(),
            grounded: true,
            rejoining: None,
        }
    }
}

impl Replay {
    fn record(&mut self, frame: Frame, record: Record) {
        match record {
            Record::Vote { term, vote } => (self.term, self.vote) = (term, vote),
            Record::Append { index, entry } => self.append(index, entry, frame),
            Record::Base(position) => self.base(position),
            Record::Reset(position) => {
                self.log.reset(position);
                self.grounded = true;
            }
            Record::Rejoining { beyond } => self.rejoining = Some(beyond),
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
            self.grounded = index == Index(1);
        } else if index <= self.log.last().index {
            self.log.truncate(index);
        }
        self.log.push(entry, frame);
    }

    fn base(&mut self, position: Position) {
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
        }
        self.grounded = true;
    }
}
