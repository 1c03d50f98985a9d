//! The task that calls one peer and sends it mail.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quorate_core::{Choice, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::handshake::{ANSWER_BYTES, Answer, Hello, Stream};
use super::{Shared, count, prepare};

/// A peer that refuses will hardly change its mind at once: after so many times the longest wait
/// it is called again.
const REFUSED_PATIENCE: u32 = 10;

/// Calls until the task is aborted.
pub(super) async fn send_to<P>(shared: Arc<Shared<P>>, index: usize, seed: u64)
where
    P: Protocol,
{
    let peer = &shared.peers[index];
    let retry = &shared.options.retry;
    let mut choice = Choice::Seeded(seed);
    let mut wait = retry.start;
    let mut complaint = String::new();
    loop {
        // Mail posted while the call is made waits for it.
        peer.outbox.open();
        match call(&shared, index).await {
            Ok(stream) => {
                tracing::info!(peer = %peer.id, address = peer.address, "connected to peer");
                complaint.clear();
                wait = retry.start;
                shared
                    .counters(index)
                    .connected
                    .store(true, Ordering::Relaxed);
                let error = send(&shared, index, stream).await;
                shared
                    .counters(index)
                    .connected
                    .store(false, Ordering::Relaxed);
                tracing::info!(peer = %peer.id, %error, "lost the connection to peer");
            }
            Err(error) => {
                if error.kind() == io::ErrorKind::PermissionDenied {
                    wait = retry.end * REFUSED_PATIENCE;
                }
                // The same complaint again and again would only fill the log.
                let error = error.to_string();
                if error != complaint {
                    tracing::warn!(
                        peer = %peer.id, address = peer.address, error, "cannot reach peer"
                    );
                    complaint = error;
                }
            }
        }
        let dropped = peer.outbox.close();
        count(&shared.counters(index).messages_dropped, dropped);
        let half = u32::try_from(wait.as_micros() / 2).unwrap_or(u32::MAX);
        let jittered = Duration::from_micros(u64::from(half) + u64::from(choice.choose(half + 1)));
        // If it calls us, it is there.
        let _ = timeout(jittered, peer.seen.notified()).await;
        wait = (wait * 2).clamp(retry.start, retry.end);
    }
}

/// Connects and shakes hands.
async fn call<P: Protocol>(shared: &Shared<P>, index: usize) -> io::Result<TcpStream> {
    let peer = &shared.peers[index];
    let calling = async {
        let mut stream = TcpStream::connect(&peer.address).await?;
        prepare(
            &socket2::SockRef::from(&stream),
            shared.options.progress_timeout,
        )?;
        let hello = hello(shared, index, Stream::Mail);
        stream.write_all(&hello.encode()).await?;
        let mut answer = vec![0; ANSWER_BYTES];
        stream.read_exact(&mut answer).await?;
        let start = answer.first_chunk().ok_or(io::ErrorKind::InvalidData)?;
        let text_len = Answer::text_len(start).map_err(io::Error::other)?;
        answer.resize(ANSWER_BYTES + text_len, 0);
        stream.read_exact(&mut answer[ANSWER_BYTES..]).await?;
        match Answer::decode(&answer).map_err(io::Error::other)? {
            Answer::Accepted => Ok(stream),
            Answer::Refused(reason) => Err(refusal(&reason)),
        }
    };
    match timeout(shared.options.handshake_timeout, calling).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// What we say to a peer first.
pub(super) fn hello<P: Protocol>(shared: &Shared<P>, index: usize, stream: Stream) -> Hello {
    Hello {
        cluster: shared.myself.cluster,
        from: shared.myself.me,
        to: shared.peers[index].id,
        incarnation: shared.myself.incarnation,
        stream,
    }
}

/// The error that a refusal is.
pub(super) fn refusal(reason: &str) -> io::Error {
    let kind = io::ErrorKind::PermissionDenied;
    io::Error::new(kind, format!("it refused: {reason}"))
}

/// Sends mail until the connection breaks; answers why.
async fn send<P: Protocol>(shared: &Shared<P>, index: usize, stream: TcpStream) -> io::Error {
    let peer = &shared.peers[index];
    let (mut read, mut write) = stream.into_split();
    let sending = async {
        loop {
            for frame in peer.outbox.take().await {
                let bytes = frame.finish();
                if let Err(error) = write.write_all(&bytes).await {
                    return error;
                }
                count(&shared.counters(index).bytes_sent, bytes.len() as u64);
            }
        }
    };
    // Nothing is ever sent back: reading only notices that the peer is gone.
    let mut unexpected = [0];
    tokio::select! {
        error = sending => error,
        read = read.read(&mut unexpected) => match read {
            Ok(0) => io::ErrorKind::ConnectionReset.into(),
            Ok(_) => io::Error::other("it sent something where nothing is expected"),
            Err(error) => error,
        },
    }
}
