//! Space-time diagrams.
