//! A client of the etcd v3 API that fails over between endpoints.
//!
//! ```no_run
//! # async fn example() -> Result<(), quorate_client::Error> {
//! use quorate_client::{Client, Options, proto::RangeRequest};
//!
//! let client = Client::new(Options::new(["127.0.0.1:2379", "127.0.0.1:22379"]))?;
//! let answer = client
//!     .range(RangeRequest { key: "greeting".into(), ..Default::default() })
//!     .await?;
//! println!("{} rows", answer.kvs.len());
//! # Ok(())
//! # }
//! ```
//!
//! The crate is in two parts. The pure part decides and does no I/O: which endpoint is next
//! ([`Choice`]), whether a failed call may be tried again ([`Effect::may_retry`]), from where a watch goes
//! on ([`Resume`]). The transport carries it out over gRPC, and no type of the gRPC library shows
//! in what is public here: requests and answers are the messages in [`proto`], errors are [`Error`].
//!
//! What is promised:
//! - Nothing is connected before the first call, and a lost connection is made anew by the next one.
//! - A read is tried at other endpoints for as long as its time lasts. A write is tried again only if
//!   the failure says that it was not carried out: so no write happens twice, and after
//!   [`Error::is_uncertain`] the caller has to look.
//! - A [`Watcher`] delivers each revision of its range once, in order, over any number of lost
//!   connections, or ends with an error that says why it cannot.
//!
//! Not there yet: TLS and authentication. Endpoints are plain `host:port` or `http://host:port`.
#![forbid(unsafe_code)]

mod address;
mod calls;
mod choice;
mod error;
mod lease;
mod range;
mod resume;
mod retry;
mod snapshot;
mod transport;
mod watch;

pub use address::Address;
pub use choice::Choice;
pub use error::{Code, Error};
pub use lease::KeepAlive;
pub use range::{FROM_KEY, prefix_end};
pub use resume::{Resume, Step};
pub use retry::Effect;
pub use snapshot::Backup;
pub use watch::Watcher;

/// The messages of the etcd v3 API.
pub mod proto {
    pub use quorate_etcd::proto::etcdserverpb::*;
    pub use quorate_etcd::proto::mvccpb::{Event, KeyValue, event};
}

use std::sync::Arc;
use std::time::Duration;

/// Where the servers are and how long to wait for them.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port` or `http://host:port` of each server; the first is tried first.
    pub endpoints: Vec<String>,
    /// For how long to look for a server that takes a connection, at all endpoints together.
    pub dial_timeout: Duration,
    /// How long one call may take, all attempts together.
    pub request_timeout: Duration,
}

impl Options {
    /// These endpoints, with 2 s to connect and 5 s for a call.
    pub fn new<E: Into<String>>(endpoints: impl IntoIterator<Item = E>) -> Options {
        Options {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            dial_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
        }
    }
}

/// A handle to the cluster. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Arc<transport::Transport>,
}

impl Client {
    /// Checks the options; connects nothing.
    pub fn new(options: Options) -> Result<Client, Error> {
        let transport = Arc::new(transport::Transport::new(options)?);
        Ok(Client { transport })
    }

    /// The endpoints, in the order in which they were given.
    #[must_use]
    pub fn endpoints(&self) -> &[Address] {
        self.transport.addresses()
    }
}
