//! Clusters of real processes, and clients for them.

pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod disk;
pub(crate) mod member;
pub(crate) mod membership;
pub(crate) mod network;
pub(crate) mod ports;
pub(crate) mod proxy;
pub(crate) mod server;
pub(crate) mod tool;

use std::time::{Duration, Instant};

/// How long anything may take that is expected to happen; far longer than it does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait between two looks at something.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How many rounds of trouble a test makes: so many, times what `QUORATE_E2E_FACTOR` says.
pub(crate) fn rounds(usual: usize) -> usize {
    let factor = std::env::var("QUORATE_E2E_FACTOR").ok();
    usual
        * factor.map_or(1, |factor| {
            factor.parse().expect("QUORATE_E2E_FACTOR is a number")
        })
}

/// The protocol that clusters run, if `QUORATE_E2E_PROTOCOL` names one.
pub(crate) fn protocol() -> Option<String> {
    std::env::var("QUORATE_E2E_PROTOCOL").ok()
}

/// Whether the protocol goes on without members that it does not hear from, and takes them in again:
/// each time that is a new epoch.
pub(crate) fn has_views() -> bool {
    let protocol = protocol();
    protocol.is_some_and(|name| ["primary-backup", "chain"].contains(&name.as_str()))
}

/// Looks again and again until there is an answer; panics with `what` when patience ends.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    match within(PATIENCE, look).await {
        Some(found) => found,
        None => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}

/// Looks again and again until there is an answer, or so much time has passed.
///
/// A look and the pause behind it count as one second at most, so that nothing is blamed for a
/// stall of the whole machine.
pub(crate) async fn within<T>(
    patience: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    const COUNTS_MOST: Duration = Duration::from_secs(1);
    let mut spent = Duration::ZERO;
    while spent < patience {
        let begun = Instant::now();
        if let Some(found) = look().await {
            return Some(found);
        }
        tokio::time::sleep(LOOK_EVERY).await;
        spent += begun.elapsed().min(COUNTS_MOST);
    }
    None
}
