//! What a world must know of a protocol, given by that protocol's tests.

use std::collections::BTreeMap;
use std::str::FromStr;

use quorate_core::{Choice, NodeId, Protocol};

use crate::nearest::perhaps;

/// Options of a cluster in a script: `window=2 flaw=figure-8`.
pub type Options<'a> = BTreeMap<&'a str, &'a str>;

/// Reads options from the words of a script.
///
/// # Errors
/// A word that is not `key=value`.
pub fn options<'a>(words: impl IntoIterator<Item = &'a str>) -> Parsed<Options<'a>> {
    let options = words.into_iter().map(|word| {
        let option = word.split_once('=');
        option.ok_or_else(|| format!("not an option: {word}"))
    });
    options.collect()
}

/// Reads a number from the value of an option.
///
/// # Errors
/// If it is none of this type, with the name of the option.
pub fn number<T: FromStr>(key: &str, value: &str) -> Parsed<T> {
    let number = value.parse();
    number.map_err(|_| format!("not a number: {key}={value}"))
}

/// Says that there is no such option, and which was perhaps meant.
#[must_use]
pub fn unknown_option(key: &str, known: &[&str]) -> String {
    let perhaps = perhaps(key, known.iter().copied());
    format!("no such option: {key}{perhaps}")
}

/// Looks at all replicas that are up and says what is wrong with them as a whole.
pub type Watch<P> = Box<dyn FnMut(&[&P]) -> Result<(), String>>;

/// What the words of a script mean, or why they mean nothing.
pub type Parsed<T> = Result<T, String>;

/// One protocol's part in its tests.
pub struct Suite<P: Protocol> {
    /// The configuration of these members under these options.
    pub config: fn(&[NodeId], &Options<'_>) -> Parsed<P::Config>,
    /// Options of some cluster of these members, for instance one with tight limits: words that
    /// [`Suite::config`] reads.
    pub invent: fn(&[NodeId], &mut Choice) -> String,
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
