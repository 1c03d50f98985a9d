//! What a replica must be told to start, and the limits that it keeps.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use quorate_core::{Faults, Links, Model, NodeId, Timing};
use quorate_quorums::{Rule, System, intersect};

use super::Flaw;
use super::ballot::Ballot;

/// The adversary that Multi-Paxos withstands. A lease asks for more: clocks that drift apart by no more
/// than [`Config::drift_ppm`].
pub(super) const MODEL: Model = Model {
    faults: Faults::CrashRecovery,
    links: Links {
        lose: true,
        duplicate: true,
        reorder: true,
    },
    timing: Timing::PartiallySynchronous,
};

/// What a replica must be told to start.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Config {
    /// The first voters, and how many are enough for what, of them and of whoever follows them.
    pub quorums: Quorums,
    /// How often a leader lets others hear of it.
    pub heartbeat: Duration,
    /// After how long a silence a leader is given up; elections are spread over as long again.
    pub election_timeout: Duration,
    /// For how long an acceptor that has answered a heartbeat promises nothing to others, so that the
    /// leader may answer reads without asking; zero for not at all.
    pub lease: Duration,
    /// By how many millionths the rate of a clock differs from the true one at most. Only leases
    /// depend on it.
    pub drift_ppm: u32,
    /// How long a snapshot may be on its way before it is sent again.
    pub snapshot_retry: Duration,
    /// How many requests may be under way at once: the edge keeps the rest and batches them.
    pub window: usize,
    /// How many bytes of values may be under way before no more requests are welcome.
    pub window_bytes_max: u64,
    /// How many slots may be sent to a peer ahead of its answers.
    pub flight_entries_max: u64,
    /// How many bytes of values may be sent to a peer ahead of its answers.
    pub flight_bytes_max: u64,
    /// How many bytes of values go into one message.
    pub message_bytes_max: u64,
    /// How many bytes of chosen values are kept although the application's state contains them, so
    /// that a peer that was briefly slow or away needs no snapshot. Four times as many while a peer is
    /// being sent one, so that it finds the values behind it when it has loaded it.
    pub retention_bytes: u64,
    /// A bug to have, in tests and in the lab.
    pub flaw: Option<Flaw>,
}

impl Config {
    /// The defaults for these members, with majorities.
    ///
    /// # Panics
    /// If there are none: nothing could ever be chosen.
    #[must_use]
    pub fn new(members: impl Into<Vec<NodeId>>) -> Config {
        let majority = Quorums::new(members, Rule::Majority, Rule::Majority);
        Config {
            quorums: majority.expect("majorities of somebody meet"),
            heartbeat: Duration::from_millis(100),
            election_timeout: Duration::from_millis(1000),
            lease: Duration::ZERO,
            drift_ppm: 10_000,
            snapshot_retry: Duration::from_secs(10),
            window: 64,
            window_bytes_max: 64 << 20,
            flight_entries_max: 512,
            flight_bytes_max: 16 << 20,
            message_bytes_max: 1 << 20,
            retention_bytes: 64 << 20,
            flaw: None,
        }
    }
}

/// Who takes part, and whose agreement is enough: each phase-1 quorum meets each phase-2 quorum, which
/// is all that Paxos needs (Howard, Malkhi and Spiegelman, "Flexible Paxos", 2016). There is no other
/// way to make one than with the proof.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Quorums {
    phase1: System,
    phase2: System,
}

/// Quorums that cannot be used, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadQuorums(String);

impl fmt::Display for BadQuorums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for BadQuorums {}

impl Quorums {
    /// Quorums of these members made by these rules.
    ///
    /// # Errors
    /// If a rule does not fit the members, or a phase-1 quorum and a phase-2 quorum miss each other,
    /// with the two.
    pub fn new(
        members: impl Into<Vec<NodeId>>,
        phase1: Rule,
        phase2: Rule,
    ) -> Result<Quorums, BadQuorums> {
        let mut members = members.into();
        members.sort_unstable();
        members.dedup();
        if let Some((one, two)) = shared_place(&members) {
            return Err(BadQuorums(format!(
                "the ballots of {one} and {two} could not be told apart; one needs another id"
            )));
        }
        let system = |name: &str, rule| {
            System::new(rule, &members).map_err(|error| BadQuorums(format!("{name}: {error}")))
        };
        let (phase1, phase2) = (system("phase 1", phase1)?, system("phase 2", phase2)?);
        intersect(&phase1, &phase2).map_err(|apart| {
            let (one, two) = (phase1.rule(), phase2.rule());
            BadQuorums(format!(
                "phase 1 ({one}) must meet phase 2 ({two}), but {apart}"
            ))
        })?;
        Ok(Quorums { phase1, phase2 })
    }

    /// All members, in order.
    #[must_use]
    pub fn members(&self) -> &[NodeId] {
        self.phase1.members()
    }

    /// Who must promise before a leader may propose.
    #[must_use]
    pub fn phase1(&self) -> &System {
        &self.phase1
    }

    /// Who must accept before a value is chosen. They meet every phase-1 quorum, so as long as they
    /// promise nothing else there is no other leader.
    #[must_use]
    pub fn phase2(&self) -> &System {
        &self.phase2
    }

    /// The same rules for other members.
    ///
    /// # Errors
    /// If they do not fit them.
    pub fn of(&self, members: &[NodeId]) -> Result<Quorums, BadQuorums> {
        let (phase1, phase2) = (self.phase1.rule(), self.phase2.rule());
        Quorums::new(members, phase1.clone(), phase2.clone())
    }

    /// Whether these may follow our members: the rules fit them, and their ballots have epochs of their
    /// own.
    #[must_use]
    pub fn fits(&self, members: &[NodeId]) -> bool {
        let both = self.members().iter().chain(members);
        let mut both: Vec<NodeId> = both.copied().collect();
        both.sort_unstable();
        both.dedup();
        shared_place(&both).is_none() && self.of(members).is_ok()
    }
}

/// Two of these whose ballots would have the same epochs.
fn shared_place(members: &[NodeId]) -> Option<(NodeId, NodeId)> {
    let mut places = BTreeMap::new();
    let places = |id: &NodeId| places.insert(Ballot::place(*id), *id).zip(Some(*id));
    members.iter().find_map(places)
}
