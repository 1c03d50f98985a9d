//! Names and positions that every layer shares.

use core::fmt;
use core::ops::Add;
use core::str::FromStr;
use core::time::Duration;

/// A replica. Any number will do; a server uses its 64-bit member id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    /// Small ids, as in scripts and models, read `n1`; member ids read as hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            write!(f, "n{}", self.0)
        } else {
            write!(f, "{:x}", self.0)
        }
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NodeId {
    type Err = NotANode;

    /// Reads what [`fmt::Display`] writes for small ids: `n1`.
    fn from_str(text: &str) -> Result<NodeId, NotANode> {
        let digits = text.strip_prefix('n').ok_or(NotANode)?;
        digits.parse().map(NodeId).map_err(|_| NotANode)
    }
}

/// A text that should name a node and does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotANode;

impl fmt::Display for NotANode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a node: expected n1, n2, ...")
    }
}

/// The number of a frame in stable storage: all records of one step. The first frame is 1, so 0
/// says "before anything was written".
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Frame(pub u64);

impl Frame {
    /// The frame that comes after this one.
    #[must_use]
    pub fn next(self) -> Frame {
        Frame(self.0 + 1)
    }
}

/// A state of the application that can travel as an attachment: everything delivered up to and
/// including `position`, which was ordered in `epoch` (term, ballot, view). The default, position
/// 0, is the initial state.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Checkpoint {
    /// The last position that the state contains.
    pub position: u64,
    /// The epoch in which that position was ordered.
    pub epoch: u64,
}

/// A moment on a monotonic clock, as nanoseconds since an origin of the world's choosing. Protocols
/// never see one; nodes and worlds do.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Instant(pub u64);

impl Instant {
    /// The time from `earlier` to `self`, zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, after: Duration) -> Instant {
        let nanos = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(nanos))
    }
}
