//! The one place that chooses a protocol; everything else works with any total order.

use std::time::Duration;

use clap::ValueEnum;
use quorate_core::{NodeId, Payload, Protocol};
use quorate_problems::total_order::TotalOrder;
use quorate_protocols::log::Log;
use quorate_protocols::{chain, multipaxos, primary_backup, raft, viewstamped};

/// How the members agree on an order.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Name {
    /// Raft: a leader with the most complete log is elected.
    #[default]
    Raft,
    /// Multi-Paxos: whoever has a quorum's promises fills the slots.
    Multipaxos,
    /// Viewstamped Replication: the members take turns as primary.
    Viewstamped,
    /// A primary and backups, which a replicated view service names.
    PrimaryBackup,
    /// Chain replication: updates go in at the head and are done at the tail.
    Chain,
}

/// What every protocol is told.
pub(super) struct Settings {
    /// All members.
    pub(super) members: Vec<NodeId>,
    /// How often a leader shows that it is alive.
    pub(super) heartbeat: Duration,
    /// How long others wait for that.
    pub(super) election_timeout: Duration,
    /// How much of the log to keep for slow peers behind what is in the store, bytes.
    pub(super) retention_bytes: u64,
    /// By how many millionths clocks drift at most, if the leader may answer reads by a lease.
    pub(super) lease_drift_ppm: Option<u32>,
}

/// A protocol that members can run.
pub(super) trait Served:
    Protocol<Problem = TotalOrder, Config: Send, Message: Send> + 'static
{
    /// Sets a lease, if its leader can answer reads by one.
    const LEASE: Option<SetLease<Self::Config>>;

    /// The protocol's own words for the settings.
    fn config(settings: Settings) -> Self::Config;

    /// Position, epoch and payload of all that a replica holds behind a position, decided or not.
    fn held_after(&self, position: u64) -> Vec<(u64, u64, Payload)>;
}

/// Gives a configuration a lease of a length, and the drift of clocks in millionths.
type SetLease<C> = fn(&mut C, Duration, u32);

/// Work that is done with the protocol of a name.
pub(super) trait With {
    /// What comes of it.
    type Answer;

    /// Does it.
    fn with<P: Served>(self) -> Self::Answer;
}

/// See [`Name::has_leases`].
struct HasLeases;

impl With for HasLeases {
    type Answer = bool;

    fn with<P: Served>(self) -> bool {
        P::LEASE.is_some()
    }
}

impl Name {
    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether its leader can answer reads by a lease.
    pub(super) fn has_leases(self) -> bool {
        self.with(HasLeases)
    }

    /// Does something with the protocol of this name.
    pub(super) fn with<W: With>(self, work: W) -> W::Answer {
        match self {
            Name::Raft => work.with::<raft::Raft>(),
            Name::Multipaxos => work.with::<multipaxos::MultiPaxos>(),
            Name::Viewstamped => work.with::<viewstamped::Viewstamped>(),
            Name::PrimaryBackup => work.with::<primary_backup::PrimaryBackup>(),
            Name::Chain => work.with::<chain::Chain>(),
        }
    }
}

fn of_log(log: &Log, position: u64) -> Vec<(u64, u64, Payload)> {
    log.held_after(position).collect()
}

/// All of them keep the same limits; what they call the time after which a leader is given up differs.
macro_rules! served {
    ($($protocol:ty: $new:expr, $timeout:ident, $lease:expr, $held:expr;)+) => {$(
        impl Served for $protocol {
            const LEASE: Option<SetLease<Self::Config>> = $lease;

            fn config(settings: Settings) -> Self::Config {
                let mut config = $new(settings.members);
                config.heartbeat = settings.heartbeat;
                config.$timeout = settings.election_timeout;
                config.retention_bytes = settings.retention_bytes;
                // Leases as long as an election takes anyway.
                if let (Some(lease), Some(drift_ppm)) = (Self::LEASE, settings.lease_drift_ppm) {
                    lease(&mut config, settings.election_timeout, drift_ppm);
                }
                config
            }

            fn held_after(&self, position: u64) -> Vec<(u64, u64, Payload)> {
                let held: fn(&$protocol, u64) -> Vec<(u64, u64, Payload)> = $held;
                held(self, position)
            }
        }
    )+};
}

served! {
    raft::Raft: raft::Config::new, election_timeout,
        Some(|config, lease, drift_ppm| (config.lease, config.drift_ppm) = (lease, drift_ppm)),
        |it, at| of_log(it.log(), at);
    multipaxos::MultiPaxos: multipaxos::Config::new, election_timeout,
        Some(|config, lease, drift_ppm| (config.lease, config.drift_ppm) = (lease, drift_ppm)),
        |it, at| it.held_after(at);
    viewstamped::Viewstamped: viewstamped::Config::new, view_timeout, None, |it, at| of_log(it.log(), at);
    primary_backup::PrimaryBackup: primary_backup::Config::new, election_timeout, None, |it, at| of_log(it.log(), at);
    chain::Chain: chain::Config::new, election_timeout, None, |it, at| of_log(it.log(), at);
}
