//! Who the cluster is: newcomers ask, and members that know more tell those that know less.
//!
//! What is said is bytes of the layer above, in one frame behind the handshake, bounded and with a checksum.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{NodeId, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::frame::{FrameHeader, HEADER_BYTES};
use super::handshake::{Hello, Stream};
use super::sender::{connect, hello, shake_hands};
use super::{Peer, Shared};

/// The longest introduction, either way, in bytes.
const BYTES_MAX: u32 = 1 << 20;

/// What the layer above knows of the cluster, and wants to learn.
pub trait Introductions: Send + Sync {
    /// Who the cluster is, for somebody who asks.
    ///
    /// # Errors
    /// If that is not known.
    fn tell(&self) -> io::Result<Vec<u8>>;

    /// A peer says who the cluster is, since this replica does not know it. It may be wrong: the bytes
    /// are those that some replica's `tell` gave, at some time.
    fn hear(&self, told: &[u8]);

    /// A peer says that this replica was a member and is none any more.
    fn on_removed(&self, by: NodeId, reason: &str);
}

/// For replicas whose peers never change: has nothing to tell, and listens to nobody.
#[derive(Clone, Copy, Default, Debug)]
pub struct NoIntroductions;

impl Introductions for NoIntroductions {
    fn tell(&self) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn hear(&self, _told: &[u8]) {}

    fn on_removed(&self, _by: NodeId, _reason: &str) {}
}

/// Asks whoever listens at this address, host and port, who the cluster is.
///
/// # Errors
/// If nobody answers in time, or the answer is no introduction.
pub async fn ask(address: &str, patience: Duration) -> io::Result<Vec<u8>> {
    let hello = Hello {
        cluster: 0,
        from: NodeId(0),
        to: NodeId(0),
        incarnation: 0,
        stream: Stream::Asking,
    };
    let asking = async {
        let mut stream = connect(address, patience).await?;
        shake_hands(&mut stream, &hello).await?;
        receive(&mut stream).await
    };
    match timeout(patience, asking).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Tells a peer who does not know us who the cluster is.
pub(super) async fn tell<P: Protocol>(
    shared: &Shared<P>,
    peer: &Peer,
    address: &str,
) -> io::Result<()> {
    let options = &shared.options;
    let mut stream = connect(address, options.progress_timeout).await?;
    shake_hands(&mut stream, &hello(shared, peer, Stream::Telling)).await?;
    answer(shared, &mut stream).await
}

/// Says who the cluster is.
pub(super) async fn answer<P: Protocol>(
    shared: &Shared<P>,
    stream: &mut TcpStream,
) -> io::Result<()> {
    let body = shared.introductions.tell()?;
    let mut bytes = FrameHeader::of(&body, 1).encode().to_vec();
    bytes.extend_from_slice(&body);
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}

/// Listens to who the cluster is.
pub(super) async fn listen<P: Protocol>(
    shared: &Arc<Shared<P>>,
    stream: &mut TcpStream,
) -> io::Result<()> {
    let told = receive(stream).await?;
    shared.introductions.hear(&told);
    Ok(())
}

async fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header).await?;
    let header = FrameHeader::decode(&header, BYTES_MAX).map_err(io::Error::other)?;
    // Memory grows with what really arrives.
    let mut body = Vec::new();
    let read = stream
        .take(u64::from(header.body_len))
        .read_to_end(&mut body)
        .await?;
    if read < header.body_len as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match crc32c::crc32c(&body) == header.body_crc {
        true => Ok(body),
        false => Err(io::Error::other("the introduction was garbled on the way")),
    }
}
