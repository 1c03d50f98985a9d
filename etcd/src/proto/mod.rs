//! The messages of the etcd v3 API, with clients and servers for its services.
//!
//! Generated from `etcd/proto/*.proto` by `cargo x proto`; the output is committed. A module per
//! protobuf package, named like it.

pub mod codec;

/// Key-value, watch, lease, cluster, maintenance, auth.
#[allow(missing_docs, rustdoc::all, clippy::all, clippy::pedantic)]
#[path = "generated/etcdserverpb.rs"]
pub mod etcdserverpb;

/// Rows and events.
#[allow(missing_docs, rustdoc::all, clippy::all, clippy::pedantic)]
#[path = "generated/mvccpb.rs"]
pub mod mvccpb;

/// Users, roles, permissions.
#[allow(missing_docs, rustdoc::all, clippy::all, clippy::pedantic)]
#[path = "generated/authpb.rs"]
pub mod authpb;

/// Locks.
#[allow(missing_docs, rustdoc::all, clippy::all, clippy::pedantic)]
#[path = "generated/v3lockpb.rs"]
pub mod v3lockpb;

/// Elections.
#[allow(missing_docs, rustdoc::all, clippy::all, clippy::pedantic)]
#[path = "generated/v3electionpb.rs"]
pub mod v3electionpb;

/// The descriptors of all of the above, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");
