//! Phase 1 ("Paxos Made Simple", 2.2 and 3): once for all slots to come.
//!
//! A proposer asks what was accepted in every slot that it does not know to be chosen. What a phase-1
//! quorum answers decides what it may propose there: in each slot the value of the highest ballot that
//! anybody reports (P2c), and in a slot between those of which nobody reports anything, a no-op. Behind
//! them all slots are free. An answer comes in parts if it is long; the next part is sent when it is
//! asked for, so that no message is large and a lost one is only asked for again.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use quorate_core::{Effects, NodeId};

use super::accept::AHEAD_MAX;
use super::ballot::{Ballot, Cast, Slot, Vote};
use super::leader::{Flow, Leader};
use super::message::{Message, Record, Timer};
use super::reconfigure::Stage;
use super::role::Role;
use super::{Flaw, MultiPaxos};
use crate::log::{Content, Entry};

/// What a proposer has been told.
#[derive(Clone, Hash, Debug)]
pub(super) struct Preparation {
    /// How far each member has answered.
    pub(super) answers: BTreeMap<NodeId, Answer>,
    /// The vote of the highest ballot in each slot.
    found: BTreeMap<Slot, Vote>,
    /// The ballot whose leader wanted it, if one did.
    wanted_by: Option<Ballot>,
}

/// How far a member has answered.
#[derive(Clone, Copy, Hash, Debug)]
pub(super) struct Answer {
    /// It has told of all slots before this one.
    next: Slot,
    /// It has what is chosen in every slot through here.
    pub(super) through: Slot,
    /// It has told of all slots.
    pub(super) complete: bool,
}

impl Preparation {
    /// Nobody has answered yet.
    pub(super) fn new(wanted_by: Option<Ballot>) -> Preparation {
        Preparation {
            answers: BTreeMap::new(),
            found: BTreeMap::new(),
            wanted_by,
        }
    }

    /// Whether a leader wanted it.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted_by.is_some()
    }

    /// Somebody voted so.
    fn offer(&mut self, cast: Cast, flaw: Option<Flaw>) {
        let Cast { slot, vote } = cast;
        let known = self.found.get(&slot);
        let better = known.is_none_or(|known| match flaw {
            Some(Flaw::OldestVote) => vote.ballot < known.ballot,
            _ => vote.ballot > known.ballot,
        });
        if better {
            self.found.insert(slot, vote);
        }
    }
}

impl MultiPaxos {
    /// Begins a ballot of its own, higher than any it knows, and promises it like anybody else: by mail
    /// to itself.
    pub(super) fn begin_ballot(&mut self, wanted_by: Option<Ballot>, fx: &mut Effects<MultiPaxos>) {
        self.promise(self.promised.next(self.me));
        // A ballot must not recur after a crash: it would be two proposals with one number. It is on
        // disk before anyone hears of it, as all mail about it is held.
        if !self.has(Flaw::BallotReuse) {
            let record = self.promise_record();
            fx.persist(record);
        }
        self.role = Role::Proposer(Preparation::new(wanted_by));
        self.leader = None;
        fx.stop_timer(Timer::Silence);
        self.await_election(fx);
        let heartbeat = self.config.heartbeat;
        fx.set_timer(Timer::Heartbeat, heartbeat..heartbeat);
        self.tell_leader(fx);
        self.promise_here(fx);
        self.ask_on(fx);
    }

    /// Phase 1, if this replica is in it: before it leads, or when others take part from some slot on.
    fn preparation(&self) -> Option<&Preparation> {
        match &self.role {
            Role::Proposer(preparation) => Some(preparation),
            Role::Leader(leader) => match &leader.stage {
                Stage::Entering(preparation) => Some(preparation),
                Stage::Open | Stage::Deciding => None,
            },
            Role::Acceptor | Role::Canvasser { .. } | Role::Damaged(_) => None,
        }
    }

    /// Asks every voter who has not told all. Repeated with the heartbeat, since mail is lost.
    pub(super) fn ask_on(&self, fx: &mut Effects<MultiPaxos>) {
        let Some(preparation) = self.preparation() else {
            return;
        };
        for peer in self.others() {
            let answer = preparation.answers.get(&peer);
            if !answer.is_some_and(|answer| answer.complete) {
                let first = answer.map_or(self.chosen.next(), |answer| answer.next);
                self.send_prepare(peer, first, preparation.wanted_by, fx);
            }
        }
    }

    fn send_prepare(
        &self,
        to: NodeId,
        first: Slot,
        wanted_by: Option<Ballot>,
        fx: &mut Effects<MultiPaxos>,
    ) {
        let (ballot, incarnation) = (self.promised, self.incarnation);
        // Held: a ballot of our own making must be durable before anyone hears of it.
        fx.send(
            to,
            Message::Prepare {
                ballot,
                first,
                wanted_by,
                incarnation,
            },
        );
    }

    /// Acceptor, phase 1b.
    pub(super) fn on_prepare(
        &mut self,
        from: NodeId,
        ballot: Ballot,
        first: Slot,
        wanted_by: Option<Ballot>,
        incarnation: u64,
        fx: &mut Effects<MultiPaxos>,
    ) {
        // What is not here any more cannot be told, and half an answer would be a wrong one.
        if !self.is_whole() || !self.can_tell(first) {
            return;
        }
        if ballot > self.promised {
            // Who hears from a leader, or gave it a lease, does not help to depose it, unless that
            // leader wants it so: then it has given up its leases.
            let wanted = wanted_by.is_some_and(|by| by >= self.promised);
            if (self.leader.is_some() || self.leased) && !wanted {
                return;
            }
            self.enter(ballot, fx);
            self.await_election(fx);
        }
        let mut bytes = 0;
        let mut votes = Vec::new();
        let mut complete = true;
        for (slot, vote) in self.slots.votes(first) {
            bytes += vote.entry.bytes();
            if bytes > self.config.message_bytes_max && !votes.is_empty() {
                complete = false;
                break;
            }
            let vote = vote.clone();
            votes.push(Cast { slot, vote });
        }
        let promise = Message::Promise {
            ballot,
            incarnation,
            first,
            through: self.prefix,
            votes,
            complete,
        };
        fx.send(from, promise);
        self.leak(Flaw::EarlyPromise, fx);
    }

    /// Proposer: an acceptor answered, or told more. A leader learns from a late one where it stands.
    pub(super) fn on_promise(
        &mut self,
        from: NodeId,
        first: Slot,
        through: Slot,
        votes: Vec<Cast>,
        complete: bool,
        fx: &mut Effects<MultiPaxos>,
    ) {
        self.on_accepted(from, first, first.before(), through, fx);
        let (begun, flaw) = (self.chosen.next(), self.config.flaw);
        let last = votes.last().map_or(first, |cast| cast.slot);
        if last.since(begun) > AHEAD_MAX {
            return; // So far behind, it had better wait for another leader.
        }
        let preparation = match &mut self.role {
            Role::Proposer(preparation) => preparation,
            Role::Leader(leader) => match &mut leader.stage {
                Stage::Entering(preparation) => preparation,
                Stage::Open | Stage::Deciding => return,
            },
            Role::Acceptor | Role::Canvasser { .. } | Role::Damaged(_) => return,
        };
        let answer = preparation.answers.entry(from).or_insert(Answer {
            next: begun,
            through,
            complete: false,
        });
        if answer.next != first || answer.complete {
            return; // It came twice.
        }
        answer.next = votes.last().map_or(first, |cast| cast.slot.next());
        answer.complete = complete;
        let (next, wanted_by) = (answer.next, preparation.wanted_by);
        for cast in votes {
            preparation.offer(cast, flaw);
        }
        if !complete {
            self.send_prepare(from, next, wanted_by, fx);
            return;
        }
        let answers = &preparation.answers;
        let complete = |id| answers.get(&id).is_some_and(|answer| answer.complete);
        let reign = self.tenures.governing(begun);
        if !reign.quorums.phase1().is_quorum(complete) {
            return;
        }
        let preparation = mem::replace(preparation, Preparation::new(None));
        match self.role {
            Role::Leader(_) => self.open_tenure(preparation, fx),
            Role::Proposer(_) => self.become_leader(preparation, fx),
            Role::Acceptor | Role::Canvasser { .. } | Role::Damaged(_) => {}
        }
    }

    /// Proposes in all slots from the first that is not chosen on what phase 1 found there, and no-ops in
    /// the holes between. It ends with the first membership among them: those whom it names are asked
    /// about the slots behind it once it is chosen. Answers the last slot filled.
    pub(super) fn fill(
        &mut self,
        mut preparation: Preparation,
        fx: &mut Effects<MultiPaxos>,
    ) -> (Slot, Stage) {
        let begun = self.chosen.next();
        for (slot, vote) in self.slots.votes(begun) {
            let vote = vote.clone();
            preparation.offer(Cast { slot, vote }, self.config.flaw);
        }
        let last = preparation.found.last_key_value();
        let last = last.map_or(self.chosen, |(&slot, _)| slot);
        let noop = Entry {
            epoch: self.promised.epoch(),
            content: Content::Noop,
        };
        let (mut slot, mut stage) = (self.chosen, Stage::Open);
        while slot < last && matches!(stage, Stage::Open) {
            slot = slot.next();
            let entry = match preparation.found.remove(&slot) {
                Some(vote) if !self.has(Flaw::AnyValue) => vote.entry,
                _ => noop.clone(),
            };
            if self.tenure_in(slot, &entry).is_some() {
                stage = Stage::Deciding;
            }
            self.accept_here(slot, entry, fx);
        }
        self.slots.recount();
        (slot, stage)
    }

    /// A phase-1 quorum has told what it accepted and will accept nothing lower: this ballot may
    /// propose. First of all what may have been chosen, and no-ops in the holes between.
    fn become_leader(&mut self, preparation: Preparation, fx: &mut Effects<MultiPaxos>) {
        let begun = self.chosen.next();
        let answers = preparation.answers.clone();
        let (opened, stage) = self.fill(preparation, fx);
        let members = &self.reign().tenure.members;
        let mut leader = Leader::new(members, self.me, &answers, opened);
        leader.stage = stage;
        self.role = Role::Leader(leader);
        self.leader = Some(self.me);
        fx.stop_timer(Timer::Election);
        self.tell_leader(fx);
        let (heartbeat, timeout) = (self.config.heartbeat, self.config.election_timeout);
        fx.set_timer(Timer::Heartbeat, heartbeat..heartbeat);
        fx.set_timer(Timer::CheckQuorum, timeout..timeout);
        self.count_here(begun, opened, fx);
        self.begin_round(fx);
        self.for_each_peer(|source, to, peer| match peer.flow {
            Flow::Unknown => source.send_probe(to, peer, fx),
            Flow::Stream | Flow::Snapshot { .. } => source.send_values(to, peer, fx),
        });
        // Those who promised may know more to be chosen than this replica does.
        self.maybe_choose(fx);
        self.resume(fx);
    }

    /// The leader's own acceptor accepts what it proposes, like any other.
    pub(super) fn accept_here(&mut self, slot: Slot, entry: Entry, fx: &mut Effects<MultiPaxos>) {
        let ballot = self.promised;
        let vote = Vote { ballot, entry };
        self.slots.set(slot, vote.clone(), fx.frame());
        fx.persist(Record::Accepted(Cast { slot, vote }));
        self.advance_prefix();
    }

    /// The leader counts itself by mail to itself, held like anybody's.
    pub(super) fn count_here(&self, first: Slot, last: Slot, fx: &mut Effects<MultiPaxos>) {
        if first <= last {
            let accepted = Message::Accepted {
                ballot: self.promised,
                first,
                last,
                through: self.prefix,
            };
            fx.send(self.me, accepted);
        }
    }
}
