//! The API as clients see it, through the generated client stubs: one test for each thing that a
//! reimplementation of etcd gets wrong.
//!
//! With `QUORATE_TEST_ETCD=/path/to/etcd` the same tests run against a real etcd, each against a fresh
//! one: that is how what they expect was verified (with 3.5.1).

#![allow(clippy::unwrap_used)]

mod backup;
mod compaction;
mod connections;
mod harness;
mod leaderless;
mod leases;
mod limits;
mod maintenance;
mod members;
mod missing;
mod plain_http;
mod ranges;
mod revisions;
mod transactions;
mod watches;
