//! All scenes.
