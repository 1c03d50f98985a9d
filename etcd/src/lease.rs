//! The service `Lease`.

use std::hash::{BuildHasher, RandomState};

use futures::stream::{BoxStream, StreamExt};
use quorate_service::command::Command;
use quorate_service::error::Error;
use quorate_service::reply::Reply;
use tonic::{Request, Response, Status, Streaming};

use crate::context::Context;
use crate::error;
use crate::kv::unexpected;
use crate::proto::etcdserverpb as pb;
use crate::until::Until;

/// The longest time to live, seconds: about 285 years.
const TTL_MAX: i64 = 9_000_000_000;
/// How many renewals of one stream may be under way at a time.
const RENEWALS_MAX: usize = 64;

/// See the module.
pub(crate) struct Lease {
    context: Context,
}

impl Lease {
    pub(crate) fn new(context: Context) -> Lease {
        Lease { context }
    }

    /// The shortest time to live, seconds. A lease must survive an election.
    fn ttl_min(&self) -> i64 {
        let shortest = self.context.options().election_timeout * 3 / 2;
        let rounded_up = shortest.as_millis().div_ceil(1000);
        i64::try_from(rounded_up).unwrap_or(TTL_MAX).min(TTL_MAX)
    }
}

#[tonic::async_trait]
impl pb::lease_server::Lease for Lease {
    async fn lease_grant(
        &self,
        request: Request<pb::LeaseGrantRequest>,
    ) -> Result<Response<pb::LeaseGrantResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let request = request.into_inner();
        if request.ttl > TTL_MAX {
            return Err(error::TTL_TOO_LARGE.into());
        }
        let ttl = request.ttl.max(self.ttl_min());
        loop {
            let id = match request.id {
                0 => random_id(),
                id => id,
            };
            let command = Command::LeaseGrant { id, ttl };
            let applied = match self.context.service().write(command).await {
                // It was our choice, so we choose again.
                Err(Error::LeaseExists) if request.id == 0 => continue,
                outcome => outcome.map_err(|error| error::status(&error))?,
            };
            return match applied.reply {
                Reply::LeaseGrant { id, ttl } => Ok(Response::new(pb::LeaseGrantResponse {
                    header: Some(self.context.header(applied.revision)),
                    id,
                    ttl,
                    error: String::new(),
                })),
                other => Err(unexpected(&other)),
            };
        }
    }

    async fn lease_revoke(
        &self,
        request: Request<pb::LeaseRevokeRequest>,
    ) -> Result<Response<pb::LeaseRevokeResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let id = request.into_inner().id;
        let applied = self.context.write(Command::LeaseRevoke { id }).await?;
        Ok(Response::new(pb::LeaseRevokeResponse {
            header: Some(self.context.header(applied.revision)),
        }))
    }

    type LeaseKeepAliveStream = BoxStream<'static, Result<pb::LeaseKeepAliveResponse, Status>>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<pb::LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        self.context.check_leader(request.metadata())?;
        let end = self.context.end_of_stream(request.metadata());
        let context = self.context.clone();
        let renewals = request
            .into_inner()
            .map(move |request| renew(context.clone(), request))
            .buffered(RENEWALS_MAX);
        Ok(Response::new(Until::new(renewals, end).boxed()))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<pb::LeaseTimeToLiveRequest>,
    ) -> Result<Response<pb::LeaseTimeToLiveResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let pb::LeaseTimeToLiveRequest { id, keys } = request.into_inner();
        let view = self.context.latest().await?;
        let header = Some(self.context.header(view.revision()));
        let response = match view.lease(id) {
            Some(lease) => pb::LeaseTimeToLiveResponse {
                header,
                id,
                ttl: lease.remaining_ttl,
                granted_ttl: lease.granted_ttl,
                keys: if keys { lease.keys } else { Vec::new() },
            },
            // That there is none is an answer, not an error.
            None => pb::LeaseTimeToLiveResponse {
                header,
                id,
                ttl: -1,
                ..Default::default()
            },
        };
        Ok(Response::new(response))
    }

    async fn lease_leases(
        &self,
        request: Request<pb::LeaseLeasesRequest>,
    ) -> Result<Response<pb::LeaseLeasesResponse>, Status> {
        self.context.check_leader(request.metadata())?;
        let view = self.context.latest().await?;
        let ids = view.leases().into_iter();
        Ok(Response::new(pb::LeaseLeasesResponse {
            header: Some(self.context.header(view.revision())),
            leases: ids.map(|id| pb::LeaseStatus { id }).collect(),
        }))
    }
}

/// Renews one lease. The header says where the store stood before that.
async fn renew(
    context: Context,
    request: Result<pb::LeaseKeepAliveRequest, Status>,
) -> Result<pb::LeaseKeepAliveResponse, Status> {
    let id = request?.id;
    let header = context.header(context.view().revision());
    let applied = context.write(Command::LeaseKeepAlive { id }).await?;
    match applied.reply {
        Reply::LeaseKeepAlive { ttl } => Ok(pb::LeaseKeepAliveResponse {
            header: Some(header),
            id,
            ttl,
        }),
        other => Err(unexpected(&other)),
    }
}

/// A lease id that nobody could have foreseen: positive, not 0.
fn random_id() -> i64 {
    // The standard library seeds its hashers from the operating system.
    let random = RandomState::new().hash_one("lease");
    (random >> 1).cast_signed().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_are_positive_and_differ() {
        let ids: std::collections::BTreeSet<i64> = (0..1000).map(|_| random_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|&id| id > 0));
    }
}
