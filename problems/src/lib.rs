//! What is to be solved.
//!
//! A problem is a pair of types, what the layer above asks for and what it is told, and an oracle
//! that says whether a run was right. Protocols implement a problem; services, the simulator and
//! the checker know only problems, so that all solutions of one share one oracle, one workload and
//! one server.
#![no_std]

extern crate alloc;

pub mod atomic_commitment;
pub mod broadcast;
pub mod consensus;
pub mod digest;
pub mod group;
pub mod history;
pub mod key_value;
pub mod linearizable;
pub mod property;
pub mod register;
pub mod replicated;
pub mod store;
pub mod timestamps;
pub mod total_order;
pub mod workload;

pub use workload::Workload;
