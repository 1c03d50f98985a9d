//! The view service as a state machine: a view, and who may lead the next one.
//!
//! It is pure and deterministic, so it can be one process, or be replicated like any other.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use quorate_core::{Malformed, NodeId, Reader, Wire, wire};
use quorate_problems::total_order::Membership;

use super::Number;

/// A view: who replicates, and who is first among them.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct View {
    /// Its number. View 0 is before the first one.
    pub number: Number,
    /// Its members, shared by all copies. The first is the primary, or the head of the chain.
    pub members: Arc<[NodeId]>,
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
///
/// Replicas write it down whenever they cut their logs, so copies share what they say.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Views(Arc<State>);

/// What the view service knows.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// How often the state has changed: of two states, the one with more changes is newer.
    changes: u64,
    view: View,
    active: bool,
    /// The members of the view that was active last, without those that lost their records since.
    holders: Vec<NodeId>,
    /// Who lost records since the view began, and will not hold what it acknowledges.
    absent: BTreeSet<NodeId>,
    /// The latest incarnation in which each server found that it had lost its records.
    lost: BTreeMap<NodeId, u64>,
    /// The newest servers that were asked for; nobody before the first view. Voters can be members of
    /// views, learners are spares for ever.
    servers: Membership,
    /// Whether a view has been active that has voters only, and a majority of them: then so are all views
    /// to come.
    settled: bool,
    /// A majority of those who were voters when that was so last.
    least_before: u32,
    /// How many times as long as usual servers are waited for.
    slack: u32,
    /// The last view that was wrong about somebody.
    doubted: Number,
}

/// How many times as long as usual a server is waited for at most.
const SLACK_MAX: u32 = 16;

/// What the view service is asked to do.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Command {
    /// There are these servers, and the first view has these members.
    Begin {
        /// All who keep copies. It is written down, since those who join later have other beliefs.
        servers: Vec<NodeId>,
        /// The first view's members.
        members: Vec<NodeId>,
    },
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
    /// These are to be the servers from now on.
    Servers(Membership),
    /// The service took a server for dead that was not, and made this view because of it.
    Doubted {
        /// The view's number.
        view: Number,
    },
    /// Nothing was late for long, with this slack.
    Calm {
        /// How many times as long as usual servers are waited for.
        slack: u32,
    },
}

impl Views {
    /// No view yet, and nobody has anything.
    #[must_use]
    pub fn new() -> Views {
        Views(Arc::new(State {
            changes: 0,
            view: View::default(),
            active: false,
            holders: Vec::new(),
            absent: BTreeSet::new(),
            lost: BTreeMap::new(),
            servers: Membership::default(),
            settled: false,
            least_before: 0,
            slack: 1,
            doubted: Number(0),
        }))
    }

    /// Carries out a command. Answers whether it changed anything: what is late, or was sent twice, does
    /// not. `trusting` lets the first member of a view be anybody.
    pub fn apply(&mut self, command: &Command, trusting: bool) -> bool {
        Arc::make_mut(&mut self.0).apply(command, trusting)
    }
}

impl Deref for Views {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl State {
    /// How often the state has changed.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
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

    /// The newest servers that were asked for; nobody before the first view.
    #[must_use]
    pub fn servers(&self) -> &Membership {
        &self.servers
    }

    /// Everybody who matters: the servers, and members of views that are no servers any more but are not
    /// left yet. Some are named more than once.
    pub fn there(&self) -> impl Iterator<Item = NodeId> + '_ {
        let members = self.view.members.iter().chain(&self.holders).copied();
        self.servers.iter().chain(members)
    }

    /// Whether the view of the newest servers has been active, so that nothing depends on others.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// How many members views should have: a majority of the voters. While the voters change, as few
    /// as before will do, or nothing could be repaired until those who are to come are there.
    #[must_use]
    pub fn least(&self) -> usize {
        let least = self.majority();
        let least = match self.settled {
            true => least,
            false => least.min(self.least_before),
        };
        least as usize
    }

    /// A majority of the voters.
    #[must_use]
    pub fn majority(&self) -> u32 {
        majority(&self.servers.voters)
    }

    /// How many times as long as usual servers are waited for.
    #[must_use]
    pub fn slack(&self) -> u32 {
        self.slack
    }

    /// The last view that was wrong about somebody.
    #[must_use]
    pub fn doubted(&self) -> Number {
        self.doubted
    }

    /// Whether a change is allowed: the first member has everything that was acknowledged, and whoever
    /// comes in is a voter, or was a member before.
    #[must_use]
    pub fn admits(&self, from: Number, members: &[NodeId]) -> bool {
        let first = members.first();
        let known = |id: &NodeId| {
            let voters = &self.servers.voters;
            voters.contains(id) || self.view.contains(*id) || self.holders.contains(id)
        };
        from == self.view.number
            && from > Number(0)
            && members.iter().all(known)
            && first.is_some_and(|first| self.holders.contains(first))
    }

    fn apply(&mut self, command: &Command, trusting: bool) -> bool {
        let news = match command {
            Command::Begin { servers, members } => self.begin(servers, members),
            Command::Change { from, members } => {
                let trusted = trusting && *from == self.view.number && *from > Number(0);
                let admitted = self.admits(*from, members) || trusted;
                if admitted {
                    self.change(members);
                }
                admitted
            }
            Command::Acknowledge { number } => self.acknowledge(*number),
            Command::Lost {
                server,
                incarnation,
            } => self.lose(*server, *incarnation),
            Command::Servers(servers) => self.follow(servers),
            Command::Doubted { view } => {
                let news = *view > self.doubted && *view <= self.view.number;
                if news {
                    self.doubted = *view;
                    self.slack = (self.slack * 2).min(SLACK_MAX);
                }
                news
            }
            Command::Calm { slack } => {
                let news = *slack == self.slack && *slack > 1;
                if news {
                    self.slack /= 2;
                }
                news
            }
        };
        self.changes += u64::from(news);
        news
    }

    /// All servers are equally empty, so any of them may be first.
    fn begin(&mut self, servers: &[NodeId], members: &[NodeId]) -> bool {
        let news = self.view.number == Number(0) && !members.is_empty() && !servers.is_empty();
        if news {
            self.servers = Membership::new(0, servers.iter().copied(), []);
            self.least_before = self.majority();
            self.holders = servers.to_vec();
            self.change(members);
        }
        news
    }

    fn change(&mut self, members: &[NodeId]) {
        self.view = View {
            number: self.view.number.next(),
            members: members.into(),
        };
        self.active = false;
        self.absent.clear();
    }

    fn acknowledge(&mut self, number: Number) -> bool {
        let news = number == self.view.number && !self.active && number > Number(0);
        if news {
            self.active = true;
            let members = self.view.members.iter().copied();
            self.holders = members.filter(|id| !self.absent.contains(id)).collect();
            self.maybe_settle();
        }
        news
    }

    fn lose(&mut self, server: NodeId, incarnation: u64) -> bool {
        let news = self.lost(server) < incarnation;
        if news {
            self.lost.insert(server, incarnation);
            self.absent.insert(server);
            self.holders.retain(|holder| *holder != server);
        }
        news
    }

    fn follow(&mut self, servers: &Membership) -> bool {
        let begun = self.view.number > Number(0) && !servers.voters.is_empty();
        let news = begun && servers.version > self.servers.version;
        if news {
            if self.settled {
                self.least_before = self.majority();
            }
            self.servers = servers.clone();
            self.settled = false;
            self.maybe_settle();
            let there: BTreeSet<NodeId> = self.there().collect();
            self.lost.retain(|id, _| there.contains(id));
        }
        news
    }

    fn maybe_settle(&mut self) {
        let members = &self.view.members;
        let voters = members.iter().all(|id| self.servers.voters.contains(id));
        let enough = members.len() >= self.majority() as usize;
        self.settled |= self.active && voters && enough;
    }
}

impl Default for Views {
    fn default() -> Views {
        Views::new()
    }
}

fn majority(voters: &[NodeId]) -> u32 {
    u32::try_from(voters.len() / 2 + 1).unwrap_or(u32::MAX)
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
        if self.servers.version > 0 {
            let settled = if self.settled { "" } else { " to be" };
            write!(f, ", servers{settled} {}", self.servers)?;
        }
        if self.slack > 1 {
            write!(f, ", {} times as patient", self.slack)?;
        }
        Ok(())
    }
}

wire!(struct View { number, members });

impl Wire for Views {
    fn encode(&self, out: &mut Vec<u8>) {
        self.changes.encode(out);
        self.view.encode(out);
        self.active.encode(out);
        self.holders.encode(out);
        let absent: Vec<NodeId> = self.absent.iter().copied().collect();
        absent.encode(out);
        let lost: Vec<(NodeId, u64)> = self.lost.iter().map(|(&id, &at)| (id, at)).collect();
        lost.encode(out);
        self.servers.encode(out);
        self.settled.encode(out);
        self.least_before.encode(out);
        self.slack.encode(out);
        self.doubted.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Views, Malformed> {
        Ok(Views(Arc::new(State {
            changes: Wire::decode(input)?,
            view: Wire::decode(input)?,
            active: Wire::decode(input)?,
            holders: Wire::decode(input)?,
            absent: Vec::<NodeId>::decode(input)?.into_iter().collect(),
            lost: Vec::<(NodeId, u64)>::decode(input)?.into_iter().collect(),
            servers: Wire::decode(input)?,
            settled: Wire::decode(input)?,
            least_before: Wire::decode(input)?,
            slack: u32::decode(input)?.clamp(1, SLACK_MAX),
            doubted: Wire::decode(input)?,
        })))
    }
}

wire!(enum Command, "the tag of a command to the view service" {
    1 => Change { from, members };
    2 => Acknowledge { number };
    3 => Lost { server, incarnation };
    4 => Begin { servers, members };
    5 => Servers(servers);
    6 => Doubted { view };
    7 => Calm { slack };
});
