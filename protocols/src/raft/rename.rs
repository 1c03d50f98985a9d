//! Raft with its replicas called by other names.
//!
//! Replicas differ in nothing but their names, so a world and the same world with two of them
//! exchanged have the same future. A checker that knows this looks at one of them only.

use quorate_core::NodeId;

use super::leader::Leader;
use super::role::Role;
use super::{Message, Raft, Record, Voters};

impl Raft {
    /// This replica as it would be if every replica had the name that `name` gives it. `name` must
    /// exchange the members among themselves.
    #[must_use]
    pub fn renamed(&self, name: impl Fn(NodeId) -> NodeId) -> Raft {
        let mut raft = self.clone();
        raft.config.members = self.config.members.iter().map(|&id| name(id)).collect();
        raft.config.members.sort_unstable();
        raft.voters = Voters::new(&raft.config.members);
        raft.me = name(self.me);
        raft.vote = self.vote.map(&name);
        raft.leader = self.leader.map(&name);
        raft.told.1 = self.told.1.map(&name);
        match &mut raft.role {
            Role::PreCandidate { granted } | Role::Candidate { granted, .. } => {
                *granted = granted.iter().map(|&id| name(id)).collect();
            }
            Role::Leader(leader) => *leader = leader.renamed(&name),
            Role::Damaged(damage) => *damage = damage.renamed(&name),
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
            transfer: self.transfer.map(&name),
        }
    }
}

impl Message {
    /// The message as it would read under these names. Sender and receiver are not part of it.
    #[must_use]
    pub fn renamed(&self, _: impl Fn(NodeId) -> NodeId) -> Message {
        // No message names a replica: whom it is about, sender and receiver say.
        self.clone()
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
            Record::Append { .. }
            | Record::Base(_)
            | Record::Reset(_)
            | Record::Rejoining { .. }
            | Record::Rejoined => self.clone(),
        }
    }
}
