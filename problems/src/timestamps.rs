//! External consistency of timestamps: what committed before something else began has the earlier
//! timestamp (Corbett et al., "Spanner", 2012).

use alloc::vec::Vec;
use core::fmt;

use crate::history::History;

/// Two operations whose timestamps are the wrong way round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The operation that was over first, by its place in the history, and its timestamp.
    pub earlier: (usize, u64),
    /// The operation that began after that, and its timestamp, which is not later.
    pub later: (usize, u64),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { earlier, later } = self;
        write!(
            f,
            "operation {} committed at {} before operation {} began, which committed at {}",
            earlier.0, earlier.1, later.0, later.1
        )
    }
}

/// Checks the timestamps that answered operations carry, by their places in the history and their
/// outputs; those that carry none are left out.
///
/// # Errors
/// The first operation, in the order of calls, with a timestamp that is not later than all before it.
pub fn check<I, O>(
    history: &History<I, O>,
    timestamp: impl Fn(usize, &O) -> Option<u64>,
) -> Result<(), Violation> {
    let numbered = history.operations().iter().enumerate();
    let stamped = numbered.filter_map(|(at, operation)| {
        let (end, output) = operation.returned.as_ref()?;
        Some((*end, timestamp(at, output)?, at))
    });
    let stamped: Vec<(u64, u64, usize)> = stamped.collect();
    let mut over = stamped.clone();
    over.sort_unstable();
    for at in 1..over.len() {
        if over[at - 1].1 > over[at].1 {
            (over[at].1, over[at].2) = (over[at - 1].1, over[at - 1].2);
        }
    }
    for (_, stamp, at) in stamped {
        let call = history.operations()[at].call;
        let before = over.partition_point(|&(end, ..)| end < call);
        let Some(&(_, newest, which)) = before.checked_sub(1).and_then(|last| over.get(last))
        else {
            continue;
        };
        if newest >= stamp {
            return Err(Violation {
                earlier: (which, newest),
                later: (at, stamp),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Operation;
    use quorate_core::Choice;

    fn history(operations: &[(u64, u64, Option<u64>)]) -> History<(), Option<u64>> {
        let operations = operations
            .iter()
            .zip(0..)
            .map(|(&(call, end, stamp), process)| Operation {
                process,
                call,
                input: (),
                returned: Some((end, stamp)),
            });
        History::from_operations(operations).expect("well-formed")
    }

    fn found(operations: &[(u64, u64, Option<u64>)]) -> Result<(), Violation> {
        check(&history(operations), |_, stamp| *stamp)
    }

    #[test]
    fn concurrent_operations_may_have_any_timestamps() {
        assert_eq!(
            found(&[(0, 5, Some(9)), (5, 8, Some(3)), (9, 10, Some(10))]),
            Ok(())
        );
        assert_eq!(
            found(&[(0, 1, Some(9)), (2, 3, None), (4, 5, Some(10))]),
            Ok(())
        );
    }

    #[test]
    fn a_later_operation_has_a_later_timestamp() {
        for stamp in [3, 7] {
            let violation = Violation {
                earlier: (0, 7),
                later: (2, stamp),
            };
            let operations = [(0, 1, Some(7)), (0, 2, Some(1)), (3, 4, Some(stamp))];
            assert_eq!(found(&operations), Err(violation));
        }
    }

    #[test]
    fn the_sweep_agrees_with_the_definition() {
        let mut choice = Choice::Seeded(3);
        let mut counts = [0; 2];
        for _ in 0..2000 {
            let mut operations = Vec::new();
            for _ in 0..choice.choose(6) {
                let call = u64::from(choice.choose(10));
                let end = call + u64::from(choice.choose(5));
                operations.push((call, end, Some(end + u64::from(choice.choose(4)))));
            }
            let history = history(&operations);
            let all = history.operations();
            let stamp = |at: usize| all[at].output().copied().flatten();
            let is_wrong = (0..all.len()).any(|one| {
                (0..all.len()).any(|two| all[one].precedes(&all[two]) && stamp(one) >= stamp(two))
            });
            assert_eq!(
                check(&history, |_, stamp| *stamp).is_err(),
                is_wrong,
                "{operations:?}"
            );
            counts[usize::from(is_wrong)] += 1;
        }
        assert!(counts.iter().all(|&count| count > 100), "{counts:?}");
    }
}
