//! The service `Watch`: one stream per client, many watches on it.
//!
//! All that is hard about watches (order, history, slow clients) is done by `service::watch`. Here
//! its items become frames. One task does both directions: it is the body of the answer, so that
//! nothing is taken from the queues before the client has room for it, and no request is read from
//! a client that does not read its answers.

mod frame;

use futures::stream::{self, BoxStream, StreamExt};
use quorate_service::command::KeyRange;
use quorate_service::watch::{Item, Kind, Refusal, WatchCreate, WatchStream};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, http};
use tonic::server::{Grpc, StreamingService};
use tonic::{Request, Response, Status, Streaming};

use crate::context::Context;
use crate::error;
use crate::proto::etcdserverpb as pb;
use crate::until::Until;
use frame::{Frame, FrameCodec};
use pb::watch_create_request::FilterType;
use pb::watch_request::RequestUnion;

/// See the module.
#[derive(Clone)]
pub(crate) struct Watch {
    context: Context,
}

impl Watch {
    pub(crate) fn new(context: Context) -> Watch {
        Watch { context }
    }

    /// Serves one call. By hand, since the generated server would encode with the generated type.
    pub(crate) async fn call<B>(self, request: http::Request<B>) -> http::Response<Body>
    where
        B: tonic::codegen::Body + Send + 'static,
        B::Error: Into<tonic::codegen::StdError> + Send + 'static,
    {
        let receive_max = self.context.options().receive_bytes_max();
        let mut grpc = Grpc::new(FrameCodec).apply_max_message_size_config(Some(receive_max), None);
        grpc.streaming(self, request).await
    }
}

impl StreamingService<pb::WatchRequest> for Watch {
    type Response = Frame;
    type ResponseStream = BoxStream<'static, Result<Frame, Status>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<pb::WatchRequest>>) -> Self::Future {
        let context = self.context.clone();
        Box::pin(async move {
            context.check_leader(request.metadata())?;
            let end = context.end_of_stream(request.metadata());
            let session = Session {
                watches: context.service().watches(),
                requests: Some(request.into_inner()),
                context,
            };
            let frames = stream::unfold(Some(session), step).boxed();
            Ok(Response::new(Until::new(frames, end).boxed()))
        })
    }
}

/// One stream of one client.
struct Session {
    context: Context,
    watches: WatchStream,
    /// Gone once the client has said that it asks for nothing more; it may still listen.
    requests: Option<Streaming<pb::WatchRequest>>,
}

/// Waits for the next frame. The session is gone after an error.
async fn step(session: Option<Session>) -> Option<(Result<Frame, Status>, Option<Session>)> {
    let mut session = session?;
    loop {
        tokio::select! {
            item = session.watches.next() => {
                let Some(item) = item else {
                    // The client asked on and on without reading the answers, or we stop.
                    return Some((Err(error::TOO_MANY_REQUESTS.into()), None));
                };
                let frame = frame(&session.context, item);
                return Some((Ok(frame), Some(session)));
            }
            request = receive(&session.watches, session.requests.as_mut()) => match request {
                Ok(Some(request)) => handle(&session.watches, request),
                Ok(None) => session.requests = None,
                Err(status) => return Some((Err(status), None)),
            },
        }
    }
}

/// Waits for room, then for the client's next request.
async fn receive(
    watches: &WatchStream,
    requests: Option<&mut Streaming<pb::WatchRequest>>,
) -> Result<Option<pb::WatchRequest>, Status> {
    let Some(requests) = requests else {
        return std::future::pending().await;
    };
    watches.room().await;
    requests.message().await
}

fn handle(watches: &WatchStream, request: pb::WatchRequest) {
    match request.request_union {
        Some(RequestUnion::CreateRequest(create)) => watches.create(watch_create(create)),
        Some(RequestUnion::CancelRequest(cancel)) => watches.cancel(cancel.watch_id),
        Some(RequestUnion::ProgressRequest(_)) => watches.progress(),
        // A kind of request that was invented later: etcd ignores it too.
        None => {}
    }
}

fn watch_create(request: pb::WatchCreateRequest) -> WatchCreate {
    let filtered = |kind: FilterType| request.filters.contains(&i32::from(kind));
    WatchCreate {
        no_put: filtered(FilterType::Noput),
        no_delete: filtered(FilterType::Nodelete),
        start_revision: request.start_revision,
        watch_id: request.watch_id,
        prev_kv: request.prev_kv,
        progress_notify: request.progress_notify,
        fragment: request.fragment,
        range: KeyRange {
            key: request.key,
            end: request.range_end,
        },
    }
}

fn frame(context: &Context, item: Item) -> Frame {
    let mut frame = Frame {
        header: context.header(item.revision),
        watch_id: item.watch_id,
        ..Frame::default()
    };
    match item.kind {
        Kind::Created => frame.created = true,
        Kind::Refused(refusal) => {
            frame.created = true;
            frame.canceled = true;
            frame.cancel_reason = refusal_text(refusal);
        }
        Kind::Events { chunks, fragment } => {
            frame.fragment = fragment;
            frame.events = chunks;
        }
        Kind::Canceled { compact_revision } => {
            frame.canceled = true;
            if let Some(revision) = compact_revision {
                frame.compact_revision = revision;
                frame.cancel_reason = error::COMPACTED.1;
            }
        }
        Kind::Progress => {}
    }
    frame
}

fn refusal_text(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::EmptyRange => "mvcc: watcher range is empty",
        Refusal::DuplicateId => "mvcc: duplicate watch ID provided on the WatchStream",
        Refusal::TooMany => error::TOO_MANY_REQUESTS.1,
    }
}
