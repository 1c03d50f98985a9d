//! Services that are not there yet. They are served all the same, so that a client is told what is
//! missing rather than that the server has never heard of it.

use futures::stream;
use tonic::{Request, Response, Status};

use crate::context::Context;
use crate::proto::etcdserverpb as pb;
use crate::proto::{v3electionpb, v3lockpb};

/// The answer to a call that is not there yet.
pub(crate) fn unimplemented(call: &str, instead: &str) -> Status {
    Status::unimplemented(format!("quorate: {call} is not there yet: {instead}"))
}

/// The name of a call as its clients know it: `Auth.UserAdd` for `user_add`.
fn as_in_proto(service: &str, method: &str) -> String {
    let mut name = format!("{service}.");
    for word in method.split('_') {
        let (first, rest) = word.split_at(1.min(word.len()));
        name.extend([&first.to_ascii_uppercase(), rest]);
    }
    name
}

/// A service of which nothing is there yet.
macro_rules! later {
    (
        $service:ident: $trait:path, $instead:literal;
        calls { $($call:ident($request:ty) -> $response:ty;)* }
        streams {
            $($type:ident: $streamed:ident($streamed_request:ty) -> $streamed_response:ty;)*
        }
        but { $($rest:tt)* }
    ) => {
        #[tonic::async_trait]
        impl $trait for $service {
            $(async fn $call(
                &self,
                _request: Request<$request>,
            ) -> Result<Response<$response>, Status> {
                let call = as_in_proto(stringify!($service), stringify!($call));
                Err(unimplemented(&call, $instead))
            })*
            $(type $type = stream::Empty<Result<$streamed_response, Status>>;
            async fn $streamed(
                &self,
                _request: Request<$streamed_request>,
            ) -> Result<Response<Self::$type>, Status> {
                let call = as_in_proto(stringify!($service), stringify!($streamed));
                Err(unimplemented(&call, $instead))
            })*
            $($rest)*
        }
    };
}

/// `Auth`: only tells that it is off.
pub(crate) struct Auth {
    context: Context,
}

impl Auth {
    pub(crate) fn new(context: Context) -> Auth {
        Auth { context }
    }
}

later! {
    Auth: pb::auth_server::Auth, "everyone who can connect may do everything";
    calls {
        auth_enable(pb::AuthEnableRequest) -> pb::AuthEnableResponse;
        auth_disable(pb::AuthDisableRequest) -> pb::AuthDisableResponse;
        authenticate(pb::AuthenticateRequest) -> pb::AuthenticateResponse;
        user_add(pb::AuthUserAddRequest) -> pb::AuthUserAddResponse;
        user_get(pb::AuthUserGetRequest) -> pb::AuthUserGetResponse;
        user_list(pb::AuthUserListRequest) -> pb::AuthUserListResponse;
        user_delete(pb::AuthUserDeleteRequest) -> pb::AuthUserDeleteResponse;
        user_change_password(pb::AuthUserChangePasswordRequest) -> pb::AuthUserChangePasswordResponse;
        user_grant_role(pb::AuthUserGrantRoleRequest) -> pb::AuthUserGrantRoleResponse;
        user_revoke_role(pb::AuthUserRevokeRoleRequest) -> pb::AuthUserRevokeRoleResponse;
        role_add(pb::AuthRoleAddRequest) -> pb::AuthRoleAddResponse;
        role_get(pb::AuthRoleGetRequest) -> pb::AuthRoleGetResponse;
        role_list(pb::AuthRoleListRequest) -> pb::AuthRoleListResponse;
        role_delete(pb::AuthRoleDeleteRequest) -> pb::AuthRoleDeleteResponse;
        role_grant_permission(pb::AuthRoleGrantPermissionRequest)
            -> pb::AuthRoleGrantPermissionResponse;
        role_revoke_permission(pb::AuthRoleRevokePermissionRequest)
            -> pb::AuthRoleRevokePermissionResponse;
    }
    streams {}
    but {
        async fn auth_status(
            &self,
            _request: Request<pb::AuthStatusRequest>,
        ) -> Result<Response<pb::AuthStatusResponse>, Status> {
            Ok(Response::new(pb::AuthStatusResponse {
                header: Some(self.context.header(self.context.view().revision())),
                enabled: false,
                auth_revision: 1,
            }))
        }
    }
}

/// `Lock`: what it does can be done with transactions and leases.
pub(crate) struct Lock;

later! {
    Lock: v3lockpb::lock_server::Lock, "use a transaction and a lease";
    calls {
        lock(v3lockpb::LockRequest) -> v3lockpb::LockResponse;
        unlock(v3lockpb::UnlockRequest) -> v3lockpb::UnlockResponse;
    }
    streams {}
    but {}
}

/// `Election`: what it does can be done with transactions and leases.
pub(crate) struct Election;

later! {
    Election: v3electionpb::election_server::Election, "use a transaction and a lease";
    calls {
        campaign(v3electionpb::CampaignRequest) -> v3electionpb::CampaignResponse;
        proclaim(v3electionpb::ProclaimRequest) -> v3electionpb::ProclaimResponse;
        leader(v3electionpb::LeaderRequest) -> v3electionpb::LeaderResponse;
        resign(v3electionpb::ResignRequest) -> v3electionpb::ResignResponse;
    }
    streams {
        ObserveStream: observe(v3electionpb::LeaderRequest) -> v3electionpb::LeaderResponse;
    }
    but {}
}
