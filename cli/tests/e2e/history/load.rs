//! Clients that write and read all the time, and record what happens.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use etcd_client::{
    Compare, CompareOp, DeleteOptions, Error, GetOptions, GetResponse, Txn, TxnOp, TxnOpResponse,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;

use super::{Action, Answer, Call, State, state};
use crate::harness::client::{self, Client, bounded, revision};
use crate::harness::{PATIENCE, within};

/// What all keys of a load start with.
pub(crate) const PREFIX: &str = "load/";
/// How many keys the clients share; few, so that they get into each other's way.
const KEYS: u32 = 8;
/// How many clients there are.
const CLIENTS: usize = 8;
/// A client takes a breath between two calls, so that histories stay of a size to check.
const BREATH: Duration = Duration::from_millis(2);

/// Clients at work.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<Vec<Call>>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    acknowledged: AtomicUsize,
    /// The last few errors, for when nothing is acknowledged any more.
    errors: Mutex<Vec<String>>,
}

impl Load {
    /// Lets clients loose on these endpoints.
    pub(crate) fn begin(endpoints: &[String]) -> Load {
        Load::begin_as("", endpoints)
    }

    /// The same; `name` tells the values of several loads of one cluster apart.
    pub(crate) fn begin_as(name: &str, endpoints: &[String]) -> Load {
        let shared = Arc::new(Shared::default());
        let clients = (0..CLIENTS)
            .map(|number| {
                let worker = Worker {
                    name: format!("{name}c{number}"),
                    endpoints: endpoints.to_vec(),
                    at: number % endpoints.len(),
                    random: StdRng::seed_from_u64(number as u64),
                    sent: 0,
                    last_seen: State::new(),
                    shared: Arc::clone(&shared),
                };
                tokio::spawn(worker.work())
            })
            .collect();
        Load { shared, clients }
    }

    /// Waits until that many more writes are acknowledged.
    pub(crate) async fn progress(&self, writes: usize) {
        let goal = self.shared.acknowledged.load(Ordering::Relaxed) + writes;
        let reached = within(PATIENCE, async || {
            (self.shared.acknowledged.load(Ordering::Relaxed) >= goal).then_some(())
        });
        if reached.await.is_none() {
            let errors = self.shared.errors.lock().map(|errors| errors.clone());
            panic!(
                "waited {PATIENCE:?} for {writes} more writes in vain; the clients got {errors:#?}"
            );
        }
    }

    /// Ends the work: everything that was done.
    pub(crate) async fn end(self) -> Vec<Call> {
        self.shared.over.store(true, Ordering::Relaxed);
        let mut calls = Vec::new();
        for client in self.clients {
            calls.extend(client.await.expect("a client does not panic"));
        }
        calls
    }
}

struct Worker {
    name: String,
    endpoints: Vec<String>,
    at: usize,
    random: StdRng,
    sent: u64,
    /// What it last saw of each key, so that some swaps succeed.
    last_seen: State,
    shared: Arc<Shared>,
}

impl Worker {
    async fn work(mut self) -> Vec<Call> {
        let mut calls = Vec::new();
        let mut client = client::connect(&self.endpoints[self.at]).await;
        while !self.shared.over.load(Ordering::Relaxed) {
            let action = self.choose();
            let begun = Instant::now();
            let outcome = bounded(perform(&mut client, &action)).await;
            let ended = Instant::now();
            let who = format!("{} at {}", self.name, self.endpoints[self.at]);
            let answer = match outcome {
                Ok(answer) => answer,
                Err(error) => {
                    self.note(&error);
                    self.at = (self.at + 1) % self.endpoints.len();
                    client = client::connect(&self.endpoints[self.at]).await;
                    tokio::time::sleep(BREATH * 10).await;
                    Answer::Unknown
                }
            };
            self.learn(&action, &answer);
            calls.push(Call {
                who,
                begun,
                ended,
                action,
                answer,
            });
            tokio::time::sleep(BREATH).await;
        }
        calls
    }

    fn choose(&mut self) -> Action {
        let key = self.some_key();
        match self.random.random_range(0..100) {
            0..35 => Action::Put {
                keys: vec![key],
                value: self.new_value(),
            },
            35..40 => {
                let mut keys = vec![key, self.some_key()];
                keys.sort();
                keys.dedup();
                Action::Put {
                    keys,
                    value: self.new_value(),
                }
            }
            40..45 => Action::Delete { key },
            45..60 => Action::Swap {
                expected: self.last_seen.get(&key).map_or(0, |row| row.modified),
                key,
                value: self.new_value(),
            },
            60..85 => Action::Read { key: Some(key) },
            85..95 => Action::Read { key: None },
            _ => Action::ReadStale { key: Some(key) },
        }
    }

    fn some_key(&mut self) -> String {
        format!("{PREFIX}{}", self.random.random_range(0..KEYS))
    }

    fn new_value(&mut self) -> String {
        self.sent += 1;
        format!("{}-{}", self.name, self.sent)
    }

    fn learn(&mut self, action: &Action, answer: &Answer) {
        match answer {
            Answer::Changed { .. } => {
                self.shared.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Answer::Saw { rows, .. } => match action {
                Action::Read { key: None } => self.last_seen = rows.clone(),
                _ => self.last_seen.extend(rows.clone()),
            },
            Answer::Unknown => {}
        }
    }

    fn note(&self, error: &Error) {
        let mut errors = self.shared.errors.lock().expect("nobody panics with it");
        if errors.len() >= CLIENTS {
            errors.remove(0);
        }
        errors.push(format!("{}: {error}", self.endpoints[self.at]));
    }
}

/// Does it, through the third party's client.
pub(crate) async fn perform(client: &mut Client, action: &Action) -> Result<Answer, Error> {
    match action {
        Action::Put { keys, value } if keys.len() == 1 => {
            let done = client.put(keys[0].as_str(), value.as_str(), None).await?;
            Ok(Answer::Changed {
                revision: revision(done.header()),
            })
        }
        Action::Put { keys, value } => {
            let puts: Vec<TxnOp> = keys
                .iter()
                .map(|key| TxnOp::put(key.as_str(), value.as_str(), None))
                .collect();
            let done = client.txn(Txn::new().and_then(puts)).await?;
            Ok(Answer::Changed {
                revision: revision(done.header()),
            })
        }
        Action::Delete { key } => {
            let done = client.delete(key.as_str(), None::<DeleteOptions>).await?;
            let revision = revision(done.header());
            match done.deleted() {
                0 => Ok(Answer::Saw {
                    revision,
                    rows: State::new(),
                }),
                _ => Ok(Answer::Changed { revision }),
            }
        }
        Action::Swap {
            key,
            expected,
            value,
        } => swap(client, key, *expected, value).await,
        Action::Read { key } => read(client, key.as_deref(), GetOptions::new()).await,
        Action::ReadStale { key } => {
            read(
                client,
                key.as_deref(),
                GetOptions::new().with_serializable(),
            )
            .await
        }
    }
}

async fn swap(client: &mut Client, key: &str, expected: i64, value: &str) -> Result<Answer, Error> {
    let txn = Txn::new()
        .when([Compare::mod_revision(key, CompareOp::Equal, expected)])
        .and_then([TxnOp::put(key, value, None)])
        .or_else([TxnOp::get(key, None)]);
    let done = client.txn(txn).await?;
    let revision = revision(done.header());
    if done.succeeded() {
        return Ok(Answer::Changed { revision });
    }
    match done.op_responses().as_slice() {
        [TxnOpResponse::Get(seen)] => Ok(Answer::Saw {
            revision,
            rows: rows(seen),
        }),
        other => panic!("a get was answered with {other:?}"),
    }
}

async fn read(
    client: &mut Client,
    key: Option<&str>,
    options: GetOptions,
) -> Result<Answer, Error> {
    let seen = match key {
        Some(key) => client.get(key, Some(options)).await?,
        None => client.get(PREFIX, Some(options.with_prefix())).await?,
    };
    Ok(Answer::Saw {
        revision: revision(seen.header()),
        rows: rows(&seen),
    })
}

fn rows(seen: &GetResponse) -> State {
    state(seen.kvs())
}
