//! Plain HTTP on the client port: what monitoring and humans ask for.

use std::sync::Arc;

use ::http::header::{ALLOW, CONTENT_TYPE};
use ::http::{HeaderValue, Method, Request, Response, StatusCode};
use tonic::body::Body;

use super::health::{self, Check};
use super::metrics;
use super::stats::Stats;
use crate::context::Context;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Answers what is not gRPC.
pub(super) struct Http {
    context: Context,
    stats: Arc<Stats>,
}

impl Http {
    pub(super) fn new(context: Context, stats: Arc<Stats>) -> Http {
        Http { context, stats }
    }

    /// Whether this member may answer a call at all.
    pub(super) fn check_member(&self, service: &str, method: &str) -> Result<(), tonic::Status> {
        self.context.check_member(service, method)
    }

    /// Whether this member may show what it holds, if the call does.
    pub(super) fn check_state(&self, service: &str) -> Result<(), tonic::Status> {
        self.context.check_state(service)
    }

    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let path = request.uri().path();
        let query = request.uri().query().unwrap_or("");
        let checks = health::checks(path, query);
        if checks.is_none() && !matches!(path, "/metrics" | "/health" | "/version") {
            return answer(
                StatusCode::NOT_FOUND,
                TEXT,
                "404 page not found\n".to_owned(),
            );
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let text = "Method Not Allowed\n".to_owned();
            let mut refusal = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
            refusal
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET"));
            return refusal;
        }
        match (path, checks) {
            (_, Some(checks)) => self.run(&checks, query).await,
            ("/version", None) => self.version(),
            ("/health", None) => self.health(query).await,
            (_, None) => answer(
                StatusCode::OK,
                OPEN_METRICS,
                metrics::text(&self.context, &self.stats),
            ),
        }
    }

    fn version(&self) -> Response<Body> {
        let options = self.context.options();
        let text = format!(
            r#"{{"etcdserver":"{}","etcdcluster":"{}"}}"#,
            options.version, options.cluster_version
        );
        answer(StatusCode::OK, JSON, text)
    }

    async fn health(&self, query: &str) -> Response<Body> {
        match health::health(&self.context, query).await {
            Ok(()) => {
                let text = r#"{"health":"true","reason":""}"#.to_owned();
                answer(StatusCode::OK, JSON, text)
            }
            Err(reason) => unhealthy(&reason),
        }
    }

    async fn run(&self, checks: &[Check], query: &str) -> Response<Body> {
        let (is_well, text) = health::run(&self.context, checks, query).await;
        let status = match is_well {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        answer(status, TEXT, text)
    }
}

/// `reason` is our own text, without quotes.
fn unhealthy(reason: &str) -> Response<Body> {
    let text = format!(r#"{{"health":"false","reason":"{reason}"}}"#);
    answer(StatusCode::SERVICE_UNAVAILABLE, JSON, text)
}

fn answer(status: StatusCode, kind: HeaderValue, text: String) -> Response<Body> {
    let mut response = Response::new(Body::new(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
