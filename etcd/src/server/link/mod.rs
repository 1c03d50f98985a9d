//! One HTTP/2 connection: a task that reads, has calls answered, and writes what has come together.
//!
//! `http2` says what the bytes mean, without I/O. What is asked most is answered here ([`hot`]); the
//! rest goes to the services through [`Front`], a task for each call.

mod asked;
mod body;
mod hot;
mod said;
mod slow;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::HeaderMap;
use bytes::{Buf, Bytes, BytesMut};
use quorate_http2::frame::Code;
use quorate_http2::server::{Event, Limits, Server};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tonic::body::Body;

use super::front::Front;
use asked::Asked;
use hot::{Hot, Unusual};
use said::{Outbox, Said};
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
    hot: Hot,
    /// Calls for [`Hot`] whose bodies are not complete.
    partial: HashMap<u32, (Arc<Asked>, BytesMut)>,
    /// When calls there may have waited for too long.
    overdue: Pin<Box<Sleep>>,
    is_overdue_set: bool,
    slow: HashMap<u32, Slow>,
    /// Those whose answers wait on their streams.
    owing: Vec<u32>,
    outbox: Outbox,
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
            hot: Hot::new(front.context().clone(), Arc::clone(front.stats())),
            partial: HashMap::new(),
            overdue: Box::pin(sleep(Duration::ZERO)),
            is_overdue_set: false,
            front,
            input: BytesMut::with_capacity(READ_BYTES),
            events: Vec::new(),
            slow: HashMap::new(),
            owing: Vec::new(),
            outbox: Outbox::default(),
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
            self.hot.answer(&mut self.server, cx.waker());
            let wrote = self.poll_write(cx)?;
            self.pay();
            // There may be room again for what had to wait.
            if self.hot.can_answer(&self.server) {
                continue;
            }
            if self.server.is_over() && wrote.is_ready() {
                return Pin::new(&mut self.stream).poll_shutdown(cx);
            }
            self.poll_look(cx)?;
            if self.poll_overdue(cx).is_ready() {
                continue;
            }
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
            let server = &mut self.server;
            let received = server.receive(&mut self.input, now.into_std(), &mut events);
            self.on_events(&mut events, now);
            self.events = events;
            if let Err(fault) = received {
                tracing::debug!(why = fault.why, "a client broke the rules");
                self.slow.clear();
                self.partial.clear();
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

    /// Refuses what has waited for too long, and sees to it that this is done in time.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.hot.is_waiting() {
            return Poll::Pending;
        }
        if self.is_overdue_set {
            ready!(self.overdue.as_mut().poll(cx));
        }
        let next = self.hot.expire(&mut self.server, Instant::now());
        self.is_overdue_set = next.is_some();
        if let Some(next) = next {
            self.overdue.as_mut().reset(next);
        }
        Poll::Ready(())
    }

    fn on_events(&mut self, events: &mut Vec<Event<Asked>>, now: Instant) {
        let mut events = events.drain(..).peekable();
        while let Some(event) = events.next() {
            match event {
                Event::Request { stream, head, ends } => {
                    if ends || head.call.is_none() {
                        self.begin_slow(stream, &head, Bytes::new(), ends);
                        continue;
                    }
                    let is_all = |next: &Event<Asked>| match next {
                        Event::Data {
                            stream: on, ends, ..
                        } => *ends && *on == stream,
                        _ => false,
                    };
                    match events.next_if(is_all) {
                        Some(Event::Data { data, .. }) => self.begin_hot(stream, &head, data, now),
                        _ => drop(self.partial.insert(stream, (head, BytesMut::new()))),
                    }
                }
                Event::Data { stream, data, ends } => self.on_data(stream, data, ends, now),
                Event::Reset { stream } => {
                    self.slow.remove(&stream);
                    self.partial.remove(&stream);
                    self.hot.reset(stream);
                }
            }
        }
        drop(events);
        self.hot.ask(&mut self.server, now);
    }

    fn on_data(&mut self, stream: u32, data: Bytes, ends: bool, now: Instant) {
        if let Some(slow) = self.slow.get(&stream) {
            return slow.feed(data, ends);
        }
        self.server.consumed(stream, data.len());
        let Some((_, body)) = self.partial.get_mut(&stream) else {
            return;
        };
        body.extend_from_slice(&data);
        if ends || body.len() > self.front.context().options().receive_bytes_max() {
            let Some((asked, body)) = self.partial.remove(&stream) else {
                return;
            };
            match ends {
                true => self.try_hot(stream, &asked, body.freeze(), now),
                false => self.begin_slow(stream, &asked, body.freeze(), false),
            }
        }
    }

    fn begin_hot(&mut self, stream: u32, asked: &Asked, body: Bytes, now: Instant) {
        self.server.consumed(stream, body.len());
        self.try_hot(stream, asked, body, now);
    }

    /// Answers a call whose body is complete the short way, if that can be.
    fn try_hot(&mut self, stream: u32, asked: &Asked, body: Bytes, now: Instant) {
        let outcome = match asked.call {
            Some(call) => self
                .hot
                .begin(stream, asked, call, &body, &mut self.server, now),
            None => Err(Unusual),
        };
        if outcome.is_err() {
            self.begin_slow(stream, asked, body, true);
        }
    }

    /// Has a request answered whose body begins with this, or is this. The client was told that it
    /// was taken.
    fn begin_slow(&mut self, stream: u32, asked: &Asked, first: Bytes, ends: bool) {
        let (feed, body) = body::body(stream, self.outbox.clone(), first.len());
        feed.push(first, ends);
        let Some(request) = asked.request(Body::new(body)) else {
            return self.server.reset(stream, Code::PROTOCOL);
        };
        let outlet = Outlet::new(stream, asked.wants_head_only(), self.outbox.clone());
        let slow = Slow::begin(&self.front, request, feed, outlet);
        self.slow.insert(stream, slow);
    }

    /// Does what others have left for us.
    fn take_said(&mut self, cx: &Context<'_>) {
        loop {
            let mut said = std::mem::take(&mut self.said);
            self.outbox.0.take(&mut said, cx.waker());
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

impl Drop for Link {
    fn drop(&mut self) {
        self.outbox.0.close();
    }
}
