//! Histories as JSON lines, from any system, and verdicts on them. The format is described in
//! `docs/histories.md`.

mod fields;
mod read;
mod verdict;
mod write;

use std::fmt;

use quorate_problems::{history, key_value, register};

pub use read::read;
pub use verdict::{Claim, Finding, Outcome, Report, verify};
pub use write::{of_clients, write_key_value, write_register};

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u64 = 1;

/// A history of a key-value store. Keys and values are JSON texts.
pub type KeyValueHistory =
    history::History<key_value::Input<String, String>, key_value::Output<String>>;
/// A history of a register. Values are JSON texts.
pub type RegisterHistory = register::History<String>;

/// A history, and where it stood in its file.
#[derive(Debug)]
pub struct Imported {
    /// What was asked and answered.
    pub object: Object,
    /// The line of each operation's call and the line of its return, by its place in the history.
    pub lines: Vec<(usize, Option<usize>)>,
    /// The commit timestamp that each operation was answered with.
    pub timestamps: Vec<Option<u64>>,
}

/// The operations, by the object that they were asked of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Object {
    /// A key-value store.
    KeyValue(KeyValueHistory),
    /// A register.
    Register(RegisterHistory),
}

/// Something that is no history: where, and what was expected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it, and what was expected.
    pub reason: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests;
