//! The view service: who replicates at the moment, and who is first among them.
//!
//! Servers ping it; it notices who does not, and announces numbered views, one after the other. It is
//! the master of chain replication (van Renesse and Schneider, 2004) and the configuration master of
//! Vertical Paxos (Lamport, Malkhi and Zhou, 2009). One process can be the service, and a single point
//! of failure; or the servers replicate it among themselves by any protocol for total order. [`Seat`]
//! is a server's part in either. `README.md` says why no acknowledged update is lost.

mod config;
mod detector;
mod machine;
mod message;
mod seat;
#[cfg(test)]
mod tests;

pub use crate::log::Epoch as Number;
pub use config::{Careless, Config, Replicator, Service};
pub use machine::{Command, View, Views};
pub use message::{Known, Message, Record, Report, Standing, Timer};
pub use seat::{Host, Seat, SeatReplay};
