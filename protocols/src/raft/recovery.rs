//! How a replica comes back that lost what it had acknowledged (`README.md` has the argument why it is
//! sound).
//!
//! It may have forgotten terms, votes and entries that others count on, so it promises nothing: it only
//! copies the leader's log. The leader writes an entry after it was asked, and says when that entry is
//! committed without this replica. Once the log here has it, everything forgotten is either in the log or
//! can have no effect any more, whoever takes part by then.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use quorate_core::{Effects, NodeId};

use crate::log::{Content, Index, Position};

use super::leader::{Peer, Trust};
use super::message::{Message, Timer};
use super::repair::{Part, Repair};
use super::replay::Replay;
use super::role::Role;
use super::{Configuration, Configurations, Flaw, Raft};

/// What a damaged replica knows.
#[derive(Clone, Hash, Debug)]
pub(super) struct Damage {
    /// The application's state, which is not part of the damage.
    pub(super) state: Position,
    /// Who else said to be damaged, and nothing else since.
    forgotten: BTreeSet<NodeId>,
    /// What can still be read of the log, oldest first. Others may lack it.
    pub(super) parts: Vec<Part>,
    /// If the end of the log can be read: how what is missing before it is put back.
    pub(super) repair: Option<Repair>,
}

/// What a replica waits for that has a log again but cannot know what it promised.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Rejoin {
    /// The leader's word.
    Asking,
    /// An entry that was written after it asked and is committed without it.
    Until {
        /// Where it is.
        at: Position,
        /// Who leads the term that it was written in.
        leader: NodeId,
    },
}

impl Rejoin {
    /// The same where replicas have other names.
    pub(super) fn renamed(self, name: impl Fn(NodeId) -> NodeId) -> Rejoin {
        match self {
            Rejoin::Asking => Rejoin::Asking,
            Rejoin::Until { at, leader } => Rejoin::Until {
                at,
                leader: name(leader),
            },
        }
    }
}

impl Damage {
    /// Whether what is missing in the log is not to be had, as far as one can tell.
    fn is_given_up(&self) -> bool {
        self.repair.as_ref().is_none_or(Repair::is_given_up)
    }

    /// The same damage where replicas have other names.
    pub(super) fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> Damage {
        Damage {
            state: self.state,
            forgotten: self.forgotten.iter().map(|&id| name(id)).collect(),
            parts: self.parts.iter().map(|part| part.renamed(&name)).collect(),
            repair: self.repair.as_ref().map(|repair| repair.renamed(&name)),
        }
    }
}

impl Raft {
    /// Nothing is written before the log is whole again or begins anew, so that somebody who can mend the disk
    /// finds everything as it was, and no promise is made that a mended disk would not know of.
    pub(super) fn become_damaged(
        &mut self,
        state: Position,
        founders: Configuration,
        parts: Vec<Replay>,
        fx: &mut Effects<Raft>,
    ) {
        let repair = Repair::new(&parts, fx.frame(), state, self.config.flaw);
        (self.term, self.vote, self.rejoining) = (state.epoch, None, None);
        self.log.reset(state);
        self.configurations = Configurations::new(state.index, founders);
        (self.commit, self.delivered) = (state.index, state.index);
        self.role = Role::Damaged(Damage {
            state,
            forgotten: BTreeSet::new(),
            parts: parts.into_iter().map(Part::from).collect(),
            repair,
        });
    }

    /// Asks whoever may lead for what this replica needs next.
    pub(super) fn ask_for_help(&mut self, fx: &mut Effects<Raft>) {
        if let Role::Damaged(damage) = &mut self.role
            && let Some(repair) = &mut damage.repair
        {
            repair.ask();
        }
        match (&self.role, self.rejoining, self.leader) {
            (Role::Damaged(damage), ..) => {
                for peer in self.witnesses(damage) {
                    self.ask_a_peer(peer, fx);
                }
            }
            (_, Some(_), leader) => {
                if let Some(leader) = leader {
                    let incarnation = self.incarnation;
                    // Early: a question promises nothing.
                    fx.send_early(leader, Message::Rejoining { incarnation });
                }
            }
            (_, None, _) => return,
        }
        let timeout = self.config.election_timeout;
        fx.set_timer(Timer::Recovery, timeout..timeout);
    }

    /// What is missing may be put back as long as somebody knows it; if not, the log begins anew.
    fn ask_a_peer(&self, peer: NodeId, fx: &mut Effects<Raft>) {
        if let Some(question) = self.lacking() {
            // Early: a question promises nothing.
            fx.send_early(peer, question);
        }
        if let Role::Damaged(damage) = &self.role
            && damage.is_given_up()
        {
            let (incarnation, state) = (self.incarnation, damage.state);
            // Early: as above.
            fx.send_early(peer, Message::Recovering { incarnation, state });
        }
    }

    /// What a damaged replica makes of a message before it has a log again. Whether there is more to it.
    pub(super) fn admit_damaged(
        &mut self,
        from: NodeId,
        message: &Message,
        fx: &mut Effects<Raft>,
    ) -> bool {
        let mut given_up = true;
        if let Role::Damaged(damage) = &mut self.role {
            given_up = damage.is_given_up();
            // What it can still read of its log, a damaged replica says too.
            let is_damaged = matches!(
                message,
                Message::Forgotten { .. } | Message::Lacking { .. } | Message::Filling { .. }
            );
            if !is_damaged {
                damage.forgotten.remove(&from);
            }
        }
        match message {
            Message::Recovering { .. }
            | Message::Forgotten { .. }
            | Message::Beginning { .. }
            | Message::Lacking { .. }
            | Message::Filling { .. } => true,
            // The members that this replica was configured with may be long gone: here is one who leads.
            Message::Leading { .. } => {
                self.ask_a_peer(from, fx);
                false
            }
            Message::Snapshot { .. } if !given_up => false,
            // A state with which any log may begin.
            Message::Snapshot { .. } => {
                let founders = self.configurations.latest().1.clone();
                self.begin_again(Position::default(), founders, fx);
                true
            }
            Message::PreVote { .. }
            | Message::PreGranted { .. }
            | Message::RequestVote { .. }
            | Message::Granted { .. }
            | Message::Outdated { .. }
            | Message::Append { .. }
            | Message::Appended { .. }
            | Message::Copied { .. }
            | Message::Rejected { .. }
            | Message::Heard { .. }
            | Message::Committed { .. }
            | Message::TimeoutNow { .. }
            | Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::ReadReady { .. }
            | Message::Rejoining { .. }
            | Message::Restored { .. }
            | Message::Begun => false,
        }
    }

    /// Somebody lost its records, and needs to know how its log may begin.
    pub(super) fn on_recovering(
        &mut self,
        from: NodeId,
        incarnation: u64,
        state: Position,
        fx: &mut Effects<Raft>,
    ) {
        if matches!(self.role, Role::Damaged(_)) {
            // Early: it cannot be forgotten, as it is what is left.
            fx.send_early(from, Message::Forgotten { incarnation });
            return;
        }
        let last = self.log.last().index;
        let Some((leader, source)) = self.leading() else {
            return;
        };
        let Some(peer) = leader.peers.get_mut(&from) else {
            return;
        };
        // Whatever it acknowledged it has no longer.
        *peer = Peer {
            active: true,
            round: peer.round,
            trust: Trust::None { incarnation },
            ..Peer::new(state.index.min(last).next())
        };
        if source.log.matches(state) {
            let members = source.configurations.at(state.index).clone();
            // Early: what is in a state is committed, and so is who took part there.
            fx.send_early(
                from,
                Message::Beginning {
                    incarnation,
                    position: state,
                    members,
                },
            );
        } else if source.log.base().index > state.index {
            source.send_snapshot(from, peer, fx);
        }
    }

    pub(super) fn on_forgotten(&mut self, from: NodeId) {
        if let Role::Damaged(damage) = &mut self.role {
            damage.forgotten.insert(from);
        }
    }

    pub(super) fn on_beginning(
        &mut self,
        from: NodeId,
        position: Position,
        members: Configuration,
        fx: &mut Effects<Raft>,
    ) {
        if let Role::Damaged(damage) = &self.role
            && damage.state == position
        {
            self.begin_again(position, members, fx);
            self.tell_members(fx);
            let incarnation = self.incarnation;
            // Early: a question promises nothing.
            fx.send_early(from, Message::Rejoining { incarnation });
        }
    }

    /// A log that begins here instead of what is left of the old one.
    fn begin_again(&mut self, position: Position, members: Configuration, fx: &mut Effects<Raft>) {
        self.log.reset(position);
        self.configurations = Configurations::new(position.index, members);
        self.commit = position.index;
        self.rejoining = Some(Rejoin::Asking);
        self.role = Role::Follower;
        fx.compact(fx.frame(), [self.reset_record()]);
        self.await_election(fx);
        self.tell_leader(fx);
    }

    /// Leader: a replica asks for an entry that is committed without it. Each time that it starts it needs
    /// one that is newer than its question.
    pub(super) fn on_rejoining(&mut self, from: NodeId, incarnation: u64, fx: &mut Effects<Raft>) {
        let next = self.log.last().index.next();
        let Some((leader, source)) = self.leading() else {
            return;
        };
        let Some(peer) = leader.peers.get_mut(&from) else {
            return;
        };
        peer.active = true;
        match peer.trust {
            Trust::Until {
                incarnation: asked, ..
            } if asked == incarnation => source.send_restored(from, peer, Index(0), fx),
            Trust::Full | Trust::None { .. } | Trust::Until { .. } => {
                peer.acked = Index(0);
                peer.trust = Trust::Until {
                    incarnation,
                    index: next,
                };
                self.append(Content::Noop, fx);
            }
        }
    }

    pub(super) fn on_restored(&mut self, from: NodeId, at: Position, fx: &mut Effects<Raft>) {
        if self.rejoining.is_none() {
            return;
        }
        self.rejoining = Some(Rejoin::Until { at, leader: from });
        self.maybe_rejoined(fx);
        if self.rejoining.is_none() && self.leader == Some(from) {
            self.acknowledge(from, self.commit, fx);
        }
    }

    /// Whether this replica knows what it promised, and so may promise more.
    pub(super) fn may_promise(&self) -> bool {
        self.rejoining.is_none() || self.has(Flaw::HollowVote)
    }

    /// The log may have reached what it must have.
    pub(super) fn maybe_rejoined(&mut self, fx: &mut Effects<Raft>) {
        if let Some(Rejoin::Until { at, leader }) = self.rejoining
            && (self.log.matches(at) || self.log.base().index >= at.index)
        {
            self.rejoining = None;
            if self.term == at.epoch {
                // That term has its leader, perhaps with a vote from here that is forgotten.
                self.vote = Some(leader);
            }
            fx.stop_timer(Timer::Recovery);
        }
    }

    /// The role of a replica that is not whole, for people.
    pub(super) fn ailment(&self) -> Option<&'static str> {
        let Role::Damaged(damage) = &self.role else {
            return self.rejoining.map(|_| "rejoining");
        };
        if !damage.is_given_up() {
            return Some("repairing");
        }
        let forgot = |id| id == self.me || damage.forgotten.contains(&id);
        match self.configurations.latest().1.is_quorum(|id| !forgot(id)) {
            true => Some("damaged"),
            false => Some("damaged for good"),
        }
    }
}
