//! The WAL thread on disks that work and disks that do not.

use std::io;

use crossbeam_channel::unbounded;
use quorate_core::Frame;
use quorate_node::Written;

use super::*;
use crate::disk::{Disk, File, Lock, MemoryDisk};
use crate::fail_stop::FailStop;
use crate::log::LogOptions;
use crate::toy::Toy;

/// A disk on which syncing the log fails from some moment on.
struct BrokenDisk {
    disk: MemoryDisk,
    broken: Arc<std::sync::atomic::AtomicBool>,
}

struct BrokenFile(Box<dyn File>, Arc<std::sync::atomic::AtomicBool>);

impl Disk for BrokenDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let file = self.disk.create(name)?;
        Ok(Box::new(BrokenFile(file, self.broken.clone())))
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
        // It fails once and then pretends that all is well, as operating systems do.
        match self.1.swap(false, std::sync::atomic::Ordering::Relaxed) {
            true => Err(io::Error::other("no such luck")),
            false => Ok(()),
        }
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
    let counters = Arc::new(Counters::default());
    for number in 1..=5 {
        to_disk.send(frame(number)).unwrap();
    }
    let counted = counters.clone();
    let thread = FailStop::exit()
        .thread("wal", move || run(log, &frames, &spare, &events, &counted))
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
    let broken = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let disk = Arc::new(BrokenDisk {
        disk: MemoryDisk::default(),
        broken: broken.clone(),
    });
    let (log, _) = Log::open(disk, &LogOptions::default()).unwrap();
    let (to_disk, frames) = unbounded();
    let (spare, _spares) = unbounded();
    let (events, arrived) = unbounded::<Event<Toy>>();
    let (failed, failures) = unbounded();
    broken.store(true, std::sync::atomic::Ordering::Relaxed);
    to_disk.send(frame(1)).unwrap();
    let fail_stop = FailStop::with(move |reason| failed.send(reason.to_owned()).unwrap());
    let thread = fail_stop
        .thread("wal", move || {
            run(log, &frames, &spare, &events, &Arc::default())
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
