//! The log on a remembered disk: written, hurt, opened again.

use std::sync::Arc;

use quorate_core::{Choice, Frame, Payload, Survival};
use quorate_node::{Frames, Written};

use super::*;
use crate::disk::MemoryDisk;

/// A log of small segments, so that a few frames fill several.
fn options() -> LogOptions {
    LogOptions {
        segment_bytes: 10 << 10,
        seed: 7,
        incarnation_after_loss: 1000,
        ..LogOptions::default()
    }
}

fn open(disk: &MemoryDisk) -> (Log, Recovered) {
    Log::open(Arc::new(disk.clone()), &options()).unwrap()
}

/// The same with segments that hold all that a test writes.
fn open_roomy(disk: &MemoryDisk) -> (Log, Recovered) {
    let roomy = LogOptions {
        segment_bytes: 20 << 10,
        ..options()
    };
    Log::open(Arc::new(disk.clone()), &roomy).unwrap()
}

/// The record that frame `number` holds, `bytes` long.
fn record(number: u64, bytes: usize) -> Payload {
    let bytes: Vec<u8> = (0..bytes).map(|at| (number as usize + at) as u8).collect();
    let checksum = crc32c::crc32c(&bytes);
    Payload::from_vec(bytes, checksum)
}

/// One frame with the record that belongs there.
fn frame(number: u64, bytes: usize, keep_from: Option<u64>) -> Frames {
    let mut frames = Frames::default();
    quorate_core::Wire::encode(&record(number, bytes), &mut frames.bytes);
    frames.written.push(Written {
        frame: Frame(number),
        range: 0..frames.bytes.len(),
        keep_from: keep_from.map(Frame),
    });
    frames
}

/// Appends the frames with these numbers and syncs.
fn write(log: &mut Log, numbers: std::ops::RangeInclusive<u64>, bytes: usize) {
    for number in numbers {
        log.append(&frame(number, bytes, None)).unwrap();
    }
    log.sync().unwrap();
}

/// The numbers of the frames that survived, each holding what was written there.
fn survivors(recovered: &Recovered, bytes: impl Fn(u64) -> usize) -> Vec<u64> {
    let records = recovered.records::<Payload>().unwrap();
    let checked = records.into_iter().map(|(frame, payload)| {
        assert_eq!(payload, record(frame.0, bytes(frame.0)), "frame {frame:?}");
        assert_eq!(payload.checksum(), crc32c::crc32c(payload.as_bytes()));
        frame.0
    });
    checked.collect()
}

fn range(numbers: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    numbers.collect()
}

#[test]
fn a_new_log_is_fresh_and_counts_its_starts() {
    let disk = MemoryDisk::default();
    for start in 1..5 {
        let (log, recovered) = open(&disk);
        assert_eq!(recovered.incarnation, start);
        assert_eq!(recovered.survival, Survival::Fresh);
        assert_eq!(recovered.durable, Frame(0));
        assert_eq!(log.durable(), Frame(0));
    }
}

#[test]
fn what_was_synced_is_there_again_over_several_segments_and_starts() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open(&disk);
    write(&mut log, 1..=30, 200);
    assert!(log.segments() > 3, "{} segments", log.segments());
    drop(log);
    let (mut log, recovered) = open(&disk);
    assert_eq!(recovered.survival, Survival::Intact);
    assert_eq!((recovered.incarnation, recovered.durable), (2, Frame(30)));
    assert_eq!(survivors(&recovered, |_| 200), range(1..=30));
    write(&mut log, 31..=40, 200);
    drop(log);
    let (_, recovered) = open(&disk);
    assert_eq!((recovered.incarnation, recovered.durable), (3, Frame(40)));
    assert_eq!(survivors(&recovered, |_| 200), range(1..=40));
}

#[test]
fn a_frame_larger_than_a_segment_gets_a_segment_of_its_size() {
    let disk = MemoryDisk::default();
    let bytes = |number| if number == 2 { 700_000 } else { 10 };
    let (mut log, _) = open(&disk);
    for number in 1..=3 {
        write(&mut log, number..=number, bytes(number));
    }
    let (_, recovered) = open(&disk);
    assert_eq!(survivors(&recovered, bytes), range(1..=3));
}

#[test]
fn payloads_share_the_blocks_that_were_read() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open(&disk);
    write(&mut log, 1..=20, 100);
    let (_, recovered) = open(&disk);
    let records = recovered.records::<Payload>().unwrap();
    assert_eq!(records.len(), 20);
}

#[test]
fn segments_go_when_nothing_in_them_is_needed_and_what_is_needed_stays() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open(&disk);
    write(&mut log, 1..=40, 200);
    let before = log.segments();
    log.append(&frame(41, 200, Some(35))).unwrap();
    assert_eq!(log.trim().unwrap(), 0, "the promise is not durable yet");
    log.sync().unwrap();
    assert!(log.trim().unwrap() > 3);
    assert!(log.segments() < before);
    assert_eq!(log.trim().unwrap(), 0);
    drop(log);
    let (mut log, recovered) = open(&disk);
    assert_eq!(recovered.survival, Survival::Intact);
    assert_eq!(survivors(&recovered, |_| 200), range(35..=41));
    // Everything may go, and the numbers and starts go on.
    log.append(&frame(42, 200, Some(42))).unwrap();
    log.sync().unwrap();
    log.trim().unwrap();
    drop(log);
    let (mut log, recovered) = open(&disk);
    assert_eq!((recovered.incarnation, recovered.durable), (3, Frame(42)));
    assert_eq!(survivors(&recovered, |_| 200), [42]);
    log.trim().unwrap();
    assert_eq!(
        log.segments(),
        2,
        "frame 42 is in the one before the newest"
    );
}

#[test]
fn a_missing_segment_is_damage() {
    for missing in 0..4 {
        let disk = MemoryDisk::default();
        let (mut log, _) = open(&disk);
        write(&mut log, 1..=40, 200);
        let mut files = disk.files();
        let name = files.keys().nth(missing).unwrap().clone();
        files.remove(&name);
        let (_, recovered) = open(&MemoryDisk::with(files));
        assert_eq!(recovered.survival, Survival::Damaged, "{name}");
    }
}

#[test]
fn a_missing_log_is_damage_if_there_must_be_one() {
    let disk = MemoryDisk::default();
    let expected = LogOptions {
        expected: true,
        ..options()
    };
    let (mut log, recovered) = Log::open(Arc::new(disk.clone()), &expected).unwrap();
    assert_eq!(recovered.survival, Survival::Damaged);
    assert_eq!(recovered.incarnation, 1000);
    let next = recovered.durable.0 + 1;
    log.append(&frame(next, 9, None)).unwrap();
    log.sync().unwrap();
    // As long as what is missing could be needed, it is missing.
    let (mut log, recovered) = Log::open(Arc::new(disk.clone()), &expected).unwrap();
    assert_eq!(recovered.survival, Survival::Damaged);
    assert_eq!(survivors(&recovered, |_| 9), [next]);
    log.append(&frame(next + 1, 9, Some(next + 1))).unwrap();
    log.sync().unwrap();
    let (_, recovered) = Log::open(Arc::new(disk), &expected).unwrap();
    assert_eq!(recovered.survival, Survival::Intact);
}

#[test]
fn damage_is_reported_again_until_what_is_missing_is_not_needed_any_more() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open(&disk);
    write(&mut log, 1..=3, 50);
    log.mark().unwrap();
    let mut files = disk.files();
    let segment = files.values_mut().next().unwrap();
    let place = find(segment, &record(2, 50).checksum().to_le_bytes());
    segment[place] ^= 1;
    let disk = MemoryDisk::with(files);
    for start in 1000..1003 {
        let (log, recovered) = open(&disk);
        assert_eq!(recovered.survival, Survival::Damaged);
        assert_eq!(recovered.incarnation, start);
        assert_eq!(survivors(&recovered, |_| 50), [1, 3]);
        assert_eq!(log.durable(), Frame(3));
    }
    let (mut log, _) = open(&disk);
    log.append(&frame(4, 50, Some(3))).unwrap();
    log.sync().unwrap();
    let (_, recovered) = open(&disk);
    assert_eq!(recovered.survival, Survival::Intact);
    assert_eq!(survivors(&recovered, |_| 50), [3, 4]);
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    let found = bytes.windows(wanted.len()).position(|part| part == wanted);
    found.unwrap()
}

/// A small log that was left idle: frames of several sizes, over two segments and two starts.
fn small_log() -> (MemoryDisk, Vec<u64>) {
    let disk = MemoryDisk::default();
    let (mut log, _) = open(&disk);
    write(&mut log, 1..=4, 120);
    write(&mut log, 5..=9, 120);
    log.mark().unwrap();
    drop(log);
    let (mut log, _) = open(&disk);
    write(&mut log, 10..=13, 120);
    log.mark().unwrap();
    (disk, range(1..=13))
}

#[test]
fn no_flipped_bit_of_an_idle_log_is_read_as_data_or_shortens_it_silently() {
    let (disk, all) = small_log();
    let files = disk.files();
    let mut choice = Choice::Seeded(1);
    let (mut damaged, mut intact) = (0, 0);
    for (name, content) in &files {
        // What follows the frames is zeros, as far as the eye reaches: a few of them will do.
        let end = content.iter().rposition(|&byte| byte != 0).unwrap_or(0) + 100;
        for at in 0..end.min(content.len()) {
            if (200..4000).contains(&at) || (4200..8100).contains(&at) {
                continue;
            }
            let mut hurt = files.clone();
            hurt.get_mut(name).unwrap()[at] ^= 1 << choice.choose(8);
            match Log::open(Arc::new(MemoryDisk::with(hurt)), &options()) {
                Ok((_, recovered)) => {
                    let found = survivors(&recovered, |_| 120);
                    match recovered.survival {
                        Survival::Intact => {
                            assert_eq!(found, all, "byte {at} of {name}");
                            intact += 1;
                        }
                        Survival::Damaged => {
                            assert_ne!(found, all, "byte {at} of {name}");
                            damaged += 1;
                        }
                        Survival::Fresh => panic!("byte {at} of {name}: not fresh"),
                    }
                    assert!(recovered.incarnation > 2);
                }
                Err(error) => panic!("byte {at} of {name}: {error}"),
            }
        }
    }
    // Every byte of the 13 frames matters; bytes of headers' copies, markers and padding do not.
    assert!(damaged > 13 * 180, "{damaged} of {}", damaged + intact);
    assert!(intact > 1000, "{intact}");
}

#[test]
fn a_log_cut_anywhere_keeps_what_was_whole() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open_roomy(&disk);
    let files = disk.files();
    let (name, empty) = files.iter().next().unwrap();
    // Where each frame ends, if all are written by one sync and nobody vouches for them.
    let mut ends = Vec::new();
    for number in 1..=8 {
        log.append(&frame(number, 60, None)).unwrap();
        ends.push(log.offset + log.buffer.len() as u64);
    }
    log.sync().unwrap();
    let full = &disk.files()[name];
    let first = full.iter().zip(empty).position(|(a, b)| a != b).unwrap();
    for cut in first..full.len() {
        // Not written at all behind the cut, and the file cut off there.
        let mut zeroed = full.clone();
        zeroed[cut..].fill(0);
        let short = full[..cut].to_vec();
        let whole = ends.iter().filter(|&&end| end <= cut as u64).count() as u64;
        for content in [zeroed, short] {
            let files = [(name.clone(), content)].into_iter().collect();
            let (_, recovered) = open_roomy(&MemoryDisk::with(files));
            let found = survivors(&recovered, |_| 60);
            assert_ne!(recovered.survival, Survival::Damaged, "cut at {cut}");
            // A frame may be whole a little earlier, if what was cut off was filling.
            let more = range(1..=whole + 1);
            assert!(found == range(1..=whole) || found == more, "cut at {cut}");
        }
    }
}

#[test]
fn a_torn_group_is_dropped_with_all_behind_it_and_never_comes_back() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open_roomy(&disk);
    write(&mut log, 1..=3, 60);
    for number in 4..=8 {
        log.append(&frame(number, 60, None)).unwrap();
    }
    let at = log.offset as usize;
    log.sync().unwrap();
    let mut files = disk.files();
    // The disk wrote frames 5 to 8 and not 4.
    files.values_mut().next().unwrap()[at..at + 64].fill(0);
    let disk = MemoryDisk::with(files);
    let (mut log, recovered) = open_roomy(&disk);
    let remains = disk.files().into_values().next().unwrap();
    assert_eq!(remains.len(), at - 512 + 3 * 136, "nothing torn is left");
    assert_eq!(recovered.survival, Survival::Intact);
    assert_eq!(recovered.durable, Frame(3));
    assert_eq!(survivors(&recovered, |_| 60), [1, 2, 3]);
    // A frame 4 of the same size, and then a crash: the old frame 5 must not follow it.
    log.append(&frame(4, 60, None)).unwrap();
    log.sync().unwrap();
    let (_, recovered) = open_roomy(&disk);
    assert_eq!(recovered.survival, Survival::Intact);
    assert_eq!(survivors(&recovered, |_| 60), range(1..=4));
}

#[test]
fn what_is_torn_stays_dropped_even_if_an_opening_ended_before_it_was_cut_off() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open_roomy(&disk);
    write(&mut log, 1..=3, 60);
    for number in 4..=8 {
        log.append(&frame(number, 60, None)).unwrap();
    }
    let at = log.offset as usize;
    log.sync().unwrap();
    let mut files = disk.files();
    let (name, torn) = files.iter_mut().next().unwrap();
    torn[at..at + 64].fill(0);
    let (name, torn) = (name.clone(), torn.clone());
    let disk = MemoryDisk::with(files);
    let (mut log, _) = open_roomy(&disk);
    write(&mut log, 4..=4, 60);
    log.mark().unwrap();
    let mut files = disk.files();
    files.insert(name.clone(), torn);
    let disk = MemoryDisk::with(files);
    let (_, recovered) = open_roomy(&disk);
    assert_eq!(recovered.survival, Survival::Intact);
    assert_eq!(survivors(&recovered, |_| 60), range(1..=4));
    assert_eq!(disk.files()[&name].len(), at - 512 + 3 * 136);
}

#[test]
fn a_newer_format_is_refused_with_a_sentence() {
    let (disk, _) = small_log();
    let mut files = disk.files();
    let (name, content) = files.iter_mut().next().unwrap();
    let name = name.clone();
    for copy in [0, 4096] {
        content[copy + 8] = 9;
        let header = &content[copy..copy + 72];
        let crc = crc32c::crc32c_append(crc32c::crc32c(&header[..12]), &header[16..]);
        content[copy + 12..copy + 16].copy_from_slice(&crc.to_le_bytes());
    }
    let error = Log::open(Arc::new(MemoryDisk::with(files)), &options()).err();
    let error = error.unwrap().to_string();
    assert!(error.contains("format version 9"), "{error}");
    assert!(error.contains(&name), "{error}");
}

#[test]
fn records_of_another_protocol_are_an_error_and_no_panic() {
    let disk = MemoryDisk::default();
    let (mut log, _) = open(&disk);
    write(&mut log, 1..=1, 5);
    let (_, recovered) = open(&disk);
    let error = recovered.records::<String>().unwrap_err();
    assert!(matches!(
        error,
        LogError::Undecodable {
            frame: Frame(1),
            ..
        }
    ));
}

/// A disk on which no file can be larger than this.
struct Cramped {
    disk: MemoryDisk,
    bytes_max: u64,
}

struct CrampedFile {
    file: Box<dyn File>,
    bytes_max: u64,
}

impl Disk for Cramped {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let file = self.disk.create(name)?;
        let bytes_max = self.bytes_max;
        Ok(Box::new(CrampedFile { file, bytes_max }))
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

    fn lock(&self, name: &str) -> io::Result<Option<crate::disk::Lock>> {
        self.disk.lock(name)
    }
}

impl File for CrampedFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn preallocate(&mut self, len: u64) -> io::Result<()> {
        match len > self.bytes_max {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => self.file.preallocate(len),
        }
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[test]
fn with_little_room_left_segments_are_smaller_and_nothing_is_lost() {
    let disk = MemoryDisk::default();
    let cramped = |bytes_max| {
        let disk = disk.clone();
        Log::open(Arc::new(Cramped { disk, bytes_max }), &options())
    };
    let (mut log, _) = cramped(10 << 10).unwrap();
    write(&mut log, 1..=20, 500);
    drop(log);
    // Room for the largest frame and no more.
    let (mut log, recovered) = cramped(FRAMES_AT as u64 + 1024).unwrap();
    assert_eq!(recovered.records::<Payload>().unwrap().len(), 20);
    write(&mut log, 21..=30, 500);
    // None at all: it stops, and what it said was durable is there.
    let refused = log.append(&frame(31, 2000, None));
    assert!(matches!(refused, Err(LogError::Io { .. })), "{refused:?}");
    drop(log);
    disk.remove(SPARE).unwrap();
    assert!(cramped(FRAMES_AT as u64).is_err());
    let (_, recovered) = cramped(10 << 10).unwrap();
    assert_eq!(recovered.survival, Survival::Intact);
    assert_eq!(recovered.records::<Payload>().unwrap().len(), 30);
}

#[test]
fn with_no_room_at_all_the_spare_segment_is_used_once() {
    let disk = MemoryDisk::default();
    let roomy = LogOptions {
        segment_bytes: 20 << 10,
        ..options()
    };
    let cramped = |bytes_max| {
        let disk = disk.clone();
        Log::open(Arc::new(Cramped { disk, bytes_max }), &roomy)
    };
    let (mut log, _) = cramped(u64::MAX).unwrap();
    write(&mut log, 1..=5, 500);
    drop(log);
    assert!(disk.files().contains_key(SPARE));
    // It starts, and what makes room can be written.
    let (mut log, recovered) = cramped(0).unwrap();
    assert_eq!(recovered.records::<Payload>().unwrap().len(), 5);
    write(&mut log, 6..=8, 500);
    drop(log);
    assert!(!disk.files().contains_key(SPARE));
    assert!(cramped(0).is_err(), "there was one only");
    // There is room again, and another spare one.
    let (_, recovered) = cramped(u64::MAX).unwrap();
    assert_eq!(recovered.survival, Survival::Intact);
    assert_eq!(recovered.records::<Payload>().unwrap().len(), 8);
    assert!(disk.files().contains_key(SPARE));
}
