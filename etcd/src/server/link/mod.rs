//! One HTTP/2 connection: a task that reads, has calls answered, and writes what has come together.
//!
//! `http2` says what the bytes mean, without I/O. What is asked goes to the services through
//! [`Front`], a task for each call.

mod asked;
mod body;
mod outbox;
mod slow;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::HeaderMap;
use bytes::{Buf, BytesMut};
use quorate_http2::frame::Code;
use quorate_http2::server::{Event, Limits, Server};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tonic::body::Body;

use super::front::Front;
use asked::Asked;
use outbox::{Outbox, Said};
use slow::{Outlet, Slow};

/// How much is read at once.
const READ_BYTES: usize = 32 << 10;

/// How often a quiet client is asked whether it is there, and how long it may take to answer.
#[derive(Clone, Copy)]
pub(super) struct KeepAlive {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

/// See the module.
pub(super) struct Link {
    stream: TcpStream,
    server: Server<Asked>,
    front: Front,
    input: BytesMut,
    /// What was read and has not been looked at, reused.
    events: Vec<Event<Asked>>,
    slow: HashMap<u32, Slow>,
    /// Those whose answers wait on their streams.
    owing: Vec<u32>,
    outbox: Arc<Outbox>,
    said: Vec<Said>,
    keep_alive: KeepAlive,
    /// When we last heard of the client, and when it last took something from us.
    alive_at: Instant,
    took_at: Instant,
    /// When it was asked whether it is there, if it has not answered.
    asked_at: Option<Instant>,
    look: Pin<Box<Sleep>>,
}

impl Link {
    pub(super) fn new(
        stream: TcpStream,
        front: Front,
        limits: Limits,
        keep_alive: KeepAlive,
    ) -> Link {
        let now = Instant::now();
        Link {
            stream,
            server: Server::new(limits, now.into_std()),
            front,
            input: BytesMut::with_capacity(READ_BYTES),
            events: Vec::new(),
            slow: HashMap::new(),
            owing: Vec::new(),
            outbox: Arc::default(),
            said: Vec::new(),
            keep_alive,
            alive_at: now,
            took_at: now,
            asked_at: None,
            look: Box::pin(sleep(keep_alive.interval)),
        }
    }

    /// Serves until the connection ends.
    pub(super) async fn run(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Takes no more calls; the connection ends when those under way have.
    pub(super) fn go_away(&mut self) {
        self.server.go_away();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.take_said(cx);
            let wrote = self.poll_write(cx)?;
            self.pay();
            if self.server.is_over() && wrote.is_ready() {
                return Pin::new(&mut self.stream).poll_shutdown(cx);
            }
            self.poll_look(cx)?;
            // A client that does not read its answers is not listened to.
            if !self.server.has_room() {
                return Poll::Pending;
            }
            if ready!(self.poll_read(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
            let now = Instant::now();
            self.alive_at = now;
            let mut events = std::mem::take(&mut self.events);
            let received = self
                .server
                .receive(&mut self.input, now.into_std(), &mut events);
            for event in events.drain(..) {
                self.on_event(event);
            }
            self.events = events;
            if let Err(fault) = received {
                tracing::debug!(why = fault.why, "a client broke the rules");
                self.slow.clear();
                self.server.fail(fault);
            }
        }
    }

    /// Reads what is there.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(READ_BYTES);
        let reading = self.stream.read_buf(&mut self.input);
        pin!(reading).poll(cx)
    }

    /// Writes what there is; ready when all of it was.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        while !self.server.out().is_empty() {
            let out = self.server.out();
            match Pin::new(&mut self.stream).poll_write(cx, out) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    out.advance(written);
                    self.took_at = Instant::now();
                    self.server.pump();
                }
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        Ok(Poll::Ready(()))
    }

    /// Asks a quiet client whether it is there, and gives up on one that is not.
    fn poll_look(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.look.as_mut().poll(cx).is_ready() {
            let quiet_until = self.alive_at + self.keep_alive.interval;
            let now = Instant::now();
            let next = match self.asked_at.take() {
                // Slow is not gone: we do not hear a client that has not taken what it was told.
                Some(asked_at) if !self.server.has_room() && self.took_at > asked_at => {
                    self.asked_at = Some(now);
                    now + self.keep_alive.timeout
                }
                Some(asked_at) if self.alive_at <= asked_at => {
                    let text = "the client does not answer";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, text));
                }
                None if quiet_until <= now => {
                    self.server.ping();
                    // What is written now is no sign of life.
                    let _ = self.poll_write(cx)?;
                    self.asked_at = Some(self.took_at.max(now));
                    now + self.keep_alive.timeout
                }
                Some(_) | None => quiet_until.max(now + self.keep_alive.timeout),
            };
            self.look.as_mut().reset(next);
        }
        Ok(())
    }

    fn on_event(&mut self, event: Event<Asked>) {
        match event {
            Event::Request { stream, head, ends } => self.begin(stream, &head, ends),
            Event::Data { stream, data, ends } => {
                let call = self.slow.get_mut(&stream);
                let Some(feed) = call.and_then(|slow| slow.feed.as_ref()) else {
                    return self.server.consumed(stream, data.len());
                };
                feed.push(data, ends);
            }
            Event::Reset { stream } => drop(self.slow.remove(&stream)),
        }
    }

    /// Begins to answer a request.
    fn begin(&mut self, stream: u32, asked: &Asked, ends: bool) {
        let (feed, body) = match ends {
            true => (None, Body::empty()),
            false => {
                let (feed, body) = body::body(stream, Arc::clone(&self.outbox));
                (Some(feed), Body::new(body))
            }
        };
        let Some(request) = asked.request(body) else {
            return self.server.reset(stream, Code::PROTOCOL);
        };
        let outlet = Outlet::new(stream, asked.wants_head_only(), Arc::clone(&self.outbox));
        let slow = Slow::begin(&self.front, request, feed, outlet);
        self.slow.insert(stream, slow);
    }

    /// Does what others have left for us.
    fn take_said(&mut self, cx: &Context<'_>) {
        loop {
            let mut said = std::mem::take(&mut self.said);
            self.outbox.take(&mut said, cx.waker());
            let is_empty = said.is_empty();
            said.drain(..).for_each(|said| self.on_said(said));
            self.said = said;
            if is_empty {
                return;
            }
        }
    }

    fn on_said(&mut self, said: Said) {
        match said {
            Said::Head {
                stream,
                parts,
                ends,
            } => {
                let status = parts.status;
                let fields = fields(&parts.headers);
                self.server
                    .head(stream, status.as_str().as_bytes(), fields, ends);
                self.end(stream, ends);
            }
            Said::Data { stream, data, ends } => {
                if let Some(slow) = self.slow.get_mut(&stream) {
                    if !slow.owes() {
                        self.owing.push(stream);
                    }
                    slow.owe(data.len());
                    self.server.data(stream, data, ends);
                    self.end(stream, ends);
                }
            }
            Said::Trailers {
                stream,
                fields: trailers,
            } => {
                let fields: Vec<_> = fields(&trailers).collect();
                self.server.trailers(stream, &fields);
                self.end(stream, true);
            }
            Said::Failed { stream } => {
                self.server.reset(stream, Code::INTERNAL);
                self.end(stream, true);
            }
            Said::Consumed { stream, bytes } => self.server.consumed(stream, bytes),
        }
    }

    fn end(&mut self, stream: u32, ends: bool) {
        if ends {
            self.slow.remove(&stream);
        }
    }

    /// Lets those go on whose answers were sent.
    fn pay(&mut self) {
        self.owing.retain(|stream| {
            let Some(slow) = self.slow.get_mut(stream) else {
                return false;
            };
            let is_waiting = self.server.is_waiting(*stream);
            if !is_waiting {
                slow.pay();
            }
            is_waiting
        });
    }
}

fn fields(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
}
