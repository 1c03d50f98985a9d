//! The etcd v3 API over the key-value service.
//!
//! [`serve`] answers gRPC and plain HTTP on the client ports; [`proto`] has the messages and the
//! generated clients. Requests are checked for form (`check`), turned into the service's words
//! (`convert`), carried out, and their answers turned back; refusals get etcd's codes and texts
//! (`error`). There is a module per gRPC service: `kv`, `watch`, `lease`, `cluster`, `maintenance`;
//! those that are not there yet are in `later`. `compactor` forgets old history by itself.

mod backup;
mod check;
mod cluster;
mod compactor;
mod context;
mod convert;
mod error;
mod kv;
mod later;
mod lease;
mod maintenance;
pub mod proto;
mod reading;
mod server;
mod until;
mod watch;

pub use compactor::Retention;
pub use server::{Complaints, Connected, Metric, MetricKind, MetricSource, ServerOptions, serve};
