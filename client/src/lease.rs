//! Keeping a lease alive.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::proto::lease_client::LeaseClient;
use crate::proto::{LeaseKeepAliveRequest, LeaseKeepAliveResponse};
use crate::transport::Line;
use crate::{Client, Code, Effect, Error};

/// One stream of renewals.
struct Stream {
    line: Line,
    requests: mpsc::Sender<LeaseKeepAliveRequest>,
    responses: Streaming<LeaseKeepAliveResponse>,
}

/// Renews a lease, a third of its time after each renewal. It works only while [`KeepAlive::next`]
/// is being awaited.
pub struct KeepAlive {
    client: Client,
    id: i64,
    due: Instant,
    stream: Option<Stream>,
}

impl Client {
    /// Renews a lease once.
    pub async fn lease_keep_alive_once(&self, id: i64) -> Result<LeaseKeepAliveResponse, Error> {
        self.lease_keep_alive(id).next().await
    }

    /// Renews a lease again and again.
    #[must_use]
    pub fn lease_keep_alive(&self, id: i64) -> KeepAlive {
        KeepAlive {
            client: self.clone(),
            id,
            due: Instant::now(),
            stream: None,
        }
    }
}

impl KeepAlive {
    /// Waits until the next renewal is due, which the first is at once, and carries it out, at
    /// another endpoint if need be.
    ///
    /// An error with [`Code::NotFound`] says that the lease is gone. After any other error
    /// calling again is another try; when to give up is the caller's to say.
    pub async fn next(&mut self) -> Result<LeaseKeepAliveResponse, Error> {
        sleep_until(self.due).await;
        let deadline = Instant::now() + self.client.transport.request_timeout;
        let response = loop {
            match self.renew(deadline).await {
                Ok(response) => break response,
                Err(error) => {
                    // A renewal may be repeated like a read: twice renewed is renewed.
                    if !Effect::Read.may_retry(&error) || Instant::now() >= deadline {
                        return Err(error);
                    }
                }
            }
        };
        if response.ttl <= 0 {
            return Err(Error::Server {
                code: Code::NotFound,
                message: "etcdserver: requested lease not found".to_owned(),
            });
        }
        let third = Duration::from_secs(response.ttl.unsigned_abs()) / 3;
        self.due = Instant::now() + third.min(Duration::from_secs(3600));
        Ok(response)
    }

    async fn renew(&mut self, deadline: Instant) -> Result<LeaseKeepAliveResponse, Error> {
        // Taken out and put back only on success, so that a stream is never left half read.
        let mut stream = match self.stream.take() {
            Some(stream) => {
                let request = LeaseKeepAliveRequest { id: self.id };
                // A closed channel means a broken stream, which reading it will tell.
                let _closed = stream.requests.send(request).await;
                stream
            }
            None => self.open(deadline).await?,
        };
        let transport = &self.client.transport;
        let share = transport.request_timeout / transport.addresses().len() as u32;
        let until = deadline.min(Instant::now() + share);
        match timeout_at(until, stream.responses.message()).await {
            Ok(Ok(Some(response))) => {
                transport.worked(&stream.line);
                self.stream = Some(stream);
                Ok(response)
            }
            Ok(Err(status)) => Err(transport.failed(&stream.line, &status).await),
            Ok(Ok(None)) => Err(transport.cut(&stream.line)),
            Err(_) => Err(transport.late(&stream.line, share)),
        }
    }

    /// Opens a stream with a renewal under way on it: some servers answer nothing before the first.
    async fn open(&self, deadline: Instant) -> Result<Stream, Error> {
        let transport = &self.client.transport;
        let line = transport.line(deadline).await?;
        let (requests, outbound) = mpsc::channel(1);
        // The channel is new and has room; its other end is just below.
        let _has_room = requests.try_send(LeaseKeepAliveRequest { id: self.id });
        let mut client = LeaseClient::new(line.channel.clone());
        let opening = client.lease_keep_alive(ReceiverStream::new(outbound));
        match timeout_at(deadline, opening).await {
            Ok(Ok(response)) => Ok(Stream {
                line,
                requests,
                responses: response.into_inner(),
            }),
            Ok(Err(status)) => Err(transport.failed(&line, &status).await),
            Err(_) => Err(transport.late(&line, transport.request_timeout)),
        }
    }
}
