//! Every schedule of a small world.
//!
//! A [`Model`] says what can happen and what must be true; an [`Explorer`] goes through all of it and
//! keeps a fingerprint of each state, nothing else.

pub mod actors;
pub mod explore;
mod fingerprint;
mod model;
mod panics;
mod parts;
mod table;
pub mod world;

pub use explore::{Counterexample, Explorer, Extent, Outcome, Progress, Report, Verdict};
pub use fingerprint::{Folded, combine, fingerprint};
pub use model::{Footprint, Foreseen, Independence, Kind, Model, Packing, Property};
