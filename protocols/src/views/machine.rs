//! The view service as a state machine: a view, and who may lead the next one.
//!
//! It is pure and deterministic, so it can be one process, or be replicated like any other.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use quorate_core::{Malformed, NodeId, Reader, Wire, wire};

use super::Number;

/// A view: who replicates, and who is first among them.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct View {
    /// Its number. View 0 is before the first one.
    pub number: Number,
    /// Its members. The first is the primary, or the head of the chain.
    pub members: Vec<NodeId>,
}

impl View {
    /// The primary, or the head.
    #[must_use]
    pub fn first(&self) -> Option<NodeId> {
        self.members.first().copied()
    }

    /// The tail of the chain.
    #[must_use]
    pub fn last(&self) -> Option<NodeId> {
        self.members.last().copied()
    }

    /// Whether a server is a member.
    #[must_use]
    pub fn contains(&self, server: NodeId) -> bool {
        self.members.contains(&server)
    }
}

/// The state of the view service.
///
/// A view is *active* once its first member has acknowledged it, which it does when every member has all
/// that it has; only then may it acknowledge updates. So whatever was acknowledged is at every member of
/// the view that was active last: the *holders*. The first member of the next view is one of them. A view
/// that was never active has acknowledged nothing, and may be left for another.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Views {
    view: View,
    active: bool,
    /// The members of the view that was active last, without those that lost their records since.
    holders: Vec<NodeId>,
    /// Who lost records since the view began, and will not hold what it acknowledges.
    absent: BTreeSet<NodeId>,
    /// The latest incarnation in which each server found that it had lost its records.
    lost: BTreeMap<NodeId, u64>,
}

/// What the view service is asked to do.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Command {
    /// Leave this view for one of these members.
    Change {
        /// The view to leave: otherwise nothing happens.
        from: Number,
        /// The next one's members.
        members: Vec<NodeId>,
    },
    /// The first member of this view has brought all others up to date.
    Acknowledge {
        /// The view's number.
        number: Number,
    },
    /// A server has lost records that it had acknowledged.
    Lost {
        /// The server.
        server: NodeId,
        /// Its incarnation, which found that out.
        incarnation: u64,
    },
}

impl Views {
    /// No view yet. All servers are equally empty, so any of them may be first.
    #[must_use]
    pub fn new(servers: &[NodeId]) -> Views {
        Views {
            view: View::default(),
            active: false,
            holders: servers.to_vec(),
            absent: BTreeSet::new(),
            lost: BTreeMap::new(),
        }
    }

    /// The present view.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Whether its first member has acknowledged it.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// Who may be first in the next view.
    #[must_use]
    pub fn holders(&self) -> &[NodeId] {
        &self.holders
    }

    /// Whether a server lost its records since the view began.
    #[must_use]
    pub fn is_absent(&self, server: NodeId) -> bool {
        self.absent.contains(&server)
    }

    /// The latest incarnation in which a server found that it had lost its records, or 0.
    #[must_use]
    pub fn lost(&self, server: NodeId) -> u64 {
        self.lost.get(&server).copied().unwrap_or(0)
    }

    /// Whether a change is allowed.
    #[must_use]
    pub fn admits(&self, from: Number, members: &[NodeId]) -> bool {
        let first = members.first();
        from == self.view.number && first.is_some_and(|first| self.holders.contains(first))
    }

    /// Carries out a command. Answers whether it changed anything: what is late, or was sent twice, does
    /// not. `trusting` lets the first member of a view be anybody.
    pub fn apply(&mut self, command: &Command, trusting: bool) -> bool {
        match command {
            Command::Change { from, members } => {
                let admitted =
                    self.admits(*from, members) || (trusting && *from == self.view.number);
                if admitted && !members.is_empty() {
                    self.view = View {
                        number: from.next(),
                        members: members.clone(),
                    };
                    self.active = false;
                    self.absent.clear();
                }
                admitted
            }
            Command::Acknowledge { number } => {
                let news = *number == self.view.number && !self.active;
                if news {
                    self.active = true;
                    let members = self.view.members.iter().copied();
                    self.holders = members.filter(|id| !self.absent.contains(id)).collect();
                }
                news
            }
            Command::Lost {
                server,
                incarnation,
            } => {
                let news = self.lost(*server) < *incarnation;
                if news {
                    self.lost.insert(*server, *incarnation);
                    self.absent.insert(*server);
                    self.holders.retain(|holder| holder != server);
                }
                news
            }
        }
    }
}

impl fmt::Debug for View {
    /// `3[n2, n1]`: view 3, of which n2 is the first member.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{:?}", self.number, self.members)
    }
}

impl fmt::Debug for Views {
    /// `view 3[n2, n1], active, held by [n2, n1]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let active = if self.active { ", active" } else { "" };
        write!(
            f,
            "view {:?}{active}, held by {:?}",
            self.view, self.holders
        )?;
        if !self.absent.is_empty() {
            write!(f, ", without {:?}", self.absent)?;
        }
        if !self.lost.is_empty() {
            write!(f, ", records lost by {:?}", self.lost)?;
        }
        Ok(())
    }
}

wire!(struct View { number, members });

impl Wire for Views {
    fn encode(&self, out: &mut Vec<u8>) {
        self.view.encode(out);
        self.active.encode(out);
        self.holders.encode(out);
        let absent: Vec<NodeId> = self.absent.iter().copied().collect();
        absent.encode(out);
        let lost: Vec<(NodeId, u64)> = self.lost.iter().map(|(&id, &at)| (id, at)).collect();
        lost.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Views, Malformed> {
        Ok(Views {
            view: Wire::decode(input)?,
            active: Wire::decode(input)?,
            holders: Wire::decode(input)?,
            absent: Vec::<NodeId>::decode(input)?.into_iter().collect(),
            lost: Vec::<(NodeId, u64)>::decode(input)?.into_iter().collect(),
        })
    }
}

wire!(enum Command, "the tag of a command to the view service" {
    1 => Change { from, members };
    2 => Acknowledge { number };
    3 => Lost { server, incarnation };
});
