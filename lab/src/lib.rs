//! Where a person looks at protocols.
//!
//! The lab is the one library that knows every protocol by name. It holds what the worlds must know
//! of each ([`suites`]), short named runs with a story ([`scenes`]), their pictures ([`draw`]), a protocol
//! that must fail ([`two_armies`]), a person at the wheel ([`explore`]), many seeds at once ([`search`]),
//! histories of any system and their verdicts ([`history`]), strategies of replication measured
//! ([`matrix`]), and the command line over all of it
//! ([`command`]).

pub mod command;
pub mod draw;
pub mod explore;
pub mod history;
pub mod matrix;
pub mod scenes;
pub mod search;
pub mod suites;
pub mod two_armies;
