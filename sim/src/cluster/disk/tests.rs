//! The disk by itself, and the log and the store on it when it fails.

use quorate_core::{Frame, Survival, Wire};
use quorate_node::{Frames, Written};
use quorate_runtime::log::{Log, LogOptions};
use quorate_service::machine::Machine;
use quorate_service::store::Options;

use super::{Area, DiskFault, SimDisk};

fn open(disk: &SimDisk) -> (Log, Survival, Vec<u64>) {
    let options = LogOptions {
        segment_bytes: 16 << 10,
        ..LogOptions::default()
    };
    let (log, recovered) = Log::open(disk.log(), &options).expect("it opens");
    let records = recovered.records::<u64>().expect("they are numbers");
    let numbers = records.into_iter().map(|(_, number)| number).collect();
    (log, recovered.survival, numbers)
}

fn frame(number: u64) -> Frames {
    let mut frames = Frames::default();
    number.encode(&mut frames.bytes);
    frames.written.push(Written {
        frame: Frame(number),
        range: 0..frames.bytes.len(),
        keep_from: None,
    });
    frames
}

#[test]
fn what_is_synced_survives_and_of_the_rest_any_part() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let folder = disk.log();
        let mut file = folder.create("a").expect("it is made");
        file.write_at(&[1; 1024], 0).expect("it is written");
        file.sync_data().expect("it is synced");
        folder.sync_dir().expect("it is synced");
        file.write_at(&[2; 1024], 0).expect("it is written");
        folder.rename("a", "b").expect("it is renamed");
        disk.crash();
        let names = folder.list().expect("they are listed");
        assert_eq!(names.len(), 1, "a renaming happens or does not");
        let mut bytes = [0; 1024];
        let found = folder.open(&names[0]).expect("it is there");
        assert_eq!(found.read_at(&mut bytes, 0).expect("it is read"), 1024);
        seen.insert((names, bytes[0], bytes[1023]));
    }
    assert_eq!(seen.len(), 8, "either name, either half");
}

#[test]
fn a_process_that_ends_leaves_what_it_wrote() {
    let disk = SimDisk::new(1);
    let folder = disk.log();
    let mut file = folder.create("a").expect("it is made");
    file.write_at(b"written", 0).expect("it is written");
    disk.kill();
    file.write_at(b"too late", 0).expect("nobody minds");
    let mut bytes = [0; 7];
    let found = folder.open("a").expect("it is there");
    found.read_at(&mut bytes, 0).expect("it is read");
    assert_eq!(&bytes, b"written");
}

#[test]
fn a_log_whose_sync_failed_does_not_vouch_for_what_the_disk_never_wrote() {
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let (mut log, survival, _) = open(&disk);
        assert_eq!(survival, Survival::Fresh);
        log.append(&frame(1)).expect("it is taken");
        log.sync().expect("it is synced");
        disk.arm(Area::Log, DiskFault::FailSync);
        log.append(&frame(2)).expect("it is taken");
        log.sync().expect_err("the disk was told to fail");
        drop(log);
        disk.kill();
        // What the failed sync left is read, so from now on it counts.
        let (mut log, survival, numbers) = open(&disk);
        assert_eq!(
            (survival, numbers.as_slice()),
            (Survival::Intact, &[1, 2][..])
        );
        log.append(&frame(3)).expect("it is taken");
        log.sync().expect("it is synced");
        disk.set_power(0);
        drop(log);
        disk.crash();
        let (_, survival, numbers) = open(&disk);
        assert_eq!(
            (survival, numbers.as_slice()),
            (Survival::Intact, &[1, 2, 3][..])
        );
    }
}

#[test]
fn a_store_reads_nothing_that_the_disk_never_wrote() {
    let disk = SimDisk::new(1);
    let files = disk.store();
    let file = files.open("a").expect("it is made");
    file.set_len(1024).expect("it grows");
    file.write(0, &[1; 512]).expect("it is written");
    file.sync_data().expect("it is synced");
    disk.arm(Area::Store, DiskFault::FailSync);
    file.write(0, &[2; 512]).expect("it is written");
    file.sync_data().expect_err("the disk was told to fail");
    file.write(512, &[3; 512]).expect("it is written");
    disk.kill();
    let mut bytes = [0; 1024];
    let file = files.open("a").expect("it is there");
    file.read(0, &mut bytes).expect("it is read");
    assert_eq!(
        (bytes[0], bytes[512]),
        (1, 3),
        "the second write may still reach the disk"
    );
}

#[test]
fn a_store_opens_however_the_power_failed_while_it_opened() {
    for seed in 0..60 {
        let disk = SimDisk::new(seed);
        for power in [seed, u64::MAX] {
            let options = Options {
                files: Some(disk.store()),
                flush_after: None,
                cache_bytes: 0,
                ..Options::new("simulated")
            };
            disk.set_power(power);
            let opened = Machine::open(options);
            assert!(opened.is_ok() || disk.has_failed(), "{opened:?}");
            disk.set_power(0);
            drop(opened);
            disk.crash();
        }
    }
}
