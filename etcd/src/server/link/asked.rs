//! What the head of a request asks for, found once for all requests that have the same head.

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use quorate_http2::server::Head;
use tonic::body::Body;
use tonic::metadata::MetadataMap;

use crate::context;

/// The calls that are answered without going the long way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    Range,
    Put,
    DeleteRange,
    Txn,
}

impl Call {
    const ALL: [Call; 4] = [Call::Range, Call::Put, Call::DeleteRange, Call::Txn];

    /// The method, of `etcdserverpb.KV`.
    pub(super) fn method(self) -> &'static str {
        match self {
            Call::Range => "Range",
            Call::Put => "Put",
            Call::DeleteRange => "DeleteRange",
            Call::Txn => "Txn",
        }
    }
}

/// A head, ready to become a request.
pub(super) struct Asked {
    /// The call, if it is one of those.
    pub(super) call: Option<Call>,
    /// Whether the client would rather hear that there is no leader than wait.
    pub(super) wants_leader: bool,
    /// The request without a body; `None` if no request can have this head.
    parts: Option<(Method, Uri, HeaderMap)>,
}

impl From<Head> for Asked {
    fn from(head: Head) -> Asked {
        let parts = parts(&head);
        let (call, wants_leader) = match &parts {
            Some((method, _, headers)) if *method == Method::POST => {
                let metadata = MetadataMap::from_headers(headers.clone());
                let is_plain = is_grpc(headers) && !context::has_max_age(&metadata);
                let call = call(&head.path).filter(|_| is_plain);
                (call, context::wants_leader(&metadata))
            }
            _ => (None, false),
        };
        Asked {
            call,
            wants_leader,
            parts,
        }
    }
}

impl Asked {
    /// The request, with this body.
    pub(super) fn request(&self, body: Body) -> Option<Request<Body>> {
        let (method, uri, headers) = self.parts.as_ref()?;
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        *request.version_mut() = ::http::Version::HTTP_2;
        Some(request)
    }

    /// Whether an answer must have no body.
    pub(super) fn wants_head_only(&self) -> bool {
        let method = self.parts.as_ref().map(|(method, _, _)| method);
        method == Some(&Method::HEAD)
    }
}

fn call(path: &[u8]) -> Option<Call> {
    let method = path.strip_prefix(b"/etcdserverpb.KV/")?;
    let mut calls = Call::ALL.into_iter();
    calls.find(|call| call.method().as_bytes() == method)
}

/// Whether the messages are protobuf.
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(::http::header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind == "application/grpc" || kind == "application/grpc+proto")
}

fn parts(head: &Head) -> Option<(Method, Uri, HeaderMap)> {
    let method = Method::from_bytes(&head.method).ok()?;
    let uri = Uri::from_maybe_shared(head.path.clone()).ok()?;
    let mut headers = HeaderMap::with_capacity(head.fields.len());
    for (name, value) in &head.fields {
        let name = HeaderName::from_bytes(name).ok()?;
        let value = HeaderValue::from_maybe_shared(value.clone()).ok()?;
        headers.append(name, value);
    }
    Some((method, uri, headers))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn asked(path: &str, more: &[(&str, &str)]) -> Asked {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let kind = (bytes("content-type"), bytes("application/grpc"));
        let more = more.iter().map(|(name, value)| (bytes(name), bytes(value)));
        Asked::from(Head {
            method: bytes("POST"),
            path: bytes(path),
            fields: std::iter::once(kind).chain(more).collect(),
            ..Head::default()
        })
    }

    #[test]
    fn what_is_answered_the_short_way() {
        for call in Call::ALL {
            let path = format!("/etcdserverpb.KV/{}", call.method());
            assert_eq!(asked(&path, &[]).call, Some(call));
            assert_eq!(asked(&path, &[("quorate-max-age-ms", "5")]).call, None);
            assert_eq!(
                asked(&path, &[("content-type", "x")]).call,
                Some(call),
                "the first counts"
            );
        }
        for path in ["/etcdserverpb.KV/Compact", "/etcdserverpb.KV/", "/x", "*"] {
            assert_eq!(asked(path, &[]).call, None);
        }
        let path = "/etcdserverpb.KV/Range";
        assert!(!asked(path, &[]).wants_leader);
        assert!(asked(path, &[("hasleader", "true")]).wants_leader);
        let request = asked(path, &[("a", "b")]).request(Body::empty());
        let request = request.expect("a request");
        assert_eq!(
            (request.uri().path(), &request.headers()["a"]),
            (path, &HeaderValue::from_static("b"))
        );
        assert!(asked("not a path", &[]).request(Body::empty()).is_none());
    }
}
