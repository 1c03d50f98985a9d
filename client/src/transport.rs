//! Connections, and calls that move from one endpoint to the next.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use crate::proto::StatusRequest;
use crate::proto::maintenance_client::MaintenanceClient;
use crate::{Address, Choice, Code, Effect, Error, Options};

/// A connection on which nothing was heard for this long is asked whether it lives, while a call waits
/// on it. etcd refuses clients that ask more often than every 5 s.
const PING_EVERY: Duration = Duration::from_secs(6);
/// The time it has to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// An endpoint gets its fair share of a time that is meant for all, but not less than this.
const ATTEMPT_MIN: Duration = Duration::from_millis(500);

/// A connection that may be there, and a number that tells it from its predecessors.
#[derive(Clone, Default, Debug)]
struct Slot {
    generation: u64,
    channel: Option<Channel>,
}

/// A connection to call on.
pub(crate) struct Line {
    at: usize,
    generation: u64,
    pub(crate) channel: Channel,
}

/// All connections of a client.
#[derive(Debug)]
pub(crate) struct Transport {
    addresses: Vec<Address>,
    endpoints: Vec<Endpoint>,
    /// Held while connecting, so that many waiting calls make one connection.
    slots: Vec<tokio::sync::Mutex<Slot>>,
    choice: Mutex<Choice>,
    began: Instant,
    dice: RandomState,
    dial_timeout: Duration,
    /// What one endpoint gets of it.
    dial_share: Duration,
    pub(crate) request_timeout: Duration,
}

impl Transport {
    pub(crate) fn new(options: Options) -> Result<Transport, Error> {
        if options.endpoints.is_empty() {
            return Err(Error::Endpoint("no endpoint is given".to_owned()));
        }
        // Each endpoint gets its share of the time, so that a dead one leaves some for the others.
        let share = options.dial_timeout / options.endpoints.len() as u32;
        let dial_share = share.max(ATTEMPT_MIN);
        let mut addresses = Vec::new();
        let mut endpoints = Vec::new();
        for text in &options.endpoints {
            let address = Address::parse(text)?;
            let endpoint = Endpoint::from_shared(format!("http://{address}"))
                .map_err(|error| Error::Endpoint(format!("endpoint {text:?}: {error}")))?
                .connect_timeout(dial_share)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(PING_EVERY)
                .keep_alive_timeout(PING_TIMEOUT);
            addresses.push(address);
            endpoints.push(endpoint);
        }
        Ok(Transport {
            slots: addresses.iter().map(|_| Default::default()).collect(),
            choice: Mutex::new(Choice::new(addresses.len())),
            addresses,
            endpoints,
            began: Instant::now(),
            dice: RandomState::new(),
            dial_timeout: options.dial_timeout,
            dial_share,
            request_timeout: options.request_timeout,
        })
    }

    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Calls until it works, must not be repeated, or the time is over.
    pub(crate) async fn call<T, F>(
        &self,
        effect: Effect,
        attempt: impl Fn(Channel) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let began = Instant::now();
        let deadline = began + self.request_timeout;
        loop {
            let error = match self.line(deadline).await {
                Ok(line) => {
                    let until = self.attempt_deadline(effect, deadline);
                    match self.attempt(&line, until, &attempt).await {
                        Ok(answer) => return Ok(answer),
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            if !effect.may_retry(&error) || self.is_spent(began, &error) {
                return Err(error);
            }
        }
    }

    /// Whether the time for a call that began then is over, as far as such errors are concerned.
    pub(crate) fn is_spent(&self, began: Instant, error: &Error) -> bool {
        began.elapsed()
            >= match error {
                Error::Connect { .. } => self.dial_timeout,
                _ => self.request_timeout,
            }
    }

    /// Calls one endpoint, once.
    pub(crate) async fn call_at<T, F>(
        &self,
        at: usize,
        attempt: impl Fn(Channel) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let line = self.connect(at).await?;
        let deadline = Instant::now() + self.request_timeout;
        self.attempt(&line, deadline, &attempt).await
    }

    /// When an attempt is given up: a read leaves time for the other endpoints.
    fn attempt_deadline(&self, effect: Effect, deadline: Instant) -> Instant {
        match effect {
            Effect::Write => deadline,
            Effect::Read => {
                let share = self.request_timeout / self.addresses.len() as u32;
                deadline.min(Instant::now() + share.max(ATTEMPT_MIN))
            }
        }
    }

    async fn attempt<T, F>(
        &self,
        line: &Line,
        until: Instant,
        attempt: &impl Fn(Channel) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let started = Instant::now();
        match timeout_at(until, attempt(line.channel.clone())).await {
            Ok(Ok(response)) => {
                self.worked(line);
                Ok(response.into_inner())
            }
            Ok(Err(status)) => Err(self.failed(line, &status).await),
            Err(_) => {
                // Perhaps the server stands still. It is left alone, but the connection is kept.
                Err(self.late(line, until - started))
            }
        }
    }

    /// A connection to the endpoint that is next, waiting out its rest.
    pub(crate) async fn line(&self, deadline: Instant) -> Result<Line, Error> {
        let (at, wait) = self.choice().pick(self.began.elapsed());
        if Instant::now() + wait >= deadline {
            // No attempt fits into what is left of the time.
            sleep(deadline - Instant::now()).await;
            return self.connect(at).await;
        }
        sleep(wait).await;
        self.connect(at).await
    }

    async fn connect(&self, at: usize) -> Result<Line, Error> {
        let mut slot = self.slots[at].lock().await;
        if let Some(channel) = slot.channel.clone() {
            let generation = slot.generation;
            return Ok(Line {
                at,
                generation,
                channel,
            });
        }
        match self.dial(at).await {
            Ok(channel) => {
                slot.generation += 1;
                slot.channel = Some(channel.clone());
                let generation = slot.generation;
                Ok(Line {
                    at,
                    generation,
                    channel,
                })
            }
            Err(reason) => {
                self.note_failure(at);
                let endpoint = self.addresses[at].to_string();
                Err(Error::Connect { endpoint, reason })
            }
        }
    }

    /// Makes a connection, or answers why it cannot be made.
    ///
    /// A process that stands still has a kernel that goes on taking connections for it. So if there are
    /// other endpoints to go to, the server has to answer something first: a write sent to it
    /// might be carried out much later, and could not be tried elsewhere.
    async fn dial(&self, at: usize) -> Result<Channel, String> {
        let connected = self.endpoints[at].connect().await;
        let channel = connected.map_err(|error| root_cause(&error))?;
        if self.addresses.len() > 1 {
            let mut client = MaintenanceClient::new(channel.clone());
            let answer = timeout(self.dial_share, client.status(StatusRequest {})).await;
            let answer = answer.map_err(|_| "it does not answer".to_owned())?;
            if let Err(status) = answer
                && let Some(cause) = std::error::Error::source(&status)
            {
                return Err(root_cause(cause));
            }
        }
        Ok(channel)
    }

    /// Notes that the server answered.
    pub(crate) fn worked(&self, line: &Line) {
        self.choice().worked(line.at);
    }

    /// Says what a failure means, and remembers it.
    pub(crate) async fn failed(&self, line: &Line, status: &Status) -> Error {
        let endpoint = self.addresses[line.at].to_string();
        let message = status.message().to_owned();
        let Some(source) = std::error::Error::source(status) else {
            // The server itself said so.
            let code = Code::from_number(status.code() as i32);
            let error = Error::Server { code, message };
            if Effect::Read.may_retry(&error) {
                self.note_failure(line.at);
            }
            return error;
        };
        self.note_failure(line.at);
        let mut slot = self.slots[line.at].lock().await;
        if slot.generation == line.generation {
            slot.channel = None;
        }
        let reason = root_cause(source);
        if never_left(source) {
            Error::Connect { endpoint, reason }
        } else {
            Error::Lost { endpoint, reason }
        }
    }

    /// Notes that a stream ended although nobody asked it to.
    pub(crate) fn cut(&self, line: &Line) -> Error {
        self.note_failure(line.at);
        Error::Lost {
            endpoint: self.addresses[line.at].to_string(),
            reason: "the server ended the stream".to_owned(),
        }
    }

    /// Notes that no answer came in time.
    pub(crate) fn late(&self, line: &Line, after: Duration) -> Error {
        self.note_failure(line.at);
        Error::Timeout {
            endpoint: self.addresses[line.at].to_string(),
            after,
        }
    }

    fn note_failure(&self, at: usize) {
        let now = self.began.elapsed();
        let dice = self.dice.hash_one(now.as_nanos()) as u32;
        self.choice().failed(at, now, dice);
    }

    fn choice(&self) -> MutexGuard<'_, Choice> {
        // Nothing in `Choice` is left half done by a panic.
        self.choice.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the failure lies in making a connection, so that no byte of the call left.
fn never_left(error: &(dyn std::error::Error + 'static)) -> bool {
    chain(error).any(|cause| cause.is::<tonic::ConnectError>())
}

/// The innermost cause, which says more than the wrappers around it.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    chain(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |cause| cause.source())
}
