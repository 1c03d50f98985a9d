//! gRPC calls for a load generator.
//!
//! HTTP/2 is spoken here by hand, because it is most of what a generator costs. `docs/decisions` has
//! the measurement.

mod core;
mod head;

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use quorate_client::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, timeout};

use self::core::Core;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// After a failed attempt to connect there is none for this long.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// How much is read at once.
const READ_BYTES: usize = 64 << 10;

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    Range,
    Put,
    Txn,
    LeaseGrant,
    LeaseKeepAlive,
    Watch,
}

impl Call {
    const ALL: [Call; 6] = [
        Call::Range,
        Call::Put,
        Call::Txn,
        Call::LeaseGrant,
        Call::LeaseKeepAlive,
        Call::Watch,
    ];

    fn path(self) -> &'static str {
        match self {
            Call::Range => "/etcdserverpb.KV/Range",
            Call::Put => "/etcdserverpb.KV/Put",
            Call::Txn => "/etcdserverpb.KV/Txn",
            Call::LeaseGrant => "/etcdserverpb.Lease/LeaseGrant",
            Call::LeaseKeepAlive => "/etcdserverpb.Lease/LeaseKeepAlive",
            Call::Watch => "/etcdserverpb.Watch/Watch",
        }
    }
}

/// Why a call failed, in a few words that are the same for all failures of the kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure(pub(crate) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Appends a message as gRPC frames it, and takes it out of the buffer.
pub(crate) fn frame(buffer: &mut BytesMut, encode: impl FnOnce(&mut BytesMut)) -> Bytes {
    debug_assert!(buffer.is_empty(), "the last message was taken out");
    buffer.put_bytes(0, 5);
    encode(buffer);
    let length = (buffer.len() - 5) as u32;
    buffer[1..5].copy_from_slice(&length.to_be_bytes());
    buffer.split().freeze()
}

/// One connection, shared by the clients of one thread and made anew when it is lost.
pub(crate) struct Wire {
    address: Address,
    link: RefCell<Option<Link>>,
    /// The last attempt to connect, if it failed.
    refused: RefCell<Option<(Instant, Failure)>>,
    connecting: Mutex<()>,
}

/// A connection and the two tasks that carry its bytes.
struct Link {
    core: Rc<RefCell<Core>>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Wire {
    pub(crate) fn new(address: Address) -> Wire {
        Wire {
            address,
            link: RefCell::new(None),
            refused: RefCell::new(None),
            connecting: Mutex::new(()),
        }
    }

    /// Calls, and waits for the status of the answer.
    pub(crate) async fn call(&self, call: Call, message: Bytes) -> Result<(), Failure> {
        let core = self.core().await?;
        let stream = poll_fn(|context| core.borrow_mut().poll_open(call, false, context)).await?;
        core.borrow_mut().send(stream, message, true);
        poll_fn(|context| core.borrow_mut().poll_ended(stream, context)).await
    }

    /// Opens a stream in both directions.
    pub(crate) async fn stream(&self, call: Call) -> Result<Stream, Failure> {
        let core = self.core().await?;
        let stream = poll_fn(|context| core.borrow_mut().poll_open(call, true, context)).await?;
        Ok(Stream { core, stream })
    }

    /// The connection, if it lives.
    fn living(&self) -> Option<Rc<RefCell<Core>>> {
        let link = self.link.borrow();
        let core = &link.as_ref()?.core;
        let lives = core.borrow().dead().is_none();
        lives.then(|| Rc::clone(core))
    }

    /// The connection, which is made if there is none.
    async fn core(&self) -> Result<Rc<RefCell<Core>>, Failure> {
        if let Some(core) = self.living() {
            return Ok(core);
        }
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(core) = self.living() {
            return Ok(core);
        }
        // Those who waited for the attempt share its outcome.
        if let Some((when, failure)) = &*self.refused.borrow()
            && when.elapsed() < RECONNECT_PAUSE
        {
            return Err(failure.clone());
        }
        let outcome = match timeout(CONNECT_TIMEOUT, connect(&self.address)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure("connecting takes too long".to_owned())),
        };
        match outcome {
            Ok(link) => {
                let core = Rc::clone(&link.core);
                self.link.replace(Some(link));
                Ok(core)
            }
            Err(failure) => {
                let refused = (Instant::now(), failure.clone());
                self.refused.replace(Some(refused));
                Err(failure)
            }
        }
    }
}

/// Connects, and waits until the server has said something.
async fn connect(address: &Address) -> Result<Link, Failure> {
    let failure = |error: std::io::Error| Failure(format!("cannot connect to {address}: {error}"));
    let socket = TcpStream::connect(address.authority())
        .await
        .map_err(failure)?;
    socket.set_nodelay(true).map_err(failure)?;
    let (reader, writer) = socket.into_split();
    let core = Rc::new(RefCell::new(Core::new(address.authority())));
    let tasks = [
        spawn_local(read(Rc::clone(&core), reader)),
        spawn_local(write(Rc::clone(&core), writer)),
    ];
    let link = Link { core, tasks };
    poll_fn(|context| link.core.borrow_mut().poll_greeted(context)).await?;
    Ok(link)
}

async fn read(core: Rc<RefCell<Core>>, mut socket: OwnedReadHalf) {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        buffer.reserve(READ_BYTES / 2);
        let end = match socket.read_buf(&mut buffer).await {
            Ok(0) => "the server closed it".to_owned(),
            Ok(_) => match core.borrow_mut().receive(&buffer) {
                Ok(taken) => {
                    buffer.advance(taken);
                    continue;
                }
                Err(error) => error,
            },
            Err(error) => error.kind().to_string(),
        };
        core.borrow_mut().die(&end);
        return;
    }
}

async fn write(core: Rc<RefCell<Core>>, mut socket: OwnedWriteHalf) {
    while let Some(bytes) = poll_fn(|context| core.borrow_mut().poll_write(context)).await {
        if let Err(error) = socket.write_all(&bytes).await {
            core.borrow_mut().die(&error.kind().to_string());
        }
    }
}

/// A stream in both directions. Dropping it gives it up.
pub(crate) struct Stream {
    core: Rc<RefCell<Core>>,
    stream: u32,
}

impl Stream {
    /// Sends a framed message.
    pub(crate) fn send(&self, message: Bytes) {
        self.core.borrow_mut().send(self.stream, message, false);
    }

    /// The next message; the end of the stream is a failure too.
    pub(crate) async fn next(&self) -> Result<Bytes, Failure> {
        poll_fn(|context| self.core.borrow_mut().poll_message(self.stream, context)).await
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.core.borrow_mut().cancel(self.stream);
    }
}
