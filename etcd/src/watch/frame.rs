//! `WatchResponse` as bytes, written by hand.
//!
//! An event arrives here encoded, once for all who watch it. The generated type would have to be
//! filled with decoded events only to encode them again; a [`Frame`] copies their bytes into the
//! output buffer and nothing else.

use bytes::BufMut;
use prost::Message;
use prost::encoding::{self, WireType};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::{ProstCodec, ProstDecoder};

use quorate_service::watch::Chunks;

use crate::proto::codec::settings;
use crate::proto::etcdserverpb::{ResponseHeader, WatchRequest};

// The numbers of WatchResponse's fields.
const HEADER: u32 = 1;
const WATCH_ID: u32 = 2;
const CREATED: u32 = 3;
const CANCELED: u32 = 4;
const COMPACT_REVISION: u32 = 5;
const CANCEL_REASON: u32 = 6;
const FRAGMENT: u32 = 7;
const EVENTS: u32 = 11;

/// A `WatchResponse` whose events are encoded already.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) header: ResponseHeader,
    pub(crate) watch_id: i64,
    pub(crate) created: bool,
    pub(crate) canceled: bool,
    pub(crate) compact_revision: i64,
    pub(crate) cancel_reason: &'static str,
    pub(crate) fragment: bool,
    /// Each an encoded `mvccpb.Event`.
    pub(crate) events: Chunks,
}

impl Default for Frame {
    fn default() -> Frame {
        Frame {
            header: ResponseHeader::default(),
            watch_id: 0,
            created: false,
            canceled: false,
            compact_revision: 0,
            cancel_reason: "",
            fragment: false,
            events: Chunks::Many(Vec::new()),
        }
    }
}

impl Frame {
    /// How many bytes the frame becomes.
    pub(crate) fn encoded_len(&self) -> usize {
        let numbers = number_len(WATCH_ID, self.watch_id)
            + number_len(CREATED, self.created.into())
            + number_len(CANCELED, self.canceled.into())
            + number_len(COMPACT_REVISION, self.compact_revision)
            + number_len(FRAGMENT, self.fragment.into());
        let reason = match self.cancel_reason.len() {
            0 => 0,
            len => field_len(CANCEL_REASON, len),
        };
        let events = self.events.as_slice().iter();
        let events = events.map(|event| field_len(EVENTS, event.len()));
        field_len(HEADER, self.header.encoded_len()) + numbers + reason + events.sum::<usize>()
    }

    /// Appends the frame.
    pub(crate) fn encode(&self, out: &mut impl BufMut) {
        key(HEADER, WireType::LengthDelimited, out);
        encoding::encode_varint(self.header.encoded_len() as u64, out);
        self.header.encode_raw(out);
        number(WATCH_ID, self.watch_id, out);
        number(CREATED, self.created.into(), out);
        number(CANCELED, self.canceled.into(), out);
        number(COMPACT_REVISION, self.compact_revision, out);
        if !self.cancel_reason.is_empty() {
            bytes(CANCEL_REASON, self.cancel_reason.as_bytes(), out);
        }
        number(FRAGMENT, self.fragment.into(), out);
        for event in self.events.as_slice() {
            bytes(EVENTS, event, out);
        }
    }
}

fn field_len(field: u32, len: usize) -> usize {
    encoding::key_len(field) + encoding::encoded_len_varint(len as u64) + len
}

/// Zeros are left out, as everywhere in protobuf.
fn number_len(field: u32, value: i64) -> usize {
    match value {
        0 => 0,
        _ => encoding::key_len(field) + encoding::encoded_len_varint(value.cast_unsigned()),
    }
}

fn key(field: u32, kind: WireType, out: &mut impl BufMut) {
    encoding::encode_key(field, kind, out);
}

fn number(field: u32, value: i64, out: &mut impl BufMut) {
    if value != 0 {
        key(field, WireType::Varint, out);
        encoding::encode_varint(value.cast_unsigned(), out);
    }
}

fn bytes(field: u32, value: &[u8], out: &mut impl BufMut) {
    key(field, WireType::LengthDelimited, out);
    encoding::encode_varint(value.len() as u64, out);
    out.put_slice(value);
}

/// Receives requests as prost decodes them, sends frames.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameCodec;

impl Codec for FrameCodec {
    type Encode = Frame;
    type Decode = WatchRequest;
    type Encoder = FrameEncoder;
    type Decoder = ProstDecoder<WatchRequest>;

    fn encoder(&mut self) -> FrameEncoder {
        FrameEncoder
    }

    fn decoder(&mut self) -> ProstDecoder<WatchRequest> {
        ProstCodec::<WatchRequest, WatchRequest>::raw_decoder(settings())
    }
}

/// See [`FrameCodec`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameEncoder;

impl Encoder for FrameEncoder {
    type Item = Frame;
    type Error = Status;

    fn encode(&mut self, frame: Frame, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(frame.encoded_len());
        frame.encode(out);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        settings()
    }
}

#[cfg(test)]
mod tests;
