//! The disk of a machine: frames, of which those that are not durable may or may not survive a crash.

use std::sync::Arc;

use quorate_core::{Frame, Reader, Wire};
use quorate_node::Frames;

/// The frames of one machine.
#[derive(Clone, Default, Debug)]
pub(super) struct Disk {
    stored: Vec<Stored>,
    /// The newest frame that was reported to be durable.
    synced: Frame,
    /// Frames before this one are not needed any more.
    keep_from: Frame,
}

#[derive(Clone, Debug)]
struct Stored {
    frame: Frame,
    bytes: Arc<Vec<u8>>,
    keep_from: Option<Frame>,
}

impl Disk {
    pub(super) fn write(&mut self, frames: &Frames) {
        for written in &frames.written {
            self.stored.push(Stored {
                frame: written.frame,
                bytes: Arc::new(frames.bytes[written.range.clone()].to_vec()),
                keep_from: written.keep_from,
            });
        }
    }

    /// How many frames are not durable yet.
    pub(super) fn pending(&self) -> usize {
        let pending = self.stored.iter().rev();
        pending
            .take_while(|stored| stored.frame > self.synced)
            .count()
    }

    /// Makes up to `count` more frames durable, forgets what is not needed any more, and says through
    /// which frame everything is durable.
    pub(super) fn sync(&mut self, count: usize) -> Frame {
        let first = self.stored.len() - self.pending();
        for stored in self.stored[first..].iter().take(count) {
            self.synced = stored.frame;
            self.keep_from = self.keep_from.max(stored.keep_from.unwrap_or_default());
        }
        let keep_from = self.keep_from;
        self.stored.retain(|stored| stored.frame >= keep_from);
        self.synced
    }

    /// The machine stops: of the frames that are not durable the first `keep` survive all the same.
    pub(super) fn crash(&mut self, keep: usize) {
        let survivors = self.stored.len() - self.pending() + keep.min(self.pending());
        self.stored.truncate(survivors);
        self.sync(usize::MAX);
    }

    pub(super) fn durable(&self) -> Frame {
        self.synced
    }

    /// Whether nothing was ever written.
    pub(super) fn is_fresh(&self) -> bool {
        self.stored.is_empty() && self.synced == Frame(0)
    }

    /// What decides how it goes on, besides the records.
    pub(super) fn marks(&self) -> (Frame, Frame, Vec<(Frame, Option<Frame>)>) {
        let frames = self.stored.iter().map(|s| (s.frame, s.keep_from));
        (self.synced, self.keep_from, frames.collect())
    }

    /// The records of all frames.
    pub(super) fn records<R: Wire>(&self) -> Vec<(Frame, R)> {
        let mut records = Vec::new();
        for stored in &self.stored {
            let mut reader = Reader::new(&stored.bytes);
            while reader.remaining() > 0 {
                let record = R::decode(&mut reader).expect("this disk flips no bits");
                records.push((stored.frame, record));
            }
        }
        records
    }
}
