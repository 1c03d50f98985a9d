//! The WAL thread on disks that work and disks that do not.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::unbounded;
use quorate_core::Frame;
use quorate_node::Written;

use super::*;
use crate::SLOW_SYNC;
use crate::clock::Clock;
use crate::disk::{Disk, File, Lock, MemoryDisk};
use crate::fail_stop::FailStop;
use crate::log::LogOptions;
use crate::toy::Toy;

/// What happens before a sync.
type BeforeSync = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// A disk on which something happens before each sync of the log.
struct BrokenDisk {
    disk: MemoryDisk,
    before_sync: BeforeSync,
}

struct BrokenFile(Box<dyn File>, BeforeSync);

impl Disk for BrokenDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let file = self.disk.create(name)?;
        Ok(Box::new(BrokenFile(file, self.before_sync.clone())))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        self.disk.open(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }

    fn lock(&self, name: &str) -> io::Result<Option<Lock>> {
        self.disk.lock(name)
    }
}

impl File for BrokenFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn preallocate(&mut self, len: u64) -> io::Result<()> {
        self.0.preallocate(len)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        (self.1)()
    }
}

fn frame(number: u64) -> Frames {
    Frames {
        bytes: vec![1, 2, 3],
        written: vec![Written {
            frame: Frame(number),
            range: 0..3,
            keep_from: None,
        }],
    }
}

#[test]
fn what_piled_up_is_acknowledged_and_an_idle_log_is_marked() {
    let disk = Arc::new(MemoryDisk::default());
    let (log, _) = Log::open(disk.clone(), &LogOptions::default()).unwrap();
    let (to_disk, frames) = unbounded();
    let (spare, spares) = unbounded();
    let (events, arrived) = unbounded::<Event<Toy>>();
    let counters = Arc::new(Counters::new(Clock::start()));
    for number in 1..=5 {
        to_disk.send(frame(number)).unwrap();
    }
    let counted = counters.clone();
    let thread = FailStop::exit()
        .thread("wal", move || {
            Writer::new(log, counted).run(&frames, &spare, &events)
        })
        .unwrap();
    while !matches!(arrived.recv().unwrap(), Event::Synced(Frame(5))) {}
    for _ in 0..5 {
        assert!(spares.recv().unwrap().is_empty());
    }
    // Nothing more comes: the marker vouches for what is there.
    while counters.read().log.syncs < 4 {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(to_disk);
    thread.join().unwrap();
    let (_, recovered) = Log::open(disk, &LogOptions::default()).unwrap();
    assert_eq!(recovered.durable, Frame(5));
}

#[test]
fn a_failed_sync_acknowledges_nothing_and_is_the_end() {
    let broken = Arc::new(AtomicBool::new(false));
    let breaks = broken.clone();
    let disk = Arc::new(BrokenDisk {
        disk: MemoryDisk::default(),
        // It fails once and then pretends that all is well, as operating systems do.
        before_sync: Arc::new(move || match breaks.swap(false, Ordering::Relaxed) {
            true => Err(io::Error::other("no such luck")),
            false => Ok(()),
        }),
    });
    let (log, _) = Log::open(disk, &LogOptions::default()).unwrap();
    let (to_disk, frames) = unbounded();
    let (spare, _spares) = unbounded();
    let (events, arrived) = unbounded::<Event<Toy>>();
    let (failed, failures) = unbounded();
    broken.store(true, Ordering::Relaxed);
    to_disk.send(frame(1)).unwrap();
    let fail_stop = FailStop::with(move |reason| failed.send(reason.to_owned()).unwrap());
    let thread = fail_stop
        .thread("wal", move || {
            Writer::new(log, Arc::new(Counters::new(Clock::start()))).run(&frames, &spare, &events)
        })
        .unwrap();
    thread.join().unwrap();
    let failure = failures.recv().unwrap();
    assert!(
        failure.contains("cannot sync") && failure.contains("no such luck"),
        "{failure}"
    );
    assert!(arrived.recv().is_err(), "nothing was acknowledged");
}

#[test]
fn a_panic_is_the_end_too() {
    let (failed, failures) = unbounded();
    let fail_stop = FailStop::with(move |reason| failed.send(reason.to_owned()).unwrap());
    let thread = fail_stop
        .thread("doomed", || -> io::Result<()> { panic!("of {}", "course") })
        .unwrap();
    thread.join().unwrap();
    assert_eq!(
        failures.recv().unwrap(),
        "thread doomed panicked: of course"
    );
}

#[test]
fn a_disk_is_known_to_be_slow_while_it_is_and_not_when_it_works_again() {
    let held = Arc::new(AtomicBool::new(false));
    let holds = held.clone();
    let disk = Arc::new(BrokenDisk {
        disk: MemoryDisk::default(),
        before_sync: Arc::new(move || {
            while holds.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        }),
    });
    let (log, _) = Log::open(disk, &LogOptions::default()).unwrap();
    let (to_disk, frames) = unbounded();
    let (spare, _spares) = unbounded();
    let (events, arrived) = unbounded::<Event<Toy>>();
    let counters = Arc::new(Counters::new(Clock::start()));
    let counted = counters.clone();
    let thread = FailStop::exit()
        .thread("wal", move || {
            Writer::new(log, counted).run(&frames, &spare, &events)
        })
        .unwrap();
    held.store(true, Ordering::Relaxed);
    to_disk.send(frame(1)).unwrap();
    // Long before the sync ends, if it ever does.
    while counters.read().disk_slow_for < SLOW_SYNC * 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(arrived.is_empty(), "nothing is acknowledged");
    held.store(false, Ordering::Relaxed);
    let mut number = 1;
    while counters.read().disk_slow_for > Duration::ZERO {
        while !matches!(arrived.recv().unwrap(), Event::Synced(Frame(synced)) if synced == number) {
        }
        number += 1;
        to_disk.send(frame(number)).unwrap();
    }
    drop(to_disk);
    thread.join().unwrap();
}

#[test]
fn who_has_nobody_to_keep_waiting_writes_past_the_thread_which_marks_the_log_in_the_end() {
    let disk = Arc::new(MemoryDisk::default());
    let (log, _) = Log::open(disk.clone(), &LogOptions::default()).unwrap();
    let (to_disk, frames) = unbounded();
    let (spare, _spares) = unbounded();
    let (events, arrived) = unbounded::<Event<Toy>>();
    let counters = Arc::new(Counters::new(Clock::start()));
    let writer = Writer::new(log, counters.clone());
    let waiting = writer.clone();
    let thread = FailStop::exit()
        .thread("wal", move || waiting.run(&frames, &spare, &events))
        .unwrap();
    let first = loop {
        // While the thread looks after the log, it is left to it.
        if let Some(written) = writer.write_directly(&frame(1)).unwrap() {
            break written;
        }
    };
    assert_eq!(first.durable, Frame(1));
    assert!(first.rouse, "the thread waits until it is given something");
    to_disk.send(Frames::default()).unwrap();
    // The frame, and then the marker that vouches for it.
    while counters.read().log.syncs < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(arrived.is_empty(), "nobody waits for an acknowledgement");
    to_disk.send(frame(2)).unwrap();
    assert!(matches!(arrived.recv().unwrap(), Event::Synced(Frame(2))));
    drop(to_disk);
    thread.join().unwrap();
    let (_, recovered) = Log::open(disk, &LogOptions::default()).unwrap();
    assert_eq!(recovered.durable, Frame(2));
}

#[test]
fn a_slow_disk_is_left_to_the_thread() {
    let (log, _) = Log::open(Arc::new(MemoryDisk::default()), &LogOptions::default()).unwrap();
    let writer = Writer::new(log, Arc::new(Counters::new(Clock::start())));
    writer.state().sync_took = DIRECT_SYNC_MAX * 2;
    assert!(writer.write_directly(&frame(1)).unwrap().is_none());
    writer.state().sync_took = DIRECT_SYNC_MAX;
    assert!(writer.write_directly(&frame(1)).unwrap().is_some());
}
