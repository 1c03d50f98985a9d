//! Space-time diagrams.
//!
//! A [`Recording`] is what a world wrote down, with the remarks of whoever told the story. From it a
//! [`Diagram`] finds out who did what and which mail connects what, and [`text`], [`svg`] and [`html`]
//! draw that. Time runs downwards, every process has a line of its own.

mod diagram;
pub mod html;
mod places;
mod sentences;
pub mod svg;
#[cfg(test)]
mod tests;
pub mod text;
pub(crate) mod words;

use std::ops::Range;

use quorate_core::NodeId;
use quorate_sim::trace::Trace;

pub use diagram::{Diagram, End, Happening, Life, Mail, Mark, Moment, Parting, Step};

/// A run as it was written down.
#[derive(Clone, Default, Debug)]
pub struct Recording {
    /// What the picture is called.
    pub title: String,
    /// What the protocol's paper calls an epoch: term, view, ballot.
    pub epoch: String,
    /// Who takes part, in the order in which they are drawn.
    pub members: Vec<NodeId>,
    /// What happened.
    pub trace: Trace,
    /// What the author of the run has to say about it.
    pub notes: Vec<Note>,
    /// Events that a picture leaves out, as ranges of the trace.
    pub quiet: Vec<Range<usize>>,
}

/// A remark.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// The event before which it was made.
    pub at: usize,
    /// The remark.
    pub text: String,
}
