//! The command line.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

/// Measure a cluster, with the options of etcd's benchmark tool.
///
/// Exits with 1 if any request failed.
#[derive(Args, Clone, Debug, Serialize)]
pub struct Flags {
    /// The servers, separated by commas; connections are spread over them.
    #[arg(
        long,
        env = "ETCDCTL_ENDPOINTS",
        default_value = "127.0.0.1:2379",
        value_delimiter = ',',
        global = true,
        value_name = "HOST:PORT"
    )]
    pub(crate) endpoints: Vec<String>,

    /// Use only the endpoint that leads.
    #[arg(long, global = true)]
    pub(crate) target_leader: bool,

    /// How many clients; each has one request under way.
    #[arg(long, default_value_t = 1, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clients: u32,

    /// How many connections the clients share.
    #[arg(long, default_value_t = 1, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) conns: u32,

    /// How many threads of this process generate the load.
    #[arg(long, default_value_t = 1, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) threads: u32,

    /// Print the report as JSON.
    #[arg(long, global = true)]
    #[serde(skip)]
    pub(crate) json: bool,

    #[command(subcommand)]
    #[serde(flatten)]
    pub(crate) load: Load,
}

/// What to do to the cluster.
#[derive(Subcommand, Clone, Debug, Serialize)]
#[serde(tag = "load", rename_all = "lowercase")]
pub(crate) enum Load {
    /// Put values.
    Put(Put),
    /// Get keys, or a range of keys.
    Get(Get),
    /// Run transactions that put, get, or compare and swap.
    Txn(Txn),
    /// Get and put by turns.
    Mixed(Mixed),
    /// Watch keys while putting to them, and see how long events take.
    Watch(Watch),
    /// Grant leases, or keep them alive.
    Lease(Lease),
}

/// How many requests and how fast.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Volume {
    /// How many requests in total.
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) total: u64,

    /// How many requests a second at most, all clients together; 0 for as many as they can.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) rate: u64,
}

/// Which keys.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct KeyFlags {
    /// The size of a key, bytes.
    #[arg(long, default_value_t = 8, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) key_size: u32,

    /// How many different keys there are.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) key_space_size: u64,

    /// Take the keys in order rather than by chance.
    #[arg(long)]
    pub(crate) sequential_keys: bool,
}

/// `put`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Put {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) volume: Volume,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) keys: KeyFlags,

    /// The size of a value, bytes.
    #[arg(long, default_value_t = 8, value_name = "BYTES")]
    pub(crate) val_size: u32,
}

/// `get`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Get {
    /// A fixed key to get, instead of the keys that `put` writes.
    pub(crate) key: Option<String>,

    /// The end of a fixed range.
    pub(crate) range_end: Option<String>,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) volume: Volume,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) keys: KeyFlags,

    /// Read what every server agrees on (l: linearizable), or what the one asked has (s: serializable).
    #[arg(long, value_enum, default_value_t = Consistency::L, value_name = "LEVEL")]
    pub(crate) consistency: Consistency,

    /// Get so many neighbouring keys with each request.
    #[arg(long, default_value_t = 1, value_name = "N", conflicts_with = "key", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) range: u64,

    /// How many keys of a range at most; 0 for all.
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) limit: i64,

    /// Before measuring, put values of --val-size under all keys.
    #[arg(long, conflicts_with = "key")]
    pub(crate) fill: bool,

    /// The size of the values of --fill, bytes.
    #[arg(long, default_value_t = 8, value_name = "BYTES")]
    pub(crate) val_size: u32,
}

/// How fresh a read is.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Consistency {
    /// Linearizable.
    L,
    /// Serializable.
    S,
}

/// `txn`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Txn {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) volume: Volume,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) keys: KeyFlags,

    /// The size of a value, bytes.
    #[arg(long, default_value_t = 8, value_name = "BYTES")]
    pub(crate) val_size: u32,

    /// How many keys a transaction is about; the key space must have as many.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=128))]
    pub(crate) txn_ops: u32,

    /// How many transactions in a hundred only read.
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) reads: u8,

    /// Compare and swap: put only where the keys hold what a load with this --val-size has put, and get them
    /// otherwise.
    #[arg(long, conflicts_with = "reads")]
    pub(crate) compare: bool,
}

/// `mixed`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Mixed {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) volume: Volume,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) keys: KeyFlags,

    /// How many requests in a hundred are gets.
    #[arg(long, default_value_t = 75, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) reads: u8,

    /// What the gets read: what every server agrees on (l: linearizable), or what the one asked has (s).
    #[arg(long, value_enum, default_value_t = Consistency::L, value_name = "LEVEL")]
    pub(crate) consistency: Consistency,

    /// The size of a value, bytes.
    #[arg(long, default_value_t = 8, value_name = "BYTES")]
    pub(crate) val_size: u32,
}

/// `watch`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Watch {
    /// How many watch streams, spread over the connections.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) streams: u32,

    /// How many watchers each stream has.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) watch_per_stream: u32,

    /// How many keys are watched and put to; the watchers are spread over them.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) watched_key_total: u64,

    /// How many puts.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) put_total: u64,

    /// How many puts a second at most; 0 for as many as the clients can.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) put_rate: u64,

    /// The size of a key, bytes.
    #[arg(long, default_value_t = 32, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) key_size: u32,

    /// The size of a value, bytes; its first eight are the time at which it was put.
    #[arg(long, default_value_t = 8, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(8..))]
    pub(crate) val_size: u32,

    /// Watch everything below each key rather than the key alone, and put to keys below it.
    #[arg(long)]
    pub(crate) prefix: bool,

    /// Let each event carry what the key held before.
    #[arg(long)]
    pub(crate) prev_kv: bool,
}

/// `lease`.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Lease {
    /// Grant a lease with each request, or renew one lease for each client.
    #[arg(long, value_enum, default_value_t = LeaseOp::Grant)]
    pub(crate) op: LeaseOp,

    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) volume: Volume,

    /// How long the leases live, in seconds.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) ttl: i64,
}

/// What to do with leases.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LeaseOp {
    /// Grant.
    Grant,
    /// Keep alive.
    KeepAlive,
}
