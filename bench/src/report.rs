//! What the user gets to see.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::flags::{Flags, Load};
use crate::tally::Tally;

/// The outcome of a run.
#[derive(Serialize)]
pub(crate) struct Report {
    /// What was asked for.
    settings: Flags,
    /// The parts of the load, such as the puts and the events of a watch.
    parts: BTreeMap<&'static str, Part>,
    generator: Generator,
}

/// Things of one kind that were done.
#[derive(Serialize)]
pub(crate) struct Part {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    seconds: f64,
    pub(crate) per_second: f64,
    pub(crate) latency_ms: Latency,
    pub(crate) errors: BTreeMap<String, u64>,
}

#[derive(Serialize)]
pub(crate) struct Latency {
    min: f64,
    mean: f64,
    pub(crate) p50: f64,
    p90: f64,
    pub(crate) p99: f64,
    p99_9: f64,
    max: f64,
}

/// What the load generator itself cost.
#[derive(Serialize)]
struct Generator {
    cpu_seconds: f64,
    cpu_us_per_request: f64,
}

impl Report {
    /// A report without parts yet.
    pub(crate) fn new(settings: &Flags) -> Report {
        Report {
            settings: settings.clone(),
            parts: BTreeMap::new(),
            generator: Generator {
                cpu_seconds: 0.0,
                cpu_us_per_request: 0.0,
            },
        }
    }

    pub(crate) fn add(&mut self, name: &'static str, tally: &Tally, took: Duration) {
        let latency = &tally.latency;
        let ms = |micros: u64| micros as f64 / 1000.0;
        let quantile = |share: f64| ms(latency.value_at_quantile(share));
        let part = Part {
            succeeded: latency.len(),
            failed: tally.error_count(),
            seconds: took.as_secs_f64(),
            per_second: latency.len() as f64 / took.as_secs_f64().max(1e-9),
            latency_ms: Latency {
                min: ms(latency.min()),
                mean: latency.mean() / 1000.0,
                p50: quantile(0.5),
                p90: quantile(0.9),
                p99: quantile(0.99),
                p99_9: quantile(0.999),
                max: ms(latency.max()),
            },
            errors: tally.errors.clone(),
        };
        self.parts.insert(name, part);
    }

    /// Notes what the generator cost, of all that was attempted.
    pub(crate) fn add_cost(&mut self, cpu: Duration) {
        self.generator = Generator {
            cpu_seconds: cpu.as_secs_f64(),
            cpu_us_per_request: cpu.as_secs_f64() * 1e6 / self.attempted().max(1) as f64,
        };
    }

    /// What matters most: of a watch the events, otherwise the requests.
    pub(crate) fn main_part(&self) -> &Part {
        let named = |name| self.parts.get(name);
        named("events")
            .or_else(|| named("requests"))
            .expect("every load has one of the two")
    }

    /// What failed, in words.
    pub(crate) fn complaints(&self) -> Option<String> {
        let kinds = self.parts.values().flat_map(|part| &part.errors);
        let kinds: Vec<String> = kinds
            .map(|(kind, times)| format!("{times} times {kind}"))
            .collect();
        (!kinds.is_empty()).then(|| kinds.join(", "))
    }

    /// How much was tried, all parts together.
    pub(crate) fn attempted(&self) -> u64 {
        let parts = self.parts.values();
        parts.map(|part| part.succeeded + part.failed).sum()
    }

    /// How much of it failed.
    pub(crate) fn failed(&self) -> u64 {
        self.parts.values().map(|part| part.failed).sum()
    }

    pub(crate) fn print_json(&self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, self)?;
        writeln!(out)?;
        Ok(())
    }

    pub(crate) fn print_text(&self) -> Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(self.text().as_bytes())?;
        out.flush()?;
        Ok(())
    }

    fn text(&self) -> String {
        let settings = &self.settings;
        let name = match settings.load {
            Load::Put(_) => "put",
            Load::Get(_) => "get",
            Load::Txn(_) => "txn",
            Load::Mixed(_) => "mixed",
            Load::Watch(_) => "watch",
            Load::Lease(_) => "lease",
        };
        let mut text = format!(
            "{name}: {} on {}, {}\n",
            count(settings.clients.into(), "client"),
            count(settings.conns.into(), "connection"),
            settings.endpoints.join(", ")
        );
        for (name, part) in &self.parts {
            text.push_str(&part.text(name));
        }
        text.push_str(&format!(
            "this generator: {:.2} s of processor time, {:.1} µs for each\n",
            self.generator.cpu_seconds, self.generator.cpu_us_per_request
        ));
        text
    }
}

impl Part {
    fn text(&self, name: &str) -> String {
        let latency = &self.latency_ms;
        let mut text = format!(
            "{name}: {} in {:.2} s, {:.0} per second\n",
            self.succeeded, self.seconds, self.per_second
        );
        if self.succeeded > 0 {
            text.push_str("  latency ms");
            for (name, value) in [
                ("min", latency.min),
                ("mean", latency.mean),
                ("p50", latency.p50),
                ("p90", latency.p90),
                ("p99", latency.p99),
                ("p99.9", latency.p99_9),
                ("max", latency.max),
            ] {
                text.push_str(&format!("  {name} {value:.3}"));
            }
            text.push('\n');
        }
        for (kind, times) in &self.errors {
            text.push_str(&format!("  failed {times} times: {kind}\n"));
        }
        text
    }
}

fn count(number: u64, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}

/// The processor time that this process has used.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
