//! On what and of what the numbers are.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a reader has to know: the programs, the machine, and how often.
pub(super) fn about(rounds: u32, quick: bool, etcd: Option<&str>, quorate: &str) -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field(&read("/proc/cpuinfo"), "model name")
        .unwrap_or("unknown")
        .to_owned();
    let memory = field(&read("/proc/meminfo"), "MemTotal")
        .unwrap_or("0")
        .to_owned();
    let memory: f64 = memory
        .split(' ')
        .next()
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0.0);
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let programs = match etcd {
        Some(etcd) => format!("etcd {etcd} and Quorate {quorate}"),
        None => format!("Quorate {quorate} alone, without etcd"),
    };
    let how = match (quick, rounds) {
        (true, _) => "one quick round, which says little".to_owned(),
        (false, 1) => "one round".to_owned(),
        (false, rounds) => format!("the median of {rounds} rounds"),
    };
    vec![
        programs,
        how,
        format!("{processors} processors of {model}, which load and servers share"),
        format!(
            "{:.0} GiB of memory, Linux {kernel}",
            memory / f64::from(1 << 20)
        ),
    ]
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

/// The commit of the folder that we run in, if it is one of git's.
pub(super) fn commit() -> String {
    let output = Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .output();
    let output = output.ok().filter(|output| output.status.success());
    let commit = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    commit.map_or_else(String::new, |commit| format!(" ({commit})"))
}

/// The day, as `2026-11-22`, in UTC.
pub(super) fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let days = since.map_or(0, |since| since.as_secs() / 86_400);
    day(days)
}

/// The date so many days after 1 January 1970.
fn day(mut days: u64) -> String {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(11_016), "2000-02-29");
        assert_eq!(day(19_722), "2023-12-31");
        assert_eq!(day(19_723), "2024-01-01");
        assert_eq!(day(20_779), "2026-11-22");
    }

    #[test]
    fn fields_are_found_by_name() {
        let text = "processor\t: 0\nmodel name\t: A B 7\nmodel name\t: C\n";
        assert_eq!(field(text, "model name"), Some("A B 7"));
        assert_eq!(field(text, "cache"), None);
    }

    #[test]
    fn without_etcd_it_is_said() {
        let alone = about(3, false, None, "0.1.0").join("; ");
        assert!(
            alone.contains("alone") && alone.contains("median of 3 rounds"),
            "{alone}"
        );
        let both = about(1, true, Some("3.5.1"), "0.1.0").join("; ");
        assert!(
            both.contains("etcd 3.5.1 and Quorate 0.1.0") && both.contains("quick"),
            "{both}"
        );
    }
}
