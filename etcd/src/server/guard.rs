//! A connection that is watched for floods of frames that ask for nothing.
//!
//! The HTTP/2 library bounds what a client can make us remember. It does not bound how often a client
//! may send frames that cost us time and carry no request: pings, settings, resets, empty data. So
//! frame headers are counted as they pass by; a connection that goes on and on with such frames is
//! closed. Contents are not looked at.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What HTTP/2 begins with.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long the header of a frame is.
const HEADER_LEN: usize = 9;

// Types of frames, and a flag.
const DATA: u8 = 0;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;

/// What may come at once, and what may come again each second. Pings of clients that measure the
/// bandwidth while they are sent much are well below it.
const BURST: u32 = 10_000;
const PER_SECOND: u32 = 2_000;
/// What a reset counts for: it ends a request on which we may have begun to work.
const RESET_COST: u32 = 5;

/// A connection whose incoming frames are counted.
pub(super) struct Guarded<S> {
    stream: S,
    frames: Frames,
    credit: Credit,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S) -> Guarded<S> {
        Guarded {
            stream,
            frames: Frames::default(),
            credit: Credit::new(Instant::now()),
        }
    }
}

/// Finds the headers of frames in a stream of bytes that comes in pieces.
#[derive(Default)]
struct Frames {
    /// How much of the preface has passed.
    preface: usize,
    header: [u8; HEADER_LEN],
    /// How much of the header is there.
    len: usize,
    /// How much of the frame's content is still to come.
    content: usize,
}

impl Frames {
    /// What the frames that begin in these bytes cost.
    fn cost(&mut self, mut bytes: &[u8]) -> u32 {
        let mut cost: u32 = 0;
        let preface = bytes.len().min(PREFACE.len() - self.preface);
        self.preface += preface;
        bytes = &bytes[preface..];
        while !bytes.is_empty() {
            let skipped = bytes.len().min(self.content);
            self.content -= skipped;
            bytes = &bytes[skipped..];
            let taken = bytes.len().min(HEADER_LEN - self.len);
            self.header[self.len..self.len + taken].copy_from_slice(&bytes[..taken]);
            self.len += taken;
            bytes = &bytes[taken..];
            if self.len == HEADER_LEN {
                self.len = 0;
                let [a, b, c, kind, flags, ..] = self.header;
                self.content = u32::from_be_bytes([0, a, b, c]) as usize;
                cost = cost.saturating_add(cost_of(kind, flags, self.content));
            }
        }
        cost
    }
}

fn cost_of(kind: u8, flags: u8, content: usize) -> u32 {
    match kind {
        // Answers to what we asked.
        SETTINGS | PING if flags & ACK != 0 => 0,
        SETTINGS | PING | PRIORITY | CONTINUATION => 1,
        RESET => RESET_COST,
        DATA if content == 0 && flags & END_STREAM == 0 => 1,
        _ => 0,
    }
}

/// What a client may still spend.
struct Credit {
    left: u32,
    since: Instant,
}

impl Credit {
    fn new(now: Instant) -> Credit {
        Credit {
            left: BURST,
            since: now,
        }
    }

    /// Whether the client can afford this.
    fn spend(&mut self, cost: u32, now: Instant) -> bool {
        if cost > self.left {
            let elapsed = now.saturating_duration_since(self.since);
            let earned = elapsed.min(Duration::from_secs(60)).as_secs_f64() * f64::from(PER_SECOND);
            self.left = self.left.saturating_add(earned as u32).min(BURST);
            self.since = now;
        }
        let left = self.left.checked_sub(cost);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let cost = self.frames.cost(&buffer.filled()[before..]);
        if cost > 0 && !self.credit.spend(cost, Instant::now()) {
            let error = io::Error::other("a flood of frames that ask for nothing");
            return Poll::Ready(Err(error));
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, content: usize) -> Vec<u8> {
        let len = u32::try_from(content).unwrap().to_be_bytes();
        let mut bytes = vec![len[1], len[2], len[3], kind, flags, 0, 0, 0, 1];
        bytes.resize(HEADER_LEN + content, 0xff);
        bytes
    }

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        let frames = [
            frame(SETTINGS, 0, 18),     // 1
            frame(SETTINGS, ACK, 0),    // 0
            frame(1, 4, 70_000),        // 0: a request
            frame(DATA, 0, 300),        // 0
            frame(DATA, END_STREAM, 0), // 0
            frame(DATA, 0, 0),          // 1
            frame(PING, 0, 8),          // 1
            frame(PING, ACK, 8),        // 0
            frame(RESET, 0, 4),         // 5
            frame(CONTINUATION, 0, 1),  // 1
            frame(8, 0, 4),             // 0: a window update
        ];
        let bytes = [PREFACE.to_vec(), frames.concat()].concat();
        for piece in [1, 2, 7, 9, 10, 1000, bytes.len()] {
            let mut found = Frames::default();
            let cost: u32 = bytes.chunks(piece).map(|bytes| found.cost(bytes)).sum();
            assert_eq!(cost, 9, "in pieces of {piece}");
        }
    }

    #[test]
    fn credit_comes_back_with_time() {
        let begin = Instant::now();
        let mut credit = Credit::new(begin);
        assert!(credit.spend(BURST, begin));
        assert!(!credit.spend(1, begin));
        let later = begin + Duration::from_secs(1);
        assert!(credit.spend(PER_SECOND, later));
        assert!(!credit.spend(1, later));
        let much_later = later + Duration::from_secs(3600);
        assert!(credit.spend(BURST, much_later), "but never more than that");
        assert!(!credit.spend(1, much_later));
    }
}
