//! What can happen in a world, and what comes of it.

use quorate_problems::Workload;

use super::local::{Given, Stimulus};
use super::state::{Above, Answer, Machine, Running, State, Told};
use super::{Checkable, World};
use crate::fingerprint::{combine, fingerprint};

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
    /// A timer runs out, and from now on nothing is hurt any more.
    FirePatiently {
        /// Whose.
        machine: usize,
        /// Which.
        timer: T,
        /// The budget of patience that it runs out on.
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
        let is_patient = state.spent.is_patient();
        let mut add = |event| {
            let hurts = match event {
                Event::Deliver { .. }
                | Event::Sync { .. }
                | Event::FirePatiently { .. }
                | Event::Restart { .. } => false,
                Event::Lose { .. }
                | Event::Duplicate { .. }
                | Event::Fire { .. }
                | Event::Request { .. }
                | Event::Crash { .. } => true,
            };
            if !(is_patient && hurts) {
                actions.push(Action {
                    event,
                    answers: Vec::new(),
                });
            }
        };
        for (mail, &number) in state.mail.iter().enumerate() {
            let letter = self.letter(number);
            let before = &state.mail[..mail];
            // Of mail that reads the same, one is as good as the other.
            let overtakes = before.contains(&number)
                || Self::KEEPS_ORDER && self.before_on_link(before, letter) > 0;
            if overtakes {
                continue;
            }
            if self.is_ready(self.machine(state.machines[letter.to])) {
                add(Event::Deliver { mail });
            }
            if state.spent.losses < self.limits.losses {
                add(Event::Lose { mail });
            }
            if state.spent.duplicates < self.limits.duplicates {
                add(Event::Duplicate { mail });
            }
        }
        for (at, &machine) in state.machines.iter().enumerate() {
            self.possible_at(state, at, self.machine(machine), &mut add);
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
        for running in &machine.timers {
            let (machine, timer) = (at, running.timer);
            if self.has_budget(state, running) {
                let budget = running.budget;
                add(Event::Fire {
                    machine,
                    timer,
                    budget,
                });
            }
            if let Some(budget) = self.patience_for(state, running) {
                add(Event::FirePatiently {
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

    /// Whether a timer may still run out.
    fn has_budget(&self, state: &State<P>, running: &Running<P::Timer>) -> bool {
        let fires_max = match running.budget {
            0 => self.limits.fires,
            own => self.limits.fires_of[usize::from(own) - 1].1,
        };
        state.spent.fires[usize::from(running.budget)] < fires_max
    }

    /// The budget of patience on which a timer may still run out.
    fn patience_for(&self, state: &State<P>, running: &Running<P::Timer>) -> Option<u8> {
        let class = usize::from(running.patience?);
        let left = state.spent.patience[class] < self.limits.patience[class].1;
        left.then_some(class as u8)
    }

    /// Whether a timer runs that only limits keep from running out.
    pub(super) fn leaves_out_a_timer(&self, state: &State<P>) -> bool {
        let machines = state.machines.iter().map(|&number| self.machine(number));
        let mut timers = machines.flat_map(|machine| &machine.timers);
        timers.any(|running| {
            let may = !state.spent.is_patient() && self.has_budget(state, running);
            !may && self.patience_for(state, running).is_none()
        })
    }

    /// Whether a machine is up and free to do something.
    fn is_ready(&self, machine: &Machine<P>) -> bool {
        let busy = self.limits.prompt_disks && machine.disk.pending() > 0;
        machine.node.is_some() && !busy
    }

    /// Lets it happen, and says how many ways there were at each choice. Other ways in which they could
    /// fall are added to `others`.
    pub(super) fn happen(
        &self,
        state: &mut State<P>,
        event: &Event<P::Timer>,
        answers: &[u32],
        others: &mut Vec<Action<P::Timer>>,
    ) -> &[u32] {
        let asked = match *event {
            Event::Deliver { mail } => self.deliver(state, mail, answers),
            Event::Lose { mail } => {
                state.spent.losses += 1;
                let lost = state.mail.remove(mail);
                state.subtract(&self.letter(lost).prints);
                return &[];
            }
            Event::Duplicate { mail } => {
                state.spent.duplicates += 1;
                let number = state.mail[mail];
                state.mail.push(number);
                state.add(&self.letter(number).prints);
                return &[];
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
            Event::FirePatiently {
                machine,
                timer,
                budget,
            } => {
                state.spent.patience[usize::from(budget)] += 1;
                self.act(state, machine, &Stimulus::Fire(timer), answers)
            }
            Event::Request { machine } => self.request(state, machine, answers),
            Event::Crash { machine, keep } => {
                state.spent.crashes += 1;
                self.act(state, machine, &Stimulus::Crash { keep }, answers)
            }
            Event::Restart { machine } => {
                let told = self.tell(state, (1, machine as u64), |above| {
                    let (oracle, app) = (&mut above.oracle, &mut above.apps[machine]);
                    Ok(Answer {
                        checkpoint: P::Problem::on_open(oracle, app, self.members[machine]),
                        ..Answer::default()
                    })
                });
                let checkpoint = told.answer.checkpoint;
                self.act(state, machine, &Stimulus::Restart { checkpoint }, answers)
            }
        };
        if state.violated.is_some() {
            state.sums = self.sums(state);
        }
        branch(event, answers, asked, others);
        asked
    }

    fn deliver(&self, state: &mut State<P>, mail: usize, answers: &[u32]) -> &[u32] {
        let letter = self.letter(state.mail.remove(mail));
        state.subtract(&letter.prints);
        if let Some(checkpoint) = letter.attached {
            let about = combine(letter.to as u64, fingerprint(&checkpoint));
            self.tell(state, (2, about), |above| {
                P::Problem::stage(&mut above.apps[letter.to], checkpoint);
                Ok(Answer::default())
            });
        }
        self.act(state, letter.to, &Stimulus::Deliver(letter), answers)
    }

    fn request(&self, state: &mut State<P>, machine: usize, answers: &[u32]) -> &[u32] {
        let number = state.spent.requests;
        state.spent.requests += 1;
        let about = combine(machine as u64, number.into());
        let told = self.tell(state, (3, about), |above| {
            let words = self.limits.requests[usize::from(number)].split_whitespace();
            let words: Vec<&str> = words.collect();
            let (oracle, app) = (&mut above.oracle, &mut above.apps[machine]);
            let parsed = P::Problem::parse(app, &words).expect("requests were tried before");
            let request = parsed.expect("requests were tried before");
            P::Problem::on_request(oracle, app, self.members[machine], &request);
            Ok(Answer {
                request: Some(request),
                ..Answer::default()
            })
        });
        let request = told.answer.request.clone().expect("it was just parsed");
        self.act(state, machine, &Stimulus::Request(request), answers)
    }

    /// Lets something happen to one machine, and carries out what it asks for.
    fn act(
        &self,
        state: &mut State<P>,
        at: usize,
        stimulus: &Stimulus<'_, P>,
        answers: &[u32],
    ) -> &[u32] {
        let newest = P::Problem::newest(&self.known.aboves.get(state.above).apps[at]);
        let given = Given {
            at,
            newest,
            answers,
        };
        let machine = self.machine(state.machines[at]);
        let (number, outcome) = self.local(machine, stimulus, given);
        state.exchange(&machine.prints, &self.machine(outcome.machine).prints);
        state.machines[at] = outcome.machine;
        for &letter in &outcome.letters {
            state.mail.push(letter);
            state.add(&self.letter(letter).prints);
        }
        if let Some(failure) = &outcome.failure {
            state.violate(failure.clone());
        }
        if !outcome.outputs.is_empty() {
            self.tell(state, (4, number.into()), |above| {
                let (oracle, app) = (&mut above.oracle, &mut above.apps[at]);
                let mut outputs = outcome.outputs.iter();
                outputs.try_for_each(|output| {
                    P::Problem::on_output(oracle, app, self.members[at], output)
                })?;
                Ok(Answer::default())
            });
        }
        if !matches!(stimulus, Stimulus::Crash { .. }) {
            self.judge(state);
        }
        &outcome.asked
    }

    /// Tells those above the replicas something, unless it is known what comes of it. The two numbers
    /// stand for what they are told.
    fn tell(
        &self,
        state: &mut State<P>,
        what: (u64, u64),
        tell: impl FnOnce(&mut Above<P>) -> Result<Answer<P>, String>,
    ) -> &Told<P> {
        let before = self.known.aboves.get(state.above);
        let key = combine(before.prints[0], combine(what.0, what.1));
        let told = self.known.told.number(key, || {
            let mut above = Above {
                oracle: before.oracle.clone(),
                apps: before.apps.clone(),
                prints: Vec::new(),
            };
            let answer = tell(&mut above);
            let failure = answer.as_ref().err().map(|reason| reason.as_str().into());
            Told {
                above: self.number_of_above(self.printed_above(above)),
                failure,
                answer: answer.unwrap_or_default(),
            }
        });
        let told = self.known.told.get(told);
        if let Some(failure) = &told.failure {
            state.violate(failure.clone());
        }
        state.exchange(&before.prints, &self.known.aboves.get(told.above).prints);
        state.above = told.above;
        told
    }

    /// Asks who watches all replicas together, unless it is known what they would say.
    fn judge(&self, state: &mut State<P>) {
        let before = self.known.judged.get(state.judged);
        let machines = state.machines.iter().map(|&number| self.machine(number));
        let up = machines.filter(|machine| machine.node.is_some());
        let key = up.fold(before.prints[0], |key, machine| {
            combine(key, machine.prints[0])
        });
        let (judged, failure) = self.known.judgements.recall(key, || {
            let replicas: Vec<&P> = self.replicas(state).collect();
            let mut judge = before.judge.copy();
            let verdict = judge.observe(&replicas);
            let failure = verdict.err().map(|reason| self.number_of_failure(&reason));
            let judged = self.number_of_judged(self.printed_judge(judge));
            (judged, failure)
        });
        if judged != state.judged {
            state.exchange(&before.prints, &self.known.judged.get(judged).prints);
            state.judged = judged;
        }
        if let Some(failure) = failure {
            state.violate(self.known.failures.get(failure).clone());
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
