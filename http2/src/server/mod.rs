//! The server's side of a connection.
//!
//! [`Server::receive`] takes what came in and tells what it means; answers are given by
//! [`Server::head`], [`Server::data`] and [`Server::trailers`] and pile up in one buffer,
//! [`Server::out`], as far as the windows allow; the rest waits per stream.

#[cfg(test)]
pub(crate) mod dice;
mod head;
mod receive;
mod send;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};

use crate::flood::{self, Credit};
use crate::frame::{self, Code};
use crate::hpack::{Decoder, Encoder};
pub use head::Head;
pub use stream::Fields;
use stream::{Stream, Streams};

/// What a server puts up with.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many streams a client may have at a time.
    pub streams_max: u32,
    /// How large all headers of a request may be together.
    pub headers_bytes_max: usize,
    /// How much a client may send ahead on one stream.
    pub stream_window: u32,
    /// And on all streams of a connection.
    pub connection_window: u32,
    /// How much may wait to be written before bodies wait on their streams.
    pub out_bytes_max: usize,
}

/// What a client did.
#[derive(Debug)]
pub enum Event<H> {
    /// It asks.
    Request {
        /// The stream on which.
        stream: u32,
        /// The head, shared by all requests that have the same.
        head: Arc<H>,
        /// Whether there is no body.
        ends: bool,
    },
    /// A part of a body.
    Data {
        /// The stream.
        stream: u32,
        /// The part: a slice of what came in. It counts against the windows until
        /// [`Server::consumed`].
        data: Bytes,
        /// Whether it is the last.
        ends: bool,
    },
    /// A stream is over before its time, and nothing more can be said on it.
    Reset {
        /// The stream.
        stream: u32,
    },
}

/// Why a connection cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// For the client.
    pub code: Code,
    /// For humans.
    pub why: &'static str,
}

/// A block of headers that is not complete.
struct Block {
    stream: u32,
    ends: bool,
    bytes: Vec<u8>,
    frames: u32,
}

/// How many blocks of headers are remembered: a client has few kinds of requests.
const RECENT: usize = 8;
/// Longer blocks are not.
const RECENT_BYTES_MAX: usize = 256;

/// Blocks of headers and what they mean, as long as the table stays as it is.
struct Recent<H> {
    /// The state of the table.
    changes: u64,
    blocks: Vec<(Box<[u8]>, Arc<H>)>,
    next: usize,
}

/// One connection. `H` is what the server makes of a head.
pub struct Server<H> {
    limits: Limits,
    /// What is to be written.
    out: BytesMut,
    streams: Streams,
    /// The last stream that the client opened.
    last: u32,
    /// How much of the preface is to come, and whether the first settings are.
    preface: usize,
    greeted: bool,
    /// No more streams are taken.
    closing: bool,
    decoder: Decoder,
    encoder: Encoder,
    block: Option<Block>,
    recent: Recent<H>,
    credit: Credit,
    /// How many bytes may be sent, and how many on a new stream, and in one frame.
    send_window: i64,
    send_window_of_stream: i64,
    frame_max: usize,
    /// How many bytes the client may send.
    receive_window: i64,
    unreported: u32,
    /// Streams that may send, in turn.
    line: VecDeque<u32>,
    /// How many bytes wait on streams.
    queued: usize,
    /// How many pings were answered.
    pongs: u64,
}

impl<H: From<Head>> Server<H> {
    /// A connection on which nothing was said yet.
    #[must_use]
    pub fn new(limits: Limits, now: Instant) -> Server<H> {
        let mut server = Server {
            limits,
            out: BytesMut::new(),
            streams: Streams::default(),
            last: 0,
            preface: frame::PREFACE.len(),
            greeted: false,
            closing: false,
            decoder: Decoder::default(),
            encoder: Encoder::default(),
            block: None,
            recent: Recent {
                changes: 0,
                blocks: Vec::new(),
                next: 0,
            },
            credit: Credit::new(now),
            send_window: frame::WINDOW_AT_FIRST,
            send_window_of_stream: frame::WINDOW_AT_FIRST,
            frame_max: frame::FRAME_MAX,
            receive_window: i64::from(limits.connection_window).max(frame::WINDOW_AT_FIRST),
            unreported: 0,
            line: VecDeque::new(),
            queued: 0,
            pongs: 0,
        };
        server.greet();
        server
    }

    fn greet(&mut self) {
        let settings = [
            (frame::SET_STREAMS_MAX, self.limits.streams_max),
            (frame::SET_WINDOW, self.limits.stream_window),
            (frame::SET_HEADERS_MAX, self.limits.headers_bytes_max as u32),
        ];
        frame::put_head(&mut self.out, frame::SETTINGS, 0, 0, 6 * settings.len());
        for (name, value) in settings {
            self.out.put_u16(name);
            self.out.put_u32(value);
        }
        let more = self.receive_window - frame::WINDOW_AT_FIRST;
        if more > 0 {
            self.widen(0, more as u32);
        }
    }

    /// What is to be written: the caller takes from it what it wrote.
    pub fn out(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// How many bytes of bodies wait on their streams.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// How many streams are not over.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Whether no more is taken and all that was is over: what is in the output is the last.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.closing && self.streams.is_empty()
    }

    /// Whether this stream is not over.
    #[must_use]
    pub fn has(&self, stream: u32) -> bool {
        self.streams.contains_key(&stream)
    }

    /// How many of our pings were answered.
    #[must_use]
    pub fn pongs(&self) -> u64 {
        self.pongs
    }

    /// Asks whether the client is there.
    pub fn ping(&mut self) {
        frame::put_head(&mut self.out, frame::PING, 0, 0, 8);
        self.out.put_u64(self.pongs);
    }

    /// Says that no more streams are taken; those that are open go on. What the client opened and we
    /// did not see yet, it may ask elsewhere (section 6.8).
    pub fn go_away(&mut self) {
        if !std::mem::replace(&mut self.closing, true) {
            self.put_goaway(Code::NONE, "");
        }
    }

    /// Says why the connection ends now.
    pub fn fail(&mut self, fault: Fault) {
        self.closing = true;
        self.streams.clear();
        self.queued = 0;
        self.put_goaway(fault.code, fault.why);
    }

    fn put_goaway(&mut self, code: Code, why: &str) {
        frame::put_head(&mut self.out, frame::GOAWAY, 0, 0, 8 + why.len());
        self.out.put_u32(self.last);
        self.out.put_u32(code.0);
        self.out.put_slice(why.as_bytes());
    }

    /// Ends a stream before its time.
    pub fn reset(&mut self, stream: u32, code: Code) {
        if self.forget(stream) {
            self.put_reset(stream, code);
        }
    }

    fn put_reset(&mut self, stream: u32, code: Code) {
        frame::put_head(&mut self.out, frame::RST_STREAM, 0, stream, 4);
        self.out.put_u32(code.0);
    }

    /// Removes a stream; answers whether it was there.
    fn forget(&mut self, stream: u32) -> bool {
        let Some(stream) = self.streams.remove(&stream) else {
            return false;
        };
        self.queued -= queued(&stream);
        // Streams that are over leave the line when their turn comes, which it may never.
        if self.line.len() > 4 * self.limits.streams_max as usize {
            let streams = &self.streams;
            self.line.retain(|stream| streams.contains_key(stream));
        }
        true
    }

    fn widen(&mut self, stream: u32, by: u32) {
        frame::put_head(&mut self.out, frame::WINDOW_UPDATE, 0, stream, 4);
        self.out.put_u32(by);
    }

    /// So much of what came in on this stream is not held any more: the client may send as much again.
    pub fn consumed(&mut self, stream: u32, bytes: usize) {
        self.consumed_of_all(bytes);
        let half = self.limits.stream_window / 2;
        let Some(open) = self.streams.get_mut(&stream) else {
            return;
        };
        open.unreported += bytes as u32;
        if open.is_open && open.unreported > half {
            let by = std::mem::take(&mut open.unreported);
            open.receive_window += i64::from(by);
            self.widen(stream, by);
        }
    }

    fn consumed_of_all(&mut self, bytes: usize) {
        self.unreported += bytes as u32;
        if self.unreported > self.limits.connection_window / 2 {
            let by = std::mem::take(&mut self.unreported);
            self.receive_window += i64::from(by);
            self.widen(0, by);
        }
    }

    fn spend(&mut self, cost: u32, now: Instant) -> Result<(), Fault> {
        if cost > 0 && !self.credit.spend(cost, now) {
            let why = "a flood of frames that ask for nothing";
            return Err(Fault {
                code: Code::CALM,
                why,
            });
        }
        Ok(())
    }

    /// Ends a stream on which the client broke a rule. It may have cost us something, so it costs it.
    fn refuse(&mut self, stream: u32, code: Code, now: Instant) -> Result<(), Fault> {
        self.forget(stream);
        self.put_reset(stream, code);
        self.spend(flood::RESET_COST, now)
    }
}

/// How many bytes wait on a stream.
fn queued(stream: &Stream) -> usize {
    let sizes = stream.queue.iter().map(|piece| match piece {
        stream::Piece::Data(data, _) => data.len(),
        stream::Piece::Trailers(_) => 0,
    });
    sizes.sum()
}
