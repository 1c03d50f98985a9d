//! What a search came to, for people and for programs.

use std::fmt::{self, Write as _};
use std::time::Duration;

use quorate_sim::Failure;
use serde_json::{Value, json};

use super::Figures;

/// What a search came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The first seed.
    pub first: u64,
    /// How many seeds were run.
    pub seeds: u64,
    /// All that the seeds without a violation came to.
    pub totals: Figures,
    /// The violations, lowest seed first.
    pub failures: Vec<Failure>,
    /// How long it took.
    pub wall: Duration,
}

impl Report {
    /// The report as one JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let failures = self.failures.iter().map(|failure| {
            json!({
                "seed": failure.seed,
                "reason": failure.reason,
                "script": failure.script,
            })
        });
        json!({
            "first": self.first,
            "seeds": self.seeds,
            "violations": failures.collect::<Vec<_>>(),
            "operations": self.totals.operations,
            "decided": self.totals.decided,
            "steps": self.totals.steps,
            "messages": self.totals.messages,
            "faults": self.totals.faults,
            "simulated_seconds": self.totals.simulated.as_secs_f64(),
            "wall_seconds": self.wall.as_secs_f64(),
        })
    }

    fn per_second(&self, count: u64) -> u64 {
        let rate = count as f64 / self.wall.as_secs_f64().max(1e-9);
        // Rates are rounded for reading.
        rate as u64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "{failure}")?;
        }
        let totals = &self.totals;
        let last = self.first + self.seeds.saturating_sub(1);
        let violations = match self.failures.len() {
            0 => "no promise was broken".to_string(),
            1 => "1 broke a promise".to_string(),
            many => format!("{many} broke a promise"),
        };
        let seeds = grouped(self.seeds);
        writeln!(
            f,
            "seeds       {seeds} ({} to {last}): {violations}",
            self.first
        )?;
        let mut faults = String::new();
        for (kind, count) in totals.faults.iter().filter(|(_, count)| **count > 0) {
            let separator = if faults.is_empty() { "" } else { ", " };
            write!(faults, "{separator}{} {kind}", grouped(*count))?;
        }
        writeln!(f, "faults      {faults}")?;
        writeln!(
            f,
            "work        {} operations, {} decided, {} messages, {} steps",
            grouped(totals.operations),
            grouped(totals.decided),
            grouped(totals.messages),
            grouped(totals.steps)
        )?;
        let (simulated, wall) = (totals.simulated.as_secs_f64(), self.wall.as_secs_f64());
        writeln!(
            f,
            "time        {simulated:.1} s simulated in {wall:.1} s ({:.0} times real time)",
            simulated / wall.max(1e-9)
        )?;
        write!(
            f,
            "speed       {} seeds/s, {} operations/s, {} steps/s",
            self.per_second(self.seeds),
            grouped(self.per_second(totals.operations)),
            grouped(self.per_second(totals.steps))
        )
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 999, 1000, 12_345, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}
