//! The ends of ranges.

/// The `range_end` that means "every key from this one on".
pub const FROM_KEY: &[u8] = b"\0";

/// The `range_end` with which a range holds exactly the keys that begin with `prefix`.
///
/// ```
/// use quorate_client::{FROM_KEY, prefix_end};
/// assert_eq!(prefix_end(b"ab"), b"ac");
/// assert_eq!(prefix_end(b"a\xff"), b"b");
/// // Nothing is larger than every key with such a prefix, so the range has no upper end.
/// assert_eq!(prefix_end(b"\xff"), FROM_KEY);
/// // The empty prefix means all keys; its range begins at FROM_KEY too.
/// assert_eq!(prefix_end(b""), FROM_KEY);
/// ```
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let Some(last) = prefix.iter().rposition(|&byte| byte < 0xff) else {
        return FROM_KEY.to_vec();
    };
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    end
}
