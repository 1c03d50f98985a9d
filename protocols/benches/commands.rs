//! What a command costs in memory, from the request to its delivery by all three replicas, and what the
//! wire format of Raft costs. `protocols/tests/allocations.rs` shows that it allocates nothing.

#[path = "../tests/steady/mod.rs"]
mod steady;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quorate_core::{NodeId, Payload, Protocol, Reader, Wire};
use quorate_problems::total_order::TotalOrder;
use quorate_protocols::{chain, multipaxos, primary_backup, raft, viewstamped};

use steady::Cluster;

/// How many commands it takes until every buffer is as large as it gets.
const WARM_UP: u64 = 4_000;
/// The size of a command, bytes.
const COMMAND_BYTES: usize = 256;

fn ordered<P>(criterion: &mut Criterion, name: &str, config: fn(Vec<NodeId>) -> P::Config)
where
    P: Protocol<Problem = TotalOrder>,
{
    let mut cluster = Cluster::<P>::start(config);
    cluster.order(WARM_UP);
    assert_eq!(cluster.delivered(), [WARM_UP; 3]);
    assert!(cluster.compactions() > 0, "logs are cut too");
    let mut group = criterion.benchmark_group("a command of 256 B, ordered by three replicas");
    group.throughput(Throughput::Elements(1));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|commands| {
            let began = Instant::now();
            cluster.order(commands);
            began.elapsed()
        });
    });
    group.finish();
}

fn commands(criterion: &mut Criterion) {
    ordered::<raft::Raft>(criterion, "raft", raft::Config::new);
    ordered::<multipaxos::MultiPaxos>(criterion, "multipaxos", multipaxos::Config::new);
    ordered::<viewstamped::Viewstamped>(criterion, "viewstamped", viewstamped::Config::new);
    ordered::<primary_backup::PrimaryBackup>(
        criterion,
        "primary-backup",
        primary_backup::Config::new,
    );
    ordered::<chain::Chain>(criterion, "chain", chain::Config::new);
}

/// What a leader sends to a follower, with so many entries.
fn append(entries: usize) -> raft::Message {
    let block = Arc::new(vec![7; COMMAND_BYTES]);
    let entry = |_| raft::Entry {
        epoch: raft::Term(3),
        content: raft::Content::Command(Payload::new(block.clone(), 0..COMMAND_BYTES, 0)),
    };
    raft::Message::Append {
        term: raft::Term(3),
        previous: raft::Position {
            index: raft::Index(1000),
            epoch: raft::Term(3),
        },
        commit: raft::Index(990),
        entries: raft::Entries::Many((0..entries).map(entry).collect()),
    }
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("an Append of Raft's as bytes, entries of 256 B");
    for entries in [1, 64] {
        let message = append(entries);
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut out = Vec::with_capacity(bytes.len());
        group.bench_function(format!("encode, {entries} in one"), |bencher| {
            bencher.iter(|| {
                out.clear();
                black_box(&message).encode(&mut out);
            });
        });
        let block = Arc::new(bytes);
        group.bench_function(format!("decode, {entries} in one"), |bencher| {
            bencher.iter(|| raft::Message::decode(&mut Reader::new(black_box(&block))));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = commands, codec
}
criterion_main!(benches);
