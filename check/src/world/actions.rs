//! What can happen in a world, and what comes of it.

use std::sync::Arc;

use quorate_problems::Workload;

use super::local::{Given, Stimulus};
use super::state::{Above, Machine, State};
use super::{Checkable, World};

/// One thing that happens, and how choices in it fall.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Action<T> {
    /// What happens.
    pub event: Event<T>,
    /// How choices fall; the first way wherever there is no answer.
    pub answers: Vec<u32>,
}

/// One thing that happens. Machines and mail are named by their places in the state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event<T> {
    /// Mail arrives.
    Deliver {
        /// Which.
        mail: usize,
    },
    /// Mail is lost.
    Lose {
        /// Which.
        mail: usize,
    },
    /// Mail will arrive twice.
    Duplicate {
        /// Which.
        mail: usize,
    },
    /// A disk finishes one frame.
    Sync {
        /// Whose.
        machine: usize,
    },
    /// A timer runs out.
    Fire {
        /// Whose.
        machine: usize,
        /// Which.
        timer: T,
        /// The budget that it runs out on.
        budget: u8,
    },
    /// The next request is made.
    Request {
        /// At which machine.
        machine: usize,
    },
    /// A machine stops.
    Crash {
        /// Which.
        machine: usize,
        /// How many of its frames that were not durable survive.
        keep: usize,
    },
    /// A machine starts again.
    Restart {
        /// Which.
        machine: usize,
    },
}

impl<P: Checkable> World<P> {
    /// Everything that can happen.
    pub(super) fn possible(&self, state: &State<P>, actions: &mut Vec<Action<P::Timer>>) {
        if state.violated.is_some() {
            return;
        }
        let mut add = |event| {
            actions.push(Action {
                event,
                answers: Vec::new(),
            });
        };
        for (mail, letter) in state.mail.iter().enumerate() {
            let mut before = state.mail[..mail].iter();
            let overtakes = |other: &Arc<super::state::Letter>| {
                // Of mail that reads the same, one is as good as the other.
                other.prints[0] == letter.prints[0]
                    || !P::MODEL.links.reorder && (other.from, other.to) == (letter.from, letter.to)
            };
            if before.any(overtakes) {
                continue;
            }
            if self.is_ready(&state.machines[letter.to]) {
                add(Event::Deliver { mail });
            }
            if state.spent.losses < self.limits.losses {
                add(Event::Lose { mail });
            }
            if state.spent.duplicates < self.limits.duplicates {
                add(Event::Duplicate { mail });
            }
        }
        for (at, machine) in state.machines.iter().enumerate() {
            self.possible_at(state, at, machine, &mut add);
        }
    }

    fn possible_at(
        &self,
        state: &State<P>,
        at: usize,
        machine: &Machine<P>,
        add: &mut impl FnMut(Event<P::Timer>),
    ) {
        if machine.node.is_none() {
            add(Event::Restart { machine: at });
            return;
        }
        let pending = machine.disk.pending();
        if pending > 0 {
            add(Event::Sync { machine: at });
        }
        if state.spent.crashes < self.limits.crashes {
            for keep in 0..=pending {
                add(Event::Crash { machine: at, keep });
            }
        }
        if !self.is_ready(machine) {
            return;
        }
        for &(timer, budget) in &machine.timers {
            let budgets = &self.limits.fires_of;
            let fires_max = match budget {
                0 => self.limits.fires,
                own => budgets[usize::from(own) - 1].1,
            };
            if state.spent.fires[usize::from(budget)] < fires_max {
                let machine = at;
                add(Event::Fire {
                    machine,
                    timer,
                    budget,
                });
            }
        }
        if usize::from(state.spent.requests) < self.limits.requests.len() {
            add(Event::Request { machine: at });
        }
    }

    /// Whether a machine is up and free to do something.
    fn is_ready(&self, machine: &Machine<P>) -> bool {
        let busy = self.limits.prompt_disks && machine.disk.pending() > 0;
        machine.node.is_some() && !busy
    }

    /// Lets it happen. Other ways in which choices could fall are added to `others`.
    pub(super) fn happen(
        &self,
        state: &mut State<P>,
        event: &Event<P::Timer>,
        answers: &[u32],
        others: &mut Vec<Action<P::Timer>>,
    ) {
        let asked = match *event {
            Event::Deliver { mail } => {
                let letter = state.mail.remove(mail);
                if let Some(checkpoint) = letter.attached {
                    self.change_above(state, |above| {
                        P::Problem::stage(&mut above.apps[letter.to], checkpoint);
                        Ok(())
                    });
                }
                self.act(state, letter.to, &Stimulus::Deliver(&letter), answers)
            }
            Event::Lose { mail } => {
                state.spent.losses += 1;
                state.mail.remove(mail);
                return;
            }
            Event::Duplicate { mail } => {
                state.spent.duplicates += 1;
                state.mail.push(state.mail[mail].clone());
                return;
            }
            Event::Sync { machine } => self.act(state, machine, &Stimulus::Sync, answers),
            Event::Fire {
                machine,
                timer,
                budget,
            } => {
                state.spent.fires[usize::from(budget)] += 1;
                self.act(state, machine, &Stimulus::Fire(timer), answers)
            }
            Event::Request { machine } => self.request(state, machine, answers),
            Event::Crash { machine, keep } => {
                state.spent.crashes += 1;
                self.act(state, machine, &Stimulus::Crash { keep }, answers)
            }
            Event::Restart { machine } => {
                let mut checkpoint = Default::default();
                self.change_above(state, |above| {
                    let (oracle, app) = (&mut above.oracle, &mut above.apps[machine]);
                    checkpoint = P::Problem::on_open(oracle, app, self.members[machine]);
                    Ok(())
                });
                self.act(state, machine, &Stimulus::Restart { checkpoint }, answers)
            }
        };
        branch(event, answers, &asked, others);
    }

    fn request(&self, state: &mut State<P>, machine: usize, answers: &[u32]) -> Vec<u32> {
        let text = &self.limits.requests[usize::from(state.spent.requests)];
        state.spent.requests += 1;
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut request = None;
        self.change_above(state, |above| {
            let (oracle, app) = (&mut above.oracle, &mut above.apps[machine]);
            let parsed = P::Problem::parse(app, &words).expect("requests were tried before");
            let parsed = request.insert(parsed.expect("requests were tried before"));
            P::Problem::on_request(oracle, app, self.members[machine], parsed);
            Ok(())
        });
        let request = request.expect("it was just parsed");
        self.act(state, machine, &Stimulus::Request(request), answers)
    }

    /// Lets something happen to one machine, and carries out what it asks for.
    fn act(
        &self,
        state: &mut State<P>,
        at: usize,
        stimulus: &Stimulus<'_, P>,
        answers: &[u32],
    ) -> Vec<u32> {
        let newest = P::Problem::newest(&state.above.apps[at]);
        let given = Given {
            at,
            newest,
            answers,
        };
        let outcome = self.local(&state.machines[at], stimulus, given);
        state.machines[at] = outcome.machine.clone();
        state.mail.extend(outcome.letters.iter().cloned());
        if let Some(failure) = &outcome.failure {
            state.violate(failure.clone());
        }
        if !outcome.outputs.is_empty() {
            self.change_above(state, |above| {
                let (oracle, app) = (&mut above.oracle, &mut above.apps[at]);
                let mut outputs = outcome.outputs.iter();
                outputs.try_for_each(|output| {
                    P::Problem::on_output(oracle, app, self.members[at], output)
                })
            });
        }
        if !matches!(stimulus, Stimulus::Crash { .. }) {
            self.judge(state);
        }
        outcome.asked.clone()
    }

    /// Changes what is above the replicas.
    fn change_above(
        &self,
        state: &mut State<P>,
        change: impl FnOnce(&mut Above<P>) -> Result<(), String>,
    ) {
        let mut above = Above {
            oracle: state.above.oracle.clone(),
            apps: state.above.apps.clone(),
            prints: Vec::new(),
        };
        if let Err(reason) = change(&mut above) {
            state.violate(reason);
        }
        let above = self.printed_above(above);
        if above.prints != state.above.prints {
            state.above = Arc::new(above);
        }
    }

    /// Asks who watches all replicas together.
    fn judge(&self, state: &mut State<P>) {
        let replicas: Vec<&P> = state.replicas().collect();
        let mut judge = state.judged.judge.copy();
        let verdict = judge.observe(&replicas);
        let judged = self.printed_judge(judge);
        if judged.prints != state.judged.prints {
            state.judged = Arc::new(judged);
        }
        if let Err(reason) = verdict {
            state.violate(reason);
        }
    }
}

/// The other ways in which choices could have fallen, given how many ways there were at each.
fn branch<T: Copy>(event: &Event<T>, answers: &[u32], asked: &[u32], others: &mut Vec<Action<T>>) {
    for (at, &ways) in asked.iter().enumerate().skip(answers.len()) {
        for way in 1..ways {
            let mut other = answers.to_vec();
            other.resize(at, 0);
            other.push(way);
            others.push(Action {
                event: *event,
                answers: other,
            });
        }
    }
}
