//! One replica without I/O.
//!
//! A [`Node`] wraps a protocol and keeps the two promises that every protocol relies on: mail waits
//! until what was written before it is durable ([`gate`](Gate)), and timers fire when they run out.
//! Mail to oneself comes back as a message. Whoever drives it (checker, simulator, runtime) carries
//! frames to a disk, mail to a network and outputs to an [`Edge`], and reports back.
#![no_std]

extern crate alloc;

mod edge;
mod gate;
mod node;
mod timers;

pub use edge::Edge;
pub use gate::Gate;
pub use node::{Frames, Input, Letter, Node, Written};
pub use timers::Timers;
