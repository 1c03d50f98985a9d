//! What a protocol is.
//!
//! A protocol is a pure step function, and a step is a transaction: first its records reach the
//! disk, then its mail leaves. A replica counts its own vote by mailing itself. This crate holds
//! the words in which protocols say that ([`Protocol`], [`Effects`], [`Wire`], [`Payload`]) and
//! nothing that performs I/O, so that one implementation runs unchanged in every world.
#![no_std]

extern crate alloc;

mod choice;
mod effects;
mod ids;
mod payload;
mod protocol;
mod wire;

pub use choice::Choice;
pub use effects::{Effects, Mail, TimerChange};
pub use ids::{Checkpoint, Frame, Instant, NodeId, NotANode};
pub use payload::{Block, Payload};
pub use protocol::{
    Boot, Faults, Links, Model, Output, Problem, Protocol, Request, Status, Survival, Timing,
};
pub use wire::{Bytes, Malformed, Reader, Wire};
