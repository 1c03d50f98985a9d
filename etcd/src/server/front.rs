//! Who answers which request: gRPC by service, anything else as plain HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use ::http::header::CONTENT_TYPE;
use ::http::{Request, Response};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::{Code, Status};

use super::http::Http;
use super::stats::Stats;
use crate::cluster::Cluster;
use crate::context::Context;
use crate::kv::Kv;
use crate::later::{Auth, Election, Lock};
use crate::lease::Lease;
use crate::maintenance::Maintenance;
use crate::proto::DESCRIPTORS;
use crate::proto::etcdserverpb::auth_server::AuthServer;
use crate::proto::etcdserverpb::cluster_server::ClusterServer;
use crate::proto::etcdserverpb::kv_server::KvServer;
use crate::proto::etcdserverpb::lease_server::LeaseServer;
use crate::proto::etcdserverpb::maintenance_server::MaintenanceServer;
use crate::proto::v3electionpb::election_server::ElectionServer;
use crate::proto::v3lockpb::lock_server::LockServer;
use crate::watch::Watch;

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;
/// A service of which we cannot, or need not, name the type.
type Unnamed = Arc<dyn Fn(Request<Body>) -> Answering + Send + Sync>;

/// Answers requests.
#[derive(Clone)]
pub(super) struct Front(Arc<Services>);

struct Services {
    context: Context,
    kv: KvServer<Kv>,
    watch: Watch,
    lease: LeaseServer<Lease>,
    cluster: ClusterServer<Cluster>,
    maintenance: MaintenanceServer<Maintenance>,
    others: Vec<(&'static str, Unnamed)>,
    http: Arc<Http>,
    stats: Arc<Stats>,
}

/// Turns a generated server into something without a type of its own.
macro_rules! unnamed {
    ($server:expr) => {{
        let server = $server;
        Arc::new(move |request| -> Answering { Box::pin(server.clone().call(request)) }) as Unnamed
    }};
}

impl Front {
    pub(super) async fn new(context: Context) -> Front {
        let stats = Arc::new(Stats::default());
        let max = context.options().receive_bytes_max();
        let (reporter, health) = tonic_health::server::health_reporter();
        let serving = tonic_health::ServingStatus::Serving;
        for name in [
            "",
            "etcdserverpb.KV",
            "etcdserverpb.Watch",
            "etcdserverpb.Lease",
        ] {
            reporter.set_service_status(name, serving).await;
        }
        let mut others = vec![
            (
                "etcdserverpb.Auth",
                unnamed!(AuthServer::new(Auth::new(context.clone()))),
            ),
            ("v3lockpb.Lock", unnamed!(LockServer::new(Lock))),
            (
                "v3electionpb.Election",
                unnamed!(ElectionServer::new(Election)),
            ),
            ("grpc.health.v1.Health", unnamed!(health)),
        ];
        // The descriptors are our own and are tested to be well-formed.
        if let Ok(reflection) = descriptors().build_v1() {
            others.push(("grpc.reflection.v1.ServerReflection", unnamed!(reflection)));
        }
        if let Ok(reflection) = descriptors().build_v1alpha() {
            let name = "grpc.reflection.v1alpha.ServerReflection";
            others.push((name, unnamed!(reflection)));
        }
        Front(Arc::new(Services {
            context: context.clone(),
            kv: KvServer::new(Kv::new(context.clone())).max_decoding_message_size(max),
            watch: Watch::new(context.clone()),
            lease: LeaseServer::new(Lease::new(context.clone())).max_decoding_message_size(max),
            cluster: ClusterServer::new(Cluster::new(context.clone())),
            maintenance: MaintenanceServer::new(Maintenance::new(context.clone())),
            others,
            http: Arc::new(Http::new(context, Arc::clone(&stats))),
            stats,
        }))
    }
}

fn descriptors() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

impl Front {
    /// What all services share.
    pub(super) fn context(&self) -> &Context {
        &self.0.context
    }

    /// Where calls are counted.
    pub(super) fn stats(&self) -> &Arc<Stats> {
        &self.0.stats
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let services = &self.0;
        let content = request.headers().get(CONTENT_TYPE);
        if !content.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
            // The body is not looked at; a client may go on sending it until it is answered.
            let (parts, _body) = request.into_parts();
            return services.http.answer(&Request::from_parts(parts, ())).await;
        }
        let begun = Instant::now();
        let uri = request.uri().clone();
        let (service, method) = service_and_method(uri.path());
        let mut response = match services.http.check_member(service, method) {
            Ok(()) => services.call(service, request).await,
            Err(refusal) => refusal.into_http(),
        };
        // What the answer was made of may have been found to be wrong while it was made.
        if let Err(refusal) = services.http.check_state(service) {
            response = refusal.into_http();
        }
        let (response, code) = mend(response);
        services.stats.count(service, method, code, begun.elapsed());
        response
    }
}

impl hyper::service::Service<Request<Incoming>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        let front = self.clone();
        Box::pin(async move { Ok(front.answer(request.map(Body::new)).await) })
    }
}

impl Services {
    async fn call(&self, service: &str, request: Request<Body>) -> Response<Body> {
        let Ok(response) = match service {
            "etcdserverpb.KV" => self.kv.clone().call(request).await,
            "etcdserverpb.Watch" => Ok(self.watch.clone().call(request).await),
            "etcdserverpb.Lease" => self.lease.clone().call(request).await,
            "etcdserverpb.Cluster" => self.cluster.clone().call(request).await,
            "etcdserverpb.Maintenance" => self.maintenance.clone().call(request).await,
            _ => match self.others.iter().find(|(name, _)| *name == service) {
                Some((_, other)) => other(request).await,
                None => Ok(Status::unimplemented("unknown service").into_http()),
            },
        };
        response
    }
}

/// `/package.Service/Method`.
fn service_and_method(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_once('/').unwrap_or((path, ""))
}

/// The code of an answer, and the answer with the code that etcd would give: tonic has another for
/// messages that are too large to be received.
fn mend(response: Response<Body>) -> (Response<Body>, Code) {
    // An answer that succeeds has its status behind it, so none is here.
    let Some(status) = Status::from_header_map(response.headers()) else {
        return (response, Code::Ok);
    };
    let too_large = status.message().contains("message length too large");
    if status.code() == Code::OutOfRange && too_large {
        let text = "grpc: received message larger than max";
        let status = Status::resource_exhausted(text);
        return (status.into_http(), Code::ResourceExhausted);
    }
    (response, status.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split() {
        assert_eq!(service_and_method("/a.B/C"), ("a.B", "C"));
        assert_eq!(service_and_method("/a.B"), ("a.B", ""));
        assert_eq!(service_and_method(""), ("", ""));
        assert_eq!(service_and_method("/a/b/c"), ("a", "b/c"));
    }

    #[test]
    fn the_descriptors_are_well_formed() {
        assert!(descriptors().build_v1().is_ok());
        assert!(descriptors().build_v1alpha().is_ok());
    }
}
