//! The key-value machine in memory: puts, gets, ranges, the matching of watches, and batches as bytes.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quorate_core::{NodeId, Payload};
use quorate_service::codec::{Packer, decode};
use quorate_service::command::{Command, KeyRange, Put, Range};
use quorate_service::error::Error;
use quorate_service::machine::{Machine, Options, Outcome};
use quorate_service::reply::{Event, KeyValue, Revision};
use quorate_service::watch::{Found, Hub, Past, WatchCreate, WatchOptions, WatchStream};

/// How many keys the store has.
const KEYS: u64 = 100_000;
/// How many puts a batch has.
const BATCH: u64 = 64;
/// How many watches there are.
const WATCHES: i64 = 1000;

fn key(number: u64) -> Bytes {
    Bytes::from(format!("/registry/things/{number:012}"))
}

/// The n-th of keys that come in no order.
fn scattered(number: u64) -> Bytes {
    key(number.wrapping_mul(2_654_435_761) % KEYS)
}

fn put(key: Bytes, value: &Bytes) -> Command {
    Command::Put(Put {
        key,
        value: value.clone(),
        ..Put::default()
    })
}

fn batch(sequence: u64, first: u64, value: &Bytes, key: fn(u64) -> Bytes) -> Payload {
    let mut packer = Packer::new(NodeId(1), 1, sequence);
    for number in first..first + BATCH {
        packer.push(&put(key(number), value));
    }
    packer.finish()
}

fn store(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut options = Options::new(folder.path());
    // Nobody flushes here: what is measured is the layer in memory.
    options.layer_bytes = usize::MAX / 4;
    options.layer_positions = u64::MAX / 4;
    let (mut machine, _) = Machine::open(options).expect("an empty store");
    let value = Bytes::from(vec![b'v'; 256]);
    let mut outcome = Outcome::default();
    let mut position = 0;
    for first in (0..KEYS).step_by(BATCH as usize) {
        position += 1;
        let payload = batch(position, first, &value, key);
        let applied = machine.apply(position, 1, &payload, true, &mut outcome);
        applied.expect("puts are applied");
        outcome.clear();
    }
    machine.publish();
    let mut group = criterion.benchmark_group("a store of 100,000 keys, values of 256 B");
    let view = machine.views().view();
    let mut number = 0;
    group.throughput(Throughput::Elements(1));
    group.bench_function("get", |bencher| {
        bencher.iter(|| {
            number += 1;
            let range = KeyRange {
                key: scattered(number),
                end: Bytes::new(),
            };
            view.range(black_box(&Range {
                range,
                ..Range::default()
            }))
        });
    });
    group.throughput(Throughput::Elements(100));
    group.bench_function("range of 100", |bencher| {
        bencher.iter(|| {
            number = (number + 7919) % (KEYS - 100);
            let range = KeyRange {
                key: key(number),
                end: key(number + 100),
            };
            view.range(black_box(&Range {
                range,
                ..Range::default()
            }))
        });
    });
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function(
        "put, batches of 64, verified, decoded and applied",
        |bencher| {
            bencher.iter_batched(
                || {
                    position += 1;
                    (
                        position,
                        batch(position, position * BATCH, &value, scattered),
                    )
                },
                |(position, payload)| {
                    let applied = machine.apply(position, 1, &payload, true, &mut outcome);
                    applied.expect("puts are applied");
                    machine.publish();
                    outcome.clear();
                },
                criterion::BatchSize::NumIterations(1),
            );
        },
    );
    group.finish();
}

fn codec(criterion: &mut Criterion) {
    let value = Bytes::from(vec![b'v'; 256]);
    let mut group = criterion.benchmark_group("a batch of 64 puts as bytes");
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("pack", |bencher| {
        bencher.iter(|| batch(1, 1, black_box(&value), scattered));
    });
    let payload = batch(1, 1, &value, scattered);
    group.bench_function("unpack", |bencher| {
        bencher.iter(|| decode(black_box(&payload)))
    });
    group.finish();
}

/// No history: nobody here is behind.
struct Nothing;

impl Past for Nothing {
    fn revision(&self) -> i64 {
        0
    }

    fn compacted(&self) -> i64 {
        0
    }

    fn history(
        &self,
        _range: &KeyRange,
        from: i64,
        _bytes_max: usize,
    ) -> Result<(Vec<Revision>, i64), Error> {
        Ok((Vec::new(), from))
    }
}

/// A stream with so many watches, each of what `range` says.
fn watched(hub: &Arc<Hub>, range: fn(i64) -> KeyRange) -> WatchStream {
    let stream = hub.open();
    for number in 0..WATCHES {
        stream.create(WatchCreate {
            range: range(number),
            ..WatchCreate::default()
        });
    }
    drain(&stream);
    stream
}

fn drain(stream: &WatchStream) -> usize {
    let mut items = 0;
    while let Found::Item(item) = stream.try_next() {
        black_box(item);
        items += 1;
    }
    items
}

fn revision(revision: i64, key: &str) -> Revision {
    let kv = KeyValue {
        key: Bytes::from(key.to_owned()),
        value: Bytes::from_static(&[b'v'; 256]),
        create_revision: 1,
        mod_revision: revision,
        version: revision,
        lease: 0,
    };
    Revision {
        revision,
        events: vec![Event {
            kv,
            deleted: false,
            prev_kv: None,
        }],
    }
}

fn watches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("1000 watches, one put");
    let mut measure = |name: &str, hits: u64, range: fn(i64) -> KeyRange| {
        let hub = Arc::new(Hub::new(Arc::new(Nothing), WatchOptions::default()));
        let stream = watched(&hub, range);
        let mut at = 0;
        group.throughput(Throughput::Elements(hits));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                at += 1;
                hub.publish(&[revision(at, "p0500/x")], at);
                assert_eq!(drain(&stream) as u64, hits, "everyone concerned is told");
            });
        });
    };
    measure("of the same prefix: all are told", WATCHES as u64, |_| {
        KeyRange {
            key: Bytes::from_static(b"p"),
            end: Bytes::from_static(b"q"),
        }
    });
    measure("each of its own prefix: one is told", 1, |number| {
        KeyRange {
            key: Bytes::from(format!("p{number:04}/")),
            end: Bytes::from(format!("p{number:04}0")),
        }
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = store, codec, watches
}
criterion_main!(benches);
