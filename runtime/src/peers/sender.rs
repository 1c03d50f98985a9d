//! The task that calls one peer and sends it mail.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Choice, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::handshake::{ANSWER_BYTES, Answer, Hello, Stream};
use super::{Peer, Shared, count, introduction, prepare};

/// A peer that refuses will hardly change its mind at once: after so many times the longest wait
/// it is called again.
const REFUSED_PATIENCE: u32 = 10;

/// Calls until the task is aborted.
pub(super) async fn send_to<P>(shared: Arc<Shared<P>>, peer: Arc<Peer>, seed: u64)
where
    P: Protocol,
{
    let retry = &shared.options.retry;
    let mut choice = Choice::Seeded(seed);
    let mut wait = retry.start;
    let mut complaint = String::new();
    // Which of its addresses to try.
    let mut turn = 0;
    loop {
        let addresses = peer.addresses.load_full();
        let address = match addresses.len() {
            0 => "",
            len => addresses[turn % len].as_str(),
        };
        // Mail posted while the call is made waits for it.
        peer.outbox.open();
        match call(&shared, &peer, address).await {
            Ok(stream) => {
                tracing::info!(peer = %peer.id, address, "connected to peer");
                complaint.clear();
                wait = retry.start;
                peer.counters.set_connected(true);
                let error = send(&peer, stream).await;
                peer.counters.set_connected(false);
                tracing::info!(peer = %peer.id, %error, "lost the connection to peer");
            }
            Err(error) => {
                turn += 1;
                if error.kind() == io::ErrorKind::PermissionDenied {
                    wait = retry.end * REFUSED_PATIENCE;
                }
                // The same complaint again and again would only fill the log.
                let error = error.to_string();
                if error != complaint {
                    tracing::warn!(peer = %peer.id, address, error, "cannot reach peer");
                    complaint = error;
                }
            }
        }
        let dropped = peer.outbox.close();
        count(&peer.counters.messages_dropped, dropped);
        let half = u32::try_from(wait.as_micros() / 2).unwrap_or(u32::MAX);
        let jittered = Duration::from_micros(u64::from(half) + u64::from(choice.choose(half + 1)));
        // If it calls us, it is there.
        let _ = timeout(jittered, peer.seen.notified()).await;
        wait = (wait * 2).clamp(retry.start, retry.end);
    }
}

/// Connects and shakes hands. A peer that does not know us is told who the cluster is; it is known whether
/// that helped when it is called again.
async fn call<P: Protocol>(
    shared: &Shared<P>,
    peer: &Peer,
    address: &str,
) -> io::Result<TcpStream> {
    let calling = async {
        let mut stream = connect(address, shared.options.progress_timeout).await?;
        let hello = hello(shared, peer, Stream::Mail);
        match exchange(&mut stream, &hello).await? {
            Answer::Accepted => Ok(stream),
            Answer::Refused(reason) => Err(refusal(&reason)),
            Answer::Removed(reason) => {
                shared.introductions.on_removed(peer.id, &reason);
                Err(refusal(&reason))
            }
            Answer::Unknown(reason) => {
                introduction::tell(shared, peer, address).await?;
                Err(io::Error::new(io::ErrorKind::NotConnected, reason))
            }
        }
    };
    match timeout(shared.options.handshake_timeout, calling).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Connects to a host and port.
pub(super) async fn connect(address: &str, progress_timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    prepare(&socket2::SockRef::from(&stream), progress_timeout)?;
    Ok(stream)
}

/// Says hello and waits to be let in.
pub(super) async fn shake_hands(stream: &mut TcpStream, hello: &Hello) -> io::Result<()> {
    match exchange(stream, hello).await? {
        Answer::Accepted => Ok(()),
        Answer::Refused(reason) | Answer::Removed(reason) | Answer::Unknown(reason) => {
            Err(refusal(&reason))
        }
    }
}

/// Says hello and reads the answer.
async fn exchange(stream: &mut TcpStream, hello: &Hello) -> io::Result<Answer> {
    stream.write_all(&hello.encode()).await?;
    let mut answer = vec![0; ANSWER_BYTES];
    stream.read_exact(&mut answer).await?;
    let start = answer.first_chunk().ok_or(io::ErrorKind::InvalidData)?;
    let text_len = Answer::text_len(start).map_err(io::Error::other)?;
    answer.resize(ANSWER_BYTES + text_len, 0);
    stream.read_exact(&mut answer[ANSWER_BYTES..]).await?;
    Answer::decode(&answer).map_err(io::Error::other)
}

/// What we say to a peer first.
pub(super) fn hello<P: Protocol>(shared: &Shared<P>, peer: &Peer, stream: Stream) -> Hello {
    Hello {
        cluster: shared.myself.cluster,
        from: shared.myself.me,
        to: peer.id,
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
async fn send(peer: &Peer, stream: TcpStream) -> io::Error {
    let (mut read, mut write) = stream.into_split();
    let sending = async {
        loop {
            for frame in peer.outbox.take().await {
                let bytes = frame.finish();
                if let Err(error) = write.write_all(&bytes).await {
                    return error;
                }
                count(&peer.counters.bytes_sent, bytes.len() as u64);
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
