//! What a search hands out when a promise is broken.

use std::fmt;

/// A broken promise, and how to see it again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The seed that found it.
    pub seed: u64,
    /// Which promise, and how it was broken.
    pub reason: String,
    /// A text that replays it, as small as it could be made.
    pub script: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}\n\n{}", self.seed, self.reason, self.script)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// What kind of promise a reason is about: its first words, without numbers. Shrinking must not
    /// end at another bug than it began with.
    #[must_use]
    pub fn kind(reason: &str) -> String {
        let mut parts = reason.split([':', ',', ';']);
        let first = parts.next().unwrap_or_default();
        let more = match first {
            // Behind a panic's name come the replica and the message.
            "panic" => parts.nth(1).unwrap_or_default(),
            _ => "",
        };
        let kind = first.chars().chain(more.chars());
        kind.filter(|c| !c.is_ascii_digit()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_failure_names_no_place() {
        let kind = Failure::kind("agreement: position 3 is x, but n2 delivered y");
        assert_eq!(kind, Failure::kind("agreement: position 7 is y"));
        let kind = Failure::kind("panic: n1: log 7 has a gap: 3");
        assert_eq!(kind, Failure::kind("panic: n3: log 12 has a gap: 4"));
        assert_ne!(kind, Failure::kind("panic: n3: commit went back"));
    }
}
