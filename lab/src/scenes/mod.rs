//! Short named runs with a story.

pub mod tell;
