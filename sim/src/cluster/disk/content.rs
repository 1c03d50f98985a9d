//! The bytes of one file, as processes see them and as they are on the platter.

use std::io;
use std::sync::{Arc, Mutex};

use quorate_core::Choice;

use super::{Inode, Mood, SECTOR_BYTES, lock};

#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// As processes see it.
    now: Vec<u8>,
    /// As it was at the last sync.
    synced: Vec<u8>,
    /// Which parts were written since.
    dirty: Vec<(usize, usize)>,
}

impl Content {
    pub(super) fn len(&self) -> usize {
        self.now.len()
    }

    /// Reads as much as there is.
    pub(super) fn read(&self, at: u64, out: &mut [u8]) -> usize {
        let start = usize::try_from(at).map_or(self.now.len(), |at| at.min(self.now.len()));
        let count = out.len().min(self.now.len() - start);
        out[..count].copy_from_slice(&self.now[start..start + count]);
        count
    }

    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(at).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = start + bytes.len();
        if self.now.len() < end {
            self.now.resize(end, 0);
        }
        self.now[start..end].copy_from_slice(bytes);
        match self.dirty.last_mut() {
            Some((_, last)) if *last == start => *last = end,
            _ => self.dirty.push((start, end)),
        }
        Ok(())
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.now.resize(len, 0);
    }

    pub(super) fn sync(&mut self) {
        self.synced.resize(self.now.len(), 0);
        for (start, end) in self.dirty.drain(..) {
            // What was cut off later is not there to be synced.
            let end = end.min(self.now.len());
            if start < end {
                self.synced[start..end].copy_from_slice(&self.now[start..end]);
            }
        }
    }

    /// A sync failed: the operating system takes what was written for clean, and never writes it.
    pub(super) fn forget_dirty(&mut self) {
        self.dirty.clear();
    }

    /// What is only taken for written is read from the platter again.
    pub(super) fn drop_clean(&mut self) {
        let mut bytes = self.synced.clone();
        bytes.resize(self.now.len(), 0);
        for &(start, end) in &self.dirty {
            let end = end.min(self.now.len());
            if start < end {
                bytes[start..end].copy_from_slice(&self.now[start..end]);
            }
        }
        self.now = bytes;
    }

    /// Changes one bit, on the platter and in memory.
    pub(super) fn flip(&mut self, at: usize, bit: u8) {
        for bytes in [&mut self.now, &mut self.synced] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
    }

    /// A place that is durable and holds something, for whoever wants to damage it.
    pub(super) fn used(&self, choice: &mut Choice) -> Option<usize> {
        let len = u32::try_from(self.synced.len())
            .ok()
            .filter(|&len| len > 0)?;
        // Files have long stretches of zeros, in which nothing is stored.
        (0..64).find_map(|_| {
            let at = choice.choose(len) as usize;
            (self.synced[at] != 0).then_some(at)
        })
    }

    fn crash(&mut self, choice: &mut Choice, mood: Mood) {
        let mut bytes = std::mem::take(&mut self.synced);
        if bytes.len() != self.now.len() && mood.survives(choice) {
            bytes.resize(self.now.len(), 0);
        }
        for (start, end) in self.dirty.drain(..) {
            let mut at = start;
            while at < end.min(self.now.len()) {
                let next = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES)
                    .min(end)
                    .min(self.now.len());
                if mood.survives(choice) {
                    if bytes.len() < next {
                        bytes.resize(next, 0);
                    }
                    bytes[at..next].copy_from_slice(&self.now[at..next]);
                }
                at = next;
            }
        }
        self.now.clone_from(&bytes);
        self.synced = bytes;
    }
}

/// The file as it is after the power failed. It is a file of its own: whoever has the old one open
/// belongs to the past.
pub(super) fn survivor(inode: &Inode, choice: &mut Choice, mood: Mood) -> Inode {
    let mut content = std::mem::take(&mut *lock(inode));
    content.crash(choice, mood);
    Arc::new(Mutex::new(content))
}

/// The file as the next process finds it.
pub(super) fn handed_on(inode: &Inode) -> Inode {
    Arc::new(Mutex::new(std::mem::take(&mut *lock(inode))))
}
