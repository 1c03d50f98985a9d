//! How a replica starts from what survived ("Paxos Made Simple", 2.5).

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::time::Duration;

use quorate_core::{Boot, Effects, Frame, NodeId, Survival};
use quorate_problems::total_order::{Membership, Output};

use super::ballot::{Ballot, Slot, Vote};
use super::message::{Record, Timer};
use super::recovery::Rejoin;
use super::role::Role;
use super::slots::Slots;
use super::tenure::{Reign, Tenure, Tenures};
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
        let tenures = replay.tenures(config);
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
            tenures,
            rejoining: replay.rejoining.map(Rejoin::of),
            leased: false,
            round: 0,
        };
        if boot.incarnation > 1 {
            // What it answered before it stopped may have given a lease, although nothing is written.
            replica.give_lease(fx);
        }
        if boot.survival == Survival::Damaged {
            replica.tenures = Replay::default().tenures(config);
            replica.become_damaged(state, fx);
            replica.tell_members(fx);
            return replica;
        }
        if replay.governs.is_empty() {
            // From now on what its configuration says of others does not matter.
            fx.persist(Record::Governs(replica.tenures.newest().tenure.clone()));
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
            // votes here may be others, of earlier ballots. Nobody must take what is left for all there ever
            // was: without the state it is not.
            self.slots.drop_through(state);
            self.restate(fx);
        }
        self.tenures.noted = self.chosen;
        self.prefix = self.chosen.max(self.recorded);
        self.told = self.prefix;
        self.advance_prefix();
        self.deliver(fx);
    }

    /// A lone replica need not wait for anybody. Others listen for a leader first, but not for as long
    /// as if one had just been lost: a canvass disturbs no one.
    fn await_first_election(&self, fx: &mut Effects<MultiPaxos>) {
        let alone = |id: NodeId| id == self.me;
        let first = match self.reign().quorums.phase1().is_quorum(alone) {
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
    governs: BTreeMap<Slot, Arc<Membership>>,
    rejoining: Option<Slot>,
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
            Record::Rejoining { asked } => self.rejoining = Some(asked),
            Record::Rejoined => self.rejoining = None,
            Record::Governs(tenure) => {
                self.governs.insert(tenure.after, tenure.members);
            }
        }
    }

    /// Who takes part, as far as it was written down; else those whom the configuration names.
    fn tenures(&self, config: &Config) -> Tenures {
        let mut governs = self.governs.iter();
        let mut governs = governs.by_ref().map(|(&after, members)| Tenure {
            after,
            members: members.clone(),
        });
        let first = governs.next().unwrap_or_else(|| Tenure {
            after: Slot(0),
            members: {
                let voters = config.quorums.members().iter().copied();
                Arc::new(Membership::new(0, voters, []))
            },
        });
        let quorums = config.quorums.of(&first.members.voters);
        let quorums = quorums.expect("a cluster keeps its rules, which fitted these members");
        let mut tenures = Tenures::new(Reign {
            tenure: first,
            quorums,
        });
        for tenure in governs {
            tenures.add(&tenure);
        }
        tenures.drop_before(self.base.index);
        tenures.settled = tenures.newest().tenure.after;
        tenures
    }
}
