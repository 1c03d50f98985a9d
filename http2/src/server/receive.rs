//! What the server receives.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};

use super::head::{Reading, Wrong};
use super::stream::Stream;
use super::{Block, Event, Fault, Head, RECENT, RECENT_BYTES_MAX, Recent, Server};
use crate::flood;
use crate::frame::{self, Code, END_HEADERS, END_STREAM, FRAME_MAX, HEAD_LEN, PREFACE};

/// A head that was read, or why it is none.
type Asked<H> = Result<Arc<H>, Wrong>;

/// How many frames a block of headers may have.
const BLOCK_FRAMES_MAX: u32 = 8;
/// What the parts of a head with advice take.
const ADVICE_LEN: usize = 5;

fn fault(code: Code, why: &'static str) -> Fault {
    Fault { code, why }
}

fn size_fault() -> Fault {
    fault(Code::FRAME_SIZE, "a frame of the wrong size")
}

impl<H: From<Head>> Server<H> {
    /// Takes all whole frames off the front of what came in, and tells what they mean.
    ///
    /// # Errors
    /// If the connection cannot go on: see [`Server::fail`].
    pub fn receive(
        &mut self,
        input: &mut BytesMut,
        now: Instant,
        events: &mut Vec<Event<H>>,
    ) -> Result<(), Fault> {
        if self.preface > 0 && !self.take_preface(input)? {
            return Ok(());
        }
        let mut whole = 0;
        while let Some(head) = frame::Head::read(&input[whole..]) {
            if head.len > FRAME_MAX {
                return Err(size_fault());
            }
            if input.len() - whole < HEAD_LEN + head.len {
                break;
            }
            whole += HEAD_LEN + head.len;
        }
        if whole == 0 {
            return Ok(());
        }
        let mut frames = input.split_to(whole).freeze();
        while let Some(head) = frame::Head::read(&frames) {
            frames.advance(HEAD_LEN);
            let payload = frames.split_to(head.len);
            self.on_frame(&head, payload, now, events)?;
        }
        Ok(())
    }

    /// Whether all of the preface has passed.
    fn take_preface(&mut self, input: &mut BytesMut) -> Result<bool, Fault> {
        let expected = &PREFACE[PREFACE.len() - self.preface..];
        let len = expected.len().min(input.len());
        if input[..len] != expected[..len] {
            return Err(fault(Code::PROTOCOL, "this is not HTTP/2"));
        }
        input.advance(len);
        self.preface -= len;
        Ok(self.preface == 0)
    }

    fn on_frame(
        &mut self,
        head: &frame::Head,
        payload: Bytes,
        now: Instant,
        events: &mut Vec<Event<H>>,
    ) -> Result<(), Fault> {
        self.spend(flood::cost_of(head), now)?;
        let continues = matches!(&self.block, Some(block) if block.stream == head.stream);
        if self.block.is_some() != (head.kind == frame::CONTINUATION && continues) {
            let why = "a block of headers was broken off";
            return Err(fault(Code::PROTOCOL, why));
        }
        if !std::mem::replace(&mut self.greeted, true) && head.kind != frame::SETTINGS {
            return Err(fault(Code::PROTOCOL, "settings come first"));
        }
        match head.kind {
            frame::DATA => self.on_data(head, &payload, now, events),
            frame::HEADERS => self.on_headers(head, &payload, now, events),
            frame::CONTINUATION => self.on_continuation(head, &payload, now, events),
            frame::RST_STREAM => self.on_reset(head, &payload, events),
            frame::SETTINGS => self.on_settings(head, &payload, now),
            frame::PING => self.on_ping(head, &payload),
            frame::WINDOW_UPDATE => self.on_window_update(head, &payload, now, events),
            frame::PUSH_PROMISE => Err(fault(Code::PROTOCOL, "clients do not push")),
            frame::GOAWAY if head.stream != 0 => Err(on_wrong_stream()),
            frame::PRIORITY if head.len != ADVICE_LEN => Err(size_fault()),
            frame::PRIORITY if head.stream == 0 => Err(on_wrong_stream()),
            // A client that goes away lets what it asked for be answered. And whatever is invented later.
            _ => Ok(()),
        }
    }

    /// Whether the client has opened this stream, whatever became of it.
    fn check_known(&self, stream: u32) -> Result<(), Fault> {
        match stream != 0 && stream % 2 == 1 && stream <= self.last {
            true => Ok(()),
            // Those beyond the last one are nothing to us once we have said so.
            false if self.closing && stream % 2 == 1 => Ok(()),
            false => Err(on_wrong_stream()),
        }
    }

    fn on_data(
        &mut self,
        head: &frame::Head,
        payload: &Bytes,
        now: Instant,
        events: &mut Vec<Event<H>>,
    ) -> Result<(), Fault> {
        self.check_known(head.stream)?;
        let (begin, end) = frame::unpadded(head.flags, payload)
            .ok_or(fault(Code::PROTOCOL, "more padding than payload"))?;
        self.receive_window -= head.len as i64;
        if self.receive_window < 0 {
            return Err(fault(Code::FLOW_CONTROL, "more than the window allows"));
        }
        let Some(open) = self.streams.get_mut(&head.stream) else {
            // It is over, and the client could not know.
            self.consumed_of_all(head.len);
            return Ok(());
        };
        let wrong = if !open.is_open {
            Some(Code::STREAM_CLOSED)
        } else if open.receive_window < head.len as i64 {
            Some(Code::FLOW_CONTROL)
        } else {
            open.receive_window -= head.len as i64;
            let ends = head.has(END_STREAM);
            open.is_open = !ends;
            let wrong_length = open.rest.as_mut().is_some_and(|rest| {
                let left = rest.checked_sub((end - begin) as u64);
                *rest = left.unwrap_or(0);
                left.is_none() || (ends && *rest > 0)
            });
            wrong_length.then_some(Code::PROTOCOL)
        };
        if let Some(code) = wrong {
            self.consumed_of_all(head.len);
            events.push(Event::Reset {
                stream: head.stream,
            });
            return self.refuse(head.stream, code, now);
        }
        let padding = head.len - (end - begin);
        if padding > 0 {
            self.consumed(head.stream, padding);
        }
        events.push(Event::Data {
            stream: head.stream,
            data: payload.slice(begin..end),
            ends: head.has(END_STREAM),
        });
        Ok(())
    }

    fn on_headers(
        &mut self,
        head: &frame::Head,
        payload: &Bytes,
        now: Instant,
        events: &mut Vec<Event<H>>,
    ) -> Result<(), Fault> {
        let why = "more padding than payload";
        let (mut begin, end) =
            frame::unpadded(head.flags, payload).ok_or(fault(Code::PROTOCOL, why))?;
        if head.has(frame::HAS_PRIORITY) {
            begin += ADVICE_LEN;
        }
        let block = payload.get(begin..end).ok_or_else(size_fault)?;
        let (stream, ends) = (head.stream, head.has(END_STREAM));
        if stream % 2 == 0 {
            return Err(on_wrong_stream());
        }
        if head.has(END_HEADERS) {
            return self.on_block(stream, ends, block, now, events);
        }
        self.block = Some(Block {
            stream,
            ends,
            bytes: block.to_vec(),
            frames: 1,
        });
        Ok(())
    }

    fn on_continuation(
        &mut self,
        head: &frame::Head,
        payload: &Bytes,
        now: Instant,
        events: &mut Vec<Event<H>>,
    ) -> Result<(), Fault> {
        let nothing = fault(Code::PROTOCOL, "nothing to be continued");
        let mut block = self.block.take().ok_or(nothing)?;
        block.bytes.extend_from_slice(payload);
        block.frames += 1;
        // Compression never makes a block larger than what it says by much.
        let bytes_max = 2 * self.limits.headers_bytes_max;
        if block.bytes.len() > bytes_max || block.frames > BLOCK_FRAMES_MAX {
            return Err(fault(Code::CALM, "headers that do not end"));
        }
        if head.has(END_HEADERS) {
            return self.on_block(block.stream, block.ends, &block.bytes, now, events);
        }
        self.block = Some(block);
        Ok(())
    }

    /// A whole block of headers, which has to be read whatever becomes of it: the table changes by it.
    fn on_block(
        &mut self,
        stream: u32,
        ends: bool,
        block: &[u8],
        now: Instant,
        events: &mut Vec<Event<H>>,
    ) -> Result<(), Fault> {
        if stream <= self.last {
            return self.on_trailers(stream, ends, block, now, events);
        }
        let (head, length) = match self.recent.find(block, self.decoder.changes()) {
            Some(head) => (Ok(head), None),
            None => self.read_head(block)?,
        };
        if self.closing {
            return Ok(());
        }
        self.last = stream;
        if self.streams.len() >= self.limits.streams_max as usize {
            return self.refuse(stream, Code::REFUSED, now);
        }
        let head = match head {
            Ok(head) => head,
            Err(Wrong::Malformed) => return self.refuse(stream, Code::PROTOCOL, now),
            Err(Wrong::TooLarge) => {
                // RFC 6585, 5. It may still send a body, which is not wanted.
                self.open(stream, ends, None);
                self.head(stream, b"431", [], true);
                return self.spend(flood::RESET_COST, now);
            }
        };
        if ends && length.is_some_and(|length| length > 0) {
            return self.refuse(stream, Code::PROTOCOL, now);
        }
        self.open(stream, ends, length);
        events.push(Event::Request { stream, head, ends });
        Ok(())
    }

    fn open(&mut self, stream: u32, ends: bool, rest: Option<u64>) {
        let open = Stream {
            send_window: self.send_window_of_stream,
            receive_window: i64::from(self.limits.stream_window).max(frame::WINDOW_AT_FIRST),
            unreported: 0,
            rest,
            is_open: !ends,
            queue: Default::default(),
            in_line: false,
        };
        self.streams.insert(stream, open);
    }

    /// Reads the head of a request. One that says nothing of its body's length may come again.
    fn read_head(&mut self, block: &[u8]) -> Result<(Asked<H>, Option<u64>), Fault> {
        let before = self.decoder.changes();
        let head = match self.read_block(block)?.finish() {
            Ok(head) => head,
            Err(wrong) => return Ok((Err(wrong), None)),
        };
        let length = head.length;
        let head = Arc::new(H::from(head));
        let after = self.decoder.changes();
        if before == after && length.is_none() && block.len() <= RECENT_BYTES_MAX {
            self.recent.keep(block, &head, after);
        }
        Ok((Ok(head), length))
    }

    fn read_block(&mut self, block: &[u8]) -> Result<Reading, Fault> {
        let size_max = self.limits.headers_bytes_max;
        let mut reading = Reading::default();
        self.decoder
            .decode(block, |name, value| reading.field(name, value, size_max))
            .map_err(|_| fault(Code::COMPRESSION, "headers that cannot be read"))?;
        Ok(reading)
    }

    fn on_trailers(
        &mut self,
        stream: u32,
        ends: bool,
        block: &[u8],
        now: Instant,
        events: &mut Vec<Event<H>>,
    ) -> Result<(), Fault> {
        let reading = self.read_block(block)?;
        let Some(open) = self.streams.get_mut(&stream) else {
            // It may have been on its way when we ended the stream; so may a whole body have been.
            return self.spend(1, now);
        };
        let is_wrong = !open.is_open
            || !ends
            || open.rest.is_some_and(|rest| rest > 0)
            || reading.finish_trailers().is_err();
        if is_wrong {
            events.push(Event::Reset { stream });
            return self.refuse(stream, Code::PROTOCOL, now);
        }
        open.is_open = false;
        events.push(Event::Data {
            stream,
            data: Bytes::new(),
            ends,
        });
        Ok(())
    }

    fn on_reset(
        &mut self,
        head: &frame::Head,
        payload: &[u8],
        events: &mut Vec<Event<H>>,
    ) -> Result<(), Fault> {
        if payload.len() != 4 {
            return Err(size_fault());
        }
        self.check_known(head.stream)?;
        if self.forget(head.stream) {
            events.push(Event::Reset {
                stream: head.stream,
            });
        }
        Ok(())
    }

    fn on_settings(
        &mut self,
        head: &frame::Head,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), Fault> {
        if head.stream != 0 {
            return Err(on_wrong_stream());
        }
        let is_ack = head.has(frame::ACK);
        if !payload.len().is_multiple_of(6) || (is_ack && !payload.is_empty()) {
            return Err(size_fault());
        }
        if is_ack {
            return Ok(());
        }
        // Each may concern every stream.
        self.spend((payload.len() / 6) as u32, now)?;
        for setting in payload.chunks_exact(6) {
            let name = u16::from_be_bytes([setting[0], setting[1]]);
            let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
            self.on_setting(name, value)?;
        }
        frame::put_head(&mut self.out, frame::SETTINGS, frame::ACK, 0, 0);
        self.pump();
        Ok(())
    }

    fn on_setting(&mut self, name: u16, value: u32) -> Result<(), Fault> {
        let size = value as usize;
        match name {
            frame::SET_TABLE_SIZE => self.encoder.set_table_size(size),
            frame::SET_PUSH if value > 1 => {
                return Err(fault(Code::PROTOCOL, "neither push nor no push"));
            }
            frame::SET_WINDOW => {
                let overflow = fault(Code::FLOW_CONTROL, "a window that is too large");
                if value > frame::WINDOW_MAX {
                    return Err(overflow);
                }
                let change = i64::from(value) - self.send_window_of_stream;
                self.send_window_of_stream = i64::from(value);
                let mut waiting = Vec::new();
                for (&stream, open) in &mut self.streams {
                    open.send_window += change;
                    if open.send_window > i64::from(frame::WINDOW_MAX) {
                        return Err(overflow);
                    }
                    if !open.queue.is_empty() {
                        waiting.push(stream);
                    }
                }
                for stream in waiting {
                    self.stand_in_line(stream, false);
                }
            }
            frame::SET_FRAME_MAX => {
                if !(FRAME_MAX..=frame::FRAME_MAX_MAX).contains(&size) {
                    return Err(fault(Code::PROTOCOL, "a size that no frame may have"));
                }
                // Larger ones would only let one stream keep the others waiting.
                self.frame_max = FRAME_MAX;
            }
            _ => {}
        }
        Ok(())
    }

    fn on_ping(&mut self, head: &frame::Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream != 0 {
            return Err(on_wrong_stream());
        }
        if payload.len() != 8 {
            return Err(size_fault());
        }
        if head.has(frame::ACK) {
            self.pongs += 1;
            return Ok(());
        }
        frame::put_head(&mut self.out, frame::PING, frame::ACK, 0, payload.len());
        self.out.extend_from_slice(payload);
        Ok(())
    }

    fn on_window_update(
        &mut self,
        head: &frame::Head,
        payload: &[u8],
        now: Instant,
        events: &mut Vec<Event<H>>,
    ) -> Result<(), Fault> {
        let &by: &[u8; 4] = payload.try_into().map_err(|_| size_fault())?;
        let by = i64::from(u32::from_be_bytes(by) & frame::WINDOW_MAX);
        let wide = |window: i64| by > 0 && window + by <= i64::from(frame::WINDOW_MAX);
        if head.stream == 0 {
            if !wide(self.send_window) {
                let why = "a window that is too large, or wider by nothing";
                return Err(fault(Code::FLOW_CONTROL, why));
            }
            self.send_window += by;
            self.pump();
            return Ok(());
        }
        self.check_known(head.stream)?;
        let Some(open) = self.streams.get_mut(&head.stream) else {
            return Ok(());
        };
        if !wide(open.send_window) {
            events.push(Event::Reset {
                stream: head.stream,
            });
            return self.refuse(head.stream, Code::FLOW_CONTROL, now);
        }
        open.send_window += by;
        self.stand_in_line(head.stream, false);
        self.pump();
        Ok(())
    }
}

fn on_wrong_stream() -> Fault {
    let why = "a frame on a stream where it cannot be";
    fault(Code::PROTOCOL, why)
}

impl<H> Recent<H> {
    /// What a block means while the table is in this state, if that is known.
    fn find(&self, block: &[u8], changes: u64) -> Option<Arc<H>> {
        if self.changes != changes {
            return None;
        }
        let mut blocks = self.blocks.iter();
        let (_, head) = blocks.find(|(known, _)| **known == *block)?;
        Some(head.clone())
    }

    /// Remembers what a block means while the table is in this state.
    fn keep(&mut self, block: &[u8], head: &Arc<H>, changes: u64) {
        if self.changes != changes {
            self.blocks.clear();
            self.changes = changes;
        }
        let known = (block.into(), head.clone());
        if self.blocks.len() < RECENT {
            self.blocks.push(known);
        } else {
            self.blocks[self.next % RECENT] = known;
            self.next = self.next.wrapping_add(1);
        }
    }
}
