//! The segmented write-ahead log. `docs/file-format.md` describes the files byte by byte.
//!
//! A [`Log`] starts no thread and knows no protocol: it appends the frames that a node wrote and
//! makes them durable, several at a time. Each opening starts a new segment and never writes into
//! an old one, so nothing that was ever acknowledged is written over. A segment is deleted as a
//! whole when no frame in it is needed any more.

mod frame;
mod recovery;
mod scan;
mod segment;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use quorate_core::{Choice, Frame, Malformed, Survival};
use quorate_node::Frames;

use crate::disk::{Disk, File};
use frame::{FrameHeader, Kind};
use recovery::{Position, Survey, Verdict};
use segment::{FRAMES_AT, SPARE, SegmentHeader, UNNAMED};

pub use recovery::Recovered;

/// A group of frames starts in a sector of its own, so that a disk which spoils the sector that it
/// is writing when the power fails cannot spoil an acknowledged frame.
const SECTOR_BYTES: u64 = 512;

/// What the frames of every start need: one that says which, and one that vouches for it.
const MARKS_BYTES: u64 = 2 * SECTOR_BYTES;

/// How large the spare segment is: enough for thousands of small frames, such as deletions on a disk that is full,
/// and for starting there. Every start gives back what the segment before it has not used.
const SPARE_BYTES: u64 = 1 << 20;

/// Bytes waiting for a sync are handed to the operating system when there are this many.
const BUFFER_BYTES: usize = 1 << 20;

/// What a log may be told.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The size of one segment; one that must hold a larger frame is larger.
    pub segment_bytes: u64,
    /// Where the segments' salts come from: anything random.
    pub seed: u64,
    /// There must be a log already: if there is none it was lost, which is damage.
    pub expected: bool,
    /// A number larger than any incarnation so far, for when the log is damaged and cannot tell:
    /// milliseconds since 1970 will do.
    pub incarnation_after_loss: u64,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions {
            segment_bytes: 64 << 20,
            seed: 0,
            expected: false,
            incarnation_after_loss: 0,
        }
    }
}

/// Why a log cannot be used. There is no way on from any of these but to stop.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused something.
    #[error("cannot {verb} {file} of the log: {source}")]
    Io {
        /// What was tried.
        verb: &'static str,
        /// With which file.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system refused to read.
    #[error("cannot read the log: {0}")]
    Read(#[from] io::Error),
    /// A newer version of Quorate wrote this log.
    #[error(
        "{file} of the log has format version {version}, this program knows versions up to {}: \
         start the program that wrote it, or a newer one",
        segment::VERSION
    )]
    Newer {
        /// Which segment.
        file: String,
        /// Its version.
        version: u32,
    },
    /// A frame is intact, but its records are not what this protocol writes.
    #[error("frame {} of the log is intact but no record of this protocol: {malformed}", frame.0)]
    Undecodable {
        /// Which frame.
        frame: Frame,
        /// Where decoding gave up.
        malformed: Malformed,
    },
    /// An earlier call failed; what is on the disk is unknown.
    #[error("the log failed before and must not be used any more")]
    Failed,
}

/// Makes a [`LogError`] of an error of the operating system.
fn at(verb: &'static str, file: &str) -> impl FnOnce(io::Error) -> LogError {
    let file = file.to_owned();
    move |source| LogError::Io { verb, file, source }
}

/// An open log.
pub struct Log {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    salts: Choice,
    /// The segments that hold something needed, oldest first, each with the last frame of records
    /// before it; the last is the one being written.
    segments: VecDeque<(u64, Frame)>,
    segment: Segment,
    /// Where in the segment `buffer` belongs.
    offset: u64,
    /// Frames not yet handed to the operating system.
    buffer: Vec<u8>,
    incarnation: u64,
    /// Through here frames were appended.
    written: Position,
    /// Through here they are durable.
    durable: Position,
    /// The last frame is a marker that vouches for all before it.
    marked: bool,
    /// Something failed.
    failed: bool,
    counts: LogCounts,
}

/// The segment being written.
struct Segment {
    ordinal: u64,
    name: String,
    salt: u64,
    file: Box<dyn File>,
    /// The length of the file.
    capacity: u64,
}

/// What a log has done since it was opened.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct LogCounts {
    /// Frames of records appended.
    pub frames: u64,
    /// Bytes written, all included.
    pub bytes: u64,
    /// Times it waited for the disk.
    pub syncs: u64,
}

impl Log {
    /// Opens the log in a directory, or starts one. When it answers, the new incarnation is
    /// durable.
    ///
    /// # Errors
    /// If the files cannot be read or written, or a newer version wrote them. Damage is no error:
    /// [`Recovered::survival`] reports it.
    pub fn open(disk: Arc<dyn Disk>, options: &LogOptions) -> Result<(Log, Recovered), LogError> {
        let names = disk.list().map_err(at("list", "the directory"))?;
        if names.iter().any(|name| name == UNNAMED) {
            // Durably, so that no later renaming can catch the old one.
            disk.remove(UNNAMED).map_err(at("remove", UNNAMED))?;
            disk.sync_dir()
                .map_err(at("sync the directory after removing", UNNAMED))?;
        }
        let survey = Survey::take(&*disk)?;
        let verdict = match survey.segments.is_empty() && options.expected {
            true => Verdict::nothing_left(),
            false => survey.verdict(),
        };
        let incarnation = match verdict.survival {
            Survival::Damaged => (verdict.incarnation + 1).max(options.incarnation_after_loss),
            Survival::Fresh | Survival::Intact => verdict.incarnation + 1,
        };
        make_durable_what_is_read(&*disk, &survey, &verdict)?;
        let end = verdict.end;
        let mut salts = Choice::Seeded(options.seed);
        let mut segments: VecDeque<(u64, Frame)> = VecDeque::new();
        for found in &survey.segments {
            // What cannot be read is kept as long as what comes before it.
            let known = found.header.map(|header| header.frame_before);
            let before = known.or(segments.back().map(|kept| kept.1));
            segments.push_back((found.ordinal, before.unwrap_or_default()));
        }
        let mut log = Log {
            segment: Segment::create(
                &*disk,
                options.segment_bytes,
                MARKS_BYTES,
                SegmentHeader {
                    ordinal: segments.back().map_or(1, |last| last.0 + 1),
                    salt: random(&mut salts),
                    first_sequence: end.sequence + 1,
                    kept: verdict.readable,
                    frame_before: end.frame,
                    keep_from: end.keep_from,
                    incarnation,
                },
            )?,
            disk,
            segment_bytes: options.segment_bytes,
            salts,
            segments,
            offset: FRAMES_AT as u64,
            buffer: Vec::new(),
            incarnation,
            written: end,
            durable: end,
            marked: false,
            failed: false,
            counts: LogCounts::default(),
        };
        log.segments.push_back((log.segment.ordinal, end.frame));
        log.keep_spare()?;
        cut_off_what_is_torn(&*log.disk, &survey, &verdict)?;
        log.push(Kind::Incarnation, end.frame, end.keep_from, &[])?;
        log.sync()?;
        log.mark()?;
        let recovered = Recovered {
            survival: verdict.survival,
            incarnation,
            durable: end.frame,
            disk: log.disk.clone(),
            segments: survey.segments,
            verdict,
        };
        Ok((log, recovered))
    }

    /// Appends frames. They are durable after the next [`Log::sync`].
    ///
    /// # Errors
    /// If writing failed: the log must not be used any more.
    ///
    /// # Panics
    /// If the frames' numbers do not follow those before them.
    pub fn append(&mut self, frames: &Frames) -> Result<(), LogError> {
        for written in &frames.written {
            let last = self.written;
            assert!(
                written.frame == last.frame.next(),
                "frames are appended in order"
            );
            let keep_from = last.keep_from.max(written.keep_from.unwrap_or_default());
            let body = &frames.bytes[written.range.clone()];
            self.push(Kind::Records, written.frame, keep_from, body)?;
            self.counts.frames += 1;
        }
        Ok(())
    }

    /// Makes all that was appended durable and answers the last frame that is.
    ///
    /// # Errors
    /// If writing or syncing failed: the log must not be used any more.
    pub fn sync(&mut self) -> Result<Frame, LogError> {
        if self.failed {
            return Err(LogError::Failed);
        }
        if self.is_behind() {
            self.write()?;
            let synced = self.segment.file.sync_data();
            self.check("sync", synced)?;
            self.counts.syncs += 1;
            self.durable = self.written;
            self.offset = self.offset.next_multiple_of(SECTOR_BYTES);
        }
        Ok(self.durable.frame)
    }

    /// Makes it unmistakable, durably, that all through the last [`Log::sync`] was acknowledged.
    /// Otherwise the next frame says so; this is for a log that has become idle.
    ///
    /// # Errors
    /// If writing or syncing failed: the log must not be used any more.
    pub fn mark(&mut self) -> Result<(), LogError> {
        if self.marked {
            return Ok(());
        }
        let Position {
            frame, keep_from, ..
        } = self.written;
        self.push(Kind::Marker, frame, keep_from, &[])?;
        self.sync()?;
        self.marked = true;
        Ok(())
    }

    /// Deletes the segments that hold nothing needed, by what is durable; answers how many.
    ///
    /// # Errors
    /// If deleting failed: the log must not be used any more.
    pub fn trim(&mut self) -> Result<usize, LogError> {
        let mut deleted = 0;
        while let (Some((ordinal, _)), Some((_, frame_before_next))) =
            (self.segments.front(), self.segments.get(1))
        {
            if *frame_before_next >= self.durable.keep_from {
                break;
            }
            let name = segment::name(*ordinal);
            let removed = self.disk.remove(&name);
            self.check("remove", removed)?;
            self.segments.pop_front();
            deleted += 1;
        }
        if deleted > 0 {
            let synced = self.disk.sync_dir();
            self.check("sync the directory after removing", synced)?;
        }
        Ok(deleted)
    }

    /// Whether there is something that the next [`Log::sync`] would make durable.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.written.sequence > self.durable.sequence
    }

    /// The last frame that is durable.
    #[must_use]
    pub fn durable(&self) -> Frame {
        self.durable.frame
    }

    /// How many segments there are.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// What the log has done since it was opened.
    #[must_use]
    pub fn counts(&self) -> LogCounts {
        self.counts
    }

    fn push(
        &mut self,
        kind: Kind,
        frame: Frame,
        keep_from: Frame,
        body: &[u8],
    ) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Failed);
        }
        let bytes = FrameHeader::frame_bytes(body.len()) as u64;
        if self.offset + self.buffer.len() as u64 + bytes > self.segment.capacity {
            self.start_segment(bytes)?;
        }
        self.written = Position {
            sequence: self.written.sequence + 1,
            frame,
            keep_from,
        };
        self.marked = false;
        let header = FrameHeader {
            kind,
            sequence: self.written.sequence,
            acknowledged: self.durable.sequence,
            frame,
            keep_from,
            incarnation: self.incarnation,
            body_len: u32::try_from(body.len()).expect("a step writes less than 4 GiB"),
            body_crc: crc32c::crc32c(body),
        };
        let at = self.offset + self.buffer.len() as u64;
        header.encode(self.segment.salt, at, &mut self.buffer);
        self.buffer.extend_from_slice(body);
        let filled = self.buffer.len().next_multiple_of(frame::ALIGNMENT);
        self.buffer.resize(filled, 0);
        if self.buffer.len() >= BUFFER_BYTES {
            self.write()?;
        }
        Ok(())
    }

    /// Goes on in a new segment that has room for a frame of so many bytes.
    fn start_segment(&mut self, bytes: u64) -> Result<(), LogError> {
        // The new segment vouches for all before it, so that must be durable first.
        self.sync()?;
        let header = SegmentHeader {
            ordinal: self.segment.ordinal + 1,
            salt: random(&mut self.salts),
            first_sequence: self.durable.sequence + 1,
            kept: self.durable.sequence,
            frame_before: self.durable.frame,
            keep_from: self.durable.keep_from,
            incarnation: self.incarnation,
        };
        let created = Segment::create(&*self.disk, self.segment_bytes, bytes, header);
        self.failed |= created.is_err();
        self.segment = created?;
        self.segments
            .push_back((header.ordinal, header.frame_before));
        self.offset = FRAMES_AT as u64;
        self.keep_spare()
    }

    /// Sees to it that there is a spare segment, if the disk has room for one.
    fn keep_spare(&mut self) -> Result<(), LogError> {
        let bytes = SPARE_BYTES.min(self.segment_bytes);
        let kept = self.disk.open(SPARE).and_then(|spare| spare.size());
        if kept.is_ok_and(|kept| kept >= bytes) {
            return Ok(());
        }
        let made = self.disk.create(SPARE);
        let made = made.and_then(|mut spare| spare.preallocate(bytes));
        let made = match made {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => self.disk.remove(SPARE),
            made => made,
        };
        self.failed |= made.is_err();
        made.map_err(at("reserve space for", SPARE))
    }

    /// Hands the buffer to the operating system.
    fn write(&mut self) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Failed);
        }
        let written = self.segment.file.write_at(&self.buffer, self.offset);
        self.check("write", written)?;
        self.counts.bytes += self.buffer.len() as u64;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// After a failure nothing is tried again: a second sync may succeed and still have lost what
    /// the first one should have written.
    fn check(&mut self, verb: &'static str, result: io::Result<()>) -> Result<(), LogError> {
        self.failed |= result.is_err();
        result.map_err(at(verb, &self.segment.name))
    }
}

impl Segment {
    /// Makes a segment, durably. It gets its name last, so what has a name has a header.
    /// It holds `wanted` bytes, or as many as frames of `least` need; on a disk with little room left, something
    /// in between.
    fn create(
        disk: &dyn Disk,
        wanted: u64,
        least: u64,
        header: SegmentHeader,
    ) -> Result<Segment, LogError> {
        let name = segment::name(header.ordinal);
        let least = FRAMES_AT as u64 + least;
        let (mut file, capacity) = Segment::reserve(disk, wanted.max(least), least)
            .map_err(at("reserve space for", &name))?;
        file.write_at(&header.encode(), 0)
            .map_err(at("write", &name))?;
        file.sync_data().map_err(at("sync", &name))?;
        disk.rename(UNNAMED, &name).map_err(at("name", &name))?;
        disk.sync_dir()
            .map_err(at("sync the directory after naming", &name))?;
        Ok(Segment {
            ordinal: header.ordinal,
            name,
            salt: header.salt,
            file,
            capacity,
        })
    }

    /// A file with room for `bytes`, or for less if the disk has not so much; the spare one if it has nothing.
    fn reserve(disk: &dyn Disk, mut bytes: u64, least: u64) -> io::Result<(Box<dyn File>, u64)> {
        loop {
            let mut file = disk.create(UNNAMED)?;
            match file.preallocate(bytes) {
                Ok(()) => return Ok((file, bytes)),
                Err(error) if error.kind() == io::ErrorKind::StorageFull && bytes > least => {
                    bytes = (bytes / 4).max(least);
                }
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    return Segment::take_spare(disk, least)?.ok_or(error);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn take_spare(disk: &dyn Disk, least: u64) -> io::Result<Option<(Box<dyn File>, u64)>> {
        let Ok(spare) = disk.open(SPARE) else {
            return Ok(None);
        };
        let bytes = spare.size()?;
        if bytes < least {
            return Ok(None);
        }
        tracing::warn!("there is no room for another segment of the log: the spare one is used");
        disk.rename(SPARE, UNNAMED)?;
        Ok(Some((spare, bytes)))
    }
}

/// What was read may be known to the operating system only: an earlier incarnation wrote it and ended
/// before its sync, or because its sync failed, after which the operating system takes for written
/// what it will never write (Rebello et al., "Can applications recover from fsync failures?", 2020).
/// The new segment is about to vouch for all that was read, so what nothing has vouched for yet is
/// written again, as it is, and synced. It begins in a sector of its own.
fn make_durable_what_is_read(
    disk: &dyn Disk,
    survey: &Survey,
    verdict: &Verdict,
) -> Result<(), LogError> {
    let Some(last) = survey.segments.last() else {
        return Ok(());
    };
    if verdict.survival == Survival::Damaged || last.header.is_none() {
        return Ok(());
    }
    let vouched = survey.end_of_last(disk, survey.acknowledged)?;
    let start = vouched.next_multiple_of(SECTOR_BYTES);
    let end = survey.end_of_last(disk, verdict.readable)?;
    let name = segment::name(last.ordinal);
    let mut file = disk.open(&name).map_err(at("open", &name))?;
    if start < end {
        let mut tail = vec![0; usize::try_from(end - start).unwrap_or(usize::MAX)];
        let count = file.read_at(&mut tail, start).map_err(at("read", &name))?;
        let written = file.write_at(&tail[..count], start);
        written.map_err(at("write again", &name))?;
    }
    file.sync_data().map_err(at("sync", &name))
}

/// Removes what an earlier incarnation left behind its last whole frame: it was never acknowledged,
/// and the new segment, which is durable already, says where the log goes on. This also gives back
/// the space that was reserved there.
fn cut_off_what_is_torn(
    disk: &dyn Disk,
    survey: &Survey,
    verdict: &Verdict,
) -> Result<(), LogError> {
    if verdict.survival == Survival::Damaged {
        // Whoever looks into it should find everything as it was.
        return Ok(());
    }
    let last = survey.segments.last().map(|found| found.ordinal);
    for found in &survey.segments {
        let used = match (Some(found.ordinal) == last, found.stale) {
            (true, _) => survey.end_of_last(disk, verdict.readable)?,
            // An earlier opening ended before it came to this.
            (false, true) => found.used,
            (false, false) => continue,
        };
        let name = segment::name(found.ordinal);
        let mut file = disk.open(&name).map_err(at("open", &name))?;
        if found.header.is_some() && file.size().map_err(at("look at", &name))? > used {
            file.truncate(used).map_err(at("cut off", &name))?;
            file.sync_data().map_err(at("sync", &name))?;
        }
    }
    Ok(())
}

fn random(salts: &mut Choice) -> u64 {
    u64::from(salts.choose(u32::MAX)) << 32 | u64::from(salts.choose(u32::MAX))
}
