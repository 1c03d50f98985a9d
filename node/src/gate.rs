//! The gate between disk and network: one number.
//!
//! Held mail leaves when the durable watermark passes the frame that was the newest when the mail
//! was written. Frames become durable in order, so a queue is enough and there is nothing to match.

use alloc::collections::VecDeque;

use quorate_core::Frame;

/// Mail that waits for the disk, and the watermark that it waits for.
#[derive(Clone, Debug)]
pub struct Gate<M> {
    written: Frame,
    synced: Frame,
    held: VecDeque<(Frame, M)>,
}

impl<M> Gate<M> {
    /// A gate behind storage in which every frame through `durable` survived.
    #[must_use]
    pub fn new(durable: Frame) -> Gate<M> {
        Gate {
            written: durable,
            synced: durable,
            held: VecDeque::new(),
        }
    }

    /// The newest frame written.
    #[must_use]
    pub fn written(&self) -> Frame {
        self.written
    }

    /// The newest frame known to be durable.
    #[must_use]
    pub fn synced(&self) -> Frame {
        self.synced
    }

    /// A frame was handed to the disk.
    pub fn on_written(&mut self) {
        self.written = self.written.next();
    }

    /// The disk finished all through `frame`.
    ///
    /// # Panics
    /// If that frame was never written: a disk that confirms the future cannot be trusted.
    pub fn on_synced(&mut self, frame: Frame) {
        assert!(frame <= self.written, "only written frames become durable");
        self.synced = self.synced.max(frame);
    }

    /// Holds mail until all that was written so far is durable.
    pub fn hold(&mut self, mail: M) {
        self.held.push_back((self.written, mail));
    }

    /// The next piece of mail that may leave.
    pub fn release(&mut self) -> Option<M> {
        match self.held.front() {
            Some((frame, _)) if *frame <= self.synced => self.held.pop_front().map(|held| held.1),
            _ => None,
        }
    }

    /// The mail that still waits, each with the frame that it waits for.
    pub fn held(&self) -> impl Iterator<Item = (Frame, &M)> {
        self.held.iter().map(|(frame, mail)| (*frame, mail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_leaves_in_order_once_its_frame_is_durable() {
        let mut gate = Gate::new(Frame(7));
        gate.hold("free");
        assert_eq!(gate.release(), Some("free"));
        gate.on_written();
        gate.hold("eight");
        gate.on_written();
        gate.hold("nine");
        assert_eq!(gate.release(), None);
        gate.on_synced(Frame(8));
        assert_eq!(gate.release(), Some("eight"));
        assert_eq!(gate.release(), None);
        gate.on_synced(Frame(9));
        assert_eq!(gate.release(), Some("nine"));
    }
}
