//! What is done at each point.

use anyhow::{Context, Result};

use super::{Metric, What};
use crate::drive::{bench, measured};
use crate::servers::{Cluster, Setup, System};

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// One in so many requests and keys.
    pub(super) part: u64,
    /// Whether ten million keys are part of it.
    pub(super) huge: bool,
}

/// Measures one thing that grows, and tells each point.
pub(super) fn sweep(
    what: What,
    setup: &Setup,
    system: System,
    size: Size,
    note: impl FnMut(u64, &[(Metric, f64)]),
) -> Result<()> {
    match what {
        What::Keys => keys(setup, system, size, note),
        What::Values => values(setup, system, size, note),
        What::Nodes => nodes(setup, system, size, note),
        What::Watchers => watchers(setup, system, size, note),
    }
}

/// One store that gets more and more keys of 16 B with values of 256 B; puts and gets go to any of them.
fn keys(
    setup: &Setup,
    system: System,
    size: Size,
    mut note: impl FnMut(u64, &[(Metric, f64)]),
) -> Result<()> {
    let cluster = Cluster::start(setup, system, 1)?;
    let mut steps = vec![10_000, 100_000, 1_000_000];
    if size.huge {
        steps.push(10_000_000);
    }
    let requests = 60_000 / size.part;
    for keys in steps.into_iter().map(|keys| keys / size.part) {
        let fill = format!(
            "put --clients 1000 --conns 20 --total {keys} --key-space-size {keys} --sequential-keys --key-size 16 --val-size 256"
        );
        bench(&fill, &cluster).context("putting the keys")?;
        let put = format!(
            "put --clients 64 --conns 8 --total {requests} --key-space-size {keys} --key-size 16 --val-size 256"
        );
        let get = format!(
            "get --clients 64 --conns 8 --total {requests} --key-space-size {keys} --key-size 16"
        );
        let (puts, cpu) = measured(&put, &cluster)?;
        let (gets, _) = measured(&get, &cluster)?;
        note(
            keys,
            &[
                (Metric::Puts, puts.main_part().per_second),
                (Metric::Gets, gets.main_part().per_second),
                (Metric::PutCpu, cpu * 1e6 / requests as f64),
                (Metric::Memory, cluster.usage()?.resident),
            ],
        );
    }
    Ok(())
}

/// Values from 64 B to 1 MiB, a fresh store for each size.
fn values(
    setup: &Setup,
    system: System,
    size: Size,
    mut note: impl FnMut(u64, &[(Metric, f64)]),
) -> Result<()> {
    /// How much is put at most, bytes.
    const BYTES_MAX: u64 = 512 << 20;
    /// How often at most.
    const PUTS_MAX: u64 = 60_000;
    for bytes in [64, 1 << 10, 16 << 10, 128 << 10, 1 << 20] {
        let cluster = Cluster::start(setup, system, 1)?;
        let total = (BYTES_MAX / bytes).min(PUTS_MAX) / size.part;
        let total = total.max(64);
        let put = format!(
            "put --clients 64 --conns 8 --total {total} --key-space-size 1000 --val-size {bytes}"
        );
        let get = format!("get --clients 64 --conns 8 --total {total} --key-space-size 1000");
        let (puts, cpu) = measured(&put, &cluster)?;
        let (gets, _) = measured(&get, &cluster)?;
        let rate = puts.main_part().per_second;
        note(
            bytes,
            &[
                (Metric::Puts, rate),
                (Metric::Gets, gets.main_part().per_second),
                (Metric::PutMib, rate * bytes as f64 / f64::from(1 << 20)),
                (Metric::PutCpu, cpu * 1e6 / total as f64),
                (Metric::Memory, cluster.usage()?.peak),
            ],
        );
    }
    Ok(())
}

/// One to seven nodes.
fn nodes(
    setup: &Setup,
    system: System,
    size: Size,
    mut note: impl FnMut(u64, &[(Metric, f64)]),
) -> Result<()> {
    let requests = 60_000 / size.part;
    for nodes in [1, 3, 5, 7] {
        let cluster = Cluster::start(setup, system, nodes)?;
        let put = format!(
            "put --clients 64 --conns 8 --total {requests} --key-space-size 10000 --val-size 256"
        );
        let get = format!("get --clients 64 --conns 8 --total {requests} --key-space-size 10000");
        let (puts, cpu) = measured(&put, &cluster)?;
        let (gets, _) = measured(&get, &cluster)?;
        note(
            nodes as u64,
            &[
                (Metric::Puts, puts.main_part().per_second),
                (Metric::Gets, gets.main_part().per_second),
                (Metric::PutCpu, cpu * 1e6 / requests as f64),
                (Metric::Memory, cluster.usage()?.resident),
            ],
        );
    }
    Ok(())
}

/// One to ten thousand watchers of one prefix, a hundred on each stream.
fn watchers(
    setup: &Setup,
    system: System,
    size: Size,
    mut note: impl FnMut(u64, &[(Metric, f64)]),
) -> Result<()> {
    /// About how many events there are at each point.
    const EVENTS: u64 = 2_000_000;
    for watchers in [1, 10, 100, 1_000, 10_000] {
        let cluster = Cluster::start(setup, system, 1)?;
        let per_stream = u64::min(watchers, 100);
        let streams = watchers / per_stream;
        let puts = (EVENTS / watchers).clamp(200, 40_000) / size.part;
        let puts = puts.max(20);
        let watch = format!(
            "watch --clients 16 --conns 10 --streams {streams} --watch-per-stream {per_stream} --watched-key-total 1 --prefix --put-total {puts}"
        );
        let (events, _) = measured(&watch, &cluster)?;
        let events = events.main_part();
        note(
            watchers,
            &[
                (Metric::Events, events.per_second),
                (Metric::EventP99, events.latency_ms.p99),
                (Metric::Memory, cluster.usage()?.peak),
            ],
        );
    }
    Ok(())
}
