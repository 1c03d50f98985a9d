//! A watch that outlives its connections.

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::{Request, Streaming};

use crate::proto::watch_client::WatchClient;
use crate::proto::watch_request::RequestUnion;
use crate::proto::{WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse};
use crate::transport::Line;
use crate::{Client, Error, Resume, Step};

/// Requests on their way to the server: the creation and a few questions for progress.
const REQUESTS_MAX: usize = 16;

/// One stream of a watch.
struct Stream {
    line: Line,
    requests: mpsc::Sender<WatchRequest>,
    responses: Streaming<WatchResponse>,
}

/// A watch of a range of keys. Dropping it ends it.
pub struct Watcher {
    client: Client,
    resume: Resume,
    stream: Option<Stream>,
}

impl Client {
    /// Watches a range of keys; answers once the server has created the watch, so that whatever is
    /// written from now on is seen.
    pub async fn watch(&self, request: WatchCreateRequest) -> Result<Watcher, Error> {
        let mut watcher = Watcher {
            client: self.clone(),
            resume: Resume::new(request),
            stream: None,
        };
        let began = Instant::now();
        loop {
            match watcher.advance().await {
                Ok(Step::Created) => return Ok(watcher),
                Ok(Step::End(error)) => return Err(error),
                Ok(Step::Deliver(_) | Step::Wait | Step::Reopen) => {}
                Err(error) => {
                    if !is_passing(&error) || self.transport.is_spent(began, &error) {
                        return Err(error);
                    }
                }
            }
        }
    }
}

impl Watcher {
    /// The next events, all events of a revision together, or a progress notification (a response
    /// without events). Waits for as long as it takes, also for a cluster that is away; an error
    /// is the end of the watch.
    ///
    /// Dropping the future that this answers loses nothing.
    pub async fn next(&mut self) -> Result<WatchResponse, Error> {
        loop {
            match self.advance().await {
                Ok(Step::Deliver(response)) => return Ok(response),
                Ok(Step::End(error)) => return Err(error),
                Ok(Step::Created | Step::Wait | Step::Reopen) => {}
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks the server for a progress notification, which comes out of [`Watcher::next`].
    /// While there is no connection the question is forgotten.
    pub async fn request_progress(&mut self) {
        if let Some(stream) = &self.stream {
            let request = union(RequestUnion::ProgressRequest(WatchProgressRequest {}));
            // A closed channel means a broken stream, which `next` will notice.
            let _closed = stream.requests.send(request).await;
        }
    }

    /// Everything before this revision was delivered.
    #[must_use]
    pub fn next_revision(&self) -> i64 {
        self.resume.next_revision()
    }

    /// Takes one response, opening a stream first if there is none.
    async fn advance(&mut self) -> Result<Step, Error> {
        if self.stream.is_none() {
            self.stream = Some(self.open().await?);
        }
        let Some(stream) = &mut self.stream else {
            return Ok(Step::Wait);
        };
        let transport = &self.client.transport;
        match stream.responses.message().await {
            Ok(Some(response)) => {
                transport.worked(&stream.line);
                let step = self.resume.on_response(response);
                if let Step::Reopen = step {
                    let error = transport.cut(&stream.line);
                    self.stream = None;
                    return Err(error);
                }
                Ok(step)
            }
            Ok(None) => {
                let error = transport.cut(&stream.line);
                self.stream = None;
                Err(error)
            }
            Err(status) => {
                let Some(stream) = self.stream.take() else {
                    return Ok(Step::Reopen);
                };
                Err(transport.failed(&stream.line, &status).await)
            }
        }
    }

    async fn open(&mut self) -> Result<Stream, Error> {
        let transport = &self.client.transport;
        let deadline = Instant::now() + transport.request_timeout;
        let line = transport.line(deadline).await?;
        let (requests, outbound) = mpsc::channel(REQUESTS_MAX);
        let create = union(RequestUnion::CreateRequest(self.resume.request()));
        // The channel is new and has room; its other end is just below.
        let _has_room = requests.try_send(create);
        let mut request = Request::new(ReceiverStream::new(outbound));
        // A server that lost its leader cuts the stream, so that we go to one that has not.
        let metadata = request.metadata_mut();
        metadata.insert("hasleader", MetadataValue::from_static("true"));
        let mut client =
            WatchClient::new(line.channel.clone()).max_decoding_message_size(usize::MAX);
        match timeout_at(deadline, client.watch(request)).await {
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

/// Whether another stream may do better.
fn is_passing(error: &Error) -> bool {
    crate::Effect::Read.may_retry(error)
}

fn union(request: RequestUnion) -> WatchRequest {
    WatchRequest {
        request_union: Some(request),
    }
}
