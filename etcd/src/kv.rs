//! The service `KV`.

use std::time::Duration;

use futures::stream;
use prost::Message;
use quorate_service::command::{Command, Range};
use quorate_service::error::Error;
use quorate_service::reply::{RangeReply, Reply};
use quorate_service::store::View;
use tonic::{Request, Response, Status};

use crate::context::{self, Context};
use crate::proto::etcdserverpb as pb;
use crate::{check, convert, error, later, reading};

/// How often we look whether a compaction is done.
const COMPACTION_POLL: Duration = Duration::from_millis(10);

/// See the module.
pub(crate) struct Kv {
    context: Context,
}

impl Kv {
    pub(crate) fn new(context: Context) -> Kv {
        Kv { context }
    }
}

#[tonic::async_trait]
impl pb::kv_server::Kv for Kv {
    async fn range(
        &self,
        request: Request<pb::RangeRequest>,
    ) -> Result<Response<pb::RangeResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let max_age = context::max_age(request.metadata())?;
        let request = request.into_inner();
        check::range(&request)?;
        if !request.serializable {
            self.context.check_vote()?;
        }
        let view = match (request.serializable, max_age) {
            (true, _) => self.context.view(),
            (false, None) => self.context.latest().await?,
            (false, Some(age)) => self.context.at_most(age).await?,
        };
        let header = self.context.header(view.revision());
        let reply = read(view, convert::range(request)).await?;
        Ok(Response::new(convert::range_response(header, reply)))
    }

    type RangeStreamStream = stream::Empty<Result<pb::RangeStreamResponse, Status>>;

    async fn range_stream(
        &self,
        _request: Request<pb::RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        Err(later::unimplemented(
            "KV.RangeStream",
            "use KV.Range with a limit",
        ))
    }

    async fn put(
        &self,
        request: Request<pb::PutRequest>,
    ) -> Result<Response<pb::PutResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let request = request.into_inner();
        check::put(&request)?;
        self.context.check_size(request.encoded_len())?;
        let command = Command::Put(convert::put(request));
        let applied = self.context.write(command).await?;
        let header = self.context.header(applied.revision);
        match applied.reply {
            Reply::Put(reply) => Ok(Response::new(convert::put_response(header, reply))),
            other => Err(unexpected(&other)),
        }
    }

    async fn delete_range(
        &self,
        request: Request<pb::DeleteRangeRequest>,
    ) -> Result<Response<pb::DeleteRangeResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let request = request.into_inner();
        check::delete_range(&request)?;
        self.context.check_size(request.encoded_len())?;
        let command = Command::DeleteRange(convert::delete_range(request));
        let applied = self.context.write(command).await?;
        let header = self.context.header(applied.revision);
        match applied.reply {
            Reply::DeleteRange(reply) => {
                Ok(Response::new(convert::delete_range_response(header, reply)))
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn txn(
        &self,
        request: Request<pb::TxnRequest>,
    ) -> Result<Response<pb::TxnResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let request = request.into_inner();
        check::txn(&request, self.context.options().txn_ops_max)?;
        if reading::is_reading(&request) {
            let view = match reading::is_serializable(&request) {
                true => self.context.view(),
                false => self.context.latest().await?,
            };
            let header = self.context.header(view.revision());
            let txn = convert::txn(request)?;
            let may_take_long = reading::may_take_long(&txn);
            let reply = blocking(may_take_long, move || reading::txn(&view, &txn)).await?;
            return Ok(Response::new(convert::txn_response(header, reply)));
        }
        self.context.check_size(request.encoded_len())?;
        let command = Command::Txn(convert::txn(request)?);
        let applied = self.context.write(command).await?;
        let header = self.context.header(applied.revision);
        match applied.reply {
            Reply::Txn(reply) => Ok(Response::new(convert::txn_response(header, reply))),
            other => Err(unexpected(&other)),
        }
    }

    async fn compact(
        &self,
        request: Request<pb::CompactionRequest>,
    ) -> Result<Response<pb::CompactionResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let pb::CompactionRequest { revision, physical } = request.into_inner();
        let applied = self.context.write(Command::Compact { revision }).await?;
        while physical && !self.context.view().compaction_finished(revision) {
            tokio::time::sleep(COMPACTION_POLL).await;
        }
        Ok(Response::new(pb::CompactionResponse {
            header: Some(self.context.header(applied.revision)),
        }))
    }
}

/// Reads. A limit does not make a range quick: the whole of it is counted all the same.
async fn read(view: View, range: Range) -> Result<RangeReply, Status> {
    let is_single = range.range.end.is_empty();
    blocking(!is_single, move || view.range(&range)).await
}

/// Runs where we are what takes no time; what may take long would keep other requests waiting, and is
/// sent elsewhere.
pub(crate) async fn blocking<T: Send + 'static>(
    may_take_long: bool,
    run: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Status> {
    let outcome = match may_take_long {
        false => run(),
        true => tokio::task::spawn_blocking(run)
            .await
            .map_err(|error| Status::internal(format!("the read was given up: {error}")))?,
    };
    outcome.map_err(|error| error::status(&error))
}

/// A reply of another kind than the command's would be a bug in the machine; the client gets no
/// wrong answer for it, and the process lives.
pub(crate) fn unexpected(reply: &Reply) -> Status {
    tracing::error!(
        ?reply,
        "the machine answered a command with the wrong kind of reply"
    );
    Status::internal("the answer does not fit the request; this is a bug in Quorate")
}
