//! Clients under a simulated clock.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::{Instant, NodeId};
use quorate_problems::replicated::{CallId, Operation};

use super::timed::{Timed, UNIT};

/// How clients behave.
#[derive(Clone, Debug)]
pub(super) struct Crowd {
    /// Where each client asks first.
    pub(super) homes: Vec<NodeId>,
    /// Where to turn if there is no answer, in this order.
    pub(super) others: Vec<NodeId>,
    /// How many message delays pass between two operations of a client, at least and at most.
    pub(super) pace: (f64, f64),
    /// Whether a client asks at its times although it still waits.
    pub(super) impatient: bool,
    /// How many of ten operations are reads.
    pub(super) reads: u32,
    /// Whether updates write their number, or add one.
    pub(super) writes: bool,
    /// Clients that only read: those from this place on.
    pub(super) readers_from: usize,
}

/// A pace at which there is always something under way.
pub(super) const OFTEN: (f64, f64) = (2.0, 6.0);
/// A pace that even locks can follow.
pub(super) const SELDOM: (f64, f64) = (20.0, 70.0);

/// After how many delays without an answer a client turns to another process.
const PATIENCE: u32 = 5;

struct Client {
    /// Whom it asks: whoever it turned to last.
    home: NodeId,
    next: Instant,
    /// What it waits for, and when to ask again.
    open: BTreeMap<CallId, (Operation, Instant)>,
}

impl Crowd {
    /// Lets the clients ask until then, and waits for nobody.
    pub(super) fn ask_until(&self, timed: &mut Timed, from: Instant, until: Instant) {
        let spread = |timed: &mut Timed| {
            let (least, most) = self.pace;
            let share = f64::from(timed.choice.choose(1000)) / 1000.0;
            UNIT.mul_f64(least + (most - least) * share)
        };
        let mut clients: Vec<Client> = Vec::new();
        for &home in &self.homes {
            let next = from + spread(timed);
            let open = BTreeMap::new();
            clients.push(Client { home, next, open });
        }
        let mut serial = u32::try_from(timed.calls.len()).unwrap_or(u32::MAX);
        loop {
            let waits = |client: &Client| {
                let again = client.open.values().map(|(_, at)| *at);
                let idle = self.impatient || client.open.is_empty();
                again.chain(idle.then_some(client.next)).min()
            };
            let next = clients.iter().filter_map(waits).min();
            // Answers may let a client go on sooner.
            let step = timed.now() + UNIT / 4;
            let next = next.map_or(step, |next| next.min(step).max(timed.now()));
            timed.run_until(next);
            for id in std::mem::take(&mut timed.answers) {
                for client in &mut clients {
                    if client.open.remove(&id).is_some() && !self.impatient {
                        client.next = timed.now() + spread(timed);
                    }
                }
            }
            if timed.now() >= until {
                return;
            }
            for (number, client) in clients.iter_mut().enumerate() {
                self.ask_again(timed, client);
                if client.next > timed.now() || !(self.impatient || client.open.is_empty()) {
                    continue;
                }
                serial += 1;
                let id = CallId {
                    at: NodeId(90 + number as u64),
                    number: serial,
                };
                let operation = self.operation(timed, number, serial);
                let again = timed.now() + UNIT * PATIENCE;
                client.open.insert(id, (operation, again));
                client.next = timed.now() + spread(timed);
                timed.ask(client.home, id, operation);
            }
        }
    }

    fn operation(&self, timed: &mut Timed, number: usize, serial: u32) -> Operation {
        if number >= self.readers_from || timed.choice.choose(10) < self.reads {
            return Operation::Read;
        }
        match self.writes {
            true => Operation::Write(i64::from(serial)),
            false => Operation::Add(1),
        }
    }

    fn ask_again(&self, timed: &mut Timed, client: &mut Client) {
        let now = timed.now();
        let mut due = Vec::new();
        for (id, (operation, again)) in &mut client.open {
            if *again <= now {
                *again = now + UNIT * PATIENCE;
                due.push((*id, *operation));
            }
        }
        if !due.is_empty() {
            let here = self.others.iter().position(|other| *other == client.home);
            let next = here.map_or(0, |here| here + 1) % self.others.len().max(1);
            client.home = self.others.get(next).copied().unwrap_or(client.home);
        }
        for (id, operation) in due {
            timed.ask(client.home, id, operation);
        }
    }
}

/// The middle one.
pub(super) fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}
