//! The third-party client, and what its errors say.

use std::time::Duration;

pub(crate) use etcd_client::Client;
use etcd_client::{ConnectOptions, Error, ResponseHeader};

/// How long one request may take before its outcome counts as unknown. Longer than it takes to elect
/// a leader, so that requests survive one.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// A client of one endpoint; it connects when it is used, and again after an error.
pub(crate) async fn connect(endpoint: &str) -> Client {
    let options = ConnectOptions::new().with_connect_timeout(Duration::from_secs(1));
    Client::connect([endpoint], Some(options))
        .await
        .expect("connecting is lazy")
}

/// Waits for an answer, but not for ever.
pub(crate) async fn bounded<T>(
    request: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::IoError(std::io::ErrorKind::TimedOut.into())),
    }
}

/// The revision in an answer's header.
pub(crate) fn revision(header: Option<&ResponseHeader>) -> i64 {
    header.expect("every answer has a header").revision()
}

/// The gRPC code and text of an error.
pub(crate) fn code_and_text(error: &Error) -> (i32, String) {
    match error {
        Error::GRpcStatus(status) => (i32::from(status.code()), status.message().to_owned()),
        other => panic!("not an answer of the server: {other}"),
    }
}
