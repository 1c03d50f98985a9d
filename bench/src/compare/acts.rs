//! Rows that are more than a load: memory, a death, a restart, and a store that is busy with itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::goals::{BUSY, FAILOVER, MEMORY_FILLED, MEMORY_PEAK, QUIET, RESTART};
use super::results::{Metric, median};
use super::run::{Runner, Turn};
use crate::drive::{bench, flags_of};
use crate::load;
use crate::servers::{Admin, Cluster, time_to_put};

/// How long a server is left alone before its memory is read, so that it can give back what it does not
/// need.
const REST: Duration = Duration::from_secs(10);
/// How often the leader is killed in a round.
const DEATHS: usize = 3;
/// How long to wait for a put after that.
const FAILOVER_PATIENCE: Duration = Duration::from_secs(60);
/// How long a load lasts that something goes on beside, at least.
const BESIDE_MIN: Duration = Duration::from_secs(2);
/// How long the quiet load lasts.
const QUIET_FOR: Duration = Duration::from_secs(8);
/// How often to look whether a member has caught up.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Puts so many keys, one after the other.
fn fill(keys: u64, cluster: &Cluster) -> Result<()> {
    let line = format!(
        "put --clients 1000 --conns 20 --total {keys} --key-space-size {keys} --sequential-keys --key-size 16 --val-size 256"
    );
    bench(&line, cluster).context("putting the keys")?;
    Ok(())
}

pub(super) fn memory(runner: &mut Runner, turn: Turn, cluster: &Cluster, keys: u64) -> Result<()> {
    fill(keys, cluster)?;
    std::thread::sleep(REST);
    let usage = cluster.usage()?;
    runner.add(turn, MEMORY_FILLED, &[(Metric::Memory, usage.resident)]);
    runner.add(turn, MEMORY_PEAK, &[(Metric::Memory, usage.peak)]);
    Ok(())
}

pub(super) fn failover(runner: &mut Runner, turn: Turn, cluster: &mut Cluster) -> Result<()> {
    fill(1000, cluster)?;
    let mut times = Vec::new();
    for _ in 0..DEATHS {
        let leader = cluster.leader()?;
        let others = cluster.running().into_iter().filter(|&at| at != leader);
        let others: Vec<String> = others.map(|at| cluster.address(at).to_owned()).collect();
        cluster.kill(leader);
        times.push(time_to_put(&others, FAILOVER_PATIENCE)?.as_secs_f64());
        cluster.restart(leader)?;
        cluster.wait_until_serving(leader)?;
    }
    let time = median(times).context("there was a death")?;
    runner.add(turn, FAILOVER, &[(Metric::Seconds, time)]);
    Ok(())
}

pub(super) fn restart(
    runner: &mut Runner,
    turn: Turn,
    cluster: &mut Cluster,
    keys: u64,
) -> Result<()> {
    fill(keys, cluster)?;
    for at in 0..cluster.members() {
        cluster.kill(at);
    }
    let began = Instant::now();
    for at in 0..cluster.members() {
        cluster.restart(at)?;
    }
    cluster.wait_until_serving(0)?;
    let time = began.elapsed().as_secs_f64();
    runner.add(turn, RESTART, &[(Metric::Seconds, time)]);
    Ok(())
}

/// Puts at a steady rate that leaves the machine room, once quiet and then beside what a store does for
/// itself. A put that is late counts from when it was due.
pub(super) fn busy(
    runner: &mut Runner,
    turn: Turn,
    cluster: &mut Cluster,
    part: u64,
) -> Result<()> {
    let keys = 200_000 / part;
    for _ in 0..3 {
        fill(keys, cluster)?;
    }
    let quiet = beside(cluster.endpoints()?, keys, |_| {
        std::thread::sleep(QUIET_FOR);
        Ok(())
    })?;
    runner.add(turn, QUIET, &[(Metric::P99, quiet)]);
    let leader = cluster.address(cluster.leader()?).to_owned();
    let [compacting, defragmenting, catching_up] = BUSY;
    let p99 = beside(cluster.endpoints()?, keys, |_| {
        Admin::new(&leader).compact()
    })?;
    add_busy(runner, turn, compacting, p99, quiet);
    let all: Vec<String> = (0..cluster.members())
        .map(|at| cluster.address(at).to_owned())
        .collect();
    let p99 = beside(cluster.endpoints()?, keys, |_| {
        all.iter()
            .try_for_each(|address| Admin::new(address).defragment())
    })?;
    add_busy(runner, turn, defragmenting, p99, quiet);
    if cluster.members() >= 3 {
        let p99 = beside_a_snapshot(cluster, keys, part)?;
        add_busy(runner, turn, catching_up, p99, quiet);
    }
    Ok(())
}

fn add_busy(runner: &mut Runner, turn: Turn, row: &str, p99: f64, quiet: f64) {
    runner.add(
        turn,
        row,
        &[(Metric::P99, p99), (Metric::TimesQuiet, p99 / quiet)],
    );
}

/// A follower dies, misses more than the others keep in their logs, and comes back.
fn beside_a_snapshot(cluster: &mut Cluster, keys: u64, part: u64) -> Result<f64> {
    let leader = cluster.leader()?;
    let mut others = cluster.running().into_iter().filter(|&at| at != leader);
    let follower = others.next().context("there are three members")?;
    cluster.kill(follower);
    // More entries than etcd's snapshot-count and what it keeps beyond, and more bytes than our log keeps.
    let missed = 250_000 / part;
    let line = format!(
        "put --clients 256 --conns 16 --total {missed} --key-space-size {keys} --key-size 16 --val-size 1024"
    );
    bench(&line, cluster).context("putting what a member misses")?;
    let endpoints = cluster.endpoints()?;
    let target = Admin::new(cluster.address(leader)).revision()?;
    let address = cluster.address(follower).to_owned();
    beside(endpoints, keys, |done| {
        cluster.restart(follower)?;
        let admin = Admin::new(&address);
        while !done() && admin.revision().unwrap_or(0) < target {
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    })
}

/// The p99 of puts at a steady rate while something is done, in milliseconds. What is done may ask
/// whether the puts have come to their end.
fn beside(
    endpoints: Vec<String>,
    keys: u64,
    act: impl FnOnce(&dyn Fn() -> bool) -> Result<()>,
) -> Result<f64> {
    // Two minutes at most.
    let line = format!(
        "put --clients 64 --conns 8 --rate 1000 --total 120000 --key-space-size {keys} --key-size 16 --val-size 256"
    );
    let flags = flags_of(&line, &endpoints)?;
    let stop = Arc::new(AtomicBool::new(false));
    let load = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || load::run_until(&flags, &stop)
    });
    let began = Instant::now();
    let outcome = act(&|| load.is_finished());
    std::thread::sleep(BESIDE_MIN.saturating_sub(began.elapsed()));
    stop.store(true, Ordering::Relaxed);
    let report = load.join().map_err(|_| anyhow!("a thread panicked"))??;
    outcome?;
    match report.complaints() {
        Some(complaints) => Err(anyhow!("puts failed: {complaints}")),
        None => Ok(report.main_part().latency_ms.p99),
    }
}
