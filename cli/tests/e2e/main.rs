//! End-to-end tests: real processes, real disks and sockets, and a third party's client.
//!
//! Every test starts its own cluster of the built binary in a temporary folder, on free ports of
//! 127.0.0.1. With `QUORATE_E2E_SERVER=/path/to/etcd` the same tests run against etcd, which shows
//! that it is the tests that are right; what is about our own binary only is then left out.
//!
//! Waits are bounded and generous: they find what hangs, not what is slow.

mod alarms;
mod backups;
mod bad_bytes;
mod bad_flags;
mod bad_requests;
mod bit_rot;
mod catching_up;
mod cluster_command;
mod command_line;
mod compare;
mod damage;
mod divergence;
mod full_disk;
mod harness;
mod history;
mod leases;
mod membership;
mod namespaces;
mod observing;
mod one_node;
mod partitions;
mod three_nodes;
mod watches;
