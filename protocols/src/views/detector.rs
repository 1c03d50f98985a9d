//! Who is dead, and which view should come next: what the service decides from the pings it hears.
//!
//! This is guesswork, and only progress depends on it, so it is not replicated: whoever answers for the
//! service hears the pings, counts ticks, and proposes; [`Views::apply`] refuses what is not safe.
//!
//! How long servers are waited for is replicated, since it must outlive whoever answers: when a server finds
//! that it was taken for dead and was not, everybody is given twice the time from then on, as in Chandra
//! and Toueg's detectors for partial synchrony (1996, section 9.1). Otherwise links that are now and then
//! slower than the timeout would let views follow one another without end. When nothing has been late
//! for long, it is half of that again.

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
    /// For how many ticks nobody is taken for dead, without slack.
    patience: u32,
    /// For how many ticks nothing was late.
    calm: u32,
}

/// For how many times the detection time nothing may be late before it is shortened.
const CALM_FACTOR: u32 = 16;

#[derive(Clone, Default, Hash, Debug)]
struct Heard {
    /// How many ticks ago.
    age: u32,
    /// The last ping, if there was one.
    report: Option<Report>,
}

impl Detector {
    /// Nothing was heard yet, but everybody gets a chance; less of it who is `suspected`.
    pub(super) fn new<S>(config: &Config<S>, views: &Views, suspected: Option<NodeId>) -> Detector {
        let mut detector = Detector {
            servers: BTreeMap::new(),
            patience: config.patience,
            calm: 0,
        };
        detector.follow(config, views);
        let suspected = suspected.and_then(|id| detector.servers.get_mut(&id));
        if let Some(heard) = suspected {
            heard.age = config
                .patience
                .saturating_mul(views.slack())
                .saturating_sub(2);
        }
        detector
    }

    /// Listens to the servers that there are now, and gives a chance to those who are new.
    pub(super) fn follow<S>(&mut self, config: &Config<S>, views: &Views) {
        let servers = match views.view().number {
            Number(0) => config.servers.clone(),
            _ => views.there().collect(),
        };
        self.servers.retain(|id, _| servers.contains(id));
        for id in servers {
            self.servers.entry(id).or_default();
        }
    }

    pub(super) fn tick(&mut self, views: &Views) {
        let late = self.patience.saturating_mul(views.slack()) / 4;
        for heard in self.servers.values_mut() {
            heard.age = heard.age.saturating_add(1);
        }
        let mut members = views.view().members.iter();
        let calm = members.all(|id| self.servers.get(id).is_some_and(|one| one.age <= late));
        self.calm = match calm && views.is_active() {
            true => self.calm.saturating_add(1),
            false => 0,
        };
    }

    pub(super) fn on_ping(&mut self, from: NodeId, report: Report) {
        let Some(heard) = self.servers.get_mut(&from) else {
            return;
        };
        let known = heard.report.as_ref();
        let late = known.is_some_and(|known| known.incarnation > report.incarnation);
        if !late {
            heard.age = 0;
            heard.report = Some(report);
        }
    }

    /// Those who have not pinged for some ticks: they may not know where to.
    pub(super) fn silent(&self) -> impl Iterator<Item = NodeId> + '_ {
        let silent = self.servers.iter().filter(|(_, heard)| heard.age > 2);
        silent.map(|(&id, _)| id)
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
            .or_else(|| decision.wanted())
            .or_else(|| decision.doubted())
            .or_else(|| decision.change())
            .or_else(|| decision.calm())
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
    /// For how many ticks nobody is taken for dead.
    fn patience(&self) -> u32 {
        self.detector.patience.saturating_mul(self.views.slack())
    }

    /// How many members the next view has at least.
    fn least(&self) -> usize {
        self.config.members_min.unwrap_or(self.views.least()).max(1)
    }

    fn is_voter(&self, id: NodeId) -> bool {
        self.views.servers().voters.contains(&id)
    }

    fn is_dead(&self, id: NodeId) -> bool {
        let heard = self.detector.servers.get(&id);
        heard.is_none_or(|heard| heard.age > self.patience())
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
        let mut servers = self.detector.servers.keys().copied();
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

    /// Other servers than before, if the layer above wants so.
    fn wanted(&self) -> Option<Command> {
        let reports = self.detector.servers.values();
        let reports = reports.filter_map(|heard| heard.report.as_ref());
        let wanted = reports.filter_map(|report| report.wanted.as_ref());
        let newest = wanted.max_by_key(|wanted| wanted.version)?;
        let news = newest.version > self.views.servers().version && self.view.number > Number(0);
        news.then(|| Command::Servers(newest.clone()))
    }

    /// More time, if somebody was taken for dead wrongly.
    fn doubted(&self) -> Option<Command> {
        let reports = self.detector.servers.values();
        let reports = reports.filter_map(|heard| heard.report.as_ref());
        let view = reports.map(|report| report.doubted).max()?;
        let news = view > self.views.doubted() && view <= self.view.number;
        news.then_some(Command::Doubted { view })
    }

    /// Less time, if nothing was late for long.
    fn calm(&self) -> Option<Command> {
        let slack = self.views.slack();
        let long = self.patience().saturating_mul(CALM_FACTOR);
        (slack > 1 && self.detector.calm >= long).then_some(Command::Calm { slack })
    }

    fn change(&self) -> Option<Command> {
        let number = self.view.number;
        if number == Number(0) {
            let members = self.beginning()?;
            let servers = self.config.servers.clone();
            return Some(Command::Begin { servers, members });
        }
        let members = self.repaired().or_else(|| self.improved())?;
        (members.len() >= self.least()).then_some(Command::Change {
            from: number,
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
        let members: Vec<NodeId> = there.collect();
        let majority = servers.len() / 2 + 1;
        let least = self.config.members_min.unwrap_or(majority).max(1);
        (members.len() >= least).then_some(members)
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
        let stays = present(first) && !restarted;
        if stays && members.clone().all(|id| present(id) && !missing(&id)) {
            return None; // It works.
        }
        let there: Vec<NodeId> = members.filter(|&id| present(id)).collect();
        let kept: Vec<NodeId> = there.iter().copied().filter(|id| !missing(id)).collect();
        // As a rule the first member remains what it is, and those who are gone make room.
        if stays && self.may_lead(first) {
            let spares = |id: NodeId| self.is_usable(id) && !missing(&id);
            let next = self.filled(kept, spares);
            if next.len() >= self.least() {
                return Some(self.settled(next));
            }
        }
        // Otherwise somebody else leads who has everything. Who was stopped for a moment is a good backup,
        // but leads again only if nobody else can, and so does who is about to leave.
        let others = there.iter().copied().filter(|&id| id != first);
        let mut order: Vec<NodeId> = others.collect();
        if restarted && there.contains(&first) {
            order.push(first);
        }
        let holders = self.views.holders().iter().copied();
        let candidates = order.iter().copied().chain(holders);
        let able = candidates.filter(|&id| self.may_lead(id));
        let able: Vec<NodeId> = able
            .filter(|&id| id != first || restarted || !stays)
            .collect();
        let lead = able.iter().find(|&&id| self.is_voter(id)).or(able.first());
        let lead = lead.copied().or_else(|| self.anybody())?;
        order.retain(|&id| id != lead);
        order.insert(0, lead);
        let next = self.filled(order, |id| self.is_usable(id));
        Some(self.settled(next))
    }

    /// Whether a spare that is ready becomes a member.
    fn joins(&self, id: NodeId) -> bool {
        self.is_usable(id) && self.is_voter(id) && !self.view.contains(id)
    }

    /// The members of the next view if this one works, but another would be better.
    fn improved(&self) -> Option<Vec<NodeId>> {
        let report = self.first_report().filter(|_| self.views.is_active())?;
        let ready = self.reports().flat_map(|report| &report.ready).copied();
        let mut joining = ready.filter(|&id| self.joins(id)).peekable();
        let members = self.view.members.iter();
        let stays = joining.peek().is_none() && report.successor.is_none();
        if stays
            && members.copied().all(|id| self.is_voter(id))
            && self.may_lead(self.view.first()?)
        {
            return None; // As almost always, nothing would be better.
        }
        let mut next = self.view.members.to_vec();
        for id in joining {
            if !next.contains(&id) {
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
        let next = self.settled(next);
        (*next != *self.view.members).then_some(next)
    }

    /// The members and, if they are too few, other voters.
    fn filled(&self, mut members: Vec<NodeId>, fit: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        for &id in &self.views.servers().voters {
            if members.len() < self.least() && !members.contains(&id) && fit(id) {
                members.push(id);
            }
        }
        members
    }

    /// The members without those who are voters no more, once the others can go on without them: they
    /// are a majority of the voters, and one of them has everything.
    fn settled(&self, members: Vec<NodeId>) -> Vec<NodeId> {
        let voters = members.iter().copied().filter(|&id| self.is_voter(id));
        let mut staying: Vec<NodeId> = voters.collect();
        let majority = self.views.majority() as usize;
        let enough = staying.len() >= self.config.members_min.unwrap_or(majority).max(1);
        let lead = staying.iter().position(|&id| self.may_lead(id));
        match lead.filter(|_| enough) {
            Some(lead) => {
                staying[..=lead].rotate_right(1);
                staying
            }
            None => members,
        }
    }

    /// Somebody who is there, for a service that does not care what they have.
    fn anybody(&self) -> Option<NodeId> {
        let careless = self.config.careless == Some(Careless::StartsOver);
        let mut servers = self.views.servers().voters.iter().copied();
        servers.find(|&id| careless && self.is_usable(id))
    }
}
