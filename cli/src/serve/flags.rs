//! The flags of `quorate serve`: etcd's names, defaults and meanings, each also an environment
//! variable `ETCD_...`, so that the binary can be swapped in an existing unit file.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Protocol;

/// Run one member of a cluster.
#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    /// The member's name; `--initial-cluster` must list it.
    #[arg(long, env = "ETCD_NAME", default_value = "default")]
    pub(crate) name: String,

    /// Where the member keeps its data; created if it does not exist.
    #[arg(
        long,
        env = "ETCD_DATA_DIR",
        default_value = "quorate.data",
        value_name = "DIR"
    )]
    pub(crate) data_dir: PathBuf,

    /// Where to listen for clients, separated by commas.
    #[arg(
        long,
        env = "ETCD_LISTEN_CLIENT_URLS",
        default_value = "http://127.0.0.1:2379",
        value_name = "URLS"
    )]
    pub(crate) listen_client_urls: String,

    /// Where clients reach this member; by default where it listens.
    #[arg(long, env = "ETCD_ADVERTISE_CLIENT_URLS", value_name = "URLS")]
    pub(crate) advertise_client_urls: Option<String>,

    /// Where to listen for the other members.
    #[arg(
        long,
        env = "ETCD_LISTEN_PEER_URLS",
        default_value = "http://127.0.0.1:2380",
        value_name = "URLS"
    )]
    pub(crate) listen_peer_urls: String,

    /// Where the other members reach this one.
    #[arg(
        long,
        env = "ETCD_INITIAL_ADVERTISE_PEER_URLS",
        default_value = "http://127.0.0.1:2380",
        value_name = "URLS"
    )]
    pub(crate) initial_advertise_peer_urls: String,

    /// All members as NAME=PEER_URL, separated by commas; by default this one alone. Read only while the data
    /// directory is empty; later the members are those that the cluster has agreed on.
    #[arg(long, env = "ETCD_INITIAL_CLUSTER", value_name = "MEMBERS")]
    pub(crate) initial_cluster: Option<String>,

    /// Whether the cluster is being created, or exists and was told with `member add` that this one joins.
    #[arg(
        long,
        env = "ETCD_INITIAL_CLUSTER_STATE",
        default_value = "new",
        value_enum,
        value_name = "STATE"
    )]
    pub(crate) initial_cluster_state: ClusterState,

    /// Tells clusters with equal members apart.
    #[arg(
        long,
        env = "ETCD_INITIAL_CLUSTER_TOKEN",
        default_value = "etcd-cluster",
        value_name = "TOKEN"
    )]
    pub(crate) initial_cluster_token: String,

    /// Whether to refuse changes of the list of members after which too few of them would run.
    #[arg(
        long,
        env = "ETCD_STRICT_RECONFIG_CHECK",
        default_value_t = true,
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    pub(crate) strict_reconfig_check: bool,

    /// How many learners there may be.
    #[arg(
        long,
        env = "ETCD_MAX_LEARNERS",
        default_value_t = 1,
        value_name = "COUNT"
    )]
    pub(crate) max_learners: u32,

    /// How the members agree on an order; the same for all of them, and for good.
    #[arg(
        long,
        env = "QUORATE_PROTOCOL",
        default_value = "raft",
        value_enum,
        value_name = "PROTOCOL"
    )]
    pub(crate) protocol: Protocol,

    /// How often a leader says that it is alive, milliseconds.
    #[arg(
        long,
        env = "ETCD_HEARTBEAT_INTERVAL",
        default_value_t = 100,
        value_name = "MS"
    )]
    pub(crate) heartbeat_interval: u64,

    /// How long the others wait for that before they elect a leader, milliseconds.
    #[arg(
        long,
        env = "ETCD_ELECTION_TIMEOUT",
        default_value_t = 1000,
        value_name = "MS"
    )]
    pub(crate) election_timeout: u64,

    /// How many operations a transaction may have.
    #[arg(
        long,
        env = "ETCD_MAX_TXN_OPS",
        default_value_t = 128,
        value_name = "COUNT"
    )]
    pub(crate) max_txn_ops: usize,

    /// How large a client's request may be, bytes.
    #[arg(
        long,
        env = "ETCD_MAX_REQUEST_BYTES",
        default_value_t = 1_572_864,
        value_name = "BYTES"
    )]
    pub(crate) max_request_bytes: usize,

    /// How much the store may hold, bytes, before nothing is added any more; 0 for 2 GiB, negative for no
    /// limit.
    #[arg(
        long,
        env = "ETCD_QUOTA_BACKEND_BYTES",
        default_value_t = 0,
        allow_negative_numbers = true,
        value_name = "BYTES"
    )]
    pub(crate) quota_backend_bytes: i64,

    /// How much the disk must have left, bytes, for anything to be added.
    #[arg(
        long,
        env = "QUORATE_DISK_RESERVE_BYTES",
        default_value_t = 128 << 20,
        value_name = "BYTES"
    )]
    pub(crate) disk_reserve_bytes: u64,

    /// How history is counted that is forgotten by itself: by its age or in revisions.
    #[arg(
        long,
        env = "ETCD_AUTO_COMPACTION_MODE",
        default_value = "periodic",
        value_enum,
        value_name = "MODE"
    )]
    pub(crate) auto_compaction_mode: CompactionMode,

    /// How much history to keep: hours or a duration such as 30m, or a count of revisions; 0 for all.
    #[arg(
        long,
        env = "ETCD_AUTO_COMPACTION_RETENTION",
        default_value = "0",
        value_name = "HOW_MUCH"
    )]
    pub(crate) auto_compaction_retention: String,

    /// How much to log: debug, info, warn, error, panic or fatal.
    #[arg(
        long,
        env = "ETCD_LOG_LEVEL",
        default_value = "info",
        value_enum,
        value_name = "LEVEL"
    )]
    pub(crate) log_level: LogLevel,

    /// How to log: for people, or one JSON object a line.
    #[arg(
        long,
        env = "ETCD_LOG_FORMAT",
        default_value = "console",
        value_enum,
        value_name = "FORMAT"
    )]
    pub(crate) log_format: LogFormat,

    /// After how many entries what they changed is written to the store, however little it is, so that the log
    /// can be cut.
    #[arg(
        long,
        env = "ETCD_SNAPSHOT_COUNT",
        default_value_t = 100_000,
        value_name = "COUNT"
    )]
    pub(crate) snapshot_count: u64,

    /// Let the leader answer linearizable reads without asking the others, as long as they have promised to
    /// elect nobody else. Right only while clocks drift by no more than --clock-drift-ppm. Give it to all
    /// members or to none.
    #[arg(long, env = "QUORATE_LEASE_READS")]
    pub(crate) lease_reads: bool,

    /// By how many millionths the rate of a member's clock differs from the true one at most; only
    /// --lease-reads depends on it.
    #[arg(
        long,
        env = "QUORATE_CLOCK_DRIFT_PPM",
        default_value_t = 10_000,
        value_name = "PPM"
    )]
    pub(crate) clock_drift_ppm: u32,

    /// How much new data to gather in memory before it is written to the store, bytes.
    #[arg(long, env = "QUORATE_LAYER_BYTES", default_value_t = 16 << 20, value_name = "BYTES", hide = true)]
    pub(crate) layer_bytes: usize,

    /// How much memory to use for what is read from the store and written to it, bytes.
    #[arg(long, env = "QUORATE_CACHE_BYTES", default_value_t = 64 << 20, value_name = "BYTES", hide = true)]
    pub(crate) cache_bytes: usize,

    /// How much of the log to keep for slow peers behind what is in the store, bytes.
    #[arg(long, env = "QUORATE_LOG_BYTES", default_value_t = 16 << 20, value_name = "BYTES", hide = true)]
    pub(crate) log_bytes: u64,
}

/// See [`Flags::initial_cluster_state`].
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ClusterState {
    /// The members that are listed make a new cluster.
    New,
    /// This member joins: it asks the others that are listed who the cluster is.
    Existing,
}

/// See [`Flags::auto_compaction_mode`].
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CompactionMode {
    /// By age.
    Periodic,
    /// In revisions.
    Revision,
}

/// See [`Flags::log_level`].
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LogLevel {
    /// Everything.
    Debug,
    /// What an operator wants to have seen.
    Info,
    /// What may need attention.
    Warn,
    /// What went wrong.
    Error,
    /// As error; there is nothing between.
    Panic,
    /// As error; there is nothing between.
    Fatal,
}

/// See [`Flags::log_format`].
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LogFormat {
    /// For people.
    Console,
    /// For machines.
    Json,
}
