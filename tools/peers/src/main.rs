//! Quorate's total-order protocols and the crates `raft` (tikv), `omnipaxos` and `openraft` in the same
//! loop: three replicas in this process, logs in memory, commands of 256 B, 1, 64 or 1024 of them in
//! flight. How many are ordered and applied by all three in a second, in how much processor time, and with
//! how many allocations each.
//!
//! ```text
//! cargo run --release -- [--quick] [--rounds N] [--only TEXT]
//! ```
//!
//! Rounds alternate: each measures everybody once, so that a busy machine is busy for all of them, and
//! ratios are taken within a round. At the end of each measurement all three replicas must have applied
//! the same commands in the same order.

mod allocator;
mod harness;
mod measure;
mod omni;
mod open;
mod ours;
mod subjects;
mod table;
mod tikv;
mod workload;

use std::process::ExitCode;

use measure::Plan;
use subjects::Subject;

fn main() -> ExitCode {
    let mut plan = Plan::FULL;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let understood = match argument.as_str() {
            "--quick" => {
                plan = Plan {
                    only: plan.only,
                    ..Plan::QUICK
                };
                true
            }
            "--rounds" => arguments
                .next()
                .and_then(|rounds| rounds.parse().ok())
                .filter(|&rounds| rounds > 0)
                .map(|rounds| plan.rounds = rounds)
                .is_some(),
            "--only" => arguments.next().map(|text| plan.only = text).is_some(),
            _ => false,
        };
        if !understood {
            eprintln!("usage: quorate-peers [--quick] [--rounds N] [--only TEXT]");
            return ExitCode::FAILURE;
        }
    }
    let subjects = subjects::all();
    let named = |one: &&Subject| one.name == plan.only;
    let any = |one: &&Subject| one.name.contains(&plan.only);
    let mut chosen: Vec<&Subject> = subjects.iter().filter(named).collect();
    if chosen.is_empty() {
        chosen = subjects.iter().filter(any).collect();
    }
    let measured = measure::all(&chosen, &plan);
    print!("{}", table::markdown(&chosen, &measured));
    ExitCode::SUCCESS
}
