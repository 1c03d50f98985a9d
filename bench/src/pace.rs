//! When requests are due.

use std::time::Duration;

/// A steady rate, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Requests a second; 0 for no limit.
    rate: u64,
}

impl Pace {
    pub(crate) fn new(rate: u64) -> Pace {
        Pace { rate }
    }

    /// When the request with this index is due, from the beginning of the run; `None` if at once.
    pub(crate) fn due(self, index: u64) -> Option<Duration> {
        if self.rate == 0 {
            return None;
        }
        let nanos = u128::from(index) * 1_000_000_000 / u128::from(self.rate);
        Some(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_even_distances() {
        assert_eq!(Pace::new(0).due(9), None);
        assert_eq!(Pace::new(1000).due(0), Some(Duration::ZERO));
        assert_eq!(Pace::new(1000).due(2500), Some(Duration::from_millis(2500)));
        assert_eq!(Pace::new(3).due(1), Some(Duration::from_nanos(333_333_333)));
        assert!(Pace::new(1).due(u64::MAX).is_some());
    }
}
