//! What a world must know of a protocol, given by that protocol's tests.

use std::collections::BTreeMap;

use quorate_core::{Choice, NodeId, Protocol};

/// Options of a cluster in a script: `window=2 retention=0`.
pub type Options<'a> = BTreeMap<&'a str, u64>;

/// Looks at all replicas that are up and says what is wrong with them as a whole.
pub type Watch<P> = Box<dyn FnMut(&[&P]) -> Result<(), String>>;

/// What the words of a script mean, or why they mean nothing.
pub type Parsed<T> = Result<T, String>;

/// One protocol's part in its tests.
pub struct Suite<P: Protocol> {
    /// The configuration of these members under these options.
    pub config: fn(&[NodeId], &Options<'_>) -> Parsed<P::Config>,
    /// Some configuration of these members, for instance one with tight limits.
    pub invent: fn(&[NodeId], &mut Choice) -> P::Config,
    /// Records from the words of a script, to start a replica from.
    pub disk: fn(&[&str]) -> Parsed<Vec<P::Record>>,
    /// One line about a replica's state.
    pub describe: fn(&P) -> String,
    /// What must hold of all replicas together.
    pub watch: fn() -> Watch<P>,
}

// Derived instances would ask the same of `P`.
impl<P: Protocol> Clone for Suite<P> {
    fn clone(&self) -> Suite<P> {
        *self
    }
}

impl<P: Protocol> Copy for Suite<P> {}
