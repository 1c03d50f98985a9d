//! A client that speaks HTTP/2 by hand, to say what no library would say.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use quorate_http2::frame::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Head, PING, PREFACE, RST_STREAM, SETTINGS,
    put_head, put_headers,
};
use quorate_http2::hpack::{Decoder, put_string};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATIENCE, Server};

/// What came back on a stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    pub(crate) reset: Option<u32>,
}

/// A connection.
pub(crate) struct ByHand {
    pub(crate) socket: TcpStream,
    input: BytesMut,
    decoder: Decoder,
    next: u32,
    /// Those that are not over yet, and those that are.
    open: BTreeMap<u32, Answer>,
    over: BTreeMap<u32, Answer>,
    /// How many pings were heard, and why the server ends it, if it does.
    pub(crate) pings: u32,
    pub(crate) goaway: Option<u32>,
    pub(crate) answers_pings: bool,
}

/// A message as gRPC frames it.
pub(crate) fn message(content: &[u8]) -> Vec<u8> {
    let mut body = vec![0];
    body.extend((content.len() as u32).to_be_bytes());
    body.extend(content);
    body
}

impl ByHand {
    /// Connects with these settings.
    pub(crate) async fn connect(server: &Server, settings: &[(u16, u32)]) -> ByHand {
        let mut hand = ByHand {
            socket: TcpStream::connect(server.address()).await.unwrap(),
            input: BytesMut::new(),
            decoder: Decoder::default(),
            next: 1,
            open: BTreeMap::new(),
            over: BTreeMap::new(),
            pings: 0,
            goaway: None,
            answers_pings: true,
        };
        let mut content = Vec::new();
        for (name, value) in settings {
            content.extend(name.to_be_bytes());
            content.extend(value.to_be_bytes());
        }
        hand.say(PREFACE).await;
        hand.frame(SETTINGS, 0, 0, &content).await;
        hand
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let bytes = frame(kind, flags, stream, payload);
        self.say(&bytes).await;
    }

    /// Sends the head of a call, and answers its stream.
    pub(crate) async fn open(&mut self, path: &str, kind: &str) -> u32 {
        let stream = self.next;
        self.next += 2;
        let mut bytes = BytesMut::new();
        put_headers(&mut bytes, 0, stream, |out| {
            for (name, value) in [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", path),
                ("content-type", kind),
                ("te", "trailers"),
            ] {
                out.put_u8(0);
                put_string(name.as_bytes(), out);
                put_string(value.as_bytes(), out);
            }
        });
        self.say(&bytes).await;
        self.open.insert(stream, Answer::default());
        stream
    }

    /// Sends a call, and answers its stream.
    pub(crate) async fn ask(&mut self, path: &str, kind: &str, body: &[u8]) -> u32 {
        let stream = self.open(path, kind).await;
        let mut parts = body.chunks(16_000).peekable();
        if body.is_empty() {
            self.frame(DATA, END_STREAM, stream, b"").await;
        }
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_none() {
                END_STREAM
            } else {
                0
            };
            self.frame(DATA, flags, stream, part).await;
        }
        stream
    }

    /// Waits for the end of a stream.
    pub(crate) async fn answer(&mut self, stream: u32) -> Answer {
        loop {
            if let Some(answer) = self.over.remove(&stream) {
                return answer;
            }
            assert!(self.hear().await, "the server closed the connection");
        }
    }

    /// Takes in a little more; false at the end of the connection.
    pub(crate) async fn hear(&mut self) -> bool {
        let read = self.socket.read_buf(&mut self.input);
        let read = tokio::time::timeout(PATIENCE, read).await;
        let Ok(1..) = read.expect("the server says nothing") else {
            return false;
        };
        while let Some(head) = Head::read(&self.input) {
            if self.input.len() < 9 + head.len {
                break;
            }
            let mut payload = self.input.split_to(9 + head.len).freeze();
            self.on_frame(&head, payload.split_off(9)).await;
        }
        true
    }

    async fn on_frame(&mut self, head: &Head, payload: Bytes) {
        match head.kind {
            SETTINGS if !head.has(ACK) => self.frame(SETTINGS, ACK, 0, b"").await,
            PING if !head.has(ACK) => {
                self.pings += 1;
                if self.answers_pings {
                    self.frame(PING, ACK, 0, &payload).await;
                }
            }
            GOAWAY => self.goaway = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap())),
            _ => {}
        }
        let Some(answer) = self.open.get_mut(&head.stream) else {
            if head.kind == HEADERS {
                self.decoder.decode(&payload, |_, _| {}).unwrap();
            }
            return;
        };
        let mut ends = matches!(head.kind, DATA | HEADERS) && head.has(END_STREAM);
        match head.kind {
            HEADERS => {
                assert!(head.has(END_HEADERS));
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let fields = &mut answer.fields;
                let decoded = self.decoder.decode(&payload, |name, value| {
                    fields.insert(text(name), text(value));
                });
                decoded.unwrap();
            }
            DATA => answer.body.extend(payload),
            RST_STREAM => {
                answer.reset = Some(u32::from_be_bytes(payload[..4].try_into().unwrap()));
                ends = true;
            }
            _ => {}
        }
        if ends && let Some(answer) = self.open.remove(&head.stream) {
            self.over.insert(head.stream, answer);
        }
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    put_head(&mut bytes, kind, flags, stream, payload.len());
    bytes.extend_from_slice(payload);
    bytes.to_vec()
}
