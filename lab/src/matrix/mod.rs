//! The matrix of replication strategies, measured: every cell runs in simulation, under a clock in which
//! every message takes one delay.
//!
//! Nothing in the table is known beforehand. The faults are the same for all cells: the master (with
//! several masters, one of them) crashes, or is cut off from all others for a while.

mod cells;
mod clients;
mod html;
mod measure;
mod report;
mod timed;

pub use cells::{Cell, Tried};
pub use measure::{Failover, Measured, TimeOrSpace, failovers, measure, time_or_space};
pub use report::Matrix;

#[cfg(test)]
mod tests;
