//! Whole replicas in a simulated world.
//!
//! What runs here is what serves users: the write-ahead log and the store with its engine over a
//! simulated disk, the node, the edge, the applier, watches. Replaced are only what a machine gives
//! them: sockets, threads, the clock and the disk. Clients ask, messages take time or get lost,
//! machines crash, stand still and run slow, disks fail; and everything that follows is decided by a
//! [`Plan`], so it can be run again.
//!
//! A seed draws a plan. First the cluster is hurt, and must keep every promise; then a core of it is
//! healed, and must make progress. A plan that ends badly is shortened as long as it still does.

mod admit;
mod aged;
mod clients;
mod disk;
mod draw;
mod engine;
mod faults;
mod glances;
mod heal;
mod judge;
mod keeper;
mod leases;
mod machine;
mod members;
mod network;
mod order;
mod plan;
mod run;
mod session;
mod shrink;
mod slow_disk;
mod space;
mod world;

pub use disk::{Area, DiskCounts, DiskFault, SimDisk};
pub use plan::{BadPlan, Fault, Plan, Settings, Timed};
pub use quorate_service::store::Flaw;
pub use run::{Broken, drawn, run, run_plan, run_recorded};

/// What clients asked and were told. Keys and values are numbers.
pub type ClientHistory = quorate_problems::history::History<
    quorate_problems::key_value::Input<u64, u64>,
    quorate_problems::key_value::Output<u64>,
>;

/// How hard a run tries.
#[derive(Clone, Debug)]
pub struct Hurt {
    /// How long a cluster is hurt at most, in simulated milliseconds.
    pub ms_max: u64,
    /// Whether disks of a minority may be damaged: bits rot, writes are lost or go astray.
    pub damage: bool,
    /// Whether members are added and removed, in half of the clusters.
    pub members: bool,
    /// Options of every cluster's protocol, besides those that a seed invents: `flaw=figure-8`.
    pub options: String,
    /// A famous bug of the service, for the search to find.
    pub flaw: Option<Flaw>,
    /// Whether a plan may be harsher than what the protocol claims to withstand.
    pub outside_model: bool,
    /// Whether a failure is made small. Otherwise its plan is the whole one.
    pub shrink: bool,
}

impl Default for Hurt {
    fn default() -> Hurt {
        Hurt {
            ms_max: 20_000,
            damage: false,
            members: true,
            options: String::new(),
            flaw: None,
            outside_model: false,
            shrink: true,
        }
    }
}

/// What a run came to, so that a test can tell that runs are not idle.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Operations that clients asked for.
    pub operations: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those that certainly were not carried out.
    pub refused: u64,
    /// Those of which nobody knows.
    pub lost: u64,
    /// The most of any one client's operations, one after the other, that were refused or lost before
    /// the cluster was healed.
    pub row: u64,
    /// Serializable reads.
    pub glances: u64,
    /// Reads of bounded age that nobody else was asked for.
    pub aged: u64,
    /// How often leadership was handed over because a disk stayed slow.
    pub handed_over: u64,
    /// States with the alarm NOSPACE that were shown.
    pub alarms: u64,
    /// Operations that were refused for want of room.
    pub no_room: u64,
    /// Alarms that were disarmed.
    pub disarmed: u64,
    /// The last position anywhere.
    pub positions: u64,
    /// The last epoch anywhere.
    pub epoch: u64,
    /// Messages that arrived.
    pub messages: u64,
    /// Everything that happened.
    pub events: u64,
    /// Lines of the plan that came to pass.
    pub faults: u64,
    /// Machines that lost power.
    pub crashes: u64,
    /// Processes that were ended.
    pub kills: u64,
    /// Processes that ended by themselves, since their disk failed.
    pub ends: u64,
    /// Starts on a damaged log.
    pub damaged: u64,
    /// Starts on a damaged store, which was set aside.
    pub rebuilt: u64,
    /// Checkpoints that arrived.
    pub checkpoints: u64,
    /// Leases that clients were granted.
    pub leases: u64,
    /// Those of them that were seen to end.
    pub expired: u64,
    /// Changes of the list of members that were acknowledged.
    pub changes: u64,
    /// Compactions that were acknowledged.
    pub compactions: u64,
    /// Whether it was not found out if the clients' history is right: 0 or 1.
    pub gave_up: u64,
    /// Whether so many disks were damaged that no quorum was left: 0 or 1.
    pub stuck: u64,
    /// The time that passed, nanoseconds.
    pub simulated: u64,
    /// A number for everything that happened: the same plan gives the same one.
    pub hash: u64,
}
