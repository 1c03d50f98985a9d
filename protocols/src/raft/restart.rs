//! How a replica starts from what survived (figure 2, persistent state; paper 7).

use alloc::vec::Vec;
use core::time::Duration;

use quorate_core::{Boot, Effects, Survival};
use quorate_problems::total_order::{Membership, Output};

use crate::log::{Epoch as Term, Index, Position};

use super::message::{Message, Record, Timer};
use super::replay::{Ground, Replay};
use super::role::Role;
use super::{Config, Configuration, Configurations, Raft, Rejoin};

impl Raft {
    pub(super) fn restart(config: &Config, boot: Boot<'_, Raft>, fx: &mut Effects<Raft>) -> Raft {
        let members = Membership::new(0, config.members.iter().copied(), []);
        let founders = Configuration::settled(members);
        let damaged = boot.survival == Survival::Damaged;
        let (replay, parts) = match damaged {
            false => (
                Replay::whole(boot.records, &founders, config.flaw),
                Vec::new(),
            ),
            true => {
                let parts = Replay::parts(boot.records, &founders, config.flaw);
                (Replay::new(founders.clone(), config.flaw), parts)
            }
        };
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
            rejoining: replay.rejoining.then_some(Rejoin::Asking),
            repaired: 0,
            sealed: (replay.term, replay.vote, replay.rejoining),
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
        if damaged {
            raft.become_damaged(state, founders, parts, fx);
            raft.open_members(fx);
            if !raft.maybe_mend(fx) {
                raft.ask_for_help(fx);
            }
            raft.seal(fx);
            return raft;
        }
        assert_eq!(
            replay.ground,
            Ground::Members,
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
    pub(super) fn meet_state(&mut self, state: Position, fx: &mut Effects<Raft>) {
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

    /// The end of a step. Every frame says what was promised by then, so that this is known even if older frames
    /// are lost, and what its entries follow. A promise that changed makes a frame. What a replica began with comes
    /// first of all, so that what it is configured with is read only once.
    pub(super) fn seal(&mut self, fx: &mut Effects<Raft>) {
        let promised = (self.term, self.vote, self.rejoining.is_some());
        let nothing = fx.records.is_empty() && promised == self.sealed;
        if nothing || matches!(self.role, Role::Damaged(_)) {
            return;
        }
        if self.beginning == Beginning::Unwritten {
            self.beginning = Beginning::Written;
            fx.records.insert(0, self.reset_record());
            fx.send(self.me, Message::Begun);
        }
        let first = fx.records.iter().enumerate().find_map(|(at, record)| {
            let Record::Append { index, .. } = record else {
                return None;
            };
            let index = index.before();
            let epoch = self.log.epoch_at(index)?;
            Some((at, Position { index, epoch }))
        });
        let (at, behind) = first.unwrap_or((fx.records.len(), self.log.last()));
        let (term, vote, rejoining) = promised;
        let promised = Record::Promised {
            term,
            vote,
            rejoining,
            behind,
        };
        fx.records.insert(at, promised);
        self.sealed = (term, vote, rejoining);
    }

    /// Where the log begins, and who takes part there, to be written down.
    pub(super) fn reset_record(&self) -> Record {
        let position = self.log.base();
        Record::Reset {
            position,
            members: self.configurations.at(position.index).clone(),
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
