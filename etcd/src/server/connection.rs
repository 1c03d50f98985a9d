//! One connection: which HTTP it speaks, and how much of it we put up with.

use std::io;
use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use quorate_http2::frame::PREFACE;
use quorate_http2::server::Limits;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::ServerOptions;
use super::front::Front;
use super::link::{KeepAlive, Link};

/// How often we look again when only a part of the preface has come.
const PREFACE_POLL: Duration = Duration::from_millis(2);
/// How large all headers of a request may be together.
const HEADERS_BYTES_MAX: u32 = 16 * 1024;
/// How much a client may send ahead on one stream, and on all streams of a connection.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// How much may wait to be written before we listen to a client no more, and bodies wait.
const OUT_BYTES_MAX: usize = 256 * 1024;

/// Serves connections.
pub(super) struct Connections {
    front: Front,
    max: usize,
    handshake_timeout: Duration,
    shutdown_grace: Duration,
    http1: http1::Builder,
    limits: Limits,
    keep_alive: KeepAlive,
    stopping: watch::Receiver<bool>,
}

impl Connections {
    pub(super) fn new(
        front: Front,
        options: &ServerOptions,
        stopping: watch::Receiver<bool>,
    ) -> Connections {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(options.handshake_timeout)
            .max_buf_size(2 * HEADERS_BYTES_MAX as usize);
        let limits = Limits {
            streams_max: options.streams_per_connection_max,
            headers_bytes_max: HEADERS_BYTES_MAX as usize,
            stream_window: STREAM_WINDOW,
            connection_window: CONNECTION_WINDOW,
            out_bytes_max: OUT_BYTES_MAX,
        };
        let keep_alive = KeepAlive {
            interval: options.keepalive_interval,
            timeout: options.keepalive_timeout,
        };
        Connections {
            front,
            max: options.connections_max,
            handshake_timeout: options.handshake_timeout,
            shutdown_grace: options.shutdown_grace,
            http1,
            limits,
            keep_alive,
            stopping,
        }
    }

    /// How many there may be.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Serves one connection until it ends, or until the server stops and what was under way on it
    /// is done or has had its time.
    pub(super) async fn serve(&self, stream: TcpStream) {
        // An answer is written when it is complete; to wait for more would only add latency.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let hearing = tokio::time::timeout(self.handshake_timeout, speaks_http2(&stream));
        let speaks = tokio::select! {
            speaks = hearing => speaks,
            () = self.stopped() => return,
        };
        let outcome = match speaks {
            Ok(Ok(true)) => self.serve_http2(stream).await,
            Ok(Ok(false)) => self.serve_http1(stream).await,
            Ok(Err(error)) => return tracing::debug!(%error, "a connection broke at once"),
            Err(_) => return tracing::debug!("a connection said nothing"),
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection broke");
        }
    }

    async fn serve_http2(&self, stream: TcpStream) -> io::Result<()> {
        let mut link = Link::new(stream, self.front.clone(), self.limits, self.keep_alive);
        tokio::select! {
            outcome = link.run() => return outcome,
            () = self.stopped() => link.go_away(),
        }
        match tokio::time::timeout(self.shutdown_grace, link.run()).await {
            Ok(outcome) => outcome,
            Err(_) => {
                tracing::info!("a connection had to be cut");
                Ok(())
            }
        }
    }

    async fn serve_http1(&self, stream: TcpStream) -> io::Result<()> {
        let io = TokioIo::new(stream);
        let mut connection = pin!(self.http1.serve_connection(io, self.front.clone()));
        tokio::select! {
            outcome = connection.as_mut() => return outcome.map_err(io::Error::other),
            () = self.stopped() => connection.as_mut().graceful_shutdown(),
        }
        match tokio::time::timeout(self.shutdown_grace, connection).await {
            Ok(outcome) => outcome.map_err(io::Error::other),
            Err(_) => {
                tracing::info!("a connection had to be cut");
                Ok(())
            }
        }
    }

    async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // An error means that the server is gone altogether.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}

/// Looks at what comes first, without taking it.
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; PREFACE.len()];
    loop {
        let len = stream.peek(&mut first).await?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[..len] != PREFACE[..len] {
            return Ok(false);
        }
        if len == PREFACE.len() {
            return Ok(true);
        }
        tokio::time::sleep(PREFACE_POLL).await;
    }
}
