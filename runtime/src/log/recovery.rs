//! What survived: which frames are there, which are missing, and whether that matters.
//!
//! Every frame says how far the log was durable when it was written. A frame that is missing
//! although a later one, or a later segment, says that it was durable is *lost*: the log is
//! damaged. A frame that is missing and that nothing vouches for was never acknowledged: it and all
//! behind it are *torn*, and dropped. What a crash does is always the latter, since nothing is
//! acknowledged before it is durable.

use std::sync::Arc;

use quorate_core::{Frame, Reader, Survival, Wire};

use super::frame::Kind;
use super::scan::{Found, scan};
use super::segment::{self, FRAMES_AT, SegmentHeader, Unusable};
use super::{LogError, at};
use crate::disk::Disk;

/// How far numbers jump when it is unknown how many were used. The hole that this leaves in the
/// sequence is what makes later starts report the damage too.
const JUMP: u64 = 1 << 32;

/// A place in the log, and what holds there.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Position {
    /// The last frame of any kind.
    pub(super) sequence: u64,
    /// The last frame of records.
    pub(super) frame: Frame,
    /// The largest `keep_from` so far.
    pub(super) keep_from: Frame,
}

/// One segment as it was found.
#[derive(Clone, Debug)]
pub(super) struct FoundSegment {
    pub(super) ordinal: u64,
    /// Nothing if it cannot be read.
    pub(super) header: Option<SegmentHeader>,
    /// Frames from this sequence on, left over from a torn write, are no part of the log: a later
    /// segment says so.
    until: u64,
    /// Frames end here.
    pub(super) used: u64,
    /// There is something behind them.
    pub(super) stale: bool,
}

/// Frames without a gap between them. An empty run is only a signpost: it tells what was before.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    frame_before: Frame,
    last: Position,
}

/// All that the log's files say.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) segments: Vec<FoundSegment>,
    runs: Vec<Run>,
    /// Something says that all through this sequence was durable.
    pub(super) acknowledged: u64,
    incarnation: u64,
    /// Something at the very end cannot be read, so nothing can be said about it.
    tail_unreadable: bool,
}

/// What follows from a [`Survey`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    pub(super) survival: Survival,
    /// Where the log goes on.
    pub(super) end: Position,
    /// Frames after this one are torn.
    pub(super) readable: u64,
    /// The largest incarnation seen.
    pub(super) incarnation: u64,
}

/// What survived of the log: counts, and on request the records themselves.
pub struct Recovered {
    /// What became of the records of earlier incarnations.
    pub survival: Survival,
    /// How often the replica was started, this time included.
    pub incarnation: u64,
    /// The last frame; the next one written is the one after it.
    pub durable: Frame,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) segments: Vec<FoundSegment>,
    pub(super) verdict: Verdict,
}

impl Survey {
    /// Reads all segments, one after the other and each in blocks.
    pub(super) fn take(disk: &dyn Disk) -> Result<Survey, LogError> {
        let mut survey = Survey::default();
        let names = disk.list().map_err(at("list", "the log's directory"))?;
        let mut ordinals: Vec<u64> = names.iter().filter_map(|n| segment::ordinal(n)).collect();
        ordinals.sort_unstable();
        for ordinal in ordinals {
            let header = read_header(disk, ordinal)?;
            survey.segments.push(FoundSegment {
                ordinal,
                header,
                until: u64::MAX,
                used: FRAMES_AT as u64,
                stale: false,
            });
        }
        let mut until = u64::MAX;
        for found in survey.segments.iter_mut().rev() {
            found.until = until;
            if let Some(header) = found.header {
                until = until.min(header.kept.saturating_add(1));
            }
        }
        for index in 0..survey.segments.len() {
            survey.read_segment(disk, index)?;
        }
        Ok(survey)
    }

    fn read_segment(&mut self, disk: &dyn Disk, index: usize) -> Result<(), LogError> {
        let is_last = index + 1 == self.segments.len();
        let found = self.segments[index].clone();
        let name = segment::name(found.ordinal);
        let Some(header) = found.header else {
            tracing::error!(file = name, "a segment of the log has no readable header");
            self.tail_unreadable |= is_last;
            return Ok(());
        };
        // A segment is made when everything before it is durable.
        let before = header.first_sequence.saturating_sub(1);
        self.acknowledged = self.acknowledged.max(before);
        self.incarnation = self.incarnation.max(header.incarnation);
        self.signpost(Position {
            sequence: before,
            frame: header.frame_before,
            keep_from: header.keep_from,
        });
        let file = disk.open(&name).map_err(at("open", &name))?;
        let (mut used, mut stale) = (found.used, false);
        let unreadable = scan(&*file, header.salt, |found_frame| {
            let (frame, end) = match &found_frame {
                Found::Frame { header, end, .. } => (header, Some(*end)),
                Found::Bodiless(header) => (header, None),
            };
            if frame.sequence >= found.until {
                stale = true;
                return Ok(());
            }
            self.acknowledged = self.acknowledged.max(frame.acknowledged);
            self.incarnation = self.incarnation.max(frame.incarnation);
            let position = Position {
                sequence: frame.sequence,
                frame: frame.frame,
                keep_from: frame.keep_from,
            };
            match end {
                Some(end) => {
                    used = end;
                    self.frame(position, frame.frame_before());
                }
                None => self.signpost(position),
            }
            Ok::<(), std::io::Error>(())
        })
        .map_err(at("read", &name))?;
        self.tail_unreadable |= unreadable && is_last;
        self.segments[index].used = used;
        self.segments[index].stale = stale;
        Ok(())
    }

    fn frame(&mut self, position: Position, frame_before: Frame) {
        match self.runs.last_mut() {
            Some(run) if run.last.sequence + 1 == position.sequence => run.last = position,
            _ => self.runs.push(Run {
                first: position.sequence,
                frame_before,
                last: position,
            }),
        }
    }

    /// Notes that there is, or was, something through this position, of which nothing is readable
    /// here.
    fn signpost(&mut self, position: Position) {
        if self.runs.last().map(|run| run.last.sequence) != Some(position.sequence) {
            self.runs.push(Run {
                first: position.sequence.saturating_add(1),
                frame_before: position.frame,
                last: position,
            });
        }
    }

    /// Where the last segment ends if nothing beyond `sequence` counts.
    pub(super) fn end_of_last(&self, disk: &dyn Disk, sequence: u64) -> Result<u64, LogError> {
        let Some(FoundSegment {
            ordinal,
            header: Some(header),
            used,
            ..
        }) = self.segments.last()
        else {
            return Ok(u64::MAX);
        };
        if self
            .runs
            .last()
            .is_none_or(|run| run.last.sequence <= sequence)
        {
            return Ok(*used);
        }
        let name = segment::name(*ordinal);
        let file = disk.open(&name).map_err(at("open", &name))?;
        let mut used = FRAMES_AT as u64;
        scan(&*file, header.salt, |found| {
            match found {
                Found::Frame { header, end, .. } if header.sequence <= sequence => used = end,
                Found::Frame { .. } | Found::Bodiless(_) => {}
            }
            Ok::<(), std::io::Error>(())
        })
        .map_err(at("read", &name))?;
        Ok(used)
    }

    /// Tells torn from lost.
    pub(super) fn verdict(&self) -> Verdict {
        let mut end = Position::default();
        // The frames of records that were acknowledged and are not there, as ranges.
        let mut lost = Vec::new();
        for run in &self.runs {
            if run.first > end.sequence.saturating_add(1) {
                if run.first - 1 > self.acknowledged {
                    // It lies behind a frame that nothing vouches for: torn, like all after it.
                    break;
                }
                lost.push((end.frame.next(), run.frame_before));
            }
            end = run.last;
        }
        let readable = end.sequence;
        if self.acknowledged > end.sequence || self.tail_unreadable {
            let first = end.frame.next();
            end.sequence = self.acknowledged.max(end.sequence).saturating_add(JUMP);
            end.frame = Frame(end.frame.0.saturating_add(JUMP));
            lost.push((first, end.frame));
        }
        let damaged = lost
            .iter()
            .any(|(first, last)| last >= first && *last >= end.keep_from);
        let survival = match (damaged, end.frame) {
            (true, _) => Survival::Damaged,
            (false, Frame(0)) => Survival::Fresh,
            (false, _) => Survival::Intact,
        };
        Verdict {
            survival,
            end,
            readable,
            incarnation: self.incarnation,
        }
    }
}

impl Verdict {
    /// The log as a whole is missing: everything was lost.
    pub(super) fn nothing_left() -> Verdict {
        let end = Position {
            sequence: JUMP,
            frame: Frame(JUMP),
            keep_from: Frame(0),
        };
        Verdict {
            survival: Survival::Damaged,
            end,
            readable: 0,
            incarnation: 0,
        }
    }
}

fn read_header(disk: &dyn Disk, ordinal: u64) -> Result<Option<SegmentHeader>, LogError> {
    let name = segment::name(ordinal);
    let file = disk.open(&name).map_err(at("open", &name))?;
    let mut start = vec![0; FRAMES_AT];
    let count = match file.read_at(&mut start, 0) {
        Ok(count) => count,
        Err(error) => {
            tracing::warn!(%error, file = name, "the header of a segment cannot be read");
            0
        }
    };
    match SegmentHeader::decode(&start[..count]) {
        Ok(header) if header.ordinal == ordinal => Ok(Some(header)),
        Ok(_) | Err(Unusable::Damaged) => Ok(None),
        Err(Unusable::Newer(version)) => Err(LogError::Newer {
            file: name,
            version,
        }),
    }
}

impl Recovered {
    /// Whether records were dropped from the log because what they had led to was safe elsewhere. Even if all
    /// frames are there: others in the first of them may be needed still.
    #[must_use]
    pub fn is_compacted(&self) -> bool {
        self.verdict.end.keep_from > Frame(0)
    }

    /// Decodes the surviving records that are still needed, oldest first, each with its frame. If
    /// the log is damaged, the frames' numbers show where some are missing.
    ///
    /// # Errors
    /// If the files cannot be read, or an intact frame does not hold what this protocol writes.
    pub fn records<R: Wire>(&self) -> Result<Vec<(Frame, R)>, LogError> {
        let mut records = Vec::new();
        for found in &self.segments {
            let Some(segment_header) = found.header else {
                continue;
            };
            let name = segment::name(found.ordinal);
            let until = found.until.min(self.verdict.readable.saturating_add(1));
            if until <= segment_header.first_sequence {
                continue;
            }
            let file = self.disk.open(&name).map_err(at("open", &name))?;
            scan(&*file, segment_header.salt, |found| {
                let Found::Frame {
                    header,
                    block,
                    body,
                    ..
                } = found
                else {
                    return Ok(());
                };
                if header.kind != Kind::Records
                    || header.sequence >= until
                    || header.frame < self.verdict.end.keep_from
                {
                    return Ok(());
                }
                let mut reader = Reader::within(block, body.start, body.end);
                while reader.remaining() > 0 {
                    let record =
                        R::decode(&mut reader).map_err(|malformed| LogError::Undecodable {
                            frame: header.frame,
                            malformed,
                        })?;
                    records.push((header.frame, record));
                }
                Ok::<(), LogError>(())
            })?;
        }
        Ok(records)
    }
}
