//! What the replica below the service adds to `/metrics`.

use std::sync::Arc;

use quorate_etcd::{Metric, MetricKind, MetricSource};
use quorate_runtime::{Metrics, Observer};

use super::slow_disk::Found;

/// The numbers of the log and the peers, read each time that someone asks.
pub(super) fn of_replica(observer: Observer, slow_disk: Arc<Found>) -> MetricSource {
    Arc::new(move || {
        let metrics = observer.metrics();
        let mut shown = of_log(&metrics);
        shown.push(metric(
            "quorate_slow_disk_hand_overs",
            "How often leadership was handed over because the disk stayed slow",
            MetricKind::Counter,
            slow_disk.handed_over(),
        ));
        of_peers(&metrics, &mut shown);
        shown
    })
}

fn metric(name: &'static str, help: &'static str, kind: MetricKind, value: u64) -> Metric {
    Metric {
        name,
        help,
        kind,
        labels: Vec::new(),
        value: value as f64,
    }
}

fn of_log(metrics: &Metrics) -> Vec<Metric> {
    let counter = |name, help, value| metric(name, help, MetricKind::Counter, value);
    vec![
        counter(
            "quorate_log_frames",
            "Frames written to the write-ahead log",
            metrics.log.frames,
        ),
        counter(
            "quorate_log_bytes",
            "Bytes written to the write-ahead log",
            metrics.log.bytes,
        ),
        counter(
            "quorate_log_syncs",
            "Syncs of the write-ahead log",
            metrics.log.syncs,
        ),
        counter(
            "quorate_log_sync_microseconds",
            "Time spent making frames durable",
            metrics.sync_time.sum_us,
        ),
        metric(
            "quorate_log_slow_milliseconds",
            "For how long every sync of the write-ahead log has been slow; 0 if the last one was not",
            MetricKind::Gauge,
            u64::try_from(metrics.disk_slow_for.as_millis()).unwrap_or(u64::MAX),
        ),
        metric(
            "quorate_log_segments",
            "Files of the write-ahead log",
            MetricKind::Gauge,
            metrics.log_segments,
        ),
    ]
}

fn of_peers(metrics: &Metrics, shown: &mut Vec<Metric>) {
    type Read = fn(&quorate_runtime::PeerMetrics) -> u64;
    let numbers: [(&str, &str, MetricKind, Read); 6] = [
        (
            "quorate_peer_connected",
            "Whether mail to the peer has a connection",
            MetricKind::Gauge,
            |peer| u64::from(peer.connected),
        ),
        (
            "quorate_peer_sent_bytes",
            "Bytes of mail sent to the peer",
            MetricKind::Counter,
            |peer| peer.bytes_sent,
        ),
        (
            "quorate_peer_received_bytes",
            "Bytes of mail received from the peer",
            MetricKind::Counter,
            |peer| peer.bytes_received,
        ),
        (
            "quorate_peer_dropped_messages",
            "Messages dropped because the peer's queue was full",
            MetricKind::Counter,
            |peer| peer.messages_dropped,
        ),
        (
            "quorate_peer_sent_attachments",
            "Checkpoints sent to the peer",
            MetricKind::Counter,
            |peer| peer.attachments_sent,
        ),
        (
            "quorate_peer_received_attachments",
            "Checkpoints received from the peer",
            MetricKind::Counter,
            |peer| peer.attachments_received,
        ),
    ];
    for (name, help, kind, read) in numbers {
        for peer in &metrics.peers {
            let mut one = metric(name, help, kind, read(peer));
            one.labels = vec![("peer", peer.peer.to_string())];
            shown.push(one);
        }
    }
}
