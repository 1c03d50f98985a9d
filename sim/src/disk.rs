//! A simulated disk: frames as encoded bytes, of which any prefix of the unacknowledged ones survives
//! a crash.

use std::collections::VecDeque;
use std::sync::Arc;

use quorate_core::{Frame, Reader, Survival, Wire};
use quorate_node::Frames;

/// The frames of one replica.
#[derive(Clone, Default, Debug)]
pub struct Disk {
    stored: VecDeque<Stored>,
    /// The newest frame that was reported to be durable.
    synced: Frame,
    /// Frames before this one are not needed any more.
    keep_from: Frame,
}

#[derive(Clone, Debug)]
struct Stored {
    frame: Frame,
    bytes: Vec<u8>,
    keep_from: Option<Frame>,
    /// Whether its records can still be read.
    readable: bool,
}

impl Disk {
    /// A disk on which somebody already wrote these records, in one frame.
    #[must_use]
    pub fn prepared<R: Wire>(records: &[R]) -> Disk {
        let mut bytes = Vec::new();
        for record in records {
            record.encode(&mut bytes);
        }
        let stored = Stored {
            frame: Frame(1),
            bytes,
            keep_from: None,
            readable: true,
        };
        Disk {
            stored: VecDeque::from([stored]),
            synced: Frame(1),
            keep_from: Frame(1),
        }
    }

    /// Writes frames, which are not durable yet.
    pub fn write(&mut self, frames: &Frames) {
        for written in &frames.written {
            self.stored.push_back(Stored {
                frame: written.frame,
                bytes: frames.bytes[written.range.clone()].to_vec(),
                keep_from: written.keep_from,
                readable: true,
            });
        }
    }

    /// How many frames are not durable yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        let pending = self.stored.iter().rev();
        pending
            .take_while(|stored| stored.frame > self.synced)
            .count()
    }

    /// Makes up to `count` more frames durable and says through which.
    pub fn sync(&mut self, count: usize) -> Frame {
        let first = self.stored.len() - self.pending();
        for stored in self.stored.range(first..).take(count) {
            self.synced = stored.frame;
            self.keep_from = self.keep_from.max(stored.keep_from.unwrap_or_default());
        }
        self.synced
    }

    /// How many frames could be deleted.
    #[must_use]
    pub fn deletable(&self) -> usize {
        let stored = self.stored.iter();
        stored
            .take_while(|stored| stored.frame < self.keep_from)
            .count()
    }

    /// Deletes up to `count` of the oldest frames that are not needed.
    pub fn delete(&mut self, count: usize) {
        self.stored.drain(..count.min(self.deletable()));
    }

    /// The machine stops: of the frames that are not durable the first `keep` survive all the same.
    /// Answers how many these were.
    pub fn crash(&mut self, keep: usize) -> usize {
        let pending = self.pending();
        let kept = keep.min(pending);
        self.stored.truncate(self.stored.len() - pending + kept);
        self.sync(usize::MAX);
        kept
    }

    /// What no model allows: the last `count` frames are gone, acknowledged or not.
    pub fn lose(&mut self, count: usize) {
        self.stored
            .truncate(self.stored.len().saturating_sub(count));
        self.synced = match self.stored.back() {
            Some(stored) => stored.frame,
            None => Frame(self.keep_from.0.saturating_sub(1)),
        };
    }

    /// These frames can no longer be read, which is noticed when a replica starts.
    ///
    /// # Errors
    /// If one of them is not there.
    pub fn damage(&mut self, frames: &[u64]) -> Result<(), String> {
        let there = |frame: u64| self.stored.iter().any(|stored| stored.frame.0 == frame);
        if let Some(frame) = frames.iter().find(|frame| !there(**frame)) {
            return Err(format!("there is no frame {frame} on this disk"));
        }
        for stored in &mut self.stored {
            stored.readable &= !frames.contains(&stored.frame.0);
        }
        Ok(())
    }

    /// The frames that are there, oldest first.
    pub fn frames(&self) -> impl Iterator<Item = Frame> + '_ {
        self.stored.iter().map(|stored| stored.frame)
    }

    /// What became of what was acknowledged: whether any of it that is still needed is unreadable.
    #[must_use]
    pub fn survival(&self) -> Survival {
        let needed = |stored: &&Stored| stored.frame >= self.keep_from;
        if self.stored.is_empty() && self.synced == Frame(0) {
            return Survival::Fresh;
        }
        match self
            .stored
            .iter()
            .filter(needed)
            .all(|stored| stored.readable)
        {
            true => Survival::Intact,
            false => Survival::Damaged,
        }
    }

    /// Whether some frames are not needed any more.
    #[must_use]
    pub fn is_compacted(&self) -> bool {
        self.keep_from > Frame(1)
    }

    /// The newest durable frame.
    #[must_use]
    pub fn durable(&self) -> Frame {
        self.synced
    }

    /// Decodes all frames that can be read.
    ///
    /// # Panics
    /// If one is not what `R` once encoded: this disk flips no bits.
    #[must_use]
    pub fn records<R: Wire>(&self) -> Vec<(Frame, R)> {
        let mut records = Vec::new();
        for stored in self.stored.iter().filter(|stored| stored.readable) {
            let block = Arc::new(stored.bytes.clone());
            let mut reader = Reader::new(&block);
            while reader.remaining() > 0 {
                let record = R::decode(&mut reader).expect("this disk flips no bits");
                records.push((stored.frame, record));
            }
        }
        records
    }

    /// The newest frames, decoded for a trace.
    #[must_use]
    pub fn newest<R: Wire>(&self, count: usize) -> Vec<(Frame, R)> {
        let first = self.stored.len().saturating_sub(count);
        let newest = Disk {
            stored: self.stored.range(first..).cloned().collect(),
            ..Disk::default()
        };
        newest.records()
    }
}
