//! Phase 2 ("Paxos Made Simple", 2.2 and 3): one round trip for each command, in any order of slots.

use quorate_core::{Effects, NodeId};

use super::ballot::{Ballot, Cast, Slot, Vote};
use super::leader::{Flow, Leader, Peer, Source};
use super::message::{Message, Record, Timer};
use super::reconfigure::Stage;
use super::role::Role;
use super::{Flaw, MultiPaxos};
use crate::log::{Content, Entries, Entry};

/// No honest leader proposes further ahead of what an acceptor told it than this; memory is given for
/// every slot between.
pub(super) const AHEAD_MAX: u64 = 1 << 20;

impl MultiPaxos {
    /// Leader: proposes a value in the next free slot, whatever became of those before.
    pub(super) fn propose(&mut self, content: Content, fx: &mut Effects<MultiPaxos>) {
        let epoch = self.promised.epoch();
        let Role::Leader(leader) = &mut self.role else {
            return;
        };
        let slot = leader.next;
        leader.next = slot.next();
        self.accept_here(slot, Entry { epoch, content }, fx);
        self.count_here(slot, slot, fx);
        self.for_each_peer(|source, to, peer| source.send_values(to, peer, fx));
    }

    /// Leader: does something for every other replica.
    pub(super) fn for_each_peer(&mut self, mut f: impl FnMut(&Source<'_>, NodeId, &mut Peer)) {
        let me = self.me;
        if let Some((leader, source)) = self.leading() {
            for (&to, peer) in &mut leader.peers {
                if to != me {
                    f(&source, to, peer);
                }
            }
        }
    }

    /// The leader's own state beside what it sends from, if this replica leads.
    pub(super) fn leading(&mut self) -> Option<(&mut Leader, Source<'_>)> {
        match &mut self.role {
            Role::Leader(leader) => {
                let is_open = matches!(leader.stage, Stage::Open);
                let source = Source {
                    ballot: self.promised,
                    chosen: self.chosen,
                    since: self.tenures.governing(self.chosen.next()).tenure.after,
                    opened: is_open.then_some(leader.opened),
                    next: leader.next,
                    tenures: &self.tenures,
                    slots: &self.slots,
                    config: &self.config,
                };
                Some((leader, source))
            }
            Role::Acceptor | Role::Canvasser { .. } | Role::Proposer(_) | Role::Damaged(_) => None,
        }
    }

    /// Acceptor, phase 2b. What is known to be chosen needs no vote: nothing else is ever proposed.
    pub(super) fn on_accept(
        &mut self,
        from: NodeId,
        ballot: Ballot,
        first: Slot,
        (chosen, since): (Slot, Slot),
        entries: &Entries,
        fx: &mut Effects<MultiPaxos>,
    ) {
        let present = ballot == self.promised;
        if present && !self.hear(from, fx) {
            return;
        }
        if first.since(self.prefix) > AHEAD_MAX {
            return;
        }
        if present {
            self.learn_through(chosen, fx);
        }
        let entries = entries.as_slice();
        let mut slot = first;
        for entry in entries {
            if slot > chosen && !self.may_accept(since) {
                self.advance_prefix();
                self.deliver(fx);
                if !self.may_accept(since) {
                    break; // What it lacks comes first.
                }
            }
            if slot > self.chosen && !self.slots.is_in(slot, ballot) {
                let entry = entry.clone();
                let vote = Vote { ballot, entry };
                self.slots.set(slot, vote.clone(), fx.frame());
                fx.persist(Record::Accepted(Cast { slot, vote }));
            }
            slot = slot.next();
        }
        self.advance_prefix();
        let last = slot.before();
        let through = match present {
            true => self.prefix,
            false => self.chosen,
        };
        let accepted = Message::Accepted {
            ballot,
            first,
            last,
            through,
        };
        fx.send(from, accepted);
        self.leak(Flaw::EarlyAccept, fx);
        self.deliver(fx);
    }

    /// Leader: these slots are on that replica's disk.
    pub(super) fn on_accepted(
        &mut self,
        from: NodeId,
        first: Slot,
        last: Slot,
        through: Slot,
        fx: &mut Effects<MultiPaxos>,
    ) {
        let me = self.me;
        let Some((leader, source)) = self.leading() else {
            return;
        };
        let Some(peer) = leader.peers.get_mut(&from) else {
            return;
        };
        peer.active = true;
        peer.has.insert(first, last, through);
        let answered = last < first && peer.probe == Some(first);
        if answered {
            peer.probe = None;
        }
        match peer.flow {
            Flow::Stream if answered => source.send_again(from, peer, first, fx),
            Flow::Stream => {}
            // An old answer says nothing of the snapshot; one that came after it says that it is lost.
            Flow::Snapshot { asked, heartbeats } if peer.has.through < asked => {
                let config = source.config;
                if answered && config.heartbeat * heartbeats >= config.snapshot_retry {
                    source.send_snapshot(from, peer, fx);
                }
            }
            Flow::Unknown | Flow::Snapshot { .. } => {
                peer.flow = Flow::Stream;
                peer.next = peer.has.through.next();
            }
        }
        if from != me {
            source.send_values(from, peer, fx);
            source.send_chosen(from, peer, fx);
        }
        self.maybe_choose(fx);
        self.maybe_reconfigure(fx);
        self.maybe_hand_over(from, fx);
    }

    /// Leader: what a phase-2 quorum has accepted in this ballot is chosen. Slots are chosen in any
    /// order; what can be delivered is what has no hole before it.
    pub(super) fn maybe_choose(&mut self, fx: &mut Effects<MultiPaxos>) {
        let Role::Leader(leader) = &self.role else {
            return;
        };
        // Nothing is proposed behind a membership that is not chosen, so these all have one.
        let phase2 = self.reign().quorums.phase2();
        let has = |id, slot| {
            let peer: Option<&Peer> = leader.peers.get(&id);
            peer.is_some_and(|peer| peer.has.contains(slot))
        };
        let mut through = self.chosen;
        while through.next() < leader.next && phase2.is_quorum(|id| has(id, through.next())) {
            through = through.next();
        }
        if through > self.chosen {
            let before = self.chosen;
            self.learn_through(through, fx);
            self.lead_on(before, fx);
        }
    }

    /// Leader: lets all others hear of it, and finds out what was lost on the way to them. Proposer: asks
    /// again.
    pub(super) fn on_heartbeat(&mut self, fx: &mut Effects<MultiPaxos>) {
        let heartbeat = self.config.heartbeat;
        match self.role {
            Role::Proposer(_) => self.ask_on(fx),
            Role::Leader(_) => {
                self.begin_round(fx);
                self.for_each_peer(|source, to, peer| {
                    if let Flow::Snapshot { heartbeats, .. } = &mut peer.flow {
                        *heartbeats = heartbeats.saturating_add(1);
                    }
                    let known = peer.flow != Flow::Unknown;
                    if !known || peer.has.through < source.next.before() {
                        source.send_probe(to, peer, fx);
                    }
                });
                self.ask_on(fx);
                self.maybe_repeat_handover(fx);
            }
            Role::Acceptor | Role::Canvasser { .. } | Role::Damaged(_) => return,
        }
        fx.set_timer(Timer::Heartbeat, heartbeat..heartbeat);
    }
}
