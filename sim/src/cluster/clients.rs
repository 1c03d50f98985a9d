//! Clients in the world: how what they ask gets to a machine, and the answer back.

use quorate_core::{Instant, Protocol};
use quorate_problems::total_order::TotalOrder;
use quorate_service::Service;
use quorate_service::error::Error;

use super::judge::Outcome;
use super::machine::{Pending, Waiting};
use super::network::draw;
use super::session;
use super::world::{Event, MS, Step, World};

/// How long clients wait once nothing goes wrong any more.
pub(super) const PATIENCE_MS: u64 = 20_000;

impl<P: Protocol<Problem = TotalOrder>> World<P> {
    /// Tells clients what has been answered.
    pub(super) fn answer(&mut self, at: usize) -> Outcome {
        let here = self.machines[at].clock.here(self.agenda.now());
        let process = self.machines[at].process.as_mut().expect("it runs");
        let mut place = 0;
        while place < process.waiting.len() {
            let waiting = &mut process.waiting[place];
            let action = self.judge.action(waiting.operation);
            let step = match poll(&process.service, waiting, action, here)? {
                None => {
                    place += 1;
                    continue;
                }
                Some(step) => step,
            };
            let client = waiting.client;
            process.waiting.swap_remove(place);
            let delay = draw(
                &mut self.clients[client].choice,
                self.settings.delay_us * 1000,
            );
            self.agenda.plan_in(delay, Event::Client(client, step));
        }
        Ok(())
    }

    pub(super) fn client(&mut self, number: usize, mut step: Step) -> Outcome {
        let now = self.now();
        let members = self.machines.len();
        if let Step::NoRoom(operation) = step {
            let action = self.judge.action(operation);
            if let Some(command) = session::command(action, self.settings.value_bytes) {
                self.on_no_room(self.clients[number].machine, &command)?;
            }
            step = Step::Refused(operation);
        }
        match step {
            Step::Think if self.quiet => return Ok(()),
            Step::Think => {
                let value = self.fresh_value();
                let action = self.clients[number].invent(&self.settings, value);
                self.ask(number, action);
                return Ok(());
            }
            Step::Ask(operation) => return self.arrive(number, operation),
            _ => {}
        }
        let client = &mut self.clients[number];
        let operation = match &step {
            Step::Answered(operation, _)
            | Step::Refused(operation)
            | Step::Lost(operation)
            | Step::GiveUp(operation) => *operation,
            Step::Think | Step::Ask(_) | Step::NoRoom(_) => return Ok(()),
        };
        if client.open != Some(operation) {
            return Ok(()); // It has given up, or been answered, before.
        }
        client.open = None;
        client.row = match &step {
            Step::Answered(..) => 0,
            _ if self.quiet => client.row,
            _ => client.row + 1,
        };
        self.summary.row = self.summary.row.max(client.row);
        let mut pause = self.settings.think_us * 1000;
        match step {
            Step::Answered(_, answer) => {
                self.summary.answered += 1;
                client.learn(self.judge.action(operation), &answer.0);
                let clocks = self.machines.iter().map(|machine| machine.clock.here(now));
                self.judge.told.on_answer(answer.1, clocks);
                self.judge.on_answer(operation, now.0, answer);
            }
            Step::Refused(_) => {
                self.summary.refused += 1;
                client.machine = (client.machine + 1) % members;
                self.judge.on_refusal(operation);
                pause += 10 * MS;
            }
            _ => {
                // Nobody may ask under its old name as long as that operation may still happen.
                self.summary.lost += 1;
                self.last_process += 1;
                client.process = self.last_process;
                let machine = client.machine;
                client.machine = (client.machine + 1) % members;
                self.abandon(machine, number, operation);
            }
        }
        let think = draw(&mut self.clients[number].choice, pause);
        self.agenda
            .plan_in(think, Event::Client(number, Step::Think));
        Ok(())
    }

    /// A value that was never written before.
    pub(super) fn fresh_value(&mut self) -> session::Value {
        self.last_value += 1;
        self.last_value
    }

    /// A client asks. Answers the number of the operation.
    pub(super) fn ask(&mut self, number: usize, action: session::Action) -> usize {
        let now = self.now();
        let client = &mut self.clients[number];
        let operation = self.judge.on_call(client.process, now.0, action);
        client.open = Some(operation);
        self.summary.operations += 1;
        let delay = draw(&mut client.choice, self.settings.delay_us * 1000);
        self.agenda
            .plan_in(delay, Event::Client(number, Step::Ask(operation)));
        // Who probes a healed cluster must not give up before it has worked off what came before.
        let patience = match self.quiet {
            true => PATIENCE_MS.max(self.settings.patience_ms) * MS,
            false => self.settings.patience_ms * MS,
        };
        self.agenda
            .plan_in(patience, Event::Client(number, Step::GiveUp(operation)));
        operation
    }

    /// A question arrives at a machine.
    fn arrive(&mut self, number: usize, operation: usize) -> Outcome {
        let client = &mut self.clients[number];
        let at = client.machine;
        if client.open != Some(operation) {
            return Ok(());
        }
        if self.machines[at].paused {
            return self.hold(at, Event::Client(number, Step::Ask(operation)));
        }
        let delay = self.settings.delay_us * 1000;
        let begun = self.machines[at].clock.here(self.agenda.now());
        let command = session::command(self.judge.action(operation), self.settings.value_bytes);
        let process = self.machines[at].process.as_mut();
        let pending = process.map(|process| match &command {
            Some(command) => process.service.begin_write(command).map(Pending::Write),
            None => process.service.begin_read().map(Pending::Read),
        });
        let step = match pending {
            Some(Ok(pending)) => {
                if let Some(command) = &command {
                    self.on_admitted(at, command)?;
                }
                let process = self.machines[at].process.as_mut().expect("it runs");
                process.waiting.push(Waiting {
                    client: number,
                    operation,
                    begun,
                    pending,
                });
                self.nudge(at);
                return Ok(());
            }
            Some(Err(Error::NoSpace)) => Step::NoRoom(operation),
            Some(Err(_)) | None => Step::Refused(operation),
        };
        self.agenda.plan_in(delay, Event::Client(number, step));
        Ok(())
    }

    /// A client waits no longer.
    fn abandon(&mut self, at: usize, client: usize, operation: usize) {
        let Some(process) = &mut self.machines[at].process else {
            return;
        };
        let found = process
            .waiting
            .iter()
            .position(|waiting| waiting.client == client && waiting.operation == operation);
        if let Some(place) = found {
            process.waiting.swap_remove(place);
        }
    }
}

/// Whether an answer is there, and which.
fn poll(
    service: &Service,
    waiting: &mut Waiting,
    action: &session::Action,
    here: Instant,
) -> Result<Option<Step>, String> {
    let operation = waiting.operation;
    let answered = match &mut waiting.pending {
        Pending::Write(writing) => match writing.answered() {
            None => return Ok(None),
            Some(Ok(applied)) => Ok(session::understand(action, applied)?),
            Some(Err(error)) => Err(error),
        },
        Pending::Read(reading) => match (reading.answered(), action) {
            (None, _) => return Ok(None),
            (Some(Ok(())), session::Action::Get(key)) => {
                service.on_confirmed(waiting.begun, here);
                session::look_up(*key, &service.view())?.ok_or(Error::Stopped)
            }
            (Some(Ok(())), other) => return Err(format!("{other:?} is no read")),
            (Some(Err(error)), _) => Err(error),
        },
    };
    Ok(Some(match answered {
        Ok(answer) => Step::Answered(operation, answer),
        Err(Error::NoLeader | Error::TooManyRequests | Error::TooLarge) => Step::Refused(operation),
        Err(Error::NoSpace) => Step::NoRoom(operation),
        Err(Error::Timeout | Error::Stopped) => Step::Lost(operation),
        Err(error) => return Err(format!("{action:?} was refused: {error}")),
    }))
}
