//! `/metrics`: a snapshot of what is known, made when somebody asks, so that keeping it costs nothing.
//!
//! Where something means the same as in etcd it has etcd's name, so that dashboards fit; the rest
//! begins with `quorate_`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use quorate_service::ServiceMetrics;
use tonic::Code;

use super::stats::{BOUNDS_US, METHODS, MethodStats, Stats};
use crate::context::Context;

/// One number to be shown at `/metrics`.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Its name. One that only grows gets `_total` appended.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// What tells it from others of the same name, which must follow it directly.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: f64,
}

/// How a number behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricKind {
    /// It goes up and down.
    Gauge,
    /// It only grows.
    Counter,
}

/// Where more numbers come from. Asked each time that `/metrics` is.
pub type MetricSource = Arc<dyn Fn() -> Vec<Metric> + Send + Sync>;

/// A number without labels that goes up and down.
fn gauge(name: &'static str, help: &'static str, value: u64) -> Metric {
    Metric {
        name,
        help,
        kind: MetricKind::Gauge,
        labels: Vec::new(),
        value: value as f64,
    }
}

/// Everything, as text.
pub(super) fn text(context: &Context, stats: &Arc<Stats>) -> String {
    let mut metrics = of_the_member(context);
    metrics.extend(of_the_service(&context.service().metrics()));
    for source in &context.options().metrics {
        metrics.extend(source());
    }
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Snapshot {
        metrics,
        stats: Arc::clone(stats),
    }));
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => text,
        Err(fmt::Error) => String::new(), // A string takes everything.
    }
}

fn of_the_member(context: &Context) -> Vec<Metric> {
    let service = context.service();
    let status = service.status();
    let view = context.view();
    let me = context.options().member_id;
    let is_leader = status.leader.is_some_and(|leader| leader.0 == me);
    let revision = |revision: i64| u64::try_from(revision).unwrap_or(0);
    let mut metrics = vec![
        gauge(
            "etcd_server_has_leader",
            "Whether a leader is known",
            status.leader.is_some().into(),
        ),
        gauge(
            "etcd_server_is_leader",
            "Whether this member leads",
            is_leader.into(),
        ),
        // Gauges, since the library would append `_total` to a counter's name once more.
        gauge(
            "etcd_server_leader_changes_seen_total",
            "How often another leader was seen",
            status.leader_changes,
        ),
        gauge(
            "etcd_server_proposals_committed_total",
            "The last position known to be decided",
            status.decided,
        ),
        gauge(
            "etcd_server_proposals_applied_total",
            "The last position that was applied",
            status.applied,
        ),
        gauge(
            "etcd_server_proposals_pending",
            "Commands that wait for their answer",
            status.pending,
        ),
        gauge(
            "etcd_debugging_mvcc_current_revision",
            "The store's revision",
            revision(view.revision()),
        ),
        gauge(
            "etcd_debugging_mvcc_compact_revision",
            "The oldest revision that can be read",
            revision(view.compacted()),
        ),
        gauge(
            "quorate_log_repaired_entries",
            "Entries of the write-ahead log that could not be read and were put back since the start",
            status.repaired,
        ),
        gauge(
            "quorate_epoch",
            "The term in which this member is",
            status.epoch,
        ),
        gauge(
            "quorate_leases",
            "Leases that live",
            view.lease_count() as u64,
        ),
    ];
    let quota = service.quota_bytes();
    metrics.push(gauge(
        "etcd_server_quota_backend_bytes",
        "How much the store may hold; 0 if there is no limit",
        quota.unwrap_or(0),
    ));
    metrics.extend(view.health().alarms().iter().map(|alarm| Metric {
        labels: vec![
            ("kind", format!("{:?}", alarm.kind)),
            ("member", format!("{:x}", alarm.member)),
        ],
        ..gauge("quorate_alarm", "Something is wrong with a member", 1)
    }));
    if let Ok(size) = view.size() {
        metrics.push(gauge(
            "etcd_mvcc_db_total_size_in_bytes",
            "Bytes that the store takes on disk",
            size.on_disk,
        ));
        metrics.push(gauge(
            "etcd_mvcc_db_total_size_in_use_in_bytes",
            "Bytes of them that hold something",
            size.in_use,
        ));
    }
    metrics
}

/// A number of the service: its name, what it means, and where it is.
type Number = (&'static str, &'static str, fn(&ServiceMetrics) -> u64);

/// What the service has done and has to do.
fn of_the_service(service: &ServiceMetrics) -> Vec<Metric> {
    const COUNTERS: &[Number] = &[
        ("quorate_writes", "Commands asked for", |m| m.writes),
        (
            "quorate_refused",
            "Commands and reads refused because too much was waiting",
            |m| m.refused,
        ),
        (
            "quorate_timeouts",
            "Commands and reads that were not answered in time",
            |m| m.timeouts,
        ),
        ("quorate_batches", "Batches made", |m| m.batches),
        ("quorate_batch_commands", "Commands in them", |m| {
            m.batch_commands
        }),
        ("quorate_batch_bytes", "Bytes of them", |m| m.batch_bytes),
        ("quorate_broadcast_again", "Batches broadcast again", |m| {
            m.broadcast_again
        }),
        ("quorate_reads", "Linearizable reads asked for", |m| m.reads),
        (
            "quorate_read_rounds",
            "Rounds in which they were confirmed",
            |m| m.read_rounds,
        ),
        ("quorate_ticks", "Ticks of the agreed clock proposed", |m| {
            m.ticks
        }),
        ("quorate_applied_positions", "Positions applied", |m| {
            m.positions
        }),
        (
            "quorate_apply_rounds",
            "Rounds in which they became visible",
            |m| m.apply_rounds,
        ),
        (
            "quorate_duplicates",
            "Batches delivered again, and skipped",
            |m| m.duplicates,
        ),
        ("quorate_revisions", "Revisions made", |m| m.revisions),
        ("quorate_installs", "Checkpoints installed", |m| m.installs),
        ("quorate_watch_items", "Items queued for watches", |m| {
            m.watch.items
        }),
        (
            "quorate_watch_lagged",
            "How often a watch fell behind because its client did not read",
            |m| m.watch.lagged,
        ),
    ];
    const GAUGES: &[Number] = &[
        (
            "quorate_pending_bytes",
            "Bytes of commands that wait",
            |m| m.pending_bytes,
        ),
        ("quorate_readers", "Readers that wait", |m| m.readers),
        (
            "quorate_backlog",
            "Positions delivered and not yet applied",
            |m| m.backlog,
        ),
        ("quorate_backlog_bytes", "Their bytes", |m| m.backlog_bytes),
        (
            "etcd_debugging_mvcc_watch_stream_total",
            "Watch streams",
            |m| m.watch.streams,
        ),
        ("etcd_debugging_mvcc_watcher_total", "Watches", |m| {
            m.watch.watches
        }),
        (
            "etcd_debugging_mvcc_slow_watcher_total",
            "Watches that are being caught up from history",
            |m| m.watch.lagging,
        ),
        (
            "quorate_watch_queued_bytes",
            "Bytes that wait for clients that watch",
            |m| m.watch.queued_bytes,
        ),
    ];
    let counters = COUNTERS.iter().map(|(name, help, read)| Metric {
        kind: MetricKind::Counter,
        ..gauge(name, help, read(service))
    });
    let gauges = GAUGES
        .iter()
        .map(|(name, help, read)| gauge(name, help, read(service)));
    counters.chain(gauges).collect()
}

/// What is shown once.
struct Snapshot {
    metrics: Vec<Metric>,
    stats: Arc<Stats>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in self.metrics.chunk_by(|a, b| a.name == b.name) {
            encode_family(family, &mut encoder)?;
        }
        encode_handled(&self.stats, &mut encoder)?;
        encode_durations(&self.stats, &mut encoder)
    }
}

/// Numbers of one name.
fn encode_family(family: &[Metric], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let Some(first) = family.first() else {
        return Ok(());
    };
    let kind = match first.kind {
        MetricKind::Gauge => MetricType::Gauge,
        MetricKind::Counter => MetricType::Counter,
    };
    let mut encoder = encoder.encode_descriptor(first.name, first.help, None, kind)?;
    for metric in family {
        if metric.labels.is_empty() {
            encode_value(metric, &mut encoder)?;
        } else {
            encode_value(metric, &mut encoder.encode_family(&metric.labels)?)?;
        }
    }
    Ok(())
}

/// Whole numbers are written without a fraction: people search for `etcd_server_has_leader 1`.
fn encode_value(metric: &Metric, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
    /// From here on a floating-point number does not tell neighbouring whole numbers apart.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let value = metric.value;
    let is_whole = value.fract() == 0.0 && (0.0..EXACT_MAX).contains(&value);
    match (metric.kind, is_whole) {
        (MetricKind::Gauge, true) => encoder.encode_gauge(&(value as i64)),
        (MetricKind::Gauge, false) => encoder.encode_gauge(&value),
        (MetricKind::Counter, true) => {
            encoder.encode_counter::<NoLabelSet, _, f64>(&(value as u64), None)
        }
        (MetricKind::Counter, false) => encoder.encode_counter::<NoLabelSet, _, f64>(&value, None),
    }
}

/// `grpc_server_handled_total`, by method and code.
fn encode_handled(stats: &Stats, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Calls that were answered";
    let kind = MetricType::Counter;
    let mut encoder = encoder.encode_descriptor("grpc_server_handled", help, None, kind)?;
    each_method(stats, |method, labels| {
        for (code, count) in method.codes.iter().enumerate() {
            let count = count.load(Relaxed);
            if count > 0 {
                let code = Code::from_i32(i32::try_from(code).unwrap_or(i32::MAX));
                let mut labels = labels.clone();
                labels.push(("grpc_code", format!("{code:?}")));
                let mut encoder = encoder.encode_family(&labels)?;
                encoder.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
            }
        }
        Ok(())
    })
}

/// `quorate_request_duration_seconds`, by method.
fn encode_durations(stats: &Stats, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let name = "quorate_request_duration_seconds";
    let help = "How long calls took, until their answer began";
    let kind = MetricType::Histogram;
    let mut encoder = encoder.encode_descriptor(name, help, None, kind)?;
    each_method(stats, |method, labels| {
        let bounds = BOUNDS_US.iter().map(|&bound| bound as f64 / 1e6);
        let counts = method.buckets.iter().map(|count| count.load(Relaxed));
        // The library writes the largest number as infinity.
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::MAX]).zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = method.sum_us.load(Relaxed) as f64 / 1e6;
        let mut encoder = encoder.encode_family(labels)?;
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    })
}

type Labels = Vec<(&'static str, String)>;

/// Visits every method that was called.
fn each_method(
    stats: &Stats,
    mut visit: impl FnMut(&MethodStats, &Labels) -> fmt::Result,
) -> fmt::Result {
    for (method, (service, name)) in stats.methods.iter().zip(METHODS) {
        let was_called = method.codes.iter().any(|count| count.load(Relaxed) > 0);
        if was_called {
            let labels = vec![
                ("grpc_service", (*service).to_owned()),
                ("grpc_method", (*name).to_owned()),
            ];
            visit(method, &labels)?;
        }
    }
    Ok(())
}
