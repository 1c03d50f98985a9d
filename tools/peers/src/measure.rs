//! The measurements: rounds, in each of which everybody has a turn.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::allocator;
use crate::subjects::Subject;
use crate::workload::Commands;

/// How many commands are in flight.
pub const WINDOWS: [u64; 3] = [1, 64, 1024];

/// How much is measured.
pub struct Plan {
    /// How often everybody has a turn.
    pub rounds: usize,
    /// How many commands come before the first that counts.
    pub warm_up: u64,
    /// How long a measurement should take.
    pub turn: Duration,
    /// Only those whose name contains this.
    pub only: String,
}

impl Plan {
    /// What the documentation shows.
    pub const FULL: Plan = Plan {
        rounds: 5,
        warm_up: 50_000,
        turn: Duration::from_millis(300),
        only: String::new(),
    };
    /// Whether it works at all.
    pub const QUICK: Plan = Plan {
        rounds: 1,
        warm_up: 5_000,
        turn: Duration::from_millis(50),
        only: String::new(),
    };
}

/// One measurement.
#[derive(Clone, Copy)]
pub struct Turn {
    /// Commands a second, on the clock.
    pub rate: f64,
    /// Processor time of all threads per command.
    pub cpu_ns: f64,
    /// Allocations per command.
    pub allocations: f64,
}

/// By window, by subject: a turn for each round.
pub type Measured = Vec<Vec<Vec<Turn>>>;

/// Measures everybody.
pub fn all(subjects: &[&Subject], plan: &Plan) -> Measured {
    let commands = Commands::new();
    let progress = std::io::stderr().is_terminal();
    let mut measured = vec![vec![Vec::new(); subjects.len()]; WINDOWS.len()];
    for round in 1..=plan.rounds {
        for (by_subject, window) in measured.iter_mut().zip(WINDOWS) {
            for (turns, subject) in by_subject.iter_mut().zip(subjects) {
                let turn = one(subject, &commands, window, plan);
                if progress {
                    let (rounds, name, rate) = (plan.rounds, &subject.name, turn.rate);
                    eprint!(
                        "\r\x1b[Kround {round} of {rounds}, window {window}: {name} {rate:.0}/s"
                    );
                }
                turns.push(turn);
            }
        }
    }
    let clear = if progress { "\r\x1b[K" } else { "" };
    eprintln!("{clear}{} rounds, all replicas agree", plan.rounds);
    measured
}

fn one(subject: &Subject, commands: &Commands, window: u64, plan: &Plan) -> Turn {
    let mut cluster = (subject.start)();
    cluster.drive(commands, plan.warm_up, window);
    // The second half of the warm-up says how many commands a turn has time for.
    let started = Instant::now();
    cluster.drive(commands, plan.warm_up, window);
    let share = plan.turn.as_secs_f64() / started.elapsed().as_secs_f64();
    let count = (plan.warm_up as f64 * share) as u64 + 1;

    let (started, cpu) = (Instant::now(), processor_time());
    cluster.drive(commands, count, window);
    let (elapsed, cpu) = (started.elapsed(), processor_time() - cpu);

    let allocations = allocator::counted(|| cluster.drive(commands, plan.warm_up, window));
    let states = cluster.states();
    assert_eq!(states, [states[0]; 3], "{}: replicas differ", subject.name);
    assert_eq!(
        states[0].count,
        3 * plan.warm_up + count,
        "{}",
        subject.name
    );
    Turn {
        rate: count as f64 / elapsed.as_secs_f64(),
        cpu_ns: cpu.as_nanos() as f64 / count as f64,
        allocations: allocations as f64 / plan.warm_up as f64,
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
