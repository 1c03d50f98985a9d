//! What the server sends.

use bytes::{Buf, Bytes, BytesMut};

use super::stream::{Fields, Piece};
use super::{Head, Server};
use crate::frame::{self, Code, DATA, END_STREAM};
use crate::hpack::Encoder;

/// Fields that come with nearly every answer.
const OFTEN: [&[u8]; 2] = [b"content-type", b"grpc-status"];

impl<H: From<Head>> Server<H> {
    /// Begins an answer, or gives all of it if there is no body.
    pub fn head<'a>(
        &mut self,
        stream: u32,
        status: &[u8],
        fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        ends: bool,
    ) {
        if !self.streams.contains_key(&stream) {
            return;
        }
        let flags = if ends { END_STREAM } else { 0 };
        let encoder = &mut self.encoder;
        let encode = |out: &mut BytesMut| {
            encoder.put(b":status", status, false, out);
            put_fields(encoder, fields, out);
        };
        frame::put_headers(&mut self.out, flags, stream, encode);
        if ends {
            self.end(stream);
        }
    }

    /// Sends a part of a body, now or when the windows allow it.
    pub fn data(&mut self, stream: u32, data: Bytes, ends: bool) {
        self.data_with(stream, data.len(), ends, |out| out.extend_from_slice(&data));
    }

    /// As [`Server::data`], for `len` bytes that `encode` appends.
    pub fn data_with(
        &mut self,
        stream: u32,
        len: usize,
        ends: bool,
        encode: impl FnOnce(&mut BytesMut),
    ) {
        let has_room = self.has_room();
        let Some(open) = self.streams.get_mut(&stream) else {
            return;
        };
        let window = self.send_window.min(open.send_window);
        let fits = len <= self.frame_max && (len == 0 || len as i64 <= window);
        if fits && has_room && open.queue.is_empty() {
            open.send_window -= len as i64;
            self.send_window -= len as i64;
            let flags = if ends { END_STREAM } else { 0 };
            self.out.reserve(frame::HEAD_LEN + len);
            frame::put_head(&mut self.out, DATA, flags, stream, len);
            encode(&mut self.out);
            if ends {
                self.end(stream);
            }
            return;
        }
        let mut data = BytesMut::with_capacity(len);
        encode(&mut data);
        self.queued += data.len();
        self.queue(stream, Piece::Data(data.freeze(), ends));
    }

    /// Ends an answer with fields behind its body.
    pub fn trailers(&mut self, stream: u32, fields: &[(&[u8], &[u8])]) {
        let Some(open) = self.streams.get(&stream) else {
            return;
        };
        if open.queue.is_empty() {
            self.put_trailers(stream, fields.iter().copied());
            return;
        }
        let copied = fields
            .iter()
            .map(|(name, value)| (Bytes::copy_from_slice(name), Bytes::copy_from_slice(value)));
        self.queue(stream, Piece::Trailers(copied.collect()));
    }

    fn put_trailers<'a>(
        &mut self,
        stream: u32,
        fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) {
        let encoder = &mut self.encoder;
        let encode = |out: &mut BytesMut| put_fields(encoder, fields, out);
        frame::put_headers(&mut self.out, END_STREAM, stream, encode);
        self.end(stream);
    }

    /// Has a piece wait for its turn.
    fn queue(&mut self, stream: u32, piece: Piece) {
        if let Some(open) = self.streams.get_mut(&stream) {
            open.queue.push_back(piece);
            if !std::mem::replace(&mut open.in_line, true) {
                self.line.push_back(stream);
            }
            self.pump();
        }
    }

    /// Whether more may be put into the output.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.out.len() < self.limits.out_bytes_max
    }

    /// How many bytes this stream may be given before more only waits.
    #[must_use]
    pub fn is_waiting(&self, stream: u32) -> bool {
        let open = self.streams.get(&stream);
        open.is_some_and(|open| !open.queue.is_empty())
    }

    /// Moves what waits on streams to the output, a frame of each in turn, as far as the windows and the
    /// output's size allow. To be called when some of the output was written.
    pub fn pump(&mut self) {
        while self.has_room()
            && let Some(stream) = self.line.pop_front()
        {
            let Some(open) = self.streams.get_mut(&stream) else {
                continue;
            };
            open.in_line = false;
            let Some(piece) = open.queue.pop_front() else {
                continue;
            };
            match piece {
                Piece::Trailers(fields) => self.put_trailers(stream, borrowed(&fields)),
                Piece::Data(data, ends) => {
                    if !self.put_part(stream, data, ends) {
                        // Nothing can be sent by anyone, or else only this one has to wait.
                        if self.send_window <= 0 {
                            self.stand_in_line(stream, true);
                            return;
                        }
                        continue;
                    }
                }
            }
            self.stand_in_line(stream, false);
        }
    }

    /// Lets a stream that has something to send have a turn, now or behind all others.
    pub(super) fn stand_in_line(&mut self, stream: u32, first: bool) {
        let Some(open) = self.streams.get_mut(&stream) else {
            return;
        };
        if open.queue.is_empty() || std::mem::replace(&mut open.in_line, true) {
            return;
        }
        match first {
            true => self.line.push_front(stream),
            false => self.line.push_back(stream),
        }
    }

    /// Sends one frame of a body; false if the windows do not allow it.
    fn put_part(&mut self, stream: u32, mut data: Bytes, ends: bool) -> bool {
        let Some(open) = self.streams.get_mut(&stream) else {
            return true;
        };
        let window = self.send_window.min(open.send_window);
        let room = usize::try_from(window).unwrap_or(0);
        let size = data.len().min(self.frame_max).min(room);
        let is_all = size == data.len();
        if size == 0 && !is_all {
            open.queue.push_front(Piece::Data(data, ends));
            return false;
        }
        open.send_window -= size as i64;
        self.send_window -= size as i64;
        self.queued -= size;
        let flags = if ends && is_all { END_STREAM } else { 0 };
        frame::put_head(&mut self.out, DATA, flags, stream, size);
        self.out.extend_from_slice(&data[..size]);
        if !is_all {
            data.advance(size);
            open.queue.push_front(Piece::Data(data, ends));
        } else if ends {
            self.end(stream);
        }
        true
    }

    /// We have said all. If the client has not, it need not go on (section 8.1).
    fn end(&mut self, stream: u32) {
        let is_open = self.streams.get(&stream).is_some_and(|open| open.is_open);
        self.forget(stream);
        if is_open {
            self.put_reset(stream, Code::NONE);
        }
    }
}

fn borrowed(fields: &Fields) -> impl Iterator<Item = (&[u8], &[u8])> {
    fields.iter().map(|(name, value)| (&name[..], &value[..]))
}

fn put_fields<'a>(
    encoder: &mut Encoder,
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    out: &mut BytesMut,
) {
    for (name, value) in fields {
        encoder.put(name, value, OFTEN.contains(&name), out);
    }
}
