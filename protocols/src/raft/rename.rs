//! Raft with its replicas called by other names.
//!
//! Replicas differ in nothing but their names, so a world and the same world with two of them
//! exchanged have the same future. A checker that knows this looks at one of them only.

use quorate_core::NodeId;

use super::leader::Leader;
use super::role::Role;
use super::{Message, Raft, Record};

impl Raft {
    /// This replica as it would be if every replica had the name that `name` gives it. `name` must
    /// exchange the members among themselves.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> Raft {
        let name = &name;
        let mut raft = self.clone();
        raft.config.members = self.config.members.iter().map(|&id| name(id)).collect();
        raft.config.members.sort_unstable();
        raft.configurations = self.configurations.renamed(&name);
        raft.log = self.log.renamed(&name);
        raft.me = name(self.me);
        raft.vote = self.vote.map(&name);
        raft.leader = self.leader.map(&name);
        raft.told.1 = self.told.1.map(&name);
        raft.sealed.1 = self.sealed.1.map(&name);
        raft.rejoining = self.rejoining.map(|rejoining| rejoining.renamed(name));
        match &mut raft.role {
            Role::PreCandidate { granted } | Role::Candidate { granted, .. } => {
                *granted = granted.iter().map(|&id| name(id)).collect();
            }
            Role::Leader(leader) => *leader = leader.renamed(name),
            Role::Damaged(damage) => *damage = damage.renamed(name),
            Role::Follower => {}
        }
        raft
    }
}

impl Leader {
    fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> Leader {
        let peers = self.peers.iter();
        Leader {
            peers: peers.map(|(&id, peer)| (name(id), peer.clone())).collect(),
            reads: self.reads.renamed(&name),
            round: self.round,
            leases: self.leases,
            transfer: self.transfer.map(&name),
            wanted: self.wanted.as_ref().map(|wanted| wanted.renamed(&name)),
            lately: self.lately,
        }
    }
}

impl Message {
    /// The message as it would read under these names. Sender and receiver are not part of it.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> Message {
        // Whom a message is about, sender and receiver say; only members are named.
        let mut message = self.clone();
        match &mut message {
            Message::Append { entries, .. } => *entries = entries.renamed(&name),
            Message::Beginning { members, .. } => *members = members.renamed(&name),
            Message::Filling {
                members, entries, ..
            } => {
                *members = members.as_ref().map(|members| members.renamed(&name));
                *entries = entries.renamed(&name);
            }
            Message::Snapshot { members, .. } => {
                for (_, configuration) in members {
                    *configuration = configuration.renamed(&name);
                }
            }
            Message::PreVote { .. }
            | Message::PreGranted { .. }
            | Message::RequestVote { .. }
            | Message::Granted { .. }
            | Message::Outdated { .. }
            | Message::Appended { .. }
            | Message::Rejected { .. }
            | Message::Leading { .. }
            | Message::Heard { .. }
            | Message::Committed { .. }
            | Message::TimeoutNow { .. }
            | Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::ReadReady { .. }
            | Message::Recovering { .. }
            | Message::Forgotten { .. }
            | Message::Rejoining { .. }
            | Message::Restored { .. }
            | Message::Lacking { .. }
            | Message::Copied { .. }
            | Message::Begun => {}
        }
        message
    }
}

impl Record {
    /// The record as it would read under these names.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> Record {
        match self {
            Record::Vote { term, vote } => Record::Vote {
                term: *term,
                vote: vote.map(name),
            },
            Record::Promised {
                term,
                vote,
                rejoining,
                behind,
            } => Record::Promised {
                term: *term,
                vote: vote.map(name),
                rejoining: *rejoining,
                behind: *behind,
            },
            Record::Append { index, entry } => Record::Append {
                index: *index,
                entry: entry.renamed(&name),
            },
            Record::Base { position, members } => Record::Base {
                position: *position,
                members: members.renamed(&name),
            },
            Record::Reset { position, members } => Record::Reset {
                position: *position,
                members: members.renamed(&name),
            },
            Record::Rejoining | Record::Rejoined => self.clone(),
        }
    }
}
