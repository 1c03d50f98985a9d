//! The goals, and whether they are met.

use super::results::{Metric, Results};
use super::rows::{Kind, all_rows};
use crate::servers::System;

/// Titles of rows that are no loads.
pub(super) const MEMORY_FILLED: &str = "resident memory after 1 million keys";
pub(super) const MEMORY_PEAK: &str = "resident memory at most while they were put";
pub(super) const RESTART: &str = "restart with 5 million keys to the first answer";
pub(super) const FAILOVER: &str = "kill -9 of the leader to the next acknowledged put";
pub(super) const QUIET: &str = "puts at a steady rate: quiet";
/// Those that the goal for a busy store is about.
pub(super) const BUSY: [&str; 3] = [
    "puts at a steady rate: during compaction",
    "puts at a steady rate: during defragmentation",
    "puts at a steady rate: while a peer gets a snapshot",
];

/// What a value has to be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

impl Bound {
    pub(super) fn holds(self, value: f64) -> bool {
        match self {
            Bound::AtLeast(bound) => value >= bound,
            Bound::AtMost(bound) => value <= bound,
            Bound::Below(bound) => value < bound,
        }
    }

    /// The value beside the bound, and whether it is met.
    pub(super) fn verdict(self, value: f64) -> String {
        let (sign, bound) = match (self, self.holds(value)) {
            (Bound::AtLeast(bound), true) => ("≥", bound),
            (Bound::AtLeast(bound), false) => ("<", bound),
            (Bound::AtMost(bound), true) => ("≤", bound),
            (Bound::AtMost(bound), false) => (">", bound),
            (Bound::Below(bound), true) => ("<", bound),
            (Bound::Below(bound), false) => ("≥", bound),
        };
        let word = if self.holds(value) { "met" } else { "missed" };
        format!("{} {sign} {} {word}", short(value), short(bound))
    }

    /// Which of two values is the further from being met.
    fn worse(self, one: f64, two: f64) -> f64 {
        match self {
            Bound::AtLeast(_) => one.min(two),
            Bound::AtMost(_) | Bound::Below(_) => one.max(two),
        }
    }
}

/// A number that is easy to read: two digits that count, or three.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size == size.trunc() => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

/// A goal: what it says, and how it is checked.
pub(super) struct Goal {
    pub(super) what: &'static str,
    pub(super) goal: &'static str,
    pub(super) bound: Bound,
    metrics: &'static [Metric],
    rows: Rows,
    /// With how many members; any number if `None`.
    members: Option<usize>,
}

/// Which rows a goal is about.
enum Rows {
    Loads(fn(Kind, u32) -> bool),
    Named(&'static [&'static str]),
}

use Bound::{AtLeast, AtMost, Below};

/// The goals against etcd 3.5.1 on the same machine in the same run.
pub(super) const GOALS: &[Goal] = &[
    Goal {
        what: "put and get throughput at 64 clients and above",
        goal: "at least 3 times",
        bound: AtLeast(3.0),
        metrics: &[Metric::PerSecond],
        rows: Rows::Loads(|kind, clients| matches!(kind, Kind::Put | Kind::Get) && clients >= 64),
        members: None,
    },
    Goal {
        what: "put latency of a single client, median and p99, one node",
        goal: "no worse",
        bound: AtMost(1.0),
        metrics: &[Metric::P50, Metric::P99],
        rows: Rows::Loads(|kind, clients| kind == Kind::Put && clients == 1),
        members: Some(1),
    },
    Goal {
        what: "put latency of a single client, median and p99, three nodes",
        goal: "better",
        bound: Below(1.0),
        metrics: &[Metric::P50, Metric::P99],
        rows: Rows::Loads(|kind, clients| kind == Kind::Put && clients == 1),
        members: Some(3),
    },
    Goal {
        what: "p99 at 64 clients and above",
        goal: "at most half",
        bound: AtMost(0.5),
        metrics: &[Metric::P99],
        rows: Rows::Loads(|kind, clients| kind != Kind::Watch && clients >= 64),
        members: None,
    },
    Goal {
        what: "watch fan-out, events delivered per second",
        goal: "at least 5 times",
        bound: AtLeast(5.0),
        metrics: &[Metric::PerSecond],
        rows: Rows::Loads(|kind, _| kind == Kind::Watch),
        members: None,
    },
    Goal {
        what: "CPU per operation, all servers together",
        goal: "at most 1/3",
        bound: AtMost(1.0 / 3.0),
        metrics: &[Metric::Cpu],
        rows: Rows::Loads(|_, _| true),
        members: None,
    },
    Goal {
        what: "resident memory after 1 million keys",
        goal: "at most 1/2",
        bound: AtMost(0.5),
        metrics: &[Metric::Memory],
        rows: Rows::Named(&[MEMORY_FILLED]),
        members: None,
    },
    Goal {
        what: "restart with 5 million keys to first answer",
        goal: "at most 1/5",
        bound: AtMost(0.2),
        metrics: &[Metric::Seconds],
        rows: Rows::Named(&[RESTART]),
        members: None,
    },
    Goal {
        what: "latency while compaction, snapshot to a peer or defragment runs",
        goal: "p99 within 2 times of quiet",
        bound: AtMost(2.0),
        metrics: &[Metric::TimesQuiet],
        rows: Rows::Named(&BUSY),
        members: None,
    },
];

/// What became of a goal.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    /// How many of the values that it is about meet it, and how many there are.
    pub(super) met: usize,
    pub(super) of: usize,
    /// The worst value, and where.
    pub(super) worst: f64,
    pub(super) where_: String,
}

impl Goal {
    fn concerns(&self, row: &str, members: usize) -> bool {
        let right_size = self.members.is_none_or(|wanted| wanted == members);
        right_size
            && match &self.rows {
                Rows::Named(names) => names.contains(&row),
                Rows::Loads(wanted) => {
                    all_rows().any(|(_, load)| load.title == row && wanted(load.kind, load.clients))
                }
            }
    }

    /// The value that the goal is about: most are ratios, and one is Quorate's alone.
    fn value(results: &Results, row: &str, members: usize, metric: Metric) -> Option<f64> {
        match metric {
            Metric::TimesQuiet => results.median(row, members, System::Quorate, metric),
            _ => results.ratio(row, members, metric),
        }
    }

    /// What became of it, if anything was measured that it is about.
    pub(super) fn outcome(&self, results: &Results) -> Option<Outcome> {
        let mut outcome: Option<Outcome> = None;
        for members in results.members() {
            for row in results.rows(members) {
                if !self.concerns(row, members) {
                    continue;
                }
                for &metric in self.metrics {
                    let Some(value) = Goal::value(results, row, members, metric) else {
                        continue;
                    };
                    let nodes = if members == 1 {
                        "1 node".to_owned()
                    } else {
                        format!("{members} nodes")
                    };
                    let outcome = outcome.get_or_insert_with(|| Outcome {
                        met: 0,
                        of: 0,
                        worst: value,
                        where_: format!("{row}, {nodes}"),
                    });
                    outcome.of += 1;
                    outcome.met += usize::from(self.bound.holds(value));
                    if self.bound.worse(outcome.worst, value) != outcome.worst {
                        outcome.worst = value;
                        outcome.where_ = format!("{row}, {nodes}");
                    }
                }
            }
        }
        outcome
    }
}

/// The bound for one value of a table, if there is a goal about it.
pub(super) fn bound(row: &str, members: usize, metric: Metric) -> Option<Bound> {
    let mut goals = GOALS.iter();
    let goal = goals.find(|goal| goal.metrics.contains(&metric) && goal.concerns(row, members))?;
    Some(goal.bound)
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::sample;
    use super::*;

    #[test]
    fn a_verdict_shows_the_value_and_the_goal() {
        assert_eq!(AtLeast(3.0).verdict(3.0), "3 ≥ 3 met");
        assert_eq!(AtLeast(3.0).verdict(1.234), "1.23 < 3 missed");
        assert_eq!(AtMost(0.5).verdict(0.5), "0.50 ≤ 0.50 met");
        assert_eq!(AtMost(1.0 / 3.0).verdict(12.34), "12.3 > 0.33 missed");
        assert_eq!(Below(1.0).verdict(1.0), "1 ≥ 1 missed");
        assert_eq!(Below(1.0).verdict(0.987), "0.99 < 1 met");
    }

    #[test]
    fn goals_are_about_the_rows_that_they_name() {
        let put = "put 256 B, 64 clients";
        assert_eq!(bound(put, 1, Metric::PerSecond), Some(AtLeast(3.0)));
        assert_eq!(bound(put, 3, Metric::P99), Some(AtMost(0.5)));
        assert_eq!(bound("put 256 B, 16 clients", 1, Metric::PerSecond), None);
        let single = "put 256 B, 1 client";
        assert_eq!(bound(single, 1, Metric::P50), Some(AtMost(1.0)));
        assert_eq!(bound(single, 3, Metric::P99), Some(Below(1.0)));
        assert_eq!(bound("lease grant, 64 clients", 1, Metric::PerSecond), None);
        assert_eq!(
            bound("lease grant, 64 clients", 1, Metric::Cpu),
            Some(AtMost(1.0 / 3.0))
        );
        assert_eq!(bound(RESTART, 1, Metric::Seconds), Some(AtMost(0.2)));
        assert_eq!(bound(FAILOVER, 3, Metric::Seconds), None);
    }

    #[test]
    fn every_goal_is_about_something_that_is_measured() {
        for goal in GOALS {
            let members = goal.members.unwrap_or(1);
            let named = match &goal.rows {
                Rows::Named(names) => !names.is_empty(),
                Rows::Loads(_) => all_rows().any(|(_, row)| goal.concerns(row.title, members)),
            };
            assert!(named, "{}", goal.what);
        }
    }

    #[test]
    fn an_outcome_counts_and_names_the_worst() {
        use System::{Etcd, Quorate};
        let samples = vec![
            sample("put 256 B, 64 clients", 1, Etcd, 0, 100.0),
            sample("put 256 B, 64 clients", 1, Quorate, 0, 400.0),
            sample("put 256 B, 256 clients", 3, Etcd, 0, 100.0),
            sample("put 256 B, 256 clients", 3, Quorate, 0, 150.0),
        ];
        let results = Results {
            samples,
            ..Default::default()
        };
        let outcome = GOALS[0].outcome(&results);
        let expected = Outcome {
            met: 1,
            of: 2,
            worst: 1.5,
            where_: "put 256 B, 256 clients, 3 nodes".to_owned(),
        };
        assert_eq!(outcome, Some(expected));
        // Nothing was measured with one client.
        assert_eq!(GOALS[1].outcome(&results), None);
    }
}
