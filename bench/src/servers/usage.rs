//! What processes use, as `/proc` tells it.

use std::ops::{Add, Sub};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Processor time and memory of one process, or of several together.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time so far, seconds.
    pub(crate) cpu: f64,
    /// Resident now, MiB.
    pub(crate) resident: f64,
    /// Resident at most so far, MiB.
    pub(crate) peak: f64,
}

impl Usage {
    /// Of a process that runs.
    pub(crate) fn of(process: u32) -> Result<Usage> {
        let read = |file: &str| {
            let path = format!("/proc/{process}/{file}");
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let ticks = rustix::param::clock_ticks_per_second();
        Usage::parse(&read("stat")?, &read("status")?, ticks).context("/proc is not as expected")
    }

    fn parse(stat: &str, status: &str, ticks_per_second: u64) -> Option<Usage> {
        // The name of the program stands in parentheses, and may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let mib = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(kib / 1024.0)
        };
        Some(Usage {
            cpu: (ticks(11)? + ticks(12)?) as f64 / ticks_per_second as f64,
            resident: mib("VmRSS:")?,
            peak: mib("VmHWM:")?,
        })
    }
}

impl Add for Usage {
    type Output = Usage;

    fn add(self, other: Usage) -> Usage {
        Usage {
            cpu: self.cpu + other.cpu,
            resident: self.resident + other.resident,
            peak: self.peak + other.peak,
        }
    }
}

impl Sub for Usage {
    type Output = f64;

    /// The processor time between two moments.
    fn sub(self, earlier: Usage) -> f64 {
        self.cpu - earlier.cpu
    }
}

/// An error where there is no `/proc` to ask.
pub(crate) fn refuse_without_proc() -> Result<()> {
    if Path::new("/proc/self/stat").exists() {
        return Ok(());
    }
    bail!("processor time and memory of servers are read from /proc, which only Linux has")
}

/// How many processes wanted a processor during the last minute.
pub(crate) fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_is_read() {
        let stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        let status = "Name:\tx\nVmHWM:\t    4096 kB\nVmRSS:\t 2048 kB\n";
        let usage = Usage::parse(stat, status, 100).expect("it is well formed");
        let expected = Usage {
            cpu: 3.0,
            resident: 2.0,
            peak: 4.0,
        };
        assert_eq!(usage, expected);
        assert_eq!((usage + usage).peak, 8.0);
        assert_eq!(Usage::parse("no", status, 100), None);
        assert_eq!(Usage::parse(stat, "Name: x", 100), None);
    }

    #[test]
    fn we_use_something_ourselves() {
        let usage = Usage::of(std::process::id()).expect("we run, on Linux");
        assert!(usage.resident > 0.0 && usage.peak >= usage.resident);
    }
}
