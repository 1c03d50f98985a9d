//! Who takes part: the operator who changes the list of members, and the machines that follow.
//!
//! An operator asks for one change at a time and repeats it until it is answered, which does no harm: a
//! name is added once and never comes back. A machine that is added starts with an empty disk and a command
//! line that names the voters of that moment, as `quorate serve --initial-cluster-state existing` does.

use std::collections::VecDeque;

use quorate_core::{NodeId, Protocol};
use quorate_problems::total_order::{Membership, TotalOrder};
use quorate_service::Writing;
use quorate_service::command::{Command, Member, Rules};
use quorate_service::error::Error;

use super::clients::PATIENCE_MS;
use super::judge::Outcome;
use super::world::{Event, MS, World};

/// How often an operator looks whether it was answered.
const LOOK: u64 = 5 * MS;

/// What an operator wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Add { node: NodeId, learner: bool },
    Promote { node: NodeId },
    Remove { node: NodeId },
}

/// Whoever changes the list of members.
#[derive(Default)]
pub(super) struct Operator {
    wanted: VecDeque<Change>,
    /// What was asked for, and may have been done.
    open: Option<Change>,
    /// The question under way, and when it was asked.
    asked: Option<(Writing, u64)>,
    machine: usize,
    /// Whether its next turn is planned.
    awake: bool,
}

/// How the list of members speaks of a machine.
pub(super) fn member(node: NodeId, is_learner: bool) -> Member {
    Member {
        id: node.0,
        name: node.to_string(),
        peer_urls: vec![format!("http://{node}")],
        client_urls: vec![],
        is_learner,
    }
}

impl Change {
    /// What a list becomes.
    fn applied(self, list: &Membership) -> Membership {
        let mut next = list.clone();
        let without = |ids: &mut Vec<NodeId>, node| ids.retain(|id| *id != node);
        match self {
            Change::Add { node, learner } => match learner {
                true => next.learners.push(node),
                false => next.voters.push(node),
            },
            Change::Promote { node } => {
                without(&mut next.learners, node);
                next.voters.push(node);
            }
            Change::Remove { node } => {
                without(&mut next.learners, node);
                without(&mut next.voters, node);
            }
        }
        next
    }

    /// Whether a list is one that this change can be made to, and has not been.
    fn suits(self, list: &Membership) -> bool {
        match self {
            Change::Add { node, .. } => !list.contains(node),
            Change::Promote { node } => list.learners.contains(&node),
            Change::Remove { node } => list.contains(node),
        }
    }

    fn command(self) -> Command {
        // The operator of this world sees to it that enough voters stay.
        let rules = Rules {
            strict: false,
            learners_max: u32::MAX,
        };
        match self {
            Change::Add { node, learner } => Command::MemberAdd {
                member: member(node, learner),
                rules,
            },
            Change::Promote { node } => Command::MemberPromote { id: node.0, rules },
            Change::Remove { node } => Command::MemberRemove { id: node.0, rules },
        }
    }
}

impl<P: Protocol<Problem = TotalOrder>> World<P> {
    /// The operator is told to change something.
    pub(super) fn want(&mut self, change: Change) {
        self.operator.wanted.push_back(change);
        if !std::mem::replace(&mut self.operator.awake, true) {
            self.agenda.plan_in(0, Event::Operator);
        }
    }

    /// The operator's turn.
    pub(super) fn operate(&mut self) -> Outcome {
        let now = self.now().0;
        // What piled up before must be worked off first, and asking again adds to it.
        let patience = match self.quiet {
            true => PATIENCE_MS.max(self.settings.patience_ms) * MS,
            false => self.settings.patience_ms * MS,
        };
        match self.operator.asked.take() {
            None => self.ask_for_change(),
            Some((mut writing, asked)) => match writing.answered() {
                Some(answer) => self.on_change(answer.map(|_| ()))?,
                None if asked + patience < now => self.ask_elsewhere(),
                None => self.operator.asked = Some((writing, asked)),
            },
        }
        let operator = &mut self.operator;
        operator.awake = operator.open.is_some() || !operator.wanted.is_empty();
        if operator.awake {
            self.agenda.plan_in(LOOK, Event::Operator);
        }
        Ok(())
    }

    fn ask_elsewhere(&mut self) {
        self.operator.machine = (self.operator.machine + 1) % self.machines.len();
    }

    fn ask_for_change(&mut self) {
        let operator = &mut self.operator;
        let change = match operator.open {
            Some(change) => change,
            None => match operator.wanted.pop_front() {
                Some(change) if self.may_change(change) => change,
                _ => return,
            },
        };
        let operator = &mut self.operator;
        operator.open = Some(change);
        let at = operator.machine;
        let machine = &self.machines[at];
        let process = machine.process.as_ref().filter(|_| !machine.paused);
        let writing = process.map(|process| process.service.begin_write(&change.command()));
        match writing {
            Some(Ok(writing)) => {
                self.operator.asked = Some((writing, self.agenda.now().0));
                self.nudge(at);
            }
            _ => self.ask_elsewhere(),
        }
    }

    /// The operator is answered.
    fn on_change(&mut self, answer: Result<(), Error>) -> Outcome {
        let Some(change) = self.operator.open else {
            return Ok(());
        };
        match (change, answer) {
            (_, Ok(()))
            // An earlier question had been heard.
            | (Change::Add { .. }, Err(Error::MemberExists))
            | (Change::Promote { .. }, Err(Error::NotLearner))
            | (Change::Remove { .. }, Err(Error::MemberNotFound)) => {}
            (
                _,
                Err(Error::NoLeader | Error::TooManyRequests | Error::Timeout | Error::Stopped),
            ) => {
                self.ask_elsewhere();
                return Ok(());
            }
            // It is asked again for as long as that may change.
            (Change::Promote { node }, Err(Error::LearnerNotReady)) => {
                if self.quiet || self.machines[self.place(node)].lost {
                    self.operator.open = None;
                }
                return Ok(());
            }
            (change, Err(error)) => return Err(format!("{change:?} was refused: {error}")),
        }
        self.operator.open = None;
        self.summary.changes += 1;
        match change {
            Change::Add { node, .. } => self.join(node),
            Change::Promote { .. } | Change::Remove { .. } => Ok(()),
        }
    }

    /// A machine that was added starts.
    fn join(&mut self, node: NodeId) -> Outcome {
        let at = self.place(node);
        let voters = self.judge.newest_list().voters.into_iter();
        let machine = &mut self.machines[at];
        machine.named = Some(voters.filter(|id| *id != node).collect());
        self.start(at)
    }

    /// A replica says who takes part.
    pub(super) fn on_members(&mut self, at: usize, members: &Membership) {
        let stays = self.settings.stay > 0;
        let machine = &mut self.machines[at];
        let belongs = members.contains(machine.id);
        let removed = machine.belonged && !belongs;
        machine.belonged = belongs;
        if removed && !stays {
            self.agenda.plan_in(0, Event::Retire(at, machine.life));
        }
    }

    /// Where a node's machine is.
    pub(super) fn place(&self, node: NodeId) -> usize {
        node.0 as usize - 1
    }

    /// The lists of members of which each must be able to decide: what is in force, and what comes after it.
    pub(super) fn lists(&self) -> Vec<Membership> {
        let mut lists = self.judge.lists_in_force();
        if let (Some(change), Some(newest)) = (self.operator.open, lists.last()) {
            lists.push(change.applied(newest));
        }
        lists
    }

    /// Whether each list can decide, sooner or later, without these machines.
    pub(super) fn can_do_without(&self, lists: &[Membership], without: &[usize]) -> bool {
        let works = |id: &&NodeId| {
            let at = self.place(**id);
            let machine = &self.machines[at];
            !machine.lost && machine.broken.is_none() && !without.contains(&at)
        };
        let decides = |list: &Membership| {
            let working = list.voters.iter().filter(works).count();
            working * 2 > list.voters.len()
        };
        lists.iter().all(decides)
    }

    /// Whether a change makes sense, and leaves a cluster that can decide.
    fn may_change(&self, change: Change) -> bool {
        let newest = self.judge.newest_list();
        let fresh = match change {
            Change::Add { node, .. } => {
                let machine = &self.machines[self.place(node)];
                !machine.lost && machine.named.is_none()
            }
            Change::Promote { .. } | Change::Remove { .. } => true,
        };
        let next = change.applied(&newest);
        self.judge.says_members()
            && fresh
            && change.suits(&newest)
            && self.can_do_without(&[next], &[])
    }

    /// A machine is gone for good, with its disk.
    pub(super) fn lose(&mut self, at: usize) {
        let lists = self.lists();
        if self.judge.says_members() && self.can_do_without(&lists, &[at]) {
            self.crash(at);
            self.machines[at].lost = true;
        }
    }

    /// The operator has gone home; what it asked for last may still happen.
    pub(super) fn want_nothing_more(&mut self) {
        self.operator.wanted.clear();
    }

    /// Whether what was asked for last is known to be done.
    pub(super) fn has_changed(&self) -> bool {
        self.operator.open.is_none()
    }
}
