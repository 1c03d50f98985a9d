//! How much the service can do by itself: one replica over an order that is a counter, so that what
//! is measured is queueing, batching, applying, answering and watching, without disk and network.
//!
//! `cargo run --release -p quorate-service --example edge_load`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant as Wall};

use bytes::Bytes;
use crossbeam_channel::Receiver;
use quorate_core::{
    Boot, Checkpoint, Effects, Faults, Instant, Links, Malformed, Model, NodeId, Payload, Protocol,
    Reader, Status, Timing, Wire,
};
use quorate_node::Edge;
use quorate_problems::total_order::{Output, Request, TotalOrder};
use quorate_service::command::{Command, KeyRange, Put};
use quorate_service::machine::{Machine, Options};
use quorate_service::watch::{Kind, WatchCreate};
use quorate_service::{Batcher, Service, ServiceOptions, Workers, assemble};

const ME: NodeId = NodeId(1);

/// A protocol in name only, since an edge is the edge of one.
struct Nothing;

#[derive(Clone, Debug)]
struct Silence;

impl Wire for Silence {
    fn encode(&self, _out: &mut Vec<u8>) {}

    fn decode(_input: &mut Reader<'_>) -> Result<Silence, Malformed> {
        Ok(Silence)
    }
}

impl Protocol for Nothing {
    type Problem = TotalOrder;
    type Config = ();
    type Message = Silence;
    type Timer = ();
    type Record = Silence;
    const MODEL: Model = Model {
        faults: Faults::CrashStop,
        links: Links {
            lose: false,
            duplicate: false,
            reorder: false,
        },
        timing: Timing::Synchronous,
    };

    fn open(_config: &(), _boot: Boot<'_, Nothing>, _fx: &mut Effects<Nothing>) -> Nothing {
        Nothing
    }

    fn on_request(&mut self, _request: Request, _fx: &mut Effects<Nothing>) {}

    fn on_message(&mut self, _from: NodeId, _message: Silence, _fx: &mut Effects<Nothing>) {}

    fn on_timer(&mut self, _timer: (), _fx: &mut Effects<Nothing>) {}

    fn window(&self) -> usize {
        64
    }

    fn status(&self) -> Status {
        Status {
            role: "alone",
            epoch: 1,
            leader: Some(ME),
            head: 0,
            decided: 0,
            whole: true,
            repaired: 0,
        }
    }

    fn invariants(&self) {}
}

/// The replica's thread: everything that is broadcast is delivered.
fn replica(mut batcher: Batcher, woken: &AtomicBool, wakes: &Receiver<()>, start: Checkpoint) {
    let edge: &mut dyn Edge<Nothing> = &mut batcher;
    let origin = Wall::now();
    let mut position = start.position;
    let lead = Output::Lead {
        epoch: 1,
        leader: Some(ME),
    };
    edge.on_output(lead, Instant(0));
    while wakes.recv().is_ok() {
        woken.store(false, Ordering::SeqCst);
        let now = Instant(origin.elapsed().as_nanos() as u64);
        while let Some(request) = edge.next_request(64, now) {
            let output = match request {
                Request::Broadcast(payload) => deliver(&mut position, payload),
                Request::Read { id } => Output::ReadReady { id, position },
                Request::Compact(_) | Request::Transfer { .. } | Request::Reconfigure(_) => {
                    continue;
                }
            };
            edge.on_output(output, now);
        }
        edge.on_round(Nothing.status(), now);
    }
}

fn deliver(position: &mut u64, payload: Payload) -> Output {
    *position += 1;
    Output::Deliver {
        position: *position,
        epoch: 1,
        payload,
    }
}

fn put(key: String, value: &Bytes) -> Command {
    Command::Put(Put {
        key: key.into(),
        value: value.clone(),
        ..Put::default()
    })
}

/// Has `clients` write `total` values between them, and prints how fast that went.
async fn write(service: &Service, what: &str, clients: usize, total: usize) {
    let value = Bytes::from(vec![7; 256]);
    let before = service.metrics();
    let begin = Wall::now();
    let mut tasks = Vec::new();
    for client in 0..clients {
        let (service, value) = (service.clone(), value.clone());
        tasks.push(tokio::spawn(async move {
            for number in 0..total / clients {
                let key = format!("key/{client:05}/{}", number % 10);
                if let Err(error) = service.write(put(key, &value)).await {
                    eprintln!("a write failed: {error}");
                }
            }
        }));
    }
    for task in tasks {
        let _ = task.await;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let after = service.metrics();
    let batches = (after.batches - before.batches).max(1);
    println!(
        "{what}: {:.0} writes/s, {:.1} commands a batch, {} watch items",
        total as f64 / seconds,
        (after.batch_commands - before.batch_commands) as f64 / batches as f64,
        after.watch.items - before.watch.items,
    );
}

/// Opens `streams` streams with `each` watches, whose items are read and thrown away.
async fn watch(service: &Service, streams: usize, each: usize, range: impl Fn(usize) -> KeyRange) {
    for stream in 0..streams {
        let watches = service.watches();
        for number in 0..each {
            watches.create(WatchCreate {
                range: range(stream * each + number),
                ..WatchCreate::default()
            });
        }
        tokio::spawn(async move {
            while watches
                .next()
                .await
                .is_some_and(|it| it.kind != Kind::Progress)
            {}
        });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let (machine, start) = Machine::open(Options::new(dir.path()))?;
    let woken = Arc::new(AtomicBool::new(false));
    let (wake, wakes) = crossbeam_channel::unbounded();
    let waking = woken.clone();
    let options = ServiceOptions::new(ME, 1, Duration::from_secs(1));
    let assembly = assemble(options, machine, move || {
        if !waking.swap(true, Ordering::SeqCst) {
            let _ = wake.send(());
        }
    });
    let batcher = assembly.batcher;
    std::thread::spawn(move || replica(batcher, &woken, &wakes, start));
    let workers = Workers::start(assembly.applier, assembly.flushing, |error| {
        eprintln!("{error}");
        std::process::exit(1);
    })?;
    let service = assembly.service;
    write(&service, "1 client", 1, 20_000).await;
    write(&service, "100 clients", 100, 200_000).await;
    write(&service, "1000 clients", 1000, 200_000).await;
    watch(&service, 100, 100, |number| KeyRange {
        key: format!("key/{:05}/{}", number / 10, number % 10).into(),
        end: Bytes::new(),
    })
    .await;
    write(&service, "and 10,000 watches of single keys", 1000, 200_000).await;
    watch(&service, 100, 10, |_| KeyRange {
        key: Bytes::from_static(b"key/"),
        end: Bytes::from_static(b"key0"),
    })
    .await;
    write(&service, "and 1000 watches of all keys", 1000, 5_000).await;
    println!("{:?}", service.metrics().watch);
    // The process ends here, and its threads with it.
    std::mem::forget(workers);
    Ok(())
}
