//! gRPC calls over HTTP/2 without a gRPC library: a request is one buffer that is handed over, an
//! answer is looked at only for its status.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Version};
use quorate_client::{Address, Code};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause before a lost connection is made anew.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// How many bytes may come in before they were read, by stream and by connection.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

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
    /// The head of the request for each call, to be copied.
    heads: [Request<()>; Call::ALL.len()],
    sender: RefCell<Option<SendRequest<Bytes>>>,
    /// Counts connections, so that a failure of an old one does not close its successor.
    generation: Cell<u64>,
    connecting: Mutex<()>,
}

impl Wire {
    pub(crate) fn new(address: Address) -> Wire {
        Wire {
            heads: Call::ALL.map(|call| head(&address, call)),
            address,
            sender: RefCell::new(None),
            generation: Cell::new(0),
            connecting: Mutex::new(()),
        }
    }

    /// Calls, and answers the message that came back, without its frame.
    pub(crate) async fn call(&self, call: Call, message: Bytes) -> Result<Bytes, Failure> {
        let (sender, generation) = self.sender().await?;
        match self.exchange(sender, call, message).await {
            Ok(answer) => answer,
            Err(error) => Err(self.lose(generation, &error)),
        }
    }

    async fn exchange(
        &self,
        sender: SendRequest<Bytes>,
        call: Call,
        message: Bytes,
    ) -> Result<Result<Bytes, Failure>, h2::Error> {
        let mut sender = sender.ready().await?;
        let (response, mut stream) =
            sender.send_request(self.heads[call as usize].clone(), false)?;
        stream.send_data(message, true)?;
        let (parts, mut body) = response.await?.into_parts();
        if parts.headers.contains_key("grpc-status") {
            return Ok(status(&parts.headers).map(|()| Bytes::new()));
        }
        let mut answer = Bytes::new();
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            answer = if answer.is_empty() {
                data
            } else {
                [answer, data].concat().into()
            };
        }
        let outcome = match body.trailers().await? {
            Some(trailers) => status(&trailers),
            None => Err(Failure("the answer has no status".to_owned())),
        };
        Ok(outcome.map(|()| answer.slice(answer.len().min(5)..)))
    }

    /// Opens a stream in both directions.
    pub(crate) async fn stream(&self, call: Call) -> Result<Stream, Failure> {
        let (sender, generation) = self.sender().await?;
        let opened = async {
            let mut sender = sender.ready().await?;
            sender.send_request(self.heads[call as usize].clone(), false)
        };
        match opened.await {
            Ok((response, send)) => Ok(Stream {
                send,
                response: Some(response),
                body: None,
                buffer: BytesMut::new(),
            }),
            Err(error) => Err(self.lose(generation, &error)),
        }
    }

    /// The connection, which is made if there is none.
    async fn sender(&self) -> Result<(SendRequest<Bytes>, u64), Failure> {
        if let Some(sender) = self.sender.borrow().clone() {
            return Ok((sender, self.generation.get()));
        }
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(sender) = self.sender.borrow().clone() {
            return Ok((sender, self.generation.get()));
        }
        if self.generation.get() > 0 {
            sleep(RECONNECT_PAUSE).await;
        }
        let sender = match timeout(CONNECT_TIMEOUT, connect(&self.address)).await {
            Ok(connected) => connected?,
            Err(_) => return Err(Failure("connecting takes too long".to_owned())),
        };
        self.sender.replace(Some(sender.clone()));
        self.generation.set(self.generation.get() + 1);
        Ok((sender, self.generation.get()))
    }

    fn lose(&self, generation: u64, error: &h2::Error) -> Failure {
        if self.generation.get() == generation {
            self.sender.replace(None);
        }
        Failure(format!("connection: {error}"))
    }
}

fn head(address: &Address, call: Call) -> Request<()> {
    Request::post(format!("http://{address}{}", call.path()))
        .version(Version::HTTP_2)
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .body(())
        .expect("an address and constants make a request")
}

async fn connect(address: &Address) -> Result<SendRequest<Bytes>, Failure> {
    let failure = |error: std::io::Error| Failure(format!("cannot connect to {address}: {error}"));
    let socket = TcpStream::connect(address.authority())
        .await
        .map_err(failure)?;
    socket.set_nodelay(true).map_err(failure)?;
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .enable_push(false)
        .handshake::<_, Bytes>(socket)
        .await
        .map_err(|error| Failure(format!("cannot connect to {address}: {error}")))?;
    spawn_local(async move {
        // Its failure is seen by every call on it.
        let _ = connection.await;
    });
    Ok(sender)
}

/// The outcome that the headers tell.
fn status(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("grpc-status") {
        Some("0") => Ok(()),
        Some(number) => {
            let code = Code::from_number(number.parse().unwrap_or(2));
            let message = text("grpc-message").unwrap_or_default();
            Err(Failure(format!("{code}: {}", message.replace("%20", " "))))
        }
        None => Err(Failure("the answer has no status".to_owned())),
    }
}

/// A stream in both directions.
pub(crate) struct Stream {
    send: SendStream<Bytes>,
    response: Option<h2::client::ResponseFuture>,
    body: Option<RecvStream>,
    buffer: BytesMut,
}

impl Stream {
    /// Sends a framed message.
    pub(crate) fn send(&mut self, message: Bytes) -> Result<(), Failure> {
        self.send
            .send_data(message, false)
            .map_err(|error| Failure(format!("connection: {error}")))
    }

    /// The next message; the end of the stream is a failure too.
    pub(crate) async fn next(&mut self) -> Result<Bytes, Failure> {
        loop {
            if let Some(message) = self.take() {
                return Ok(message);
            }
            let lost = |error: h2::Error| Failure(format!("connection: {error}"));
            if let Some(response) = self.response.take() {
                let (parts, body) = response.await.map_err(lost)?.into_parts();
                if parts.headers.contains_key("grpc-status") {
                    status(&parts.headers)?;
                }
                self.body = Some(body);
            }
            let Some(body) = &mut self.body else {
                return Err(Failure("the stream ended".to_owned()));
            };
            match body.data().await {
                Some(Ok(data)) => {
                    let released = body.flow_control().release_capacity(data.len());
                    released.map_err(lost)?;
                    self.buffer.extend_from_slice(&data);
                }
                Some(Err(error)) => return Err(lost(error)),
                None => {
                    let trailers = body.trailers().await.map_err(lost)?;
                    status(&trailers.unwrap_or_default())?;
                    return Err(Failure("the server ended the stream".to_owned()));
                }
            }
        }
    }

    /// Takes a whole message out of what came in.
    fn take(&mut self) -> Option<Bytes> {
        let length = self.buffer.get(1..5)?;
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        if self.buffer.len() < 5 + length {
            return None;
        }
        self.buffer.advance(5);
        Some(self.buffer.split_to(length).freeze())
    }
}
