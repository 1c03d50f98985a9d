//! Durations as etcd's tools write them: `2s`, `500ms`, `1m30s`.

use std::time::Duration;

/// The units, and how many nanoseconds each has.
const UNITS: [(&str, f64); 7] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// Reads a duration; for clap.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!("{text:?} is no duration: write a number with a unit, such as 2s, 500ms or 1m30s")
    };
    let mut rest = text;
    let mut nanos = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        let letters = rest[digits..]
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .map_or(rest.len(), |at| at + digits);
        let unit = &rest[digits..letters];
        let (_, factor) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(wrong)?;
        nanos += number * factor;
        rest = &rest[letters..];
    }
    if text.is_empty() || nanos > 1e18 {
        return Err(wrong());
    }
    Ok(Duration::from_nanos(nanos as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units() {
        for (text, millis) in [
            ("2s", 2000),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1.5s", 1500),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "5parsec",
            "1.2.3s",
            "1e3s",
            "99999999999h",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
