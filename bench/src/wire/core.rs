//! The client's side of HTTP/2 (RFC 9113), as far as gRPC needs it, without I/O.
//!
//! Bytes from the server come in through [`Core::receive`]; bytes for it pile up in `out`, so that
//! whatever many clients have to say leaves in one write. There is no priority, push or compression
//! of bodies; header blocks that say anything but the status are read and forgotten.

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use quorate_client::Code;
use quorate_http2::frame::{
    self, ACK, CONTINUATION, Code as Reason, DATA, END_HEADERS, END_STREAM, FRAME_MAX, GOAWAY,
    HAS_PRIORITY, HEAD_LEN, HEADERS, Head, PING, PREFACE, PUSH_PROMISE, RST_STREAM, SET_FRAME_MAX,
    SET_PUSH, SET_STREAMS_MAX, SET_TABLE_SIZE, SET_WINDOW, SETTINGS, STREAM_MAX, WINDOW_AT_FIRST,
    WINDOW_MAX, WINDOW_UPDATE,
};
use quorate_http2::hpack::{Decoder, TABLE_SIZE};

use super::head::Encoder;
use super::{Call, Failure};

/// So many bytes read are told to the server at once.
const WINDOW_STEP: u32 = 1 << 28;
/// A call under way.
struct Exchange {
    /// Whether the answer is wanted, or only its status.
    keep: bool,
    answer: BytesMut,
    /// How many bytes may be sent.
    window: i64,
    /// How many bytes were read and not told to the server.
    unreported: u32,
    status: Option<Result<(), Failure>>,
    ended: bool,
    waker: Option<Waker>,
}

/// A block of headers that is not complete.
struct Block {
    stream: u32,
    ends: bool,
    bytes: Vec<u8>,
}

/// One connection.
pub(super) struct Core {
    /// What is to be written.
    pub(super) out: BytesMut,
    writer: Option<Waker>,
    exchanges: HashMap<u32, Exchange>,
    next: u32,
    streams_max: usize,
    /// Who waits for a stream to become free, or for the settings to arrive.
    waiting: VecDeque<Waker>,
    encoder: Encoder,
    decoder: Decoder,
    block: Option<Block>,
    /// How many bytes may be sent, and how many on a new stream.
    window: i64,
    window_of_stream: i64,
    frame_max: usize,
    /// Bodies that wait for a window: the stream, the rest, whether it is all.
    pending: VecDeque<(u32, Bytes, bool)>,
    unreported: u32,
    greeted: bool,
    dead: Option<Failure>,
}

impl Core {
    pub(super) fn new(authority: &str) -> Core {
        let mut core = Core {
            out: BytesMut::from(PREFACE),
            writer: None,
            exchanges: HashMap::new(),
            next: 1,
            streams_max: usize::MAX,
            waiting: VecDeque::new(),
            encoder: Encoder::new(authority),
            decoder: Decoder::default(),
            block: None,
            window: WINDOW_AT_FIRST,
            window_of_stream: WINDOW_AT_FIRST,
            frame_max: FRAME_MAX,
            pending: VecDeque::new(),
            unreported: 0,
            greeted: false,
            dead: None,
        };
        core.frame(SETTINGS, 0, 0, 12);
        core.out.put_u16(SET_PUSH);
        core.out.put_u32(0);
        core.out.put_u16(SET_WINDOW);
        core.out.put_u32(WINDOW_MAX);
        core.widen(0, WINDOW_MAX - WINDOW_AT_FIRST as u32);
        core
    }

    /// Why the connection is over, if it is.
    pub(super) fn dead(&self) -> Option<&Failure> {
        self.dead.as_ref()
    }

    /// Ends the connection and every call on it.
    pub(super) fn die(&mut self, why: &str) {
        let failure = Failure(format!("connection: {why}"));
        self.dead.get_or_insert(failure);
        for exchange in self.exchanges.values_mut() {
            exchange.waker.take().into_iter().for_each(Waker::wake);
        }
        self.waiting.drain(..).for_each(Waker::wake);
        self.writer.take().into_iter().for_each(Waker::wake);
    }

    /// Waits until the server has said something.
    pub(super) fn poll_greeted(&mut self, context: &Context<'_>) -> Poll<Result<(), Failure>> {
        if let Some(failure) = &self.dead {
            return Poll::Ready(Err(failure.clone()));
        }
        if self.greeted {
            return Poll::Ready(Ok(()));
        }
        self.waiting.push_back(context.waker().clone());
        Poll::Pending
    }

    /// Waits until there is something to write, or the connection is over (`None`).
    pub(super) fn poll_write(&mut self, context: &Context<'_>) -> Poll<Option<BytesMut>> {
        if self.dead.is_some() {
            return Poll::Ready(None);
        }
        if !self.out.is_empty() {
            return Poll::Ready(Some(self.out.split()));
        }
        self.writer = Some(context.waker().clone());
        Poll::Pending
    }

    /// Waits until the server takes another stream, and opens it.
    pub(super) fn poll_open(
        &mut self,
        call: Call,
        keep: bool,
        context: &Context<'_>,
    ) -> Poll<Result<u32, Failure>> {
        if self.next > STREAM_MAX {
            self.die("it has no numbers left for streams");
        }
        if let Some(failure) = &self.dead {
            return Poll::Ready(Err(failure.clone()));
        }
        if self.exchanges.len() >= self.streams_max {
            self.waiting.push_back(context.waker().clone());
            return Poll::Pending;
        }
        let stream = self.next;
        self.next += 2;
        let head = self.out.len();
        self.frame(HEADERS, END_HEADERS, stream, 0);
        let start = self.out.len();
        self.encoder.encode(call, &mut self.out);
        let length = (self.out.len() - start) as u32;
        self.out[head..head + 3].copy_from_slice(&length.to_be_bytes()[1..]);
        let exchange = Exchange {
            keep,
            answer: BytesMut::new(),
            window: self.window_of_stream,
            unreported: 0,
            status: None,
            ended: false,
            waker: None,
        };
        self.exchanges.insert(stream, exchange);
        Poll::Ready(Ok(stream))
    }

    /// Sends a message, now or when there is a window for it.
    pub(super) fn send(&mut self, stream: u32, message: Bytes, ends: bool) {
        self.pending.push_back((stream, message, ends));
        self.send_pending();
    }

    /// Waits for the end of an exchange, and forgets it.
    pub(super) fn poll_ended(
        &mut self,
        stream: u32,
        context: &Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        let Some(exchange) = self.exchanges.get_mut(&stream) else {
            return Poll::Ready(Err(Failure("the call is over".to_owned())));
        };
        if exchange.ended {
            let status = exchange.status.take();
            self.forget(stream);
            let none = || Err(Failure("the answer has no status".to_owned()));
            return Poll::Ready(status.unwrap_or_else(none));
        }
        if let Some(failure) = &self.dead {
            return Poll::Ready(Err(failure.clone()));
        }
        exchange.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Waits for the next message of an exchange.
    pub(super) fn poll_message(
        &mut self,
        stream: u32,
        context: &Context<'_>,
    ) -> Poll<Result<Bytes, Failure>> {
        if let Some(message) = self.exchanges.get_mut(&stream).and_then(take_message) {
            return Poll::Ready(Ok(message));
        }
        self.poll_ended(stream, context).map(|outcome| {
            outcome.and_then(|()| Err(Failure("the server ended the stream".to_owned())))
        })
    }

    /// Gives an exchange up.
    pub(super) fn cancel(&mut self, stream: u32) {
        if self.exchanges.contains_key(&stream) {
            self.frame(RST_STREAM, 0, stream, 4);
            self.out.put_u32(Reason::CANCEL.0);
            self.forget(stream);
        }
    }

    /// An exchange that did not end yet.
    fn living(&mut self, stream: u32) -> Option<&mut Exchange> {
        self.exchanges
            .get_mut(&stream)
            .filter(|exchange| !exchange.ended)
    }

    fn forget(&mut self, stream: u32) {
        self.exchanges.remove(&stream);
        self.waiting.pop_front().into_iter().for_each(Waker::wake);
    }

    /// Appends the head of a frame, and lets the writer know.
    fn frame(&mut self, kind: u8, flags: u8, stream: u32, length: usize) {
        frame::put_head(&mut self.out, kind, flags, stream, length);
        self.writer.take().into_iter().for_each(Waker::wake);
    }

    fn widen(&mut self, stream: u32, by: u32) {
        self.frame(WINDOW_UPDATE, 0, stream, 4);
        self.out.put_u32(by);
    }

    /// Sends as much as the windows allow, in order.
    fn send_pending(&mut self) {
        while let Some((stream, mut message, ends)) = self.pending.pop_front() {
            let (window_of_all, frame_max) = (self.window, self.frame_max);
            let Some(exchange) = self.living(stream) else {
                continue;
            };
            let window = window_of_all.min(exchange.window);
            let room = usize::try_from(window).unwrap_or(0);
            let size = message.len().min(frame_max).min(room);
            if size == 0 && !message.is_empty() {
                self.pending.push_front((stream, message, ends));
                return;
            }
            exchange.window -= size as i64;
            self.window -= size as i64;
            let is_all = size == message.len();
            let flags = if ends && is_all { END_STREAM } else { 0 };
            self.frame(DATA, flags, stream, size);
            self.out.put_slice(&message[..size]);
            if !is_all {
                message.advance(size);
                self.pending.push_front((stream, message, ends));
            }
        }
    }

    /// Takes whole frames off the front of what came in, and answers how many bytes they were.
    /// After an error the connection is of no use.
    pub(super) fn receive(&mut self, input: &[u8]) -> Result<usize, String> {
        let mut taken = 0;
        while let Some(head) = Head::read(&input[taken..]) {
            let length = head.len;
            if length > FRAME_MAX {
                return Err(format!("the server sent a frame of {length} bytes"));
            }
            let start = taken + HEAD_LEN;
            let Some(payload) = input.get(start..start + length) else {
                break;
            };
            self.on_frame(head.kind, head.flags, head.stream, payload)?;
            taken = start + length;
        }
        Ok(taken)
    }

    fn on_frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<(), String> {
        if self.block.is_some() && kind != CONTINUATION {
            return Err("the server broke off a block of headers".to_owned());
        }
        let short = || "the server sent a frame that is too short".to_owned();
        let word = |at: usize| -> Result<u32, String> {
            let bytes = payload
                .get(at..)
                .and_then(<[u8]>::first_chunk)
                .ok_or_else(short)?;
            Ok(u32::from_be_bytes(*bytes))
        };
        match kind {
            DATA => self.on_data(flags, stream, payload).ok_or_else(short),
            HEADERS => {
                let mut bytes = unpadded(flags, payload).ok_or_else(short)?;
                if flags & HAS_PRIORITY != 0 {
                    bytes = bytes.get(5..).ok_or_else(short)?;
                }
                let ends = flags & END_STREAM != 0;
                if flags & END_HEADERS != 0 {
                    return self.on_headers(stream, ends, bytes);
                }
                let bytes = bytes.to_vec();
                self.block = Some(Block {
                    stream,
                    ends,
                    bytes,
                });
                Ok(())
            }
            CONTINUATION => {
                let block = self.block.take();
                let mut block = block.ok_or("the server continued nothing")?;
                block.bytes.extend_from_slice(payload);
                if block.bytes.len() > FRAME_MAX {
                    return Err("the server sent too many headers".to_owned());
                }
                if flags & END_HEADERS != 0 {
                    return self.on_headers(block.stream, block.ends, &block.bytes);
                }
                self.block = Some(block);
                Ok(())
            }
            RST_STREAM => {
                let reason = word(0)?;
                // After the status it only says that the rest of the request is not wanted.
                if let Some(exchange) = self.living(stream) {
                    let failure = Failure(format!("the server reset the stream ({reason})"));
                    exchange.status = Some(Err(failure));
                    end(exchange);
                }
                Ok(())
            }
            SETTINGS if flags & ACK != 0 => Ok(()),
            SETTINGS => self.on_settings(payload),
            PING if flags & ACK != 0 => Ok(()),
            PING => {
                let echo: [u8; 8] = payload.try_into().map_err(|_| short())?;
                self.frame(PING, ACK, 0, echo.len());
                self.out.put_slice(&echo);
                Ok(())
            }
            GOAWAY => Err(format!("the server ends it ({})", word(4)?)),
            WINDOW_UPDATE => {
                let by = i64::from(word(0)? & WINDOW_MAX);
                match self.exchanges.get_mut(&stream) {
                    Some(exchange) => exchange.window += by,
                    None if stream == 0 => self.window += by,
                    None => {}
                }
                self.send_pending();
                Ok(())
            }
            PUSH_PROMISE => Err("the server pushed something".to_owned()),
            // PRIORITY, and whatever is invented later.
            _ => Ok(()),
        }
    }

    fn on_settings(&mut self, payload: &[u8]) -> Result<(), String> {
        for setting in payload.chunks_exact(6) {
            let name = u16::from_be_bytes([setting[0], setting[1]]);
            let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
            match name {
                SET_TABLE_SIZE if (value as usize) < TABLE_SIZE => {
                    return Err(format!(
                        "the server has no room for headers ({value} bytes)"
                    ));
                }
                SET_STREAMS_MAX => self.streams_max = value as usize,
                SET_WINDOW => {
                    let change = i64::from(value) - self.window_of_stream;
                    self.window_of_stream += change;
                    for exchange in self.exchanges.values_mut() {
                        exchange.window += change;
                    }
                }
                SET_FRAME_MAX => self.frame_max = (value as usize).max(FRAME_MAX),
                _ => {}
            }
        }
        self.frame(SETTINGS, ACK, 0, 0);
        self.greeted = true;
        self.waiting.drain(..).for_each(Waker::wake);
        self.send_pending();
        Ok(())
    }

    /// `None` if the frame is malformed.
    fn on_data(&mut self, flags: u8, stream: u32, payload: &[u8]) -> Option<()> {
        let data = unpadded(flags, payload)?;
        let size = payload.len() as u32;
        self.unreported += size;
        if self.unreported >= WINDOW_STEP {
            let by = std::mem::take(&mut self.unreported);
            self.widen(0, by);
        }
        let Some(exchange) = self.exchanges.get_mut(&stream) else {
            return Some(());
        };
        if exchange.keep {
            exchange.answer.extend_from_slice(data);
            exchange.waker.take().into_iter().for_each(Waker::wake);
        }
        exchange.unreported += size;
        if flags & END_STREAM != 0 {
            end(exchange);
        } else if exchange.unreported >= WINDOW_STEP {
            let by = std::mem::take(&mut exchange.unreported);
            self.widen(stream, by);
        }
        Some(())
    }

    fn on_headers(&mut self, stream: u32, ends: bool, block: &[u8]) -> Result<(), String> {
        let (mut code, mut message) = (None, String::new());
        // The decoder has to see every block, also of calls that nobody waits for.
        let decoded = self.decoder.decode(block, |name, value| match name {
            b"grpc-status" => code = Some(code_of(value)),
            b"grpc-message" => message = String::from_utf8_lossy(value).replace("%20", " "),
            _ => {}
        });
        decoded.map_err(|_| "the server sent malformed headers".to_owned())?;
        if let Some(exchange) = self.exchanges.get_mut(&stream) {
            if let Some(code) = code {
                exchange.status = Some(match code {
                    Code::Ok => Ok(()),
                    code => Err(Failure(format!("{code}: {message}"))),
                });
            }
            if ends {
                end(exchange);
            }
        }
        Ok(())
    }
}

fn end(exchange: &mut Exchange) {
    exchange.ended = true;
    exchange.waker.take().into_iter().for_each(Waker::wake);
}

/// The status in a header, which is a number in decimal.
fn code_of(value: &[u8]) -> Code {
    let text = std::str::from_utf8(value).unwrap_or_default();
    Code::from_number(text.parse().unwrap_or(2))
}

/// The payload without its padding.
fn unpadded(flags: u8, payload: &[u8]) -> Option<&[u8]> {
    let (begin, end) = frame::unpadded(flags, payload)?;
    payload.get(begin..end)
}

/// Takes a whole gRPC message out of what came in.
fn take_message(exchange: &mut Exchange) -> Option<Bytes> {
    let length = exchange.answer.get(1..5)?.first_chunk()?;
    let length = u32::from_be_bytes(*length) as usize;
    if exchange.answer.len() < 5 + length {
        return None;
    }
    exchange.answer.advance(5);
    Some(exchange.answer.split_to(length).freeze())
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
