//! Loads a store with many keys and reports what that costs: time, memory, space, reopening.
//!
//! `cargo run --release -p quorate-service --example load_5m -- [keys] [value bytes] [directory]`

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_core::NodeId;
use quorate_service::codec::Packer;
use quorate_service::command::{Command, KeyRange, Put, Range};
use quorate_service::machine::{Machine, Options, Outcome};
use quorate_service::store::{View, Worked};

/// How many puts a batch has.
const BATCH: u64 = 500;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let keys: u64 = arguments
        .next()
        .map_or(Ok(5_000_000), |text| text.parse())?;
    let value_bytes: usize = arguments.next().map_or(Ok(256), |text| text.parse())?;
    let given = arguments.next().map(PathBuf::from);
    let dir = given.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("quorate-load-{}", std::process::id()))
    });
    let mut load = Load::open(Options::new(&dir), value_bytes)?;
    load.fill(keys)?;
    report_reads(&load.machine.views().view(), keys)?;
    load.overwrite(keys, keys / 10)?;
    load.compact()?;
    println!(
        "resident: {} MiB, at most {} MiB",
        resident("VmRSS"),
        resident("VmHWM")
    );
    let size = load.machine.views().view().size()?;
    println!("on disk: {} MiB", size.on_disk >> 20);
    // No orderly end: the next start finds the file as a killed process leaves it.
    std::mem::forget(load);
    reopen(&dir)?;
    if given.is_none() {
        fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

/// A copy of the file is what a killed process would leave: this process still has the original open.
fn reopen(dir: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let copy = dir.join("copy");
    fs::create_dir_all(&copy)?;
    fs::copy(dir.join("store.redb"), copy.join("store.redb"))?;
    // The copy's own way to the disk is not part of what is measured.
    fs::File::open(copy.join("store.redb"))?.sync_all()?;
    let start = Instant::now();
    let (machine, checkpoint) = Machine::open(Options::new(&copy))?;
    let opened = start.elapsed();
    println!(
        "reopened without an orderly end in {opened:?} at position {}",
        checkpoint.position
    );
    drop(machine);
    let start = Instant::now();
    Machine::open(Options::new(&copy))?;
    println!("reopened after an orderly end in {:?}", start.elapsed());
    Ok(())
}

/// A machine under load, with a thread that flushes.
struct Load {
    machine: Machine,
    stop: Arc<AtomicBool>,
    position: u64,
    value: Bytes,
    out: Outcome,
}

impl Load {
    fn open(options: Options, value_bytes: usize) -> Result<Load, Box<dyn Error>> {
        let (machine, checkpoint) = Machine::open(options)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (flusher, stopped) = (machine.flusher(), stop.clone());
        let thread = std::thread::Builder::new().name("flush".to_owned());
        thread.spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                match flusher.run_once() {
                    Ok(Worked::Nothing) => std::thread::sleep(Duration::from_millis(5)),
                    Ok(_) => {}
                    Err(error) => {
                        eprintln!("flushing failed: {error}");
                        std::process::exit(1);
                    }
                }
            }
        })?;
        Ok(Load {
            machine,
            stop,
            position: checkpoint.position,
            value: Bytes::from(vec![b'v'; value_bytes]),
            out: Outcome::default(),
        })
    }

    /// Puts keys in one batch. Answers how long applying it kept this thread's CPU busy.
    fn put(&mut self, keys: impl Iterator<Item = u64>) -> Result<Duration, Box<dyn Error>> {
        self.position += 1;
        let mut packer = Packer::new(NodeId(1), 1, self.position);
        for key in keys {
            packer.push(&Command::Put(Put {
                key: key_of(key),
                value: self.value.clone(),
                ..Put::default()
            }));
        }
        let payload = packer.finish();
        let start = on_cpu();
        self.machine
            .apply(self.position, 1, &payload, true, &mut self.out)?;
        let took = on_cpu().saturating_sub(start);
        self.machine.publish();
        Ok(took)
    }

    /// All keys once, in an order that is not theirs.
    fn fill(&mut self, keys: u64) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        let mut applying = Duration::ZERO;
        let mut next = 0;
        while next < keys {
            let end = (next + BATCH).min(keys);
            applying += self.put((next..end).map(|at| scatter(at, keys)))?;
            next = end;
            if next % (keys / 5).max(BATCH) == 0 {
                println!(
                    "{next} keys after {:.1} s, resident {} MiB",
                    start.elapsed().as_secs_f64(),
                    resident("VmRSS")
                );
            }
        }
        self.settle();
        report("filled", keys, start.elapsed(), applying);
        Ok(())
    }

    fn overwrite(&mut self, keys: u64, count: u64) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        let mut applying = Duration::ZERO;
        for at in (0..count).step_by(BATCH as usize) {
            let end = (at + BATCH).min(count);
            applying += self.put((at..end).map(|at| scatter(at.wrapping_mul(7919), keys)))?;
        }
        self.settle();
        report("overwritten", count, start.elapsed(), applying);
        Ok(())
    }

    fn compact(&mut self) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        let revision = self.machine.views().view().revision();
        self.position += 1;
        let mut packer = Packer::new(NodeId(1), 1, self.position);
        packer.push(&Command::Compact { revision });
        let payload = packer.finish();
        self.machine
            .apply(self.position, 1, &payload, true, &mut self.out)?;
        self.machine.publish();
        while !self.machine.views().view().compaction_finished(revision) {
            std::thread::sleep(Duration::from_millis(20));
        }
        println!("compacted {revision} revisions in {:?}", start.elapsed());
        Ok(())
    }

    /// Waits until everything is on disk.
    fn settle(&mut self) {
        while self.machine.durable().position < self.position {
            self.machine.flusher().ask();
            self.machine.publish();
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn report(what: &str, count: u64, all: Duration, applying: Duration) {
    println!(
        "{what} {count} keys in {:.1} s ({:.0} a second); apply took {:.2} µs of CPU a put; resident {} MiB",
        all.as_secs_f64(),
        count as f64 / all.as_secs_f64(),
        applying.as_secs_f64() * 1e6 / count as f64,
        resident("VmRSS")
    );
}

fn report_reads(view: &View, keys: u64) -> Result<(), Box<dyn Error>> {
    let rounds = 200_000.min(keys);
    let start = on_cpu();
    for at in 0..rounds {
        let range = KeyRange {
            key: key_of(scatter(at.wrapping_mul(104_729), keys)),
            end: Bytes::new(),
        };
        let range = Range {
            range,
            ..Range::default()
        };
        assert_eq!(view.range(&range)?.kvs.len(), 1);
    }
    let each = on_cpu().saturating_sub(start).as_secs_f64() * 1e6 / rounds as f64;
    println!("gets: {each:.2} µs of CPU each");
    let all = Range {
        range: KeyRange {
            key: Bytes::from_static(b"\0"),
            end: Bytes::from_static(b"\0"),
        },
        limit: 1000,
        ..Range::default()
    };
    let start = Instant::now();
    let reply = view.range(&all)?;
    assert_eq!(reply.count.cast_unsigned(), keys);
    println!(
        "a thousand rows and the count of all: {:?}",
        start.elapsed()
    );
    Ok(())
}

fn key_of(at: u64) -> Bytes {
    Bytes::from(format!("/registry/things/{at:012}"))
}

/// A permutation of `0..keys` if `keys` has no factor in common with the multiplier, a prime.
fn scatter(at: u64, keys: u64) -> u64 {
    ((u128::from(at) * 2_654_435_761) % u128::from(keys)) as u64
}

/// How long this thread has had a CPU: on a busy machine, what a clock says means little.
fn on_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().next();
    Duration::from_nanos(nanos.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// A line of the process's status, MiB.
fn resident(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find(|text| text.starts_with(line));
    let number = found.and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    number.unwrap_or(0) / 1024
}
