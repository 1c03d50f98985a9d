//! The same models under this project's checker and under the stateright crate: the same states, one to
//! one, and the same steps. Registers are actors here, and whole states under stateright and where this
//! project's checker gets no help.
//!
//! ```text
//! cargo run --release -- [REPETITIONS]        the whole table, in Markdown
//! cargo run --release -- one ENGINE MODEL THREADS ORDER
//! ```
//!
//! Each measurement is a process of its own, so that the most memory it ever had is its own, and the
//! two engines take turns. Of the repetitions the least counts: what else runs on the machine can only
//! make one slower. Processor time is given beside the time on the clock, since it suffers less from
//! neighbours.

#[path = "../../../check/tests/models/abd.rs"]
mod abd;
mod engines;
#[path = "../../../check/tests/models/paxos.rs"]
mod paxos;
#[path = "../../../check/tests/models/register.rs"]
mod register;
mod table;
#[path = "../../../check/tests/models/two_phase.rs"]
mod two_phase;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [] => table::print(3),
        ["one", engine, model, threads, order] => engines::one(engine, model, threads, order),
        [repetitions] => repetitions
            .parse()
            .map_err(|_| format!("not a number: {repetitions}"))
            .and_then(table::print),
        _ => Err(
            "expected nothing, a number of repetitions, or `one ENGINE MODEL THREADS ORDER`".into(),
        ),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}
