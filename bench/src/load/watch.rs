//! Watches: how long it takes from a put until its events arrive.
//!
//! Each value begins with the moment of its put by the clock of this process, so that an event tells
//! its own latency.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use quorate_client::proto::watch_request::RequestUnion;
use quorate_client::proto::{WatchCreateRequest, WatchRequest, WatchResponse};
use quorate_client::{Address, prefix_end};
use tokio::sync::watch as signal;
use tokio::task::LocalSet;

use super::put;
use crate::flags::{Flags, KeyFlags, Watch};
use crate::keys::{Dice, Keys};
use crate::progress::Progress;
use crate::proto;
use crate::report::{Report, cpu_time};
use crate::runner::{Plan, Requests, start};
use crate::tally::Tally;
use crate::wire::{Call, Failure, Stream, Wire, frame};

/// Events that have not come for this long after the last one will not come any more.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many digits tell the keys below a prefix apart.
const BELOW_DIGITS: usize = 4;

/// What the watching threads share.
struct Shared {
    /// When the clock in the values began.
    began: Instant,
    keys: Keys,
    /// Whether everything below a key is watched rather than the key alone.
    prefix: bool,
    prev_kv: bool,
    watchers_per_stream: u64,
    received: AtomicU64,
    /// When the last event came, nanoseconds from the beginning.
    last: AtomicU64,
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Puts to the watched keys in turn.
struct Puts {
    shared: Arc<Shared>,
    /// What follows the time in a value.
    padding: Bytes,
}

impl Requests for Puts {
    fn call(&self, _index: u64) -> Call {
        Call::Put
    }

    fn encode(&self, index: u64, _client: usize, _dice: &mut Dice, out: &mut BytesMut) {
        let keys = &self.shared.keys;
        let below = if self.shared.prefix {
            BELOW_DIGITS + 1
        } else {
            0
        };
        proto::head(1, keys.size + below, out);
        keys.put(index % keys.space, out);
        if self.shared.prefix {
            let number = index / keys.space % 10_u64.pow(BELOW_DIGITS as u32);
            out.put_slice(format!("/{number:0BELOW_DIGITS$}").as_bytes());
        }
        proto::head(2, 8 + self.padding.len(), out);
        out.put_u64(self.shared.now());
        out.put_slice(&self.padding);
    }
}

/// How many events the first `puts` puts make for all watchers, which are dealt to the keys in turn.
fn expected(puts: u64, keys: u64, watchers: u64) -> u64 {
    let on = |key: u64| watchers / keys + u64::from(key < watchers % keys);
    let rounds = puts / keys;
    let rest: u64 = (0..puts % keys).map(on).sum();
    rounds * watchers + rest
}

/// What `bench watch` does.
pub(super) fn run(flags: &Flags, watch: &Watch, plan: &Plan) -> Result<Report> {
    let keys = Keys::new(&KeyFlags {
        key_size: watch.key_size,
        key_space_size: watch.watched_key_total,
        sequential_keys: true,
    })?;
    let shared = Arc::new(Shared {
        began: Instant::now(),
        keys,
        prefix: watch.prefix,
        prev_kv: watch.prev_kv,
        watchers_per_stream: watch.watch_per_stream.into(),
        received: AtomicU64::new(0),
        last: AtomicU64::new(0),
    });
    let watchers = u64::from(watch.streams) * u64::from(watch.watch_per_stream);
    let (stop, stopped) = signal::channel(false);
    let threads = watch_all(watch.streams as usize, plan, &shared, &stopped)?;

    let cpu = cpu_time();
    let began = shared.now();
    let puts = Puts {
        shared: Arc::clone(&shared),
        padding: put::value(watch.val_size - 8),
    };
    let progress = Progress::new("puts", plan.total)?;
    let (puts, puts_took) = start(plan, Box::new(puts))?.finish(&progress)?;
    drop(progress);
    let wanted = expected(puts.latency.len(), watch.watched_key_total, watchers);
    wait_for_events(&shared, wanted)?;
    // Every receiver is gone once its threads are.
    let _ = stop.send(true);
    let mut events = Tally::new();
    for thread in threads {
        events.add(&thread.join().map_err(|_| anyhow!("a thread panicked"))?);
    }
    // A put that failed may have been carried out, so that nothing can be said about its events.
    let missing = wanted.saturating_sub(events.latency.len());
    if missing > 0 && puts.error_count() == 0 {
        events.failed_times("the event did not arrive".to_owned(), missing);
    }
    let last = shared.last.load(Ordering::Relaxed);
    let mut report = Report::new(flags);
    report.add("puts", &puts, puts_took);
    report.add(
        "events",
        &events,
        Duration::from_nanos(last.saturating_sub(began)),
    );
    report.add_cost(cpu_time() - cpu);
    Ok(report)
}

fn wait_for_events(shared: &Shared, wanted: u64) -> Result<()> {
    let progress = Progress::new("events", wanted)?;
    let mut seen = (0, Instant::now());
    loop {
        let received = shared.received.load(Ordering::Relaxed);
        if received > seen.0 {
            seen = (received, Instant::now());
        }
        if received >= wanted || seen.1.elapsed() > PATIENCE || progress.tick(received) {
            return Ok(());
        }
    }
}

/// Starts the threads that watch, and returns once all watchers exist.
fn watch_all(
    streams: usize,
    plan: &Plan,
    shared: &Arc<Shared>,
    stopped: &signal::Receiver<bool>,
) -> Result<Vec<JoinHandle<Tally>>> {
    let connections = plan.connections.min(streams);
    let threads_used = plan.threads.min(connections);
    let (ready, are_ready) = mpsc::channel();
    let mut threads = Vec::new();
    for thread in 0..threads_used {
        let mut lines = Vec::new();
        for connection in (thread..connections).step_by(threads_used) {
            let address = plan.addresses[connection % plan.addresses.len()].clone();
            let streams: Vec<usize> = (connection..streams).step_by(connections).collect();
            lines.push((address, streams));
        }
        let (shared, stopped, ready) = (Arc::clone(shared), stopped.clone(), ready.clone());
        let thread = std::thread::Builder::new()
            .name(format!("watch-{thread}"))
            .spawn(move || receive(&shared, lines, &stopped, &ready))
            .context("cannot start a thread")?;
        threads.push(thread);
    }
    drop(ready);
    for _ in 0..streams {
        are_ready
            .recv()
            .context("a watching thread ended")?
            .context("cannot watch")?;
    }
    Ok(threads)
}

/// One thread that watches.
fn receive(
    shared: &Arc<Shared>,
    lines: Vec<(Address, Vec<usize>)>,
    stopped: &signal::Receiver<bool>,
    ready: &mpsc::Sender<Result<(), Failure>>,
) -> Tally {
    let tally = Rc::new(RefCell::new(Tally::new()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            // The other side is gone only if it has given up already.
            let _ = ready.send(Err(Failure(error.to_string())));
            return Tally::new();
        }
    };
    let local = LocalSet::new();
    for (address, streams) in lines {
        let wire = Rc::new(Wire::new(address));
        for number in streams {
            let one = Watcher {
                shared: Arc::clone(shared),
                tally: Rc::clone(&tally),
            };
            let (wire, mut stopped, ready) = (Rc::clone(&wire), stopped.clone(), ready.clone());
            local.spawn_local(async move {
                let created = one.create(&wire, number).await;
                let stream = created.map_err(|failure| ready.send(Err(failure)));
                let Ok(stream) = stream else {
                    return;
                };
                // The other side is gone only if it has given up already.
                let _ = ready.send(Ok(()));
                tokio::select! {
                    failure = one.take_all(&stream) => {
                        one.tally.borrow_mut().failed(failure.0);
                    }
                    _ = stopped.wait_for(|stopped| *stopped) => {}
                }
            });
        }
    }
    runtime.block_on(local);
    tally.borrow().clone()
}

/// One stream with its watchers.
struct Watcher {
    shared: Arc<Shared>,
    tally: Rc<RefCell<Tally>>,
}

impl Watcher {
    /// Opens the stream and waits until all its watchers exist.
    async fn create(&self, wire: &Wire, number: usize) -> Result<Stream, Failure> {
        let shared = &self.shared;
        let stream = wire.stream(Call::Watch).await?;
        let mut buffer = BytesMut::new();
        for watcher in 0..shared.watchers_per_stream {
            let place = number as u64 * shared.watchers_per_stream + watcher;
            let mut key = BytesMut::new();
            shared.keys.put(place % shared.keys.space, &mut key);
            let key = key.freeze();
            let range_end = match shared.prefix {
                true => prefix_end(&key),
                false => Default::default(),
            };
            let create = WatchCreateRequest {
                key,
                range_end: range_end.into(),
                prev_kv: shared.prev_kv,
                ..Default::default()
            };
            let request = WatchRequest {
                request_union: Some(RequestUnion::CreateRequest(create)),
            };
            stream.send(frame(&mut buffer, |out| {
                out.put_slice(&request.encode_to_vec())
            }));
        }
        let mut created = 0;
        while created < shared.watchers_per_stream {
            let response = decode(&stream.next().await?)?;
            created += u64::from(response.created);
        }
        Ok(stream)
    }

    /// Takes events until the stream breaks, which is what it answers.
    async fn take_all(&self, stream: &Stream) -> Failure {
        loop {
            let message = match stream.next().await {
                Ok(message) => message,
                Err(failure) => return failure,
            };
            match decode(&message) {
                Ok(response) => self.take(&response),
                Err(failure) => return failure,
            }
        }
    }

    fn take(&self, response: &WatchResponse) {
        let now = self.shared.now();
        let mut tally = self.tally.borrow_mut();
        for event in &response.events {
            let value = event.kv.as_ref().map_or(&[][..], |kv| &kv.value);
            // Someone else may put to the same keys.
            let Some(stamp) = value.first_chunk() else {
                continue;
            };
            let put = u64::from_be_bytes(*stamp);
            tally.succeeded(Duration::from_nanos(now.saturating_sub(put)));
        }
        let count = response.events.len() as u64;
        self.shared.received.fetch_add(count, Ordering::Relaxed);
        self.shared.last.fetch_max(now, Ordering::Relaxed);
    }
}

/// Decodes a response; a canceled watch is a failure.
fn decode(message: &Bytes) -> Result<WatchResponse, Failure> {
    let response = WatchResponse::decode(message.clone());
    let response = response.map_err(|error| Failure(error.to_string()))?;
    if response.canceled {
        return Err(Failure(format!("canceled: {}", response.cancel_reason)));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_for_watchers_dealt_to_keys_in_turn() {
        // 5 watchers on 3 keys: 2, 2, 1.
        assert_eq!(expected(0, 3, 5), 0);
        assert_eq!(expected(1, 3, 5), 2);
        assert_eq!(expected(3, 3, 5), 5);
        assert_eq!(expected(7, 3, 5), 12);
        // More keys than watchers.
        assert_eq!(expected(10, 10, 2), 2);
        assert_eq!(expected(1, 10, 2), 1);
    }
}
