//! What was measured.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest latency that is told apart, microseconds: ten minutes.
const LATENCY_MAX_US: u64 = 600_000_000;
/// How many kinds of errors are told apart.
const KINDS_MAX: usize = 20;

/// Latencies and errors of one thread, or of all.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Of what succeeded, microseconds.
    pub(crate) latency: Histogram<u64>,
    pub(crate) errors: BTreeMap<String, u64>,
}

impl Tally {
    pub(crate) fn new() -> Tally {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3);
        Tally {
            latency: latency.expect("the bounds of the histogram are constants that it accepts"),
            errors: BTreeMap::new(),
        }
    }

    pub(crate) fn succeeded(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.latency.saturating_record(micros);
    }

    pub(crate) fn failed(&mut self, kind: String) {
        self.failed_times(kind, 1);
    }

    pub(crate) fn failed_times(&mut self, kind: String, times: u64) {
        let known = self.errors.len() < KINDS_MAX || self.errors.contains_key(&kind);
        let kind = if known { kind } else { "others".to_owned() };
        *self.errors.entry(kind).or_default() += times;
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        self.latency
            .add(&other.latency)
            .expect("all histograms have the same bounds");
        for (kind, &times) in &other.errors {
            self.failed_times(kind.clone(), times);
        }
    }

    pub(crate) fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_of_threads_add_up() {
        let (mut one, mut two) = (Tally::new(), Tally::new());
        one.succeeded(Duration::from_millis(1));
        two.succeeded(Duration::from_millis(3));
        two.succeeded(Duration::from_secs(86_400));
        two.failed("Unavailable".into());
        one.failed("Unavailable".into());
        one.add(&two);
        assert_eq!(one.latency.len(), 3);
        assert_eq!(one.error_count(), 2);
        assert_eq!(one.errors.len(), 1);
        assert!(one.latency.max() >= LATENCY_MAX_US);
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let mut tally = Tally::new();
        for kind in 0..100 {
            tally.failed(kind.to_string());
        }
        assert_eq!(tally.errors.len(), KINDS_MAX + 1);
        assert_eq!(tally.error_count(), 100);
    }
}
