//! How long the linearizability checker takes: `cargo run --release -p quorate-problems --example
//! linearizable`. Each line is one history of a store that works, and the same with one wrong answer.

use std::io::Write;
use std::time::Instant;

use quorate_problems::key_value::{self, Shape, invent, spoil};
use quorate_problems::linearizable::{CONFIGURATIONS_MAX, Verdict};

fn main() {
    let only = std::env::args().nth(1);
    for (name, shape) in shapes() {
        if only
            .as_ref()
            .is_some_and(|only| !name.contains(only.as_str()))
        {
            continue;
        }
        let right = invent(&shape, 1);
        let began = Instant::now();
        let verdict = key_value::check(&right, CONFIGURATIONS_MAX);
        let took_right = began.elapsed();
        let right_is = say(&verdict);
        print!(
            "{name:50} {:>8.3} s {right_is:12}",
            took_right.as_secs_f64()
        );
        let _ = std::io::stdout().flush();
        let spoiled = spoil(&right, 1);
        let began = Instant::now();
        let verdict = key_value::check(&spoiled, CONFIGURATIONS_MAX);
        let took_spoiled = began.elapsed();
        println!(" {:>6.2} s {}", took_spoiled.as_secs_f64(), say(&verdict));
    }
}

fn say(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Linearizable(_) => "linearizable".to_owned(),
        Verdict::Violated(witness) => format!(
            "violated by {}+{}{}",
            witness.conflict.len(),
            witness.context.len(),
            if witness.is_minimal {
                ""
            } else {
                ", not minimal"
            }
        ),
        Verdict::GaveUp { configurations } => format!("gave up after {configurations}"),
    }
}

fn shapes() -> Vec<(&'static str, Shape)> {
    let base = Shape {
        operations: 100_000,
        processes: 10,
        keys: 1000,
        gets: 50,
        transactions: 0,
        lost: 0,
        values: None,
    };
    vec![
        ("1000 keys, 10 clients", base),
        (
            "1000 keys, 100 clients",
            Shape {
                processes: 100,
                ..base
            },
        ),
        ("1000 keys, 10 clients, 5% lost", Shape { lost: 50, ..base }),
        ("10 keys, 10 clients", Shape { keys: 10, ..base }),
        (
            "10 keys, 10 clients, 5% lost",
            Shape {
                keys: 10,
                lost: 50,
                ..base
            },
        ),
        (
            "10 keys, 100 clients",
            Shape {
                keys: 10,
                processes: 100,
                ..base
            },
        ),
        ("1 key, 10 clients", Shape { keys: 1, ..base }),
        (
            "1 key, 10 clients, 5% lost",
            Shape {
                keys: 1,
                lost: 50,
                ..base
            },
        ),
        (
            "1 key, 10 clients, 5 values",
            Shape {
                keys: 1,
                values: Some(5),
                ..base
            },
        ),
        (
            "8 keys, 10 clients, 10% transactions",
            Shape {
                keys: 8,
                transactions: 10,
                ..base
            },
        ),
        (
            "8 keys, 10 clients, 10% transactions, 5% lost",
            Shape {
                keys: 8,
                transactions: 10,
                lost: 50,
                ..base
            },
        ),
        (
            "100 keys, 10 clients, 10% transactions",
            Shape {
                keys: 100,
                transactions: 10,
                ..base
            },
        ),
        (
            "100 keys, 10 clients, 10% transactions, 1% lost",
            Shape {
                keys: 100,
                transactions: 10,
                lost: 10,
                ..base
            },
        ),
        (
            "1000 keys, 50 clients, 10% transactions",
            Shape {
                keys: 1000,
                processes: 50,
                transactions: 10,
                ..base
            },
        ),
    ]
}
