//! A log driven by arbitrary bytes: written, crashed, damaged and opened again, beside a model that
//! knows what must be there.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::{Choice, Frame, Payload, Survival, Wire};
use quorate_node::{Frames, Written};

use super::crash::CrashDisk;
use crate::log::{Log, LogError, LogOptions, Recovered};

/// Frames before this one are not looked up in the model: there can be none.
const FIRST: Frame = Frame(1);

/// What must be there.
#[derive(Clone, Default)]
struct Model {
    /// What each frame holds, by a stamp: frames that were dropped are written again differently.
    stamps: BTreeMap<Frame, u32>,
    /// Everything through here was acknowledged.
    durable: Frame,
    /// Everything before here may be gone.
    keep_from: Frame,
    incarnation: u64,
    stamp: u32,
}

/// The rest of the bytes.
struct Program<'a>(&'a [u8]);

impl Program<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> u32 {
        let bytes = std::array::from_fn(|_| self.next().unwrap_or(0));
        u32::from_le_bytes(bytes)
    }
}

/// Runs a program on a log and checks what survives.
///
/// # Panics
/// If a record is wrong, or something acknowledged is gone without being reported.
pub fn log_recovery(program: &[u8]) {
    let mut program = Program(program);
    let mut model = Model::default();
    let mut choice = Choice::Seeded(u64::from(program.number()));
    let options = LogOptions {
        segment_bytes: (9 << 10) + u64::from(program.next().unwrap_or(0)) * 32,
        seed: u64::from(program.number()),
        expected: false,
        incarnation_after_loss: 1 << 40,
    };
    let mut disk = CrashDisk::default();
    let mut log = open_after_crash(&mut disk, &options, &mut model, &mut program, &mut choice);
    while let Some(operation) = program.next() {
        let done = match operation % 16 {
            0..=6 => append(&mut log, &mut model, usize::from(operation) * 3, None),
            7..=9 => sync(&mut log, &mut model),
            10 => log.mark().map(|()| acknowledge(&mut model)),
            11 => {
                let keep = u64::from(program.next().unwrap_or(0));
                let keep = Frame(log_end(&model).0.saturating_sub(keep) + 1);
                append(&mut log, &mut model, 5, Some(keep))
            }
            12 => sync(&mut log, &mut model).and_then(|()| log.trim().map(drop)),
            13 => {
                disk.fail_after(u32::from(program.next().unwrap_or(0)) % 16);
                Ok(())
            }
            14 => append(&mut log, &mut model, program.number() as usize % 5000, None),
            _ => Err(LogError::Failed),
        };
        if done.is_err() {
            assert!(operation % 16 == 15 || log.sync().is_err(), "no way back");
            disk = CrashDisk::with(disk.crash(&mut choice));
            log = open_after_crash(&mut disk, &options, &mut model, &mut program, &mut choice);
        }
    }
    damage(disk, &options, &model, &mut choice);
}

fn log_end(model: &Model) -> Frame {
    model
        .stamps
        .last_key_value()
        .map_or(Frame(0), |last| *last.0)
}

fn append(
    log: &mut Log,
    model: &mut Model,
    bytes: usize,
    keep_from: Option<Frame>,
) -> Result<(), LogError> {
    let number = log_end(model).next();
    model.stamp += 1;
    model.stamps.insert(number, model.stamp);
    model.keep_from = model.keep_from.max(keep_from.unwrap_or_default());
    let mut frames = Frames::default();
    payload(model.stamp, bytes).encode(&mut frames.bytes);
    frames.written.push(Written {
        frame: number,
        range: 0..frames.bytes.len(),
        keep_from,
    });
    log.append(&frames)
}

fn sync(log: &mut Log, model: &mut Model) -> Result<(), LogError> {
    assert_eq!(log.sync()?, log_end(model));
    acknowledge(model);
    Ok(())
}

fn acknowledge(model: &mut Model) {
    model.durable = log_end(model);
}

/// What a frame with this stamp holds.
fn payload(stamp: u32, bytes: usize) -> Payload {
    let mut content = stamp.to_le_bytes().to_vec();
    content.extend((0..bytes).map(|at| (at as u32 ^ stamp) as u8));
    let checksum = crc32c::crc32c(&content);
    Payload::from_vec(content, checksum)
}

/// The frames that a log answers, each with its stamp.
fn frames_of(recovered: &Recovered) -> BTreeMap<Frame, u32> {
    let records = recovered
        .records::<Payload>()
        .expect("what was written decodes");
    let mut frames = BTreeMap::new();
    for (frame, record) in records {
        assert_eq!(record.checksum(), crc32c::crc32c(record.as_bytes()));
        let stamp = record.as_bytes().first_chunk().expect("each has a stamp");
        let stamp = u32::from_le_bytes(*stamp);
        assert_eq!(record, payload(stamp, record.len() - 4));
        assert_eq!(frames.insert(frame, stamp), None, "{frame:?} comes once");
    }
    frames
}

/// Opens after a crash, perhaps with a disk that fails just then and another crash after that.
fn open_after_crash(
    disk: &mut CrashDisk,
    options: &LogOptions,
    model: &mut Model,
    program: &mut Program<'_>,
    choice: &mut Choice,
) -> Log {
    let fail_after = program.next().unwrap_or(1);
    if fail_after.is_multiple_of(4) {
        disk.fail_after(u32::from(fail_after / 4 % 12));
    }
    if let Some(log) = open_whole(disk, options, model) {
        return log;
    }
    *disk = CrashDisk::with(disk.crash(choice));
    open_whole(disk, options, model).expect("this disk does not fail")
}

/// Opens after a crash, which must not have cost anything acknowledged. `None` if the disk fails.
fn open_whole(disk: &CrashDisk, options: &LogOptions, model: &mut Model) -> Option<Log> {
    let (log, recovered) = Log::open(Arc::new(disk.clone()), options).ok()?;
    assert_ne!(
        recovered.survival,
        Survival::Damaged,
        "a crash is no damage"
    );
    assert!(recovered.incarnation > model.incarnation);
    model.incarnation = recovered.incarnation;
    let found = frames_of(&recovered);
    assert!(
        recovered.durable >= model.durable,
        "nothing acknowledged is gone"
    );
    assert!(recovered.durable <= log_end(model));
    model.stamps.retain(|frame, _| *frame <= recovered.durable);
    // Older frames may be there or not, newer ones must be: compaction keeps the frame that asks
    // for it.
    let first = found.first_key_value().map_or(FIRST, |first| *first.0);
    assert!(first <= model.keep_from.max(FIRST));
    let mut expected = model.stamps.clone();
    expected.retain(|frame, _| *frame >= first);
    assert_eq!(found, expected, "all from the first to the last");
    model.keep_from = first;
    acknowledge(model);
    Some(log)
}

/// Damages the files. Nothing may be wrong then, and what is missing must be reported, unless it is
/// at the very end, where damage looks like a torn write.
fn damage(disk: CrashDisk, options: &LogOptions, model: &Model, choice: &mut Choice) {
    let mut files = disk.crash(choice);
    let count = choose(choice, 3) + 1;
    for _ in 0..count {
        let index = choose(choice, files.len());
        let Some(content) = files.values_mut().nth(index) else {
            return;
        };
        let at = choose(choice, content.len());
        match choice.choose(4) {
            0 => content.truncate(at),
            1 => {
                let end = content.len().min(at + choose(choice, 2000));
                content[at..end].fill(0);
            }
            2 => {
                let name = files.keys().nth(index).cloned().unwrap_or_default();
                files.remove(&name);
            }
            _ => {
                if let Some(byte) = content.get_mut(at) {
                    *byte ^= 1 << choice.choose(8);
                }
            }
        }
    }
    let disk = CrashDisk::with(files);
    let Some((first, survival)) = open_damaged(&disk, options, model) else {
        return;
    };
    // Opened again without a crash, it says the same again.
    let again = open_damaged(&disk, options, model).expect("it could be opened before");
    assert_eq!(again, (first, survival));
}

/// Opens what was damaged and checks that whatever is there was written.
fn open_damaged(
    disk: &CrashDisk,
    options: &LogOptions,
    model: &Model,
) -> Option<(BTreeMap<Frame, u32>, Survival)> {
    let (_, recovered) = Log::open(Arc::new(disk.clone()), options).ok()?;
    let found = frames_of(&recovered);
    for (frame, stamp) in &found {
        assert_eq!(
            model.stamps.get(frame),
            Some(stamp),
            "{frame:?} was written so"
        );
    }
    if recovered.survival != Survival::Damaged
        && let (Some((first, _)), Some((last, _))) =
            (found.first_key_value(), found.last_key_value())
    {
        assert_eq!(last.0 - first.0 + 1, found.len() as u64, "there is no hole");
        assert_eq!(*last, recovered.durable);
    }
    Some((found, recovered.survival))
}

fn choose(choice: &mut Choice, n: usize) -> usize {
    choice.choose(u32::try_from(n).unwrap_or(u32::MAX).max(1)) as usize
}
