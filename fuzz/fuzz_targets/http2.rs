//! What a client sends over HTTP/2, and a server that answers every request.
#![no_main]

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use quorate_http2::frame::PREFACE;
use quorate_http2::server::{Event, Head, Limits, Server};

const LIMITS: Limits = Limits {
    streams_max: 10,
    headers_bytes_max: 16 << 10,
    stream_window: 100_000,
    connection_window: 200_000,
    out_bytes_max: 64 << 10,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let now = Instant::now();
    let mut server = Server::<Head>::new(LIMITS, now);
    let mut input = BytesMut::from(PREFACE);
    // The first byte says in how large pieces the rest comes.
    let (piece, bytes) = bytes.split_first().unwrap_or((&1, &[]));
    for part in bytes.chunks(usize::from(*piece) * 64 + 1) {
        input.extend_from_slice(part);
        let mut events = Vec::new();
        let received = server.receive(&mut input, now, &mut events);
        for event in events {
            match event {
                Event::Request { stream, .. } => {
                    server.head(stream, b"200", [(&b"a"[..], &b"b"[..])], false);
                    server.data(stream, Bytes::from_static(&[0; 50_000]), false);
                    server.trailers(stream, &[(b"grpc-status", b"0")]);
                }
                Event::Data { stream, data, .. } => server.consumed(stream, data.len()),
                Event::Reset { stream } => assert!(!server.has(stream)),
            }
        }
        assert!(server.streams() <= 10 && server.out().len() < 200_000);
        server.out().clear();
        server.pump();
        if let Err(fault) = received {
            server.fail(fault);
            assert!(server.is_over());
            return;
        }
    }
});
