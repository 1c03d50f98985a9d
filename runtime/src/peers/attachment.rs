//! Application checkpoints on their way from one replica to another.
//!
//! Each travels on a connection of its own, behind the message that names it, in pieces that carry
//! their own checksums. Both ends work on threads of their own with plain blocking calls: the
//! disk of the receiver slows the sender down by the connection's flow control. A sender has one
//! under way to each peer; a receiver takes one at a time, the newest call.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_core::{Block, Checkpoint, Protocol, Reader, Wire};

use super::frame::{FrameHeader, HEADER_BYTES};
use super::handshake::{ANSWER_BYTES, Answer, Stream};
use super::sender::{hello, refusal};
use super::{Peer, PeerOptions, Shared, count, prepare};
use crate::mailbox::Event;

#[cfg(test)]
mod tests;

/// The bytes of a piece.
const PIECE_BYTES: usize = 256 << 10;

/// The longest piece that is accepted.
const PIECE_BYTES_MAX: u32 = 1 << 20;

/// A checkpoint's receiver may be busy with its disk for a while; patience is so many times what
/// it is for mail.
const PATIENCE: u32 = 4;

/// How much a refused sender may still have under way.
const DRAIN_BYTES_MAX: u64 = 16 << 20;

// What stands where a frame of mail has its number of messages.
const MESSAGE: u32 = 1;
const PIECE: u32 = 2;
const END: u32 = 3;

/// What is under way to one peer.
#[derive(Default)]
pub(super) struct Outgoing {
    busy: AtomicBool,
    line: Line,
}

impl Outgoing {
    /// Hangs up, for good.
    pub(super) fn stop(&self) {
        self.line.close();
    }
}

/// What is under way to us.
#[derive(Default)]
pub(super) struct Incoming {
    line: Line,
    /// Held while receiving. A newer call first hangs up on the older one, then waits for this.
    turn: Mutex<()>,
}

/// A connection that somebody else may hang up.
#[derive(Default)]
struct Line(Mutex<LineState>);

#[derive(Default)]
struct LineState {
    stream: Option<TcpStream>,
    closed: bool,
}

impl Line {
    /// Puts a connection in; one that is there already is hung up.
    fn connect(&self, stream: &TcpStream) -> io::Result<()> {
        let mut state = guard(&self.0);
        if state.closed {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if let Some(older) = state.stream.replace(stream.try_clone()?) {
            hang_up(&older);
        }
        Ok(())
    }

    /// Takes the connection out. Not where a newer one may have been put in its place.
    fn disconnect(&self) {
        guard(&self.0).stream = None;
    }

    /// Hangs up, for good.
    fn close(&self) {
        let mut state = guard(&self.0);
        state.closed = true;
        if let Some(stream) = state.stream.take() {
            hang_up(&stream);
        }
    }
}

fn hang_up(stream: &TcpStream) {
    // If it is gone already, so much the better.
    let _ = stream.shutdown(Shutdown::Both);
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic under one of these locks ends the process.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a message that names a checkpoint, and the newest checkpoint with it. While one is under
/// way to this peer, others are dropped.
pub(super) fn send<P>(shared: &Arc<Shared<P>>, peer: &Arc<Peer>, message: P::Message)
where
    P: Protocol + 'static,
    P::Message: Send,
{
    if peer.outgoing.busy.swap(true, Ordering::AcqRel) {
        count(&peer.counters.messages_dropped, 1);
        return;
    }
    let (shared, to) = (shared.clone(), peer.clone());
    let fail_stop = shared.fail_stop.clone();
    let started = fail_stop.thread("attachment-out", move || {
        let sent = send_all(&shared, &to, message);
        to.outgoing.line.disconnect();
        to.outgoing.busy.store(false, Ordering::Release);
        match sent {
            Ok((checkpoint, bytes)) => {
                count(&to.counters.attachments_sent, 1);
                tracing::info!(peer = %to.id, ?checkpoint, bytes, "sent a checkpoint");
            }
            Err(error) => tracing::warn!(peer = %to.id, %error, "cannot send a checkpoint"),
        }
        Ok::<(), io::Error>(())
    });
    if let Err(error) = started {
        tracing::warn!(peer = %peer.id, %error, "cannot start a thread to send a checkpoint");
        peer.outgoing.busy.store(false, Ordering::Release);
    }
}

/// Opens, calls, and sends it all. Answers what was sent once the receiver has made it durable.
fn send_all<P: Protocol>(
    shared: &Shared<P>,
    peer: &Peer,
    mut message: P::Message,
) -> io::Result<(Checkpoint, u64)> {
    let (checkpoint, mut source) = shared.checkpoints.open()?;
    if let Some(named) = P::attachment(&mut message) {
        *named = checkpoint;
    }
    let mut stream = connect(&peer.addresses.load(), &shared.options)?;
    peer.outgoing.line.connect(&stream)?;
    stream.set_read_timeout(Some(shared.options.handshake_timeout))?;
    stream.write_all(&hello(shared, peer, Stream::Attachment).encode())?;
    expect_acceptance(&mut stream)?;
    // From now on the receiver's disk sets the pace; if it vanishes, the connection breaks.
    stream.set_read_timeout(None)?;
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    let total = match send_pieces(&mut stream, bytes, &mut *source) {
        Ok(total) => total,
        // If the receiver hung up it may have said why.
        Err(error) => match read_answer(&mut stream) {
            Ok(answer) => return Err(accepted(answer).err().unwrap_or(error)),
            Err(_) => return Err(error),
        },
    };
    expect_acceptance(&mut stream)?;
    Ok((checkpoint, total))
}

/// Sends the message, the state, and how long it was.
fn send_pieces(stream: &mut TcpStream, message: Vec<u8>, source: &mut dyn Read) -> io::Result<u64> {
    write_frame(stream, MESSAGE, &message)?;
    let mut bytes = message;
    bytes.resize(PIECE_BYTES, 0);
    let mut total = 0u64;
    loop {
        // If our own disk fails, nobody need wait for more.
        let len = fill(source, &mut bytes).inspect_err(|_| hang_up(stream))?;
        if len == 0 {
            break;
        }
        write_frame(stream, PIECE, &bytes[..len])?;
        total += len as u64;
    }
    write_frame(stream, END, &total.to_le_bytes())?;
    Ok(total)
}

/// Tries all addresses that the names stand for.
fn connect(addresses: &[String], options: &PeerOptions) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let found = match address.to_socket_addrs() {
            Ok(found) => found,
            Err(error) => {
                failure = error;
                continue;
            }
        };
        for address in found {
            match TcpStream::connect_timeout(&address, options.handshake_timeout) {
                Ok(stream) => {
                    prepare(
                        &socket2::SockRef::from(&stream),
                        options.progress_timeout * PATIENCE,
                    )?;
                    return Ok(stream);
                }
                Err(error) => failure = error,
            }
        }
    }
    Err(failure)
}

fn expect_acceptance(stream: &mut TcpStream) -> io::Result<()> {
    accepted(read_answer(stream)?)
}

fn accepted(answer: Answer) -> io::Result<()> {
    match answer {
        Answer::Accepted => Ok(()),
        Answer::Refused(reason) | Answer::Removed(reason) | Answer::Unknown(reason) => {
            Err(refusal(&reason))
        }
    }
}

fn read_answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut answer = vec![0; ANSWER_BYTES];
    stream.read_exact(&mut answer)?;
    let start = answer.first_chunk().ok_or(io::ErrorKind::InvalidData)?;
    let text_len = Answer::text_len(start).map_err(io::Error::other)?;
    answer.resize(ANSWER_BYTES + text_len, 0);
    stream.read_exact(&mut answer[ANSWER_BYTES..])?;
    Answer::decode(&answer).map_err(io::Error::other)
}

/// Reads until the buffer is full or the source ends.
fn fill(source: &mut dyn Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < bytes.len() {
        match source.read(&mut bytes[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

fn write_frame(stream: &mut TcpStream, kind: u32, body: &[u8]) -> io::Result<()> {
    stream.write_all(&FrameHeader::of(body, kind).encode())?;
    stream.write_all(body)
}

impl Incoming {
    /// Hangs up, for good.
    pub(super) fn stop(&self) {
        self.line.close();
    }

    /// Receives on a thread of its own.
    pub(super) fn receive<P>(
        self: &Arc<Incoming>,
        shared: &Arc<Shared<P>>,
        from: &Arc<Peer>,
        stream: tokio::net::TcpStream,
    ) where
        P: Protocol + 'static,
        P::Message: Send,
    {
        let (incoming, shared, from) = (self.clone(), shared.clone(), from.clone());
        let fail_stop = shared.fail_stop.clone();
        let peer = from.id;
        let started = fail_stop.thread("attachment-in", move || {
            match incoming.receive_blocking(&shared, &from, stream) {
                Ok((checkpoint, bytes)) => {
                    tracing::info!(%peer, ?checkpoint, bytes, "received a checkpoint");
                }
                Err(error) => tracing::warn!(%peer, %error, "cannot receive a checkpoint"),
            }
            Ok::<(), io::Error>(())
        });
        if let Err(error) = started {
            tracing::warn!(%peer, %error, "cannot start a thread to receive a checkpoint");
        }
    }

    fn receive_blocking<P: Protocol>(
        &self,
        shared: &Shared<P>,
        from: &Peer,
        stream: tokio::net::TcpStream,
    ) -> io::Result<(Checkpoint, u64)> {
        let mut stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        prepare(
            &socket2::SockRef::from(&stream),
            shared.options.progress_timeout * PATIENCE,
        )?;
        stream.set_read_timeout(Some(shared.options.progress_timeout * PATIENCE))?;
        self.line.connect(&stream)?;
        let _turn = guard(&self.turn);
        let received = receive(shared, from, &mut stream);
        let answer = match &received {
            Ok(_) => Answer::Accepted,
            Err(error) => Answer::Refused(error.to_string()),
        };
        // If the sender does not hear it, it tries again, and is told that nothing is needed.
        let _ = stream.write_all(&answer.encode());
        if received.is_err() {
            let _ = drain(&mut stream, shared.options.handshake_timeout);
        }
        hang_up(&stream);
        received
    }
}

/// Reads what a refused sender has sent already: hanging up on unread bytes would make its side
/// forget our answer.
fn drain(stream: &mut TcpStream, timeout: Duration) -> io::Result<u64> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(timeout))?;
    io::copy(&mut stream.take(DRAIN_BYTES_MAX), &mut io::sink())
}

/// Receives message and attachment, and delivers the message.
fn receive<P: Protocol>(
    shared: &Shared<P>,
    from: &Peer,
    stream: &mut TcpStream,
) -> io::Result<(Checkpoint, u64)> {
    let mut body = Vec::new();
    expect_kind(
        MESSAGE,
        read_frame(stream, shared.options.frame_bytes_max, &mut body)?,
    )?;
    let block = Block::new(std::mem::take(&mut body));
    let mut reader = Reader::new(&block);
    let mut message = P::Message::decode(&mut reader).map_err(invalid)?;
    reader.finish().map_err(invalid)?;
    let checkpoint = match P::attachment(&mut message) {
        Some(checkpoint) => *checkpoint,
        None => return Err(invalid("the message names no checkpoint")),
    };
    let mut sink = shared.checkpoints.receive(checkpoint)?;
    let mut total = 0u64;
    loop {
        match read_frame(stream, PIECE_BYTES_MAX, &mut body)? {
            PIECE => {
                sink.write_all(&body)?;
                total += body.len() as u64;
            }
            kind => {
                expect_kind(END, kind)?;
                break;
            }
        }
    }
    if body != total.to_le_bytes() {
        return Err(invalid("pieces of a checkpoint are missing"));
    }
    sink.finish()?;
    count(&from.counters.attachments_received, 1);
    let mail = Event::Mail {
        from: from.id,
        messages: vec![message],
        room: None,
    };
    // A replica that has stopped takes no more mail; the checkpoint is simply not used.
    let _ = shared.events.send(mail);
    Ok((checkpoint, total))
}

/// Reads a frame's body, into memory that grows as bytes arrive, and answers its kind.
fn read_frame(stream: &mut TcpStream, len_max: u32, body: &mut Vec<u8>) -> io::Result<u32> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header)?;
    let header = FrameHeader::decode(&header, len_max).map_err(invalid)?;
    body.clear();
    let read = stream.take(u64::from(header.body_len)).read_to_end(body)?;
    if read < header.body_len as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if crc32c::crc32c(body) != header.body_crc {
        return Err(invalid("a piece of a checkpoint is damaged"));
    }
    Ok(header.count)
}

fn expect_kind(expected: u32, found: u32) -> io::Result<()> {
    match expected == found {
        true => Ok(()),
        false => Err(invalid("a piece of a checkpoint is out of place")),
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
