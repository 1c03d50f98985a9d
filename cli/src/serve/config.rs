//! From flags to a configuration that makes sense, or a sentence that says what to change.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use quorate_etcd::Retention;
use quorate_service::command::Member;
use xxhash_rust::xxh3::xxh3_64;

use super::Protocol;
use super::flags::{CompactionMode, Flags};
use crate::duration;

/// The longest election timeout, as etcd has it.
const ELECTION_TIMEOUT_MS_MAX: u64 = 50_000;
/// How many heartbeats must fit into an election timeout, as etcd has it.
const HEARTBEATS_PER_ELECTION_MIN: u64 = 5;

/// How much a store may hold unless a flag says otherwise, as etcd has it.
const QUOTA_BYTES: u64 = 2 << 30;

/// What one member needs to know about itself and the others.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// This member; its id is the one that it has in a new cluster.
    pub(crate) me: Member,
    /// All members that the flags list, this one included, by id, as a new cluster begins.
    pub(crate) members: Vec<Member>,
    /// Tells a new cluster of these members from every other.
    pub(crate) cluster_id: u64,
    /// Where to listen for clients, `host:port`.
    pub(crate) listen_client: Vec<String>,
    /// Where to listen for peers, `host:port`.
    pub(crate) listen_peer: Vec<String>,
    /// How often a leader shows that it is alive.
    pub(crate) heartbeat: Duration,
    /// How long others wait for that.
    pub(crate) election_timeout: Duration,
    /// How much the store may hold, if there is a limit.
    pub(crate) quota_bytes: Option<u64>,
    /// How much history is kept, if it is forgotten by itself.
    pub(crate) retention: Option<Retention>,
}

impl Config {
    /// Checks the flags against one another.
    pub(crate) fn from_flags(flags: &Flags) -> Result<Config> {
        check_times(flags)?;
        check_limits(flags)?;
        let listen_client = addresses("listen-client-urls", &flags.listen_client_urls)?;
        let listen_peer = addresses("listen-peer-urls", &flags.listen_peer_urls)?;
        let client_urls = match &flags.advertise_client_urls {
            Some(urls) => urls.clone(),
            None => flags.listen_client_urls.clone(),
        };
        addresses("advertise-client-urls", &client_urls)?;
        let peer_urls = split(&flags.initial_advertise_peer_urls);
        let members = members(flags, &peer_urls)?;
        let me = members
            .iter()
            .find(|member| member.name == flags.name)
            .cloned()
            .with_context(|| not_listed(flags))?;
        ensure!(
            sorted(&me.peer_urls) == sorted(&peer_urls),
            "--initial-cluster says that {} is reached at {}, but --initial-advertise-peer-urls says {}; make them equal",
            flags.name,
            me.peer_urls.join(","),
            peer_urls.join(",")
        );
        Ok(Config {
            cluster_id: cluster_id(&members, flags),
            me: Member {
                client_urls: split(&client_urls),
                ..me
            },
            // Everyone must start from the same list, so names and client URLs come later, through
            // the log.
            members: members
                .into_iter()
                .map(|member| Member {
                    name: String::new(),
                    ..member
                })
                .collect(),
            listen_client,
            listen_peer,
            heartbeat: Duration::from_millis(flags.heartbeat_interval),
            election_timeout: Duration::from_millis(flags.election_timeout),
            quota_bytes: quota_bytes(flags.quota_backend_bytes),
            retention: retention(flags)?,
        })
    }
}

/// 0 stands for the usual limit, and less for none.
fn quota_bytes(flag: i64) -> Option<u64> {
    match flag {
        0 => Some(QUOTA_BYTES),
        _ => u64::try_from(flag).ok(),
    }
}

/// How much history the flags want to have kept. A number without a unit counts hours, or revisions.
fn retention(flags: &Flags) -> Result<Option<Retention>> {
    let text = &flags.auto_compaction_retention;
    let count: Option<u32> = text.parse().ok();
    let retention = match flags.auto_compaction_mode {
        CompactionMode::Revision => {
            let count: i64 = text
                .parse()
                .ok()
                .filter(|count| *count >= 0)
                .with_context(|| {
                    format!("--auto-compaction-retention {text:?} is not a count of revisions")
                })?;
            Some(count)
                .filter(|count| *count > 0)
                .map(Retention::Revisions)
        }
        CompactionMode::Periodic => {
            let time = match count {
                Some(hours) => Duration::from_secs(60 * 60) * hours,
                None => duration::parse(text)
                    .map_err(|error| anyhow!("--auto-compaction-retention: {error}"))?,
            };
            Some(time)
                .filter(|time| !time.is_zero())
                .map(Retention::Time)
        }
    };
    Ok(retention)
}

fn check_times(flags: &Flags) -> Result<()> {
    let (heartbeat, election) = (flags.heartbeat_interval, flags.election_timeout);
    ensure!(heartbeat > 0, "--heartbeat-interval must be more than 0");
    ensure!(
        election >= heartbeat.saturating_mul(HEARTBEATS_PER_ELECTION_MIN),
        "--election-timeout[{election}ms] should be at least as {HEARTBEATS_PER_ELECTION_MIN} times as --heartbeat-interval[{heartbeat}ms]"
    );
    ensure!(
        election <= ELECTION_TIMEOUT_MS_MAX,
        "--election-timeout[{election}ms] is too long, and should be set less than {ELECTION_TIMEOUT_MS_MAX}ms"
    );
    Ok(())
}

fn check_limits(flags: &Flags) -> Result<()> {
    ensure!(
        !flags.name.is_empty(),
        "--name is empty; give the member a name"
    );
    ensure!(
        flags.max_txn_ops > 0,
        "--max-txn-ops 0 would refuse every transaction; the default is 128"
    );
    ensure!(
        (1..=super::REQUEST_BYTES_MAX).contains(&flags.max_request_bytes),
        "--max-request-bytes {} is not between 1 and {}",
        flags.max_request_bytes,
        super::REQUEST_BYTES_MAX
    );
    ensure!(
        !flags.lease_reads || flags.protocol.has_leases(),
        "--lease-reads: the leader of {} answers reads in its own way; leave the flag out, or choose raft or multipaxos",
        flags.protocol.name()
    );
    ensure!(
        flags.clock_drift_ppm < 1_000_000,
        "--clock-drift-ppm {} means that a clock may stand still; 10000 is one percent",
        flags.clock_drift_ppm
    );
    Ok(())
}

fn not_listed(flags: &Flags) -> String {
    format!(
        "--initial-cluster does not list a member named {:?}; add {}={} to it or correct --name",
        flags.name, flags.name, flags.initial_advertise_peer_urls
    )
}

/// The members that the flags list, by id.
fn members(flags: &Flags, peer_urls: &[String]) -> Result<Vec<Member>> {
    let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
    match &flags.initial_cluster {
        None => {
            by_name.insert(flags.name.clone(), peer_urls.to_vec());
        }
        Some(list) => {
            for entry in split(list) {
                let (name, url) = entry.split_once('=').with_context(|| {
                    format!("--initial-cluster: {entry:?} is not of the form NAME=PEER_URL")
                })?;
                by_name
                    .entry(name.to_owned())
                    .or_default()
                    .push(url.to_owned());
            }
        }
    }
    let mut members = Vec::new();
    for (name, peer_urls) in by_name {
        addresses("initial-cluster", &peer_urls.join(","))?;
        members.push(Member {
            id: member_id(&peer_urls, &flags.initial_cluster_token),
            name,
            peer_urls,
            client_urls: Vec::new(),
            is_learner: false,
        });
    }
    members.sort_by_key(|member| member.id);
    for pair in members.windows(2) {
        ensure!(
            pair[0].id != pair[1].id,
            "--initial-cluster gives {} and {} the same URLs; each member needs its own",
            pair[0].name,
            pair[1].name
        );
    }
    Ok(members)
}

/// A member's id: a hash of what identifies it, never 0.
fn member_id(peer_urls: &[String], token: &str) -> u64 {
    let text = format!("{}\n{token}", sorted(peer_urls).join(","));
    xxh3_64(text.as_bytes()).max(1)
}

/// Members of another protocol are another cluster: they refuse one another's data and mail.
fn cluster_id(members: &[Member], flags: &Flags) -> u64 {
    let mut text = flags.initial_cluster_token.clone();
    if flags.protocol != Protocol::default() {
        text.push_str(&format!("\n{}", flags.protocol.name()));
    }
    for member in members {
        text.push_str(&format!("\n{:x}", member.id));
    }
    xxh3_64(text.as_bytes()).max(1)
}

fn split(list: &str) -> Vec<String> {
    let parts = list.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

pub(super) fn sorted(list: &[String]) -> Vec<String> {
    let mut list = list.to_vec();
    list.sort();
    list
}

/// The `host:port` of each URL in a list.
fn addresses(flag: &str, urls: &str) -> Result<Vec<String>> {
    let urls = split(urls);
    ensure!(!urls.is_empty(), "--{flag} is empty; give at least one URL");
    urls.iter().map(|url| address(flag, url)).collect()
}

/// The `host:port` of a URL.
pub(super) fn address(flag: &str, url: &str) -> Result<String> {
    let example = "for example http://127.0.0.1:2379";
    let Some((scheme, rest)) = url.split_once("://") else {
        bail!("--{flag}: {url:?} has no scheme; {example}");
    };
    match scheme {
        "http" => {}
        "https" | "unixs" => bail!("--{flag}: TLS is not there yet; use http, {example}"),
        _ => bail!("--{flag}: {url:?}: the scheme must be http, {example}"),
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    ensure!(
        !rest.contains('/'),
        "--{flag}: {url:?} must not have a path; {example}"
    );
    let Some((host, port)) = rest.rsplit_once(':') else {
        bail!("--{flag}: {url:?} has no port; {example}");
    };
    ensure!(!host.is_empty(), "--{flag}: {url:?} has no host; {example}");
    ensure!(
        port.parse::<u16>().is_ok(),
        "--{flag}: {port:?} is not a port; {example}"
    );
    Ok(rest.to_owned())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
