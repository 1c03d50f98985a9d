//! Which keys a command is about.

use std::ffi::OsString;

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use quorate_client::{FROM_KEY, prefix_end};

use super::bytes;
use crate::failure::usage;

/// The key and the end of the range, as etcdctl takes them.
#[derive(Args, Clone, Debug)]
pub(crate) struct RangeFlags {
    /// The key, or the first key of the range.
    key: OsString,

    /// The end of the range, which is not in it.
    range_end: Option<OsString>,

    /// All keys that begin with this key.
    #[arg(long)]
    prefix: bool,

    /// All keys from this one on.
    #[arg(long)]
    from_key: bool,
}

impl RangeFlags {
    /// `key` and `range_end` as the API takes them.
    pub(crate) fn resolve(self) -> Result<(Bytes, Bytes)> {
        if self.prefix && self.from_key {
            return usage("--prefix and --from-key exclude each other: choose one");
        }
        if (self.prefix || self.from_key) && self.range_end.is_some() {
            return usage(
                "with --prefix or --from-key there is one argument only: drop the range end",
            );
        }
        let key = bytes(self.key);
        if key.is_empty() && (self.prefix || self.from_key) {
            let all = Bytes::from_static(FROM_KEY);
            return Ok((all.clone(), all));
        }
        let end = if self.prefix {
            prefix_end(&key).into()
        } else if self.from_key {
            Bytes::from_static(FROM_KEY)
        } else {
            self.range_end.map(bytes).unwrap_or_default()
        };
        Ok((key, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(key: &str, range_end: Option<&str>, prefix: bool, from_key: bool) -> RangeFlags {
        RangeFlags {
            key: key.into(),
            range_end: range_end.map(Into::into),
            prefix,
            from_key,
        }
    }

    fn resolve(flags: RangeFlags) -> (Vec<u8>, Vec<u8>) {
        let (key, end) = flags.resolve().expect("a valid range");
        (key.to_vec(), end.to_vec())
    }

    fn pair(key: &str, end: &str) -> (Vec<u8>, Vec<u8>) {
        (key.into(), end.into())
    }

    #[test]
    fn ranges_of_every_kind() {
        assert_eq!(resolve(flags("a", None, false, false)), pair("a", ""));
        assert_eq!(resolve(flags("a", Some("c"), false, false)), pair("a", "c"));
        assert_eq!(resolve(flags("ab", None, true, false)), pair("ab", "ac"));
        assert_eq!(resolve(flags("ab", None, false, true)), pair("ab", "\0"));
        assert_eq!(resolve(flags("", None, true, false)), pair("\0", "\0"));
        assert_eq!(resolve(flags("", None, false, true)), pair("\0", "\0"));
    }

    #[test]
    fn contradictions_are_refused() {
        for wrong in [
            flags("a", None, true, true),
            flags("a", Some("b"), true, false),
            flags("a", Some("b"), false, true),
        ] {
            let error = wrong.resolve().expect_err("a contradiction");
            assert!(error.is::<crate::failure::Usage>());
        }
    }
}
