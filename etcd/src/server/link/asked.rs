//! What the head of a request asks for, found once for all requests that have the same head.

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use quorate_http2::server::Head;
use tonic::body::Body;

/// A head, ready to become a request.
pub(super) struct Asked {
    /// The request without a body; `None` if no request can have this head.
    parts: Option<(Method, Uri, HeaderMap)>,
}

impl From<Head> for Asked {
    fn from(head: Head) -> Asked {
        Asked {
            parts: parts(&head),
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
