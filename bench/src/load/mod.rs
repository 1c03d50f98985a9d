//! What can be done to a cluster.

mod get;
mod lease;
mod mixed;
mod put;
mod txn;
mod watch;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use quorate_client::{Address, Client, Options};

use crate::Usage;
use crate::flags::{Flags, LeaseOp, Load, Volume};
use crate::pace::Pace;
use crate::progress::Progress;
use crate::report::{Report, cpu_time};
use crate::runner::{Plan, Requests, block_on, start};
use crate::tally::Tally;

/// Clients and connections for filling the store before measuring.
const FILL_CLIENTS: usize = 64;
const FILL_CONNECTIONS: usize = 4;

/// Carries out what the flags say.
pub(crate) fn run(flags: &Flags) -> Result<Report> {
    run_until(flags, &Arc::default())
}

/// The same, and ends early when `stop` becomes true.
pub(crate) fn run_until(flags: &Flags, stop: &Arc<AtomicBool>) -> Result<Report> {
    let mut addresses = Vec::new();
    for endpoint in &flags.endpoints {
        addresses.push(Address::parse(endpoint).map_err(|error| Usage(error.to_string()))?);
    }
    if flags.target_leader {
        addresses = vec![leader(flags)?];
    }
    let plan = |volume: &Volume| Plan {
        addresses: addresses.clone(),
        clients: flags.clients as usize,
        connections: flags.conns as usize,
        threads: flags.threads as usize,
        total: volume.total,
        pace: Pace::new(volume.rate),
        stop: Arc::clone(stop),
    };
    match &flags.load {
        Load::Put(put) => simple(flags, &plan(&put.volume), put::requests(put)?),
        Load::Get(get) => {
            let plan = plan(&get.volume);
            if get.fill {
                fill(&plan, put::filling(get)?)?;
            }
            simple(flags, &plan, get::requests(get)?)
        }
        Load::Mixed(mixed) => simple(flags, &plan(&mixed.volume), mixed::requests(mixed)?),
        Load::Txn(txn) => simple(flags, &plan(&txn.volume), txn::requests(txn)?),
        Load::Lease(lease) => {
            let plan = plan(&lease.volume);
            let requests = match lease.op {
                LeaseOp::Grant => lease::grants(lease),
                LeaseOp::KeepAlive => lease::renewals(flags, lease)?,
            };
            simple(flags, &plan, requests)
        }
        Load::Watch(watch) => {
            let volume = Volume {
                total: watch.put_total,
                rate: watch.put_rate,
            };
            watch::run(flags, watch, &plan(&volume))
        }
    }
}

/// A load whose requests are all alike.
fn simple(flags: &Flags, plan: &Plan, requests: Box<dyn Requests>) -> Result<Report> {
    let cpu = cpu_time();
    let (tally, took) = carry_out("requests", plan, requests)?;
    let mut report = Report::new(flags);
    report.add("requests", &tally, took);
    report.add_cost(cpu_time() - cpu);
    Ok(report)
}

fn carry_out(
    what: &'static str,
    plan: &Plan,
    requests: Box<dyn Requests>,
) -> Result<(Tally, Duration)> {
    let progress = Progress::new(what, plan.total)?;
    start(plan, requests)?.finish(&progress)
}

fn fill(plan: &Plan, (total, requests): (u64, Box<dyn Requests>)) -> Result<()> {
    let plan = Plan {
        clients: FILL_CLIENTS,
        connections: FILL_CONNECTIONS,
        total,
        pace: Pace::new(0),
        ..plan.clone()
    };
    let (tally, _) = carry_out("filling", &plan, requests)?;
    if tally.error_count() > 0 {
        bail!(
            "{} keys could not be filled: {:?}",
            tally.error_count(),
            tally.errors
        );
    }
    Ok(())
}

/// The endpoint that says that it leads.
fn leader(flags: &Flags) -> Result<Address> {
    let client = Client::new(Options::new(flags.endpoints.clone()))?;
    block_on(async {
        for (at, address) in client.endpoints().iter().enumerate() {
            let status = client.status(at).await;
            let status = status.with_context(|| format!("no status from {address}"))?;
            if status
                .header
                .is_some_and(|header| header.member_id == status.leader)
            {
                return Ok(address.clone());
            }
        }
        bail!("none of the endpoints leads: name all members with --endpoints")
    })
}
