//! What was measured: samples, their medians and their ratios.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::servers::System;

/// What is told of a row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Metric {
    /// Operations a second.
    PerSecond,
    /// The median of the latency, milliseconds.
    P50,
    /// Its 99th percentile, milliseconds.
    P99,
    /// Processor time of all servers together, seconds for a thousand operations.
    Cpu,
    /// Resident memory of all servers together, MiB.
    Memory,
    /// A time, seconds.
    Seconds,
    /// How many times the quiet p99.
    TimesQuiet,
}

/// One measurement.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) row: String,
    pub(super) members: usize,
    pub(super) system: System,
    pub(super) round: u32,
    pub(super) values: BTreeMap<Metric, f64>,
    /// The day, and how busy the machine was: the load average when the measurement ended.
    pub(super) day: String,
    pub(super) load: f64,
}

/// All measurements, of this run and of those before it that are kept.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Results {
    /// What was run, and on what machine.
    pub(super) about: Vec<String>,
    /// The disk's own latency.
    pub(super) disk: Vec<(String, f64, f64)>,
    pub(super) samples: Vec<Sample>,
}

impl Results {
    /// Those of a file, if it exists.
    pub(super) fn read(path: &Path) -> Result<Results> {
        if !path.exists() {
            return Ok(Results::default());
        }
        let text = std::fs::read_to_string(path)?;
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} does not hold what an earlier --keep wrote",
                path.display()
            )
        })
    }

    /// Writes them to a file, whole or not at all.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        let beside = path.with_extension("new");
        std::fs::write(&beside, text)
            .and_then(|()| std::fs::rename(&beside, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Puts these over what is there: rows that were measured anew replace their old samples.
    pub(super) fn put_over(self, mut old: Results) -> Results {
        old.samples.retain(|was| {
            let anew = |new: &Sample| {
                (&new.row, new.members, new.system) == (&was.row, was.members, was.system)
            };
            !self.samples.iter().any(anew)
        });
        old.samples.extend(self.samples);
        Results {
            about: self.about,
            disk: self.disk,
            samples: old.samples,
        }
    }

    /// The values of a metric, by round.
    fn values(
        &self,
        row: &str,
        members: usize,
        system: System,
        metric: Metric,
    ) -> BTreeMap<u32, f64> {
        let wanted = self.samples.iter().filter(|sample| {
            (sample.row.as_str(), sample.members, sample.system) == (row, members, system)
        });
        wanted
            .filter_map(|sample| Some((sample.round, *sample.values.get(&metric)?)))
            .collect()
    }

    /// The median of all rounds.
    pub(super) fn median(
        &self,
        row: &str,
        members: usize,
        system: System,
        metric: Metric,
    ) -> Option<f64> {
        median(self.values(row, members, system, metric).into_values())
    }

    /// How many times etcd's value Quorate's is: taken within each round, since what disturbs a shared
    /// machine disturbs both, and of these the median.
    pub(super) fn ratio(&self, row: &str, members: usize, metric: Metric) -> Option<f64> {
        let etcd = self.values(row, members, System::Etcd, metric);
        let ours = self.values(row, members, System::Quorate, metric);
        let within = ours.iter().filter_map(|(round, ours)| {
            let etcd = etcd.get(round).filter(|&&etcd| etcd > 0.0)?;
            Some(ours / etcd)
        });
        median(within)
    }

    /// Every row that has a sample, in the order of the first.
    pub(super) fn rows(&self, members: usize) -> Vec<&str> {
        let mut rows: Vec<&str> = Vec::new();
        for sample in self
            .samples
            .iter()
            .filter(|sample| sample.members == members)
        {
            if !rows.contains(&sample.row.as_str()) {
                rows.push(&sample.row);
            }
        }
        rows
    }

    /// How many members clusters had.
    pub(super) fn members(&self) -> Vec<usize> {
        let mut members: Vec<usize> = self.samples.iter().map(|sample| sample.members).collect();
        members.sort_unstable();
        members.dedup();
        members
    }

    /// The days of the samples, and the least and the most load there was.
    pub(super) fn conditions(&self) -> Option<(String, String, f64, f64)> {
        let days = || self.samples.iter().map(|sample| sample.day.clone());
        let loads = || self.samples.iter().map(|sample| sample.load);
        Some((
            days().min()?,
            days().max()?,
            loads().fold(f64::INFINITY, f64::min),
            loads().fold(0.0, f64::max),
        ))
    }
}

/// The middle one, or the mean of the middle two.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        even if even % 2 == 0 => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn sample(
        row: &str,
        members: usize,
        system: System,
        round: u32,
        value: f64,
    ) -> Sample {
        Sample {
            row: row.to_owned(),
            members,
            system,
            round,
            values: [
                (Metric::PerSecond, value),
                (Metric::P50, 1.0 / value),
                (Metric::P99, 10.0 / value),
                (Metric::Cpu, 2.0 / value),
            ]
            .into(),
            day: "1 January 2026".to_owned(),
            load: 1.0,
        }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0]), Some(3.0));
        assert_eq!(median([9.0, 1.0]), Some(5.0));
        assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        use System::{Etcd, Quorate};
        // The second round is disturbed throughout, which no ratio shows.
        let samples = vec![
            sample("put", 1, Etcd, 0, 100.0),
            sample("put", 1, Quorate, 0, 300.0),
            sample("put", 1, Etcd, 1, 10.0),
            sample("put", 1, Quorate, 1, 30.0),
            sample("put", 1, Quorate, 2, 900.0),
            sample("put", 3, Quorate, 0, 1.0),
        ];
        let results = Results {
            samples,
            ..Default::default()
        };
        assert_eq!(results.ratio("put", 1, Metric::PerSecond), Some(3.0));
        assert_eq!(
            results.median("put", 1, Etcd, Metric::PerSecond),
            Some(55.0)
        );
        assert_eq!(
            results.median("put", 1, Quorate, Metric::PerSecond),
            Some(300.0)
        );
        assert_eq!(results.ratio("put", 3, Metric::PerSecond), None);
        assert_eq!(results.ratio("put", 1, Metric::Seconds), None);
        assert_eq!(
            (results.members(), results.rows(3)),
            (vec![1, 3], vec!["put"])
        );
    }

    #[test]
    fn what_is_measured_anew_replaces_what_was_kept() {
        use System::Quorate;
        let kept = |samples| Results {
            samples,
            ..Default::default()
        };
        let old = kept(vec![
            sample("put", 1, Quorate, 0, 1.0),
            sample("put", 1, Quorate, 1, 1.0),
            sample("get", 1, Quorate, 0, 1.0),
        ]);
        let new = kept(vec![sample("put", 1, Quorate, 0, 5.0)]);
        let all = new.put_over(old);
        assert_eq!(all.samples.len(), 2);
        assert_eq!(all.median("put", 1, Quorate, Metric::PerSecond), Some(5.0));
        assert_eq!(all.median("get", 1, Quorate, Metric::PerSecond), Some(1.0));
    }
}
