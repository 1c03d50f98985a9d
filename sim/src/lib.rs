//! Small deterministic worlds.
//!
//! A [`World`] holds a few replicas with simulated disks and a simulated network, and does nothing by
//! itself: a [script] or a [seed](random) says what happens next. After everything that happens the
//! oracle of the problem and the invariants of the protocol are asked. It knows no protocol.

pub mod adversary;
pub mod cluster;
pub mod command;
mod disk;
mod failure;
pub mod nearest;
pub mod panics;
pub mod random;
pub mod script;
pub mod suite;
#[cfg(test)]
mod tests;
pub mod trace;
mod world;

pub use disk::Disk;
pub use failure::Failure;
pub use quorate_problems::Workload;
pub use suite::{Options, Parsed, Suite, Watch};
pub use world::{Counts, Done, Flying, World};
