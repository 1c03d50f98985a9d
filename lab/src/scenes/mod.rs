//! Short named runs with a story: what the documents tell about, to be seen, and judged.
//!
//! A scene is a text file: a title, the place in the documents that it comes from, a story in a few
//! sentences, a script, and the verdicts that are expected of it. Comments in the script become remarks
//! beside the picture.
//!
//! ```text
//! title: A leader crashes
//! source: Raft (Ongaro and Ousterhout, 2014), section 5.2
//! protocol: raft
//! expect: every request is answered false
//! alike: n2 n3
//! story:
//! A few sentences, in paragraphs.
//! script:
//! cluster 3
//! # A remark.
//! fire n1 Election
//! ```
//!
//! Every property is expected to hold unless a line `expect:` says that it is false. `alike:` names
//! processes that must not be able to tell the worlds of the script apart.

mod claims;
pub mod json;
pub mod local;
mod parse;
mod read;
mod sheet;
pub mod stage;
pub mod tell;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use quorate_core::NodeId;

use crate::suites::Unknown;

pub use claims::{Ask, Claims, Promise};
pub use sheet::Verdict;
pub use stage::{Outcome, run};
pub use tell::Wrong;

/// A scene.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Scene {
    /// Its name: `raft/election`.
    pub name: String,
    /// Its title.
    pub title: String,
    /// The place in the documents that it comes from.
    pub source: String,
    /// The protocol that it shows.
    pub protocol: String,
    /// The story, in paragraphs.
    pub story: Vec<String>,
    /// The verdicts that are expected, where that is not that a property holds.
    pub expect: BTreeMap<String, bool>,
    /// Who must not be able to tell the worlds of the script apart.
    pub alike: Vec<NodeId>,
    /// The script.
    pub script: String,
    /// The number of the script's first line.
    pub first: usize,
}

macro_rules! scenes {
    ($($name:literal),* $(,)?) => {
        /// All scenes: names and texts.
        const ALL: &[(&str, &str)] = &[$(($name, include_str!(concat!($name, ".txt")))),*];
    };
}

scenes! {
    "raft/election",
    "raft/replication",
    "raft/leader-crash",
    "raft/minority-leader",
    "raft/log-repair",
    "raft/snapshot",
    "raft/figure-8",
    "raft/figure-8-broken",
    "raft/opening-pictures",
    "raft/partition-or-crash",
    "raft/false-suspicion",
    "raft/stale-read",
    "raft/stale-read-broken",
    "raft/forgotten-vote",
    "raft/damaged-disk",
    "raft/joint-consensus",
    "raft/single-server-change-broken",
    "raft/learner",
    "raft/not-blocked",
    "multipaxos/steady-state",
    "multipaxos/filling-holes",
    "multipaxos/competing-leaders",
    "multipaxos/flexible-quorums",
    "multipaxos/reconfiguration",
    "multipaxos/old-members",
    "multipaxos/ballot-reuse",
    "multipaxos/accept-without-promise",
    "chain/pipeline",
    "chain/head-fails",
    "chain/middle-fails",
    "chain/tail-fails",
    "chain/chain-repair",
    "chain/craq-reads",
    "chain/stale-tail",
    "chain/stale-tail-broken",
    "strategies/synchronous",
    "strategies/asynchronous-lost-update",
    "strategies/stale-read",
    "strategies/two-masters",
    "strategies/two-masters-fenced",
    "strategies/split-brain",
    "strategies/commuting",
    "strategies/non-commuting",
    "strategies/nondeterminism",
    "strategies/failover-f1",
    "strategies/lossy-f1",
    "strategies/rejoin-without-transfer",
    "synod/two-round-trips",
    "synod/chosen-value-survives",
    "synod/duelling-proposers",
    "synod/back-off",
    "synod/ballot-reuse",
    "two-phase-commit/commits",
    "two-phase-commit/flatmates",
    "two-phase-commit/blocked",
    "paxos-commit/commits",
    "paxos-commit/not-blocked",
    "viewstamped/normal",
    "viewstamped/view-change",
    "viewstamped/state-transfer",
    "viewstamped/just-resumes",
    "viewstamped/later-view",
    "viewstamped/truncating-transfer",
    "viewstamped/recovery",
    "viewstamped/forgotten-view",
    "viewstamped/old-promises",
    "viewstamped/reconfiguration",
    "primary-backup/opening-pictures",
    "primary-backup/split-brain",
    "primary-backup/primary-cut-off",
    "primary-backup/backup-cut-off",
    "primary-backup/both-cut-off-from-the-service",
    "primary-backup/the-service-hangs",
    "primary-backup/the-service-starts-over",
    "primary-backup/service-down",
    "primary-backup/operator-fencing",
    "primary-backup/self-kill",
    "primary-backup/self-kill-too-late",
    "primary-backup/fencing",
    "primary-backup/stale-read",
    "primary-backup/majority",
    "primary-backup/synchronous-survives",
    "primary-backup/asynchronous-lost-update",
    "primary-backup/lossy-channel",
    "primary-backup/spare-catches-up",
    "primary-backup/spare-just-resumes",
    "two-armies/all-arrive",
    "two-armies/last-lost",
}

/// The names of all scenes.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

/// The scene of that name.
///
/// # Errors
/// If there is none, with the name that was perhaps meant.
pub fn find(name: &str) -> Result<Scene, Unknown> {
    match ALL.iter().find(|(known, _)| *known == name) {
        Some((name, text)) => Ok(Scene::parse(name, text).expect("a test parses every scene")),
        None => Err(Unknown::new("scene", name, names())),
    }
}

impl Scene {
    /// Reads a scene.
    ///
    /// # Errors
    /// The first line that makes no sense.
    pub fn parse(name: &str, text: &str) -> Result<Scene, Wrong> {
        parse::scene(name, text)
    }
}
