//! Keepers: clients who hold leases, and clients who compact what was superseded. What they do is no
//! part of the history of keys and values, and is judged by itself.

use bytes::Bytes;
use quorate_core::{Choice, Protocol};
use quorate_problems::total_order::TotalOrder;
use quorate_service::command::{Command, Put};
use quorate_service::error::Error;
use quorate_service::reply::{Applied, Reply};

use super::judge::Outcome;
use super::machine::Pending;
use super::network::draw;
use super::plan::Settings;
use super::session;
use super::world::{Event, MS, World};

/// How often a keeper looks whether it was answered.
const LOOK: u64 = 5 * MS;

/// How many keys are attached to a lease.
const KEYS: u32 = 2;

pub(super) struct Keeper {
    number: u64,
    /// How often it compacts, if that is what it does.
    compact_ms: Option<u64>,
    machine: usize,
    choice: Choice,
    open: Option<Open>,
    /// Names of leases are used once.
    grants: i64,
    held: Option<Held>,
    /// A compaction that was acknowledged.
    compacted: Option<i64>,
}

/// What a keeper waits for.
struct Open {
    chore: Chore,
    asked: u64,
    /// Which of the machine's processes was asked.
    life: u32,
    pending: Pending,
}

#[derive(Clone, Debug)]
enum Chore {
    Grant { id: i64, ttl: i64 },
    Attach { id: i64, key: Bytes },
    Renew { id: i64 },
    Compact { revision: i64 },
    ReadOld { revision: i64 },
}

/// The lease that a keeper has.
struct Held {
    id: i64,
    ttl: i64,
    keys: u32,
    renewals: u32,
}

impl Keeper {
    /// All keepers of a run.
    pub(super) fn all(settings: &Settings) -> Vec<Keeper> {
        let compactors = u64::from(settings.compact_ms > 0);
        let keeper = |number: u64| Keeper {
            number,
            compact_ms: (number >= settings.leases).then_some(settings.compact_ms),
            machine: (number % settings.members) as usize,
            choice: Choice::Seeded(settings.seed ^ ((0x1ea5e + number) << 24)),
            open: None,
            grants: 0,
            held: None,
            compacted: None,
        };
        (0..settings.leases + compactors).map(keeper).collect()
    }

    /// What a holder of leases does next, if anything.
    fn think(&mut self) -> Option<Chore> {
        let Some(held) = &mut self.held else {
            self.grants += 1;
            let id = self.number.cast_signed() * 1_000_000 + self.grants;
            let ttl = i64::from(1 + self.choice.choose(2));
            return Some(Chore::Grant { id, ttl });
        };
        let id = held.id;
        if held.keys < KEYS {
            held.keys += 1;
            let key = Bytes::from(format!("lease{id}-{}", held.keys));
            return Some(Chore::Attach { id, key });
        }
        held.renewals = held.renewals.checked_sub(1)?;
        Some(Chore::Renew { id })
    }

    /// How long it waits until it does something again.
    fn pause(&mut self) -> u64 {
        let usual = match (self.compact_ms, &self.held) {
            _ if self.open.is_some() => return LOOK,
            (Some(ms), _) => ms * MS,
            (None, Some(held)) if held.keys == KEYS => held.ttl.unsigned_abs() * 300 * MS,
            _ => 20 * MS,
        };
        draw(&mut self.choice, usual)
    }
}

impl<P: Protocol<Problem = TotalOrder>> World<P> {
    /// A keeper's turn.
    pub(super) fn keep(&mut self, number: usize) -> Outcome {
        if self.quiet {
            // What is asked but not answered may still happen; nothing new is asked.
            self.keepers[number].open = None;
            return Ok(());
        }
        let patience = self.settings.patience_ms * MS;
        let now = self.now().0;
        let members = self.machines.len();
        let keeper = &mut self.keepers[number];
        match keeper.open.take() {
            None => self.begin(number)?,
            Some(mut open) => match poll(&mut open.pending) {
                Some(answer) => self.learn(number, &open, answer)?,
                None if open.asked + patience < now => {
                    keeper.machine = (keeper.machine + 1) % members;
                }
                None => keeper.open = Some(open),
            },
        }
        let pause = self.keepers[number].pause();
        self.agenda.plan_in(pause, Event::Keeper(number));
        Ok(())
    }

    fn begin(&mut self, number: usize) -> Outcome {
        let at = self.keepers[number].machine;
        let Some(process) = self.machines[at].process.as_ref() else {
            self.keepers[number].machine = (at + 1) % self.machines.len();
            return Ok(());
        };
        if self.machines[at].paused {
            return Ok(());
        }
        let keeper = &mut self.keepers[number];
        let chore = match (keeper.compact_ms, keeper.compacted.take()) {
            (None, _) => {
                let ended = |held: &Held| self.judge.leases.has_ended(held.id);
                keeper.held.take_if(|held| ended(held));
                keeper.think()
            }
            (Some(_), Some(revision)) => Some(Chore::ReadOld { revision }),
            (Some(_), None) => {
                let view = process.service.view();
                let back = i64::from(keeper.choice.choose(30));
                let compacted = self.judge.may_compact(&view, view.revision() - back);
                compacted.map(|revision| Chore::Compact { revision })
            }
        };
        let Some(chore) = chore else { return Ok(()) };
        let pending = match self.command(&chore) {
            Some(command) => self.machines[at].process.as_ref().map(|process| {
                let writing = process.service.begin_write(&command);
                writing.map(Pending::Write)
            }),
            None => self.machines[at].process.as_ref().map(|process| {
                let reading = process.service.begin_read();
                reading.map(Pending::Read)
            }),
        };
        if let Some(Ok(pending)) = pending {
            let (asked, life) = (self.now().0, self.machines[at].life);
            self.keepers[number].open = Some(Open {
                chore,
                asked,
                life,
                pending,
            });
            self.nudge(at);
        }
        Ok(())
    }

    /// A chore in the service's words, unless it only reads.
    fn command(&mut self, chore: &Chore) -> Option<Command> {
        Some(match chore {
            Chore::Grant { id, ttl } => Command::LeaseGrant { id: *id, ttl: *ttl },
            Chore::Renew { id } => Command::LeaseKeepAlive { id: *id },
            Chore::Compact { revision } => Command::Compact {
                revision: *revision,
            },
            Chore::Attach { id, key } => Command::Put(Put {
                key: key.clone(),
                value: session::value_text(self.fresh_value(), self.settings.value_bytes),
                lease: *id,
                ..Put::default()
            }),
            Chore::ReadOld { .. } => return None,
        })
    }

    fn learn(
        &mut self,
        number: usize,
        open: &Open,
        answer: Result<Option<Applied>, Error>,
    ) -> Outcome {
        let now = self.now().0;
        let members = self.machines.len();
        let keeper = &mut self.keepers[number];
        let leases = &mut self.judge.leases;
        let reply = match answer {
            Ok(applied) => applied.map(|applied| applied.reply),
            Err(
                Error::NoLeader
                | Error::TooManyRequests
                | Error::TooLarge
                | Error::Timeout
                | Error::Stopped,
            ) => {
                keeper.machine = (keeper.machine + 1) % members;
                return Ok(());
            }
            Err(Error::NoSpace)
                if matches!(open.chore, Chore::Grant { .. } | Chore::Attach { .. }) =>
            {
                keeper.machine = (keeper.machine + 1) % members;
                return Ok(());
            }
            Err(error) => {
                return match (&open.chore, error) {
                    (Chore::Attach { id, .. }, Error::LeaseNotFound) => leases.ended(*id, now),
                    (Chore::Compact { revision }, Error::Compacted { compacted })
                        if compacted >= *revision =>
                    {
                        Ok(())
                    }
                    (chore, error) => Err(format!("{chore:?} was refused: {error}")),
                };
            }
        };
        match (&open.chore, reply) {
            (Chore::Grant { id, ttl }, Some(Reply::LeaseGrant { .. })) => {
                self.summary.leases += 1;
                leases.granted(*id, *ttl, open.asked);
                keeper.held = Some(Held {
                    id: *id,
                    ttl: *ttl,
                    keys: 0,
                    renewals: keeper.choice.choose(6),
                });
                Ok(())
            }
            (Chore::Attach { id, key }, Some(Reply::Put(_))) => {
                leases.attached(*id, key.clone());
                Ok(())
            }
            (Chore::Renew { id }, Some(Reply::LeaseKeepAlive { ttl: 0 })) => {
                // It is as good as gone, but it is still to end.
                leases.ended(*id, now)
            }
            (Chore::Renew { id }, Some(Reply::LeaseKeepAlive { .. })) => {
                leases.renewed(*id, open.asked)
            }
            (Chore::Compact { revision }, Some(Reply::Compact)) => {
                self.summary.compactions += 1;
                keeper.compacted = Some(*revision);
                Ok(())
            }
            (Chore::ReadOld { revision }, None) => {
                let machine = &self.machines[keeper.machine];
                match &machine.process {
                    // A later process may not have caught up yet.
                    Some(_) if machine.life != open.life => Ok(()),
                    Some(process) => self.judge.on_compacted(&process.service.view(), *revision),
                    None => Ok(()),
                }
            }
            (chore, reply) => Err(format!("{chore:?} was answered by {reply:?}")),
        }
    }
}

/// The answer, if it is there: to a read only that it may be done now.
fn poll(pending: &mut Pending) -> Option<Result<Option<Applied>, Error>> {
    match pending {
        Pending::Write(writing) => writing.answered().map(|answer| answer.map(Some)),
        Pending::Read(reading) => reading.answered().map(|answer| answer.map(|()| None)),
    }
}
