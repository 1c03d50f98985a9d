//! Who is compared. A new total-order protocol is one line.

use quorate_core::{NodeId, Protocol};
use quorate_problems::total_order::TotalOrder;
use quorate_protocols::{chain, multipaxos, primary_backup, raft, viewstamped};

use crate::harness::Cluster;
use crate::omni::Omni;
use crate::open::{Open, Threads};
use crate::ours::{Bytes, Ours, Packing, Values};
use crate::tikv::Tikv;

/// The most commands that are ever in flight.
pub const WINDOW_MAX: usize = 1024;
/// How much of the log in memory our replicas keep for slow peers, of whom there are none here.
const RETENTION_BYTES: u64 = 256 << 10;

/// How the numbers of a subject are to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A crate of others.
    Peer,
    /// A protocol of ours.
    Ours,
}

/// One row.
pub struct Subject {
    /// What it is called.
    pub name: String,
    /// How to read it.
    pub kind: Kind,
    /// Starts three replicas.
    pub start: Box<dyn Fn() -> Box<dyn Cluster>>,
}

/// Everybody, peers first.
pub fn all() -> Vec<Subject> {
    let mut all = vec![
        peer("raft 0.7 (crate)", || Box::new(Tikv::start())),
        peer("omnipaxos 0.2 (crate)", || Box::new(Omni::start())),
        peer("openraft 0.9 (crate), one thread", || {
            Box::new(Open::start(Threads::One))
        }),
        peer("openraft 0.9 (crate), two threads", || {
            Box::new(Open::start(Threads::Two))
        }),
    ];
    /// One of ours: its name, its type and its configuration, which all have the same limits.
    macro_rules! ours {
        ($($name:literal: $protocol:ty = $config:ident)*) => {$({
            let config = |members: &[NodeId]| $config::Config {
                window: WINDOW_MAX,
                flight_entries_max: 2 * WINDOW_MAX as u64,
                retention_bytes: RETENTION_BYTES,
                ..$config::Config::new(members)
            };
            all.extend(ours::<$protocol>($name, config));
        })*};
    }
    ours! {
        "raft": raft::Raft = raft
        "multipaxos": multipaxos::MultiPaxos = multipaxos
        "viewstamped": viewstamped::Viewstamped = viewstamped
        "primary-backup": primary_backup::PrimaryBackup = primary_backup
        "chain": chain::Chain = chain
    }
    all
}

fn peer(name: &str, start: fn() -> Box<dyn Cluster>) -> Subject {
    Subject {
        name: name.into(),
        kind: Kind::Peer,
        start: Box::new(start),
    }
}

/// A protocol of ours in three ways: as it is, with messages as bytes, and behind the service's batching.
fn ours<P>(name: &str, config: fn(&[NodeId]) -> P::Config) -> [Subject; 3]
where
    P: Protocol<Problem = TotalOrder> + 'static,
    P::Config: 'static,
{
    let subject = |name: String, kind, start: Box<dyn Fn() -> Box<dyn Cluster>>| Subject {
        name,
        kind,
        start,
    };
    [
        subject(
            name.to_string(),
            Kind::Ours,
            Box::new(move || Box::new(Ours::<P, Values<P>>::start(config, Packing::Alone))),
        ),
        subject(
            format!("{name}, encoded"),
            Kind::Ours,
            Box::new(move || Box::new(Ours::<P, Bytes>::start(config, Packing::Alone))),
        ),
        subject(
            format!("{name}, batched"),
            Kind::Ours,
            Box::new(move || Box::new(Ours::<P, Values<P>>::start(config, Packing::Together))),
        ),
    ]
}
