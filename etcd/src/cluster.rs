//! The service `Cluster`: who is a member. Changing that comes later.

use tonic::{Request, Response, Status};

use crate::context::Context;
use crate::convert;
use crate::later::unimplemented;
use crate::proto::etcdserverpb as pb;

/// See the module.
pub(crate) struct Cluster {
    context: Context,
}

impl Cluster {
    pub(crate) fn new(context: Context) -> Cluster {
        Cluster { context }
    }
}

/// Why members do not change.
const FIXED: &str = "the members of a cluster are fixed when it is made";

#[tonic::async_trait]
impl pb::cluster_server::Cluster for Cluster {
    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Response<pb::MemberListResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let view = match request.into_inner().linearizable {
            true => self.context.latest().await?,
            false => self.context.view(),
        };
        let members = view.members().list.iter().cloned().map(convert::member);
        Ok(Response::new(pb::MemberListResponse {
            header: Some(self.context.header(view.revision())),
            members: members.collect(),
        }))
    }

    async fn member_add(
        &self,
        _request: Request<pb::MemberAddRequest>,
    ) -> Result<Response<pb::MemberAddResponse>, Status> {
        Err(unimplemented("Cluster.MemberAdd", FIXED))
    }

    async fn member_remove(
        &self,
        _request: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        Err(unimplemented("Cluster.MemberRemove", FIXED))
    }

    async fn member_update(
        &self,
        _request: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        Err(unimplemented("Cluster.MemberUpdate", FIXED))
    }

    async fn member_promote(
        &self,
        _request: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        Err(unimplemented("Cluster.MemberPromote", FIXED))
    }
}
