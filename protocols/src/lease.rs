//! For how long a leader may count on a lease that others gave it (Gray and Cheriton, "Leases", 1989; Ongaro's
//! thesis 2014, 6.4.1): clocks may drift apart meanwhile, and that they drift by no more than so much is all
//! that is assumed of time.

use core::time::Duration;

/// A whole, in millionths.
const WHOLE: u32 = 1_000_000;

/// What a slow clock shows at least when a fast one has just counted the whole lease, if the rate of each
/// differs from the true one by `drift_ppm` millionths at most.
pub(crate) fn counted(lease: Duration, drift_ppm: u32) -> Duration {
    let drift = drift_ppm.min(WHOLE);
    lease * (WHOLE - drift) / (WHOLE + drift)
}

/// What a leader knows of the leases that it has: each round of its heartbeats brings some.
#[derive(Clone, Copy, Default, Hash, Debug)]
pub(crate) struct Leases {
    /// The last round whose leases do not count any more.
    lapsed: u64,
    /// Whether none count any more, for as long as it leads: it told somebody to lead next.
    relinquished: bool,
}

impl Leases {
    /// Those of this round, and of all before, do not count any more.
    pub(crate) fn lapse(&mut self, round: u64) {
        self.lapsed = self.lapsed.max(round);
    }

    /// None count any more.
    pub(crate) fn relinquish(&mut self) {
        self.relinquished = true;
    }

    /// Whether those of some round count, if a quorum has answered `confirmed` and all before.
    pub(crate) fn count(&self, confirmed: u64) -> bool {
        !self.relinquished && confirmed > self.lapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_clock_stops_before_a_fast_one_does() {
        let lease = Duration::from_millis(1000);
        assert_eq!(counted(lease, 0), lease);
        for drift_ppm in [1, 500, 10_000, 500_000] {
            let there = |shown: Duration| shown * WHOLE / (WHOLE - drift_ppm);
            let here = |shown: Duration| shown * WHOLE / (WHOLE + drift_ppm);
            assert!(there(counted(lease, drift_ppm)) <= here(lease) + Duration::from_nanos(2));
        }
        assert_eq!(counted(lease, u32::MAX), Duration::ZERO);
    }
}
