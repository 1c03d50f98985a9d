//! The service `Maintenance`: how members are, what they hold, and who leads.

use quorate_core::NodeId;
use quorate_service::command::Command;
use quorate_service::health::{Alarm, AlarmKind};
use quorate_service::reply::Reply;
use quorate_service::store::View;
use tonic::{Request, Response, Status};

use crate::backup::{Pieces, pieces};
use crate::context::Context;
use crate::error;
use crate::kv::{blocking, unexpected};
use crate::proto::etcdserverpb as pb;
use pb::AlarmType;
use pb::alarm_request::AlarmAction;
use pb::downgrade_request::DowngradeAction;

/// See the module.
pub(crate) struct Maintenance {
    context: Context,
}

impl Maintenance {
    pub(crate) fn new(context: Context) -> Maintenance {
        Maintenance { context }
    }

    fn alarms(&self, revision: i64, alarms: Vec<Alarm>) -> Response<pb::AlarmResponse> {
        let alarms = alarms.into_iter().map(|alarm| pb::AlarmMember {
            member_id: alarm.member,
            alarm: proto_kind(alarm.kind).into(),
        });
        Response::new(pb::AlarmResponse {
            header: Some(self.context.header(revision)),
            alarms: alarms.collect(),
        })
    }
}

#[tonic::async_trait]
impl pb::maintenance_server::Maintenance for Maintenance {
    async fn status(
        &self,
        _request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let context = &self.context;
        let service = context.service();
        let status = service.status();
        let view = context.view();
        let size = view.size().map_err(|error| error::status(&error))?;
        let mut errors = Vec::new();
        if status.leader.is_none() {
            errors.push(error::NO_LEADER.1.to_owned());
        }
        errors.extend(view.health().alarms().iter().map(in_words));
        errors.extend((context.options().complaints)());
        let me = view.members().get(context.options().member_id);
        let quota = service.quota_bytes().unwrap_or(0);
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
            is_learner: me.is_some_and(|me| me.is_learner),
            db_size_quota: quota.cast_signed(),
            ..Default::default()
        }))
    }

    async fn alarm(
        &self,
        request: Request<pb::AlarmRequest>,
    ) -> Result<Response<pb::AlarmResponse>, Status> {
        let context = &self.context;
        context.check_leader(request.metadata())?;
        let request = request.into_inner();
        let action = AlarmAction::try_from(request.action);
        let kind = kind(request.alarm)?;
        let alarm = kind.map(|kind| Alarm {
            kind,
            member: request.member_id,
        });
        let command = match (action, alarm) {
            (Ok(AlarmAction::Activate), Some(alarm)) => Command::Raise(alarm),
            (Ok(AlarmAction::Deactivate), Some(alarm)) => Command::Disarm(alarm),
            // To list them all, and to disarm what is no alarm.
            (Ok(AlarmAction::Get | AlarmAction::Deactivate), _) => {
                let view = context.latest().await?;
                let wanted = |alarm: &&Alarm| kind.is_none_or(|kind| alarm.kind == kind);
                let alarms = view.health().alarms().iter().filter(wanted);
                let alarms = alarms.copied().filter(|_| action == Ok(AlarmAction::Get));
                return Ok(self.alarms(view.revision(), alarms.collect()));
            }
            (Ok(AlarmAction::Activate), None) | (Err(_), _) => {
                return Err(error::UNKNOWN_ALARM.into());
            }
        };
        let applied = context.write(command).await?;
        match applied.reply {
            Reply::Alarms(alarms) => Ok(self.alarms(applied.revision, alarms)),
            other => Err(unexpected(&other)),
        }
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
        let member = view.members().get(target);
        if member.is_none_or(|member| member.is_learner) {
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

    /// Answers at once; the space is given back in the background, in small steps.
    async fn defragment(
        &self,
        _request: Request<pb::DefragmentRequest>,
    ) -> Result<Response<pb::DefragmentResponse>, Status> {
        self.context.service().upkeep().defragment();
        Ok(Response::new(pb::DefragmentResponse { header: None }))
    }

    /// Of the rows, as [`Maintenance::hash_kv`]: how they lie in the store is each member's own affair.
    async fn hash(
        &self,
        _request: Request<pb::HashRequest>,
    ) -> Result<Response<pb::HashResponse>, Status> {
        let view = self.context.view();
        let revision = view.revision();
        Ok(Response::new(pb::HashResponse {
            header: Some(self.context.header(revision)),
            hash: hash(view, revision).await?,
        }))
    }

    /// The same on all members that have this revision, whatever each has compacted.
    async fn hash_kv(
        &self,
        request: Request<pb::HashKvRequest>,
    ) -> Result<Response<pb::HashKvResponse>, Status> {
        let view = self.context.view();
        let (newest, compact_revision) = (view.revision(), view.compacted());
        let hash_revision = match request.into_inner().revision {
            0 => newest,
            revision => revision,
        };
        Ok(Response::new(pb::HashKvResponse {
            header: Some(self.context.header(newest)),
            hash: hash(view, hash_revision).await?,
            compact_revision,
            hash_revision,
        }))
    }

    type SnapshotStream = Pieces;

    async fn snapshot(
        &self,
        _request: Request<pb::SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let snapshot = self.context.service().snapshot().await;
        let snapshot = snapshot.map_err(|error| error::status(&error))?;
        let header = self.context.header(snapshot.revision());
        let version = self.context.options().version.clone();
        Ok(Response::new(pieces(snapshot, header, version)))
    }

    /// There is no older version to go back to.
    async fn downgrade(
        &self,
        request: Request<pb::DowngradeRequest>,
    ) -> Result<Response<pb::DowngradeResponse>, Status> {
        let request = request.into_inner();
        if DowngradeAction::try_from(request.action) == Ok(DowngradeAction::Cancel) {
            return Err(error::NO_DOWNGRADE.into());
        }
        let parts: Vec<_> = request.version.split('.').collect();
        let is_version =
            (2..=3).contains(&parts.len()) && parts.iter().all(|part| part.parse::<u32>().is_ok());
        match is_version {
            true => Err(error::DOWNGRADE_TARGET.into()),
            false => Err(error::DOWNGRADE_FORMAT.into()),
        }
    }
}

/// An alarm as etcd writes it.
fn in_words(alarm: &Alarm) -> String {
    let kind = proto_kind(alarm.kind).as_str_name();
    match alarm.member {
        0 => format!("alarm:{kind} "),
        member => format!("memberID:{member} alarm:{kind} "),
    }
}

fn proto_kind(kind: AlarmKind) -> AlarmType {
    match kind {
        AlarmKind::NoSpace => AlarmType::Nospace,
        AlarmKind::Corrupt => AlarmType::Corrupt,
    }
}

fn kind(alarm: i32) -> Result<Option<AlarmKind>, Status> {
    match AlarmType::try_from(alarm) {
        Ok(AlarmType::None) => Ok(None),
        Ok(AlarmType::Nospace) => Ok(Some(AlarmKind::NoSpace)),
        Ok(AlarmType::Corrupt) => Ok(Some(AlarmKind::Corrupt)),
        Err(_) => Err(error::UNKNOWN_ALARM.into()),
    }
}

async fn hash(view: View, revision: i64) -> Result<u32, Status> {
    blocking(true, move || view.hash(revision)).await
}
