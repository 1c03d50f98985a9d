//! The service `Maintenance`: how a member is, and who leads.

use futures::stream;
use quorate_core::NodeId;
use tonic::{Request, Response, Status};

use crate::context::Context;
use crate::error;
use crate::later::unimplemented;
use crate::proto::etcdserverpb as pb;
use pb::alarm_request::AlarmAction;

/// See the module.
pub(crate) struct Maintenance {
    context: Context,
}

impl Maintenance {
    pub(crate) fn new(context: Context) -> Maintenance {
        Maintenance { context }
    }
}

#[tonic::async_trait]
impl pb::maintenance_server::Maintenance for Maintenance {
    async fn status(
        &self,
        _request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let context = &self.context;
        let status = context.service().status();
        let view = context.view();
        let size = view.size().map_err(|error| error::status(&error))?;
        let mut errors = Vec::new();
        if status.leader.is_none() {
            errors.push(error::NO_LEADER.1.to_owned());
        }
        Ok(Response::new(pb::StatusResponse {
            header: Some(context.header(view.revision())),
            version: context.options().version.clone(),
            db_size: size.on_disk.cast_signed(),
            leader: status.leader.map_or(0, |leader| leader.0),
            raft_index: status.decided,
            raft_term: status.epoch,
            raft_applied_index: status.applied,
            errors,
            db_size_in_use: size.in_use.cast_signed(),
            ..Default::default()
        }))
    }

    /// Nothing raises an alarm yet, so there are none to list; clients ask as part of a health check.
    async fn alarm(
        &self,
        request: Request<pb::AlarmRequest>,
    ) -> Result<Response<pb::AlarmResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        if AlarmAction::try_from(request.into_inner().action) != Ok(AlarmAction::Get) {
            return Err(unimplemented(
                "Maintenance.Alarm",
                "alarms can only be listed",
            ));
        }
        let view = self.context.latest().await?;
        Ok(Response::new(pb::AlarmResponse {
            header: Some(self.context.header(view.revision())),
            alarms: Vec::new(),
        }))
    }

    async fn move_leader(
        &self,
        request: Request<pb::MoveLeaderRequest>,
    ) -> Result<Response<pb::MoveLeaderResponse>, Status> {
        let context = &self.context;
        let target = request.into_inner().target_id;
        if context.leader() != Some(NodeId(context.options().member_id)) {
            return Err(error::NOT_LEADER.into());
        }
        let view = context.view();
        if view.members().get(target).is_none() {
            return Err(error::BAD_TRANSFEREE.into());
        }
        let mut changes = context.service().leader_changes();
        context.service().transfer(Some(NodeId(target)));
        let led = changes
            .wait_for(|change| change.is_some_and(|(_, leader)| leader == Some(NodeId(target))));
        // As long as an election may take.
        let patience = context.options().election_timeout * 2;
        match tokio::time::timeout(patience, led).await {
            Ok(Ok(_)) => Ok(Response::new(pb::MoveLeaderResponse {
                header: Some(context.header(context.view().revision())),
            })),
            Ok(Err(_)) => Err(error::STOPPED.into()),
            Err(_) => Err(error::TRANSFER_TIMEOUT.into()),
        }
    }

    async fn defragment(
        &self,
        _request: Request<pb::DefragmentRequest>,
    ) -> Result<Response<pb::DefragmentResponse>, Status> {
        Err(unimplemented(
            "Maintenance.Defragment",
            "space is reused without it",
        ))
    }

    async fn hash(
        &self,
        _request: Request<pb::HashRequest>,
    ) -> Result<Response<pb::HashResponse>, Status> {
        Err(unimplemented("Maintenance.Hash", "the state is not hashed"))
    }

    async fn hash_kv(
        &self,
        _request: Request<pb::HashKvRequest>,
    ) -> Result<Response<pb::HashKvResponse>, Status> {
        Err(unimplemented(
            "Maintenance.HashKV",
            "the state is not hashed",
        ))
    }

    type SnapshotStream = stream::Empty<Result<pb::SnapshotResponse, Status>>;

    async fn snapshot(
        &self,
        _request: Request<pb::SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        Err(unimplemented(
            "Maintenance.Snapshot",
            "copy the data of a stopped member",
        ))
    }

    async fn downgrade(
        &self,
        _request: Request<pb::DowngradeRequest>,
    ) -> Result<Response<pb::DowngradeResponse>, Status> {
        Err(unimplemented(
            "Maintenance.Downgrade",
            "there is only one version",
        ))
    }
}
