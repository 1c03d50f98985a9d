//! A server that reads frames and answers them, and does nothing else: how fast a server can be whose
//! HTTP/2 is the crate `http2`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use prost::Message;
use quorate_client::proto::{PutResponse, RangeResponse};
use quorate_http2::server::{Event, Head, Limits, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::echo::{header, row};
use crate::wire::frame;

/// How much is read at once.
const READ_BYTES: usize = 32 << 10;

/// No client of ours comes near any of these.
const LIMITS: Limits = Limits {
    streams_max: 1 << 20,
    headers_bytes_max: 16 << 10,
    stream_window: 1 << 20,
    connection_window: 1 << 24,
    out_bytes_max: 1 << 30,
};

/// What is asked for.
#[derive(Clone, Copy)]
enum Asked {
    Range,
    Put,
}

impl From<Head> for Asked {
    fn from(head: Head) -> Asked {
        match head.path.ends_with(b"/Range") {
            true => Asked::Range,
            false => Asked::Put,
        }
    }
}

/// The answers, as gRPC frames them.
struct Answers {
    range: Bytes,
    put: Bytes,
}

/// Serves until the process ends, on a thread for each processor.
pub(crate) fn serve(listen: SocketAddr) -> Result<()> {
    let framed =
        |message: Vec<u8>| frame(&mut BytesMut::new(), |out| out.extend_from_slice(&message));
    let range = RangeResponse {
        header: header(),
        kvs: vec![row(Bytes::from_static(b"00000000"))],
        more: false,
        count: 1,
    };
    let put = PutResponse {
        header: header(),
        prev_kv: None,
    };
    let answers = Arc::new(Answers {
        range: framed(range.encode_to_vec()),
        put: framed(put.encode_to_vec()),
    });
    let accept = async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let answers = Arc::clone(&answers);
            tokio::spawn(async move {
                // Whoever leaves in the middle of something is gone all the same.
                let _ = connection(socket, &answers).await;
            });
        }
    };
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(accept)
}

async fn connection(mut socket: TcpStream, answers: &Answers) -> std::io::Result<()> {
    let mut server: Server<Asked> = Server::new(LIMITS, Instant::now());
    let mut input = BytesMut::with_capacity(READ_BYTES);
    let mut events = Vec::new();
    let mut asked: HashMap<u32, Asked> = HashMap::new();
    loop {
        if !server.out().is_empty() {
            let out = server.out().split();
            socket.write_all(&out).await?;
        }
        input.reserve(READ_BYTES);
        if socket.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        if let Err(fault) = server.receive(&mut input, Instant::now(), &mut events) {
            server.fail(fault);
            return socket.write_all(server.out()).await;
        }
        for event in events.drain(..) {
            match event {
                Event::Request { stream, head, ends } => {
                    asked.insert(stream, *head);
                    if ends {
                        answer(&mut server, stream, &mut asked, answers);
                    }
                }
                Event::Data { stream, data, ends } => {
                    server.consumed(stream, data.len());
                    if ends {
                        answer(&mut server, stream, &mut asked, answers);
                    }
                }
                Event::Reset { stream } => {
                    asked.remove(&stream);
                }
            }
        }
    }
}

fn answer(
    server: &mut Server<Asked>,
    stream: u32,
    asked: &mut HashMap<u32, Asked>,
    answers: &Answers,
) {
    let body = match asked.remove(&stream) {
        Some(Asked::Range) => &answers.range,
        Some(Asked::Put) => &answers.put,
        None => return,
    };
    let kind: (&[u8], &[u8]) = (b"content-type", b"application/grpc");
    server.head(stream, b"200", [kind], false);
    server.data_with(stream, body.len(), false, |out| out.extend_from_slice(body));
    server.trailers(stream, &[(b"grpc-status", b"0")]);
}
