//! Accepts calls, and receives mail.

use std::future;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use quorate_core::{Block, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::attachment::Incoming;
use super::frame::{FrameError, decode_frames, whole_frames};
use super::handshake::{Answer, HELLO_BYTES, HandshakeError, Hello, Stream};
use super::{Peer, ROOM_UNIT, Shared, count, introduction, prepare, shown, supervised};
use crate::mailbox::Event;

/// How much is read at once: many small frames, or a good part of a large one.
const READ_BYTES: usize = 256 << 10;

/// A read that filled less than this part of its buffer is copied into a block of its own size, so
/// that payloads which live long do not keep a large, mostly empty block alive.
const SPARSE: usize = 4;

/// How long to wait when accepting failed, which is when there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the task is aborted.
pub(super) async fn accept<P>(
    shared: Arc<Shared<P>>,
    listener: TcpListener,
    attachments: Arc<Incoming>,
) where
    P: Protocol + 'static,
    P::Message: Send,
{
    let handshakes = Arc::new(Semaphore::new(shared.options.handshakes_max));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Reaps the tasks that have ended.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a peer's connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(turn) = handshakes.clone().try_acquire_owned() else {
            tracing::warn!("too many callers at once: one is turned away");
            continue;
        };
        let (shared, attachments) = (shared.clone(), attachments.clone());
        let fail_stop = shared.fail_stop.clone();
        connections.spawn(supervised(fail_stop, async move {
            let caller = shown(stream.peer_addr());
            let within = shared.options.handshake_timeout;
            let shaken = timeout(within, welcome(&shared, stream)).await;
            drop(turn);
            match shaken {
                Ok(Ok(Welcomed::Mail(peer, stream))) => become_receiver(&shared, peer, stream),
                Ok(Ok(Welcomed::Attachment(peer, stream))) => {
                    attachments.receive(&shared, &peer, stream);
                }
                Ok(Ok(Welcomed::Done)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(caller, %error, "a call on the peer port came to nothing");
                }
                Err(_) => tracing::warn!(caller, "a call on the peer port said too little"),
            }
        }));
    }
}

/// What to do with a caller.
enum Welcomed {
    /// It sends mail.
    Mail(Arc<Peer>, TcpStream),
    /// It sends an attachment.
    Attachment(Arc<Peer>, TcpStream),
    /// It has had all that it wanted.
    Done,
}

/// What a caller may have.
enum Admitted {
    /// It is a peer, and sends mail.
    Mail(Arc<Peer>),
    /// It is a peer, and sends an attachment.
    Attachment(Arc<Peer>),
    /// It asks who the cluster is.
    Asking,
    /// It says who the cluster is.
    Telling,
}

/// Finds out who calls and answers. Introductions are made here, since they are short.
async fn welcome<P: Protocol>(
    shared: &Arc<Shared<P>>,
    mut stream: TcpStream,
) -> io::Result<Welcomed> {
    prepare(
        &socket2::SockRef::from(&stream),
        shared.options.progress_timeout,
    )?;
    let mut bytes = [0; HELLO_BYTES];
    stream.read_exact(&mut bytes).await?;
    let verdict = match Hello::decode(&bytes) {
        Ok(hello) => examine(shared, &hello),
        // Whoever this is would not understand an answer.
        Err(HandshakeError::NotAPeer) => return Err(io::Error::other(HandshakeError::NotAPeer)),
        Err(error) => Err(Answer::Refused(error.to_string())),
    };
    let admitted = match verdict {
        Ok(admitted) => admitted,
        Err(answer) => {
            stream.write_all(&answer.encode()).await?;
            stream.shutdown().await?;
            return Err(io::Error::other(format!("turned away: {answer:?}")));
        }
    };
    stream.write_all(&Answer::Accepted.encode()).await?;
    match admitted {
        Admitted::Mail(peer) => {
            peer.seen.notify_one();
            Ok(Welcomed::Mail(peer, stream))
        }
        Admitted::Attachment(peer) => {
            peer.seen.notify_one();
            Ok(Welcomed::Attachment(peer, stream))
        }
        Admitted::Asking => {
            introduction::answer(shared, &mut stream).await?;
            Ok(Welcomed::Done)
        }
        Admitted::Telling => {
            introduction::listen(shared, &mut stream).await?;
            Ok(Welcomed::Done)
        }
    }
}

/// What this caller may have, or how it is turned away.
fn examine<P: Protocol>(shared: &Shared<P>, hello: &Hello) -> Result<Admitted, Answer> {
    let myself = shared.myself;
    // Who asks who the cluster is need not know it.
    let asks = hello.stream == Stream::Asking;
    if hello.cluster != myself.cluster && !(asks && hello.cluster == 0) {
        return Err(Answer::Refused(format!(
            "this is cluster {:x}, the caller's is {:x}: check --initial-cluster, \
             --initial-cluster-token and --protocol on both",
            myself.cluster, hello.cluster
        )));
    }
    if hello.to != myself.me && !(asks && hello.to.0 == 0) {
        return Err(Answer::Refused(format!(
            "this is member {:x}, the caller wants {:x}: check the peer URLs in --initial-cluster",
            myself.me.0, hello.to.0
        )));
    }
    let roster = shared.roster.load();
    if roster.has_removed(hello.from) {
        return Err(Answer::Removed(format!(
            "member {:x} was removed from cluster {:x}",
            hello.from.0, myself.cluster
        )));
    }
    let peer = || {
        let known = roster.peer(hello.from).cloned();
        known.ok_or_else(|| {
            Answer::Unknown(format!(
                "member {:x} is not one that this member ({:x}) knows",
                hello.from.0, myself.me.0
            ))
        })
    };
    match hello.stream {
        Stream::Mail => peer().map(Admitted::Mail),
        Stream::Attachment => peer().map(Admitted::Attachment),
        Stream::Asking => Ok(Admitted::Asking),
        Stream::Telling => Ok(Admitted::Telling),
    }
}

/// Receives a peer's mail from now on; an older connection of the same peer is closed.
fn become_receiver<P>(shared: &Arc<Shared<P>>, peer: Arc<Peer>, stream: TcpStream)
where
    P: Protocol + 'static,
    P::Message: Send,
{
    let (shared, of_peer) = (shared.clone(), peer.clone());
    let fail_stop = shared.fail_stop.clone();
    let task = tokio::spawn(supervised(fail_stop, async move {
        let error = receive(&shared, &of_peer, stream).await;
        tracing::info!(peer = %of_peer.id, %error, "a peer's connection ended");
    }));
    let mut receiving = peer
        .receiving
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if receiving.stopped {
        task.abort();
    } else if let Some(older) = receiving.task.replace(task.abort_handle()) {
        older.abort();
    }
}

/// Closes the connection on which a peer's mail comes in, for good.
pub(super) fn hang_up(peer: &Peer) {
    let mut receiving = peer
        .receiving
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    receiving.stopped = true;
    if let Some(task) = receiving.task.take() {
        task.abort();
    }
}

/// Why receiving ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("it hung up")]
    HungUp,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
}

async fn receive<P>(shared: &Shared<P>, peer: &Peer, mut stream: TcpStream) -> Ended
where
    P: Protocol,
{
    let mut buffer = Vec::with_capacity(READ_BYTES);
    loop {
        match receive_some(shared, peer, &mut stream, &mut buffer).await {
            Ok(()) => {}
            Err(ended) => return ended,
        }
    }
}

/// One read, and all the frames that are whole after it.
async fn receive_some<P>(
    shared: &Shared<P>,
    peer: &Peer,
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> Result<(), Ended>
where
    P: Protocol,
{
    let count_read = stream.read_buf(buffer).await?;
    if count_read == 0 {
        return Err(Ended::HungUp);
    }
    count(&peer.counters.bytes_received, count_read as u64);
    let len_max = shared.options.frame_bytes_max;
    let (whole, next) = whole_frames(buffer, len_max)?;
    if whole > 0 {
        let block = cut(buffer, whole);
        // Waiting here makes the peer wait, by the flow control of the connection.
        let units = u32::try_from(whole.div_ceil(ROOM_UNIT)).unwrap_or(u32::MAX);
        let all = u32::try_from(shared.options.arrived_bytes_max / ROOM_UNIT).unwrap_or(u32::MAX);
        let room = shared.room.clone();
        let Ok(room) = room.acquire_many_owned(units.min(all.max(1))).await else {
            return future::pending().await;
        };
        let messages = decode_frames::<P::Message>(&block, len_max)?;
        let mail = Event::Mail {
            from: peer.id,
            messages,
            room: Some(room),
        };
        // A replica that has stopped takes no more mail; this task is about to be aborted.
        let _ = shared.events.send(mail);
    }
    // Memory grows with what really arrived: a header that announces much gets nothing yet.
    let wanted = next.max(READ_BYTES).min(buffer.len() * 2 + READ_BYTES);
    buffer.reserve(wanted.saturating_sub(buffer.len()));
    Ok(())
}

/// Takes the first `whole` bytes out of the buffer as a block.
fn cut(buffer: &mut Vec<u8>, whole: usize) -> Block {
    if whole < buffer.capacity() / SPARSE {
        let block = buffer[..whole].to_vec();
        buffer.drain(..whole);
        return Arc::new(block);
    }
    let mut next = Vec::with_capacity(READ_BYTES.max(buffer.len() - whole));
    next.extend_from_slice(&buffer[whole..]);
    buffer.truncate(whole);
    Arc::new(std::mem::replace(buffer, next))
}
