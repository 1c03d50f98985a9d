//! What the write-ahead log adds to the disk: frames of 600 B, beside a raw write with fdatasync.
//!
//! The folder for temporary files has to lie on the disk that is to be measured.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quorate_core::Frame;
use quorate_node::{Frames, Written};
use quorate_runtime::disk::RealDisk;
use quorate_runtime::log::{Log, LogOptions};

/// A frame: one put of 256 B, batched, as an entry of Raft's, and a little more.
const FRAME_BYTES: usize = 600;
/// A file is written from its beginning again when it is as long as a segment.
const SEGMENT_BYTES: u64 = 64 << 20;
/// The log is cut when it has more segments.
const SEGMENTS_MAX: usize = 3;

fn raw(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut file = File::create(folder.path().join("raw")).expect("a file");
    let mut group = criterion.benchmark_group("to the disk, 600 B each");
    for count in [1, 128] {
        let bytes = vec![7; FRAME_BYTES * count];
        let mut written = 0;
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(
            format!("raw write and fdatasync, {count} at once"),
            |bencher| {
                bencher.iter(|| {
                    if written > SEGMENT_BYTES {
                        file.seek(SeekFrom::Start(0))
                            .expect("the file can be sought");
                        written = 0;
                    }
                    file.write_all(&bytes).expect("the file can be written");
                    file.sync_data().expect("the disk works");
                    written += bytes.len() as u64;
                });
            },
        );
    }
    group.finish();
}

fn frames(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = RealDisk::new(folder.path()).expect("the folder exists");
    let (mut log, _) = Log::open(Arc::new(disk), &LogOptions::default()).expect("an empty log");
    let mut last = Frame(0);
    let mut group = criterion.benchmark_group("to the disk, 600 B each");
    for count in [1, 128] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("log, {count} frames for each sync"), |bencher| {
            bencher.iter(|| {
                let frames = frames_after(&mut last, count);
                log.append(&frames).expect("the log takes frames");
                log.sync().expect("the disk works");
                if log.segments() > SEGMENTS_MAX {
                    log.trim().expect("old segments can be deleted");
                }
            });
        });
    }
    group.finish();
}

/// The next frames, of which none before is needed.
fn frames_after(last: &mut Frame, count: usize) -> Frames {
    let written = (0..count).map(|at| {
        *last = last.next();
        Written {
            frame: *last,
            range: at * FRAME_BYTES..(at + 1) * FRAME_BYTES,
            keep_from: Some(*last),
        }
    });
    Frames {
        written: written.collect(),
        bytes: vec![7; FRAME_BYTES * count],
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = raw, frames
}
criterion_main!(benches);
