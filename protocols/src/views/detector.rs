//! Who is dead, and which view should come next: what the service decides from the pings it hears.
//!
//! This is guesswork, and only progress depends on it. Whoever was taken for dead and was not is given more
//! time from then on, as in Chandra and Toueg's detectors for partial synchrony (1996): otherwise a link
//! that is now and then slower than the timeout would let views follow one another without end. It is not replicated: whoever answers for the
//! service hears the pings, counts ticks, and proposes; [`Views::apply`] refuses what is not safe.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use quorate_core::NodeId;

use super::config::{Careless, Config};
use super::message::{Report, Standing};
use super::{Command, Number, View, Views};

/// What was heard of each server.
#[derive(Clone, Hash, Debug)]
pub(super) struct Detector {
    servers: BTreeMap<NodeId, Heard>,
    /// For how many ticks nobody is taken for dead.
    patience: u32,
}

/// How many times as long a server is waited for at most, however often it was taken for dead wrongly.
const PATIENCE_FACTOR_MAX: u32 = 8;

#[derive(Clone, Default, Hash, Debug)]
struct Heard {
    /// How many ticks ago.
    age: u32,
    /// The last ping, if there was one.
    report: Option<Report>,
    /// For how many ticks more than others it is waited for.
    grace: u32,
}

impl Detector {
    /// Nothing was heard yet, but everybody gets a chance; less of it who is `suspected`.
    pub(super) fn new<S>(config: &Config<S>, suspected: Option<NodeId>) -> Detector {
        let heard = |&id: &NodeId| {
            let age = match suspected == Some(id) {
                true => config.patience.saturating_sub(2),
                false => 0,
            };
            let heard = Heard {
                age,
                ..Heard::default()
            };
            (id, heard)
        };
        Detector {
            servers: config.servers.iter().map(heard).collect(),
            patience: config.patience,
        }
    }

    pub(super) fn tick(&mut self) {
        for heard in self.servers.values_mut() {
            heard.age = heard.age.saturating_add(1);
        }
    }

    pub(super) fn on_ping(&mut self, from: NodeId, report: Report) {
        let Some(heard) = self.servers.get_mut(&from) else {
            return;
        };
        let known = heard.report.as_ref();
        let late = known.is_some_and(|known| known.incarnation > report.incarnation);
        if !late {
            let lived = known.is_some_and(|known| known.incarnation == report.incarnation);
            if lived && heard.age > self.patience.saturating_add(heard.grace) {
                let grace_max = self.patience.saturating_mul(PATIENCE_FACTOR_MAX - 1);
                heard.grace = heard.grace.saturating_add(self.patience).min(grace_max);
            }
            heard.age = 0;
            heard.report = Some(report);
        }
    }

    /// What the service should do now, if anything.
    pub(super) fn decide<S>(&self, views: &Views, config: &Config<S>) -> Option<Command> {
        let decision = Decision {
            detector: self,
            views,
            view: views.view(),
            config,
        };
        decision
            .lost()
            .or_else(|| decision.acknowledged())
            .or_else(|| decision.change())
    }

    fn report(&self, id: NodeId) -> Option<&Report> {
        self.servers.get(&id)?.report.as_ref()
    }
}

/// One look at everything.
struct Decision<'a, S> {
    detector: &'a Detector,
    views: &'a Views,
    view: &'a View,
    config: &'a Config<S>,
}

impl<S> Decision<'_, S> {
    fn is_dead(&self, id: NodeId) -> bool {
        let heard = self.detector.servers.get(&id);
        let patience = self.detector.patience;
        heard.is_none_or(|heard| heard.age > patience.saturating_add(heard.grace))
    }

    /// Whether a server lost its records and the service does not know yet.
    fn is_unknown_loss(&self, id: NodeId) -> bool {
        let report = self.detector.report(id);
        report.is_some_and(|report| {
            report.standing == Standing::Lost && self.views.lost(id) < report.incarnation
        })
    }

    /// Whether a server pinged lately and can do what a member must.
    fn is_usable(&self, id: NodeId) -> bool {
        self.detector.report(id).is_some() && !self.is_dead(id) && !self.is_unknown_loss(id)
    }

    /// What the first member says of this very view.
    fn first_report(&self) -> Option<&Report> {
        let report = self.detector.report(self.view.first()?)?;
        (report.view == self.view.number).then_some(report)
    }

    /// What the members say of this very view who are there.
    fn reports(&self) -> impl Iterator<Item = &Report> {
        let there = self.view.members.iter().filter(|&&id| !self.is_dead(id));
        let reports = there.filter_map(|&id| self.detector.report(id));
        reports.filter(|report| report.view == self.view.number)
    }

    /// Whether a server can lead the next view.
    fn may_lead(&self, id: NodeId) -> bool {
        let holds = match self.config.careless {
            Some(Careless::Hasty) if !self.views.is_active() && self.view.number > Number(0) => {
                self.view.contains(id)
            }
            _ => self.views.holders().contains(&id),
        };
        holds && self.is_usable(id)
    }

    fn lost(&self) -> Option<Command> {
        if self.config.careless == Some(Careless::Forgetful) {
            return None;
        }
        let mut servers = self.config.servers.iter().copied();
        let server = servers.find(|&id| self.is_unknown_loss(id))?;
        let incarnation = self.detector.report(server)?.incarnation;
        Some(Command::Lost {
            server,
            incarnation,
        })
    }

    fn acknowledged(&self) -> Option<Command> {
        let number = self.view.number;
        let news = !self.views.is_active() && number > Number(0);
        let report = self.first_report().filter(|_| news)?;
        (report.acknowledged == number).then_some(Command::Acknowledge { number })
    }

    fn change(&self) -> Option<Command> {
        let members = match self.view.number {
            Number(0) => self.beginning(),
            _ => self.repaired().or_else(|| self.improved()),
        };
        let members = members.filter(|members| members.len() >= self.config.members_min.max(1))?;
        Some(Command::Change {
            from: self.view.number,
            members,
        })
    }

    /// The first view has everybody, unless somebody stays away too long.
    fn beginning(&self) -> Option<Vec<NodeId>> {
        let servers = &self.config.servers;
        let waits = |&id: &NodeId| !self.is_usable(id) && !self.is_dead(id);
        if servers.iter().any(waits) {
            return None;
        }
        let there = servers.iter().copied().filter(|&id| self.is_usable(id));
        let mut members: Vec<NodeId> = there.collect();
        let lead = members.iter().position(|&id| self.may_lead(id))?;
        let lead = members.remove(lead);
        members.insert(0, lead);
        Some(members)
    }

    /// The members of the next view if this one does not work.
    fn repaired(&self) -> Option<Vec<NodeId>> {
        let first = self.view.first()?;
        let report = self.first_report();
        let restarted = report.is_some_and(|report| report.standing == Standing::Restarted);
        let present = |id: NodeId| {
            !self.is_dead(id) && !self.views.is_absent(id) && !self.is_unknown_loss(id)
        };
        let missing = |id: &NodeId| self.reports().any(|report| report.missing.contains(id));
        let members = self.view.members.iter().copied();
        let there: Vec<NodeId> = members.filter(|&id| present(id)).collect();
        let stays = there.contains(&first) && !restarted;
        let kept: Vec<NodeId> = there.iter().copied().filter(|id| !missing(id)).collect();
        if stays && kept.len() == self.view.members.len() {
            return None; // It works.
        }
        // As a rule the first member remains what it is, and those who are gone make room.
        if stays && self.may_lead(first) {
            let spares = |&id: &NodeId| self.is_usable(id) && !missing(&id);
            let next = self.filled(kept, spares);
            if next.len() >= self.config.members_min {
                return Some(next);
            }
        }
        // Otherwise somebody else leads who has everything. Who was stopped for a moment is a good backup,
        // but leads again only if nobody else can.
        let others = there.iter().copied().filter(|&id| id != first);
        let mut order: Vec<NodeId> = others.collect();
        if restarted && there.contains(&first) {
            order.push(first);
        }
        let holders = self.views.holders().iter().copied();
        let candidates = order.iter().copied().chain(holders);
        let mut able = candidates.filter(|&id| self.may_lead(id));
        let lead = able.find(|&id| id != first || restarted || !stays);
        let lead = lead.or_else(|| self.anybody())?;
        order.retain(|&id| id != lead);
        order.insert(0, lead);
        Some(self.filled(order, |&id| self.is_usable(id)))
    }

    /// The members of the next view if this one works, but another would be better.
    fn improved(&self) -> Option<Vec<NodeId>> {
        let report = self.first_report().filter(|_| self.views.is_active())?;
        let mut next = self.view.members.clone();
        for &id in self.reports().flat_map(|report| &report.ready) {
            if self.is_usable(id) && !next.contains(&id) {
                next.push(id);
            }
        }
        if let Some(successor) = report.successor
            && let Some(at) = next.iter().position(|&id| id == successor)
            && self.may_lead(successor)
        {
            next.remove(at);
            next.insert(0, successor);
        }
        (next != self.view.members).then_some(next)
    }

    /// The members and, if they are too few, others.
    fn filled(&self, mut members: Vec<NodeId>, fit: impl Fn(&NodeId) -> bool) -> Vec<NodeId> {
        for id in self.config.servers.iter().filter(|id| fit(id)) {
            if members.len() < self.config.members_min && !members.contains(id) {
                members.push(*id);
            }
        }
        members
    }

    /// Somebody who is there, for a service that does not care what they have.
    fn anybody(&self) -> Option<NodeId> {
        let careless = self.config.careless == Some(Careless::StartsOver);
        let mut servers = self.config.servers.iter().copied();
        servers.find(|&id| careless && self.is_usable(id))
    }
}
