//! What replicas of a log-based protocol have in common: entries, where they are, and the log in memory.
//!
//! The names are neutral. Each protocol imports them under its paper's: Raft's `Epoch` is a term, and
//! Viewstamped Replication's a view number.

mod entry;
#[expect(
    clippy::module_inception,
    reason = "the log is what the module is about"
)]
mod log;

pub use entry::{Content, Entries, Entry, Epoch, Index, Position};
pub use log::Log;
