//! `quorate serve`: one member, from flags to a running process and back.

mod config;
mod flags;
mod following;
mod logging;
mod member;
mod metrics;
mod opened;
mod origin;
mod protocol;
mod rebuild;
mod restored;
mod slow_disk;
mod survivor;

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use config::Config;
pub(crate) use flags::Flags;
use member::Member;
use origin::Origin;
pub(crate) use protocol::Name as Protocol;
pub(crate) use restored::{Founding, found};
pub(crate) use survivor::{Survivor, survey};

/// What a member logs once clients can be served; etcd's tests and some operators wait for the same
/// words.
pub(crate) const READY: &str = "ready to serve client requests";
/// Set by `quorate cluster`: this process ends when the one that started it does.
pub(crate) const PARENT_VARIABLE: &str = "QUORATE_ENDS_WITH_PARENT";
/// The largest request that any flag can allow, bytes: a batch must fit into a frame of the log.
pub(crate) const REQUEST_BYTES_MAX: usize = 10 << 20;

/// Runs the command until a signal.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let config = Config::from_flags(flags)?;
    end_with_parent()?;
    logging::start(flags.log_level, flags.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("network")
        .build()?;
    let outcome = runtime.block_on(serve(flags, config));
    // Requests that are still waiting for something must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

async fn serve(flags: &Flags, config: Config) -> Result<()> {
    let clients = listen("listen-client-urls", &config.listen_client).await?;
    let peers = listen("listen-peer-urls", &config.listen_peer).await?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let origin = tokio::select! {
        origin = Origin::find(flags, &config) => origin?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    let member = Member::start(flags, &config, &origin, clients, peers)?;
    let outcome = tokio::select! {
        _ = interrupt.recv() => {
            info!("interrupted");
            Ok(())
        }
        _ = terminate.recv() => {
            info!("asked to end");
            Ok(())
        }
        why = member.removed() => {
            let removed = opened::removed(flags, &why);
            error!("{removed}");
            Err(removed)
        }
    };
    tokio::select! {
        stopped = member.stop(config.election_timeout) => outcome.and(stopped),
        _ = interrupt.recv() => outcome,
    }
}

/// Opens every address, so that a port in use is the first thing that is said.
async fn listen(flag: &str, addresses: &[String]) -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!(
                "cannot listen on {address}; stop what uses it, or choose another with --{flag}"
            )
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Sees to it that a member of `quorate cluster` does not outlive it.
fn end_with_parent() -> Result<()> {
    let Ok(parent) = std::env::var(PARENT_VARIABLE) else {
        return Ok(());
    };
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    // The parent may have ended before that took effect.
    let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if now.as_deref() != Some(parent.as_str()) {
        std::process::exit(0);
    }
    Ok(())
}
