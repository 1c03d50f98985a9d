//! Mail on its way to one peer: a queue between the replica's thread and the task that sends.
//!
//! The replica encodes messages into frames as it posts them; the task takes all frames at once.
//! The queue is bounded in bytes. When it is full the newest mail is dropped, and while there is
//! no connection none is kept: every protocol tolerates loss, and what is fresh when the connection
//! is back is worth more than what waited for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate_core::Wire;
use tokio::sync::Notify;

use super::frame::{FrameHeader, HEADER_BYTES};

/// A frame takes further messages until it has this many bytes: small enough that a receiver can
/// begin to work while the rest is on its way.
const FRAME_BYTES: usize = 256 << 10;

/// A frame in the making: room for the header, and the messages.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) bytes: Vec<u8>,
    count: u32,
}

impl Frame {
    /// Fills in the header.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let header = FrameHeader::of(&self.bytes[HEADER_BYTES..], self.count);
        self.bytes[..HEADER_BYTES].copy_from_slice(&header.encode());
        self.bytes
    }
}

/// The queue.
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    arrived: Notify,
    bytes_max: usize,
    frame_bytes_max: usize,
}

#[derive(Default)]
struct Queue {
    open: bool,
    frames: Vec<Frame>,
    bytes: usize,
}

impl Outbox {
    pub(super) fn new(bytes_max: usize, frame_bytes_max: usize) -> Outbox {
        Outbox {
            queue: Mutex::default(),
            arrived: Notify::new(),
            bytes_max,
            frame_bytes_max,
        }
    }

    /// Queues a message; `false` if it was dropped. The sender hears of it with
    /// [`Outbox::hand_over`].
    pub(super) fn post<M: Wire>(&self, message: &M) -> bool {
        let mut queue = self.queue();
        if !queue.open || queue.bytes >= self.bytes_max {
            return false;
        }
        let has_room = queue
            .frames
            .last()
            .is_some_and(|frame| frame.bytes.len() < FRAME_BYTES);
        if !has_room {
            queue.frames.push(Frame {
                bytes: vec![0; HEADER_BYTES],
                count: 0,
            });
        }
        let (bytes_before, bytes_max) = (queue.bytes, self.bytes_max);
        let Some(frame) = queue.frames.last_mut() else {
            return false;
        };
        let start = frame.bytes.len();
        message.encode(&mut frame.bytes);
        let len = frame.bytes.len() - start;
        let too_long = frame.bytes.len() - HEADER_BYTES > self.frame_bytes_max;
        if too_long || bytes_before + len > bytes_max {
            frame.bytes.truncate(start);
            if frame.count == 0 {
                queue.frames.pop();
            }
            if len > self.frame_bytes_max {
                tracing::error!(bytes = len, "a message is longer than a frame may be");
            }
            return false;
        }
        frame.count += 1;
        queue.bytes += len;
        true
    }

    /// Tells the sender that there is mail.
    pub(super) fn hand_over(&self) {
        self.arrived.notify_one();
    }

    /// Waits until there is mail and takes all of it.
    pub(super) async fn take(&self) -> Vec<Frame> {
        loop {
            let frames = self.take_now();
            if !frames.is_empty() {
                return frames;
            }
            self.arrived.notified().await;
        }
    }

    fn take_now(&self) -> Vec<Frame> {
        let mut queue = self.queue();
        queue.bytes = 0;
        std::mem::take(&mut queue.frames)
    }

    /// From now on mail is kept.
    pub(super) fn open(&self) {
        self.queue().open = true;
    }

    /// From now on mail is dropped, and so is what waits; answers how many messages that were.
    pub(super) fn close(&self) -> u64 {
        let mut queue = self.queue();
        queue.open = false;
        queue.bytes = 0;
        let dropped = queue.frames.drain(..).map(|frame| u64::from(frame.count));
        dropped.sum()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic under this lock ends the process; until then the queue is still a queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
