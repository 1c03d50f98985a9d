//! How a replica starts from what survived ("Paxos Made Simple", 2.5).

use alloc::collections::BTreeMap;
use core::time::Duration;

use quorate_core::{Boot, Effects, Frame, NodeId, Survival};
use quorate_problems::total_order::Output;

use super::ballot::{Ballot, Slot, Vote};
use super::message::{Record, Timer};
use super::role::Role;
use super::slots::Slots;
use super::{Config, MultiPaxos};
use crate::log::Position;

impl MultiPaxos {
    pub(super) fn restart(
        config: &Config,
        boot: Boot<'_, MultiPaxos>,
        fx: &mut Effects<MultiPaxos>,
    ) -> MultiPaxos {
        let mut replay = Replay::default();
        for (frame, record) in boot.records {
            replay.record(frame, record);
        }
        let state = Position::from(boot.checkpoint);
        let mut replica = MultiPaxos {
            me: boot.me,
            incarnation: boot.incarnation,
            config: config.clone(),
            promised: replay.promised,
            recorded: replay.chosen,
            slots: Slots::replayed(replay.base, replay.votes),
            chosen: state.index,
            epoch: state.epoch,
            prefix: state.index,
            told: state.index,
            leader: None,
            announced: (Ballot::default(), None),
            role: Role::Acceptor,
            rejoining: replay.rejoining,
            leased: false,
            round: 0,
        };
        if boot.incarnation > 1 {
            // What it answered before it stopped may have given a lease, although nothing is written.
            replica.give_lease(fx);
        }
        if boot.survival == Survival::Damaged {
            replica.become_damaged(state, fx);
            return replica;
        }
        replica.meet_state(state, fx);
        replica.await_first_election(fx);
        replica.tell_leader(fx);
        replica
    }

    /// Brings slots and application state together. Each may be ahead of the other.
    fn meet_state(&mut self, state: Position, fx: &mut Effects<MultiPaxos>) {
        let base = self.slots.base();
        if base.index > state.index {
            // A snapshot arrived and the slots before it were dropped, but the state was not replaced
            // yet.
            (self.chosen, self.epoch) = (base.index, base.epoch);
            fx.output(Output::Install(base.into()));
        }
        if self.recorded < state.index {
            // What the state contains beyond what is recorded was learned by what a leader said. The
            // votes here may be others, of earlier ballots.
            self.slots.drop_through(state);
            fx.persist(Record::Base(state));
        }
        self.prefix = self.chosen.max(self.recorded);
        self.told = self.prefix;
        self.advance_prefix();
        self.deliver(fx);
    }

    /// A lone replica need not wait for anybody. Others listen for a leader first, but not for as long
    /// as if one had just been lost: a canvass disturbs no one.
    fn await_first_election(&self, fx: &mut Effects<MultiPaxos>) {
        let alone = |id: NodeId| id == self.me;
        let first = match self.config.quorums.phase1().is_quorum(alone) {
            true => Duration::ZERO..Duration::ZERO,
            false => {
                let heartbeat = self.config.heartbeat;
                heartbeat..heartbeat.max(self.config.election_timeout)
            }
        };
        fx.set_timer(Timer::Election, first);
    }
}

/// The records of earlier incarnations, read one by one.
///
/// Compaction drops frames from the front, up to where it was told or not as far, so votes may come
/// before the record that says that they are not needed any more.
#[derive(Default)]
struct Replay {
    promised: Ballot,
    chosen: Slot,
    base: Position,
    votes: BTreeMap<Slot, (Vote, Frame)>,
    rejoining: bool,
}

impl Replay {
    fn record(&mut self, frame: Frame, record: Record) {
        match record {
            Record::Promised { ballot, chosen } => {
                self.promised = self.promised.max(ballot);
                self.chosen = self.chosen.max(chosen);
            }
            Record::Accepted(cast) => {
                self.promised = self.promised.max(cast.vote.ballot);
                self.votes.insert(cast.slot, (cast.vote, frame));
            }
            Record::Base(base) => {
                if base.index >= self.base.index {
                    self.base = base;
                }
            }
            Record::Rejoining => self.rejoining = true,
            Record::Rejoined => self.rejoining = false,
        }
    }
}
