//! Several members, and what tests do to them.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::client::{self, Client};
use super::member::Member;
use super::network::Network;
use super::proxy::Proxy;
use super::{eventually, ports, server};

/// The election timeout of every cluster here: small, since tests wait for elections, and large
/// enough for two busy cores.
pub(crate) const ELECTION_TIMEOUT: Duration = Duration::from_millis(500);
const HEARTBEAT: Duration = Duration::from_millis(50);

/// What a cluster should be like.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    /// Makes the log and the memory layer so small that a peer soon needs a snapshot.
    pub(crate) small_log: bool,
    /// Puts something between the members that can be broken.
    pub(crate) proxies: bool,
    /// Gives each member an address of its own.
    pub(crate) network: Option<Arc<Network>>,
    /// More flags for every member.
    pub(crate) flags: Vec<String>,
    /// How many more members there may come to be.
    pub(crate) spares: usize,
}

/// A cluster of processes, which end with it.
pub(crate) struct Cluster {
    /// Goes away with the cluster.
    _folder: TempDir,
    /// Its members.
    pub(crate) members: Vec<Member>,
    /// Those who may join.
    pub(crate) spares: Vec<Member>,
    /// The way to each member, if the settings asked for it.
    pub(crate) proxies: Vec<Proxy>,
}

impl Cluster {
    /// Starts that many members, and waits until each serves.
    pub(crate) async fn start(members: usize) -> Cluster {
        Cluster::start_with(members, Settings::default()).await
    }

    /// The same, with other settings.
    pub(crate) async fn start_with(members: usize, settings: Settings) -> Cluster {
        let proxies = settings.proxies;
        let mut cluster = Cluster::plan(members, settings);
        if proxies {
            for member in &cluster.members {
                let proxy = Proxy::start(member.advertised_port, member.peer_port);
                cluster.proxies.push(proxy.await);
            }
        }
        cluster.start_all().await;
        cluster
    }

    /// Starts as many members as there is room for in a network, and waits until each serves.
    pub(crate) async fn start_in(network: Network) -> Cluster {
        let members = network.members();
        let settings = Settings {
            network: Some(Arc::new(network)),
            ..Settings::default()
        };
        Cluster::start_with(members, settings).await
    }

    /// The network that it was started in.
    pub(crate) fn network(&self) -> &Network {
        let (network, _) = self.members[0].network.as_ref().expect("it has one");
        network
    }

    /// Decides on names, ports and folders, and starts nothing.
    pub(crate) fn plan(members: usize, settings: Settings) -> Cluster {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut all: Vec<Member> = (1..=members + settings.spares)
            .map(|at| {
                Member::new(
                    folder.path(),
                    &format!("n{at}"),
                    ports::free(),
                    ports::free(),
                )
            })
            .collect();
        if settings.proxies {
            for member in &mut all {
                member.advertised_port = ports::free();
            }
        }
        if let Some(network) = &settings.network {
            for (at, member) in all.iter_mut().enumerate() {
                member.host = network.address(at);
                member.network = Some((network.clone(), at));
            }
        }
        let initial = initial_cluster(&all[..members]);
        let mut more = vec![
            format!("--heartbeat-interval={}", HEARTBEAT.as_millis()),
            format!("--election-timeout={}", ELECTION_TIMEOUT.as_millis()),
        ];
        if settings.small_log && server::is_ours() {
            more.extend(["--layer-bytes=65536", "--log-bytes=262144"].map(str::to_owned));
        } else if settings.small_log {
            more.push("--snapshot-count=50".to_owned());
        }
        let chosen = settings
            .flags
            .iter()
            .any(|flag| flag.starts_with("--protocol="));
        if let Some(protocol) = super::protocol().filter(|_| !chosen) {
            more.push(format!("--protocol={protocol}"));
        }
        more.extend(settings.flags);
        for member in &mut all {
            member.set_flags(&initial, &more);
        }
        let spares = all.split_off(members);
        Cluster {
            _folder: folder,
            members: all,
            spares,
            proxies: Vec::new(),
        }
    }

    /// Starts everyone who is down, and waits until each serves.
    pub(crate) async fn start_all(&mut self) {
        for member in self
            .members
            .iter_mut()
            .filter(|member| !member.is_running())
        {
            member.start();
        }
        self.ready().await;
    }

    /// Starts one member, and waits until it serves.
    pub(crate) async fn start_one(&mut self, at: usize) {
        self.members[at].start();
        self.member_ready(at).await;
    }

    /// Waits until every member that has a process is ready.
    pub(crate) async fn ready(&mut self) {
        for at in 0..self.members.len() {
            if self.members[at].is_running() {
                self.member_ready(at).await;
            }
        }
    }

    /// Waits until one member serves linearizable reads and says that it is ready: the others can do
    /// without any one member from then on.
    pub(crate) async fn member_ready(&mut self, at: usize) {
        let mut client = self.client(at).await;
        let member = &mut self.members[at];
        let name = member.name.clone();
        eventually(&format!("{name} serves"), async || {
            if let Some(status) = member.ended() {
                panic!("{name} has ended by itself: {status}");
            }
            client::bounded(client.get("ready?", None)).await.ok()?;
            member
                .has_said("ready to serve client requests")
                .then_some(())
        })
        .await;
    }

    /// `kill -9` of all at once, as when the power fails, except that the disk keeps what it was
    /// given.
    pub(crate) fn kill_all(&mut self) {
        for member in &mut self.members {
            member.kill();
        }
    }

    /// Where clients reach each member.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(Member::client_url).collect()
    }

    /// A client of one member.
    pub(crate) async fn client(&self, at: usize) -> Client {
        client::connect(&self.members[at].client_url()).await
    }

    /// Who leads, by the word of the leader itself, once there is one.
    pub(crate) async fn leader(&self) -> usize {
        eventually("there is a leader", async || self.leader_now(&[]).await).await
    }

    /// Who leads other than those, once there is one.
    pub(crate) async fn leader_besides(&self, others: &[usize]) -> usize {
        eventually("there is another leader", async || {
            self.leader_now(others).await
        })
        .await
    }

    async fn leader_now(&self, without: &[usize]) -> Option<usize> {
        let mut newest = None;
        for (at, member) in self.members.iter().enumerate() {
            if !member.is_running() || without.contains(&at) {
                continue;
            }
            let mut client = self.client(at).await;
            let Ok(status) = client::bounded(client.status()).await else {
                continue;
            };
            let leads = status
                .header()
                .is_some_and(|header| header.member_id() == status.leader());
            if leads {
                newest = newest.max(Some((status.raft_term(), at)));
            }
        }
        newest.map(|(_, at)| at)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill_all();
        if std::thread::panicking() {
            for member in &self.members {
                eprintln!("--- {}: its last words", member.name);
                eprintln!("{}", member.last_words(40));
            }
        }
    }
}

/// The value of `--initial-cluster` for these members.
pub(crate) fn initial_cluster(members: &[Member]) -> String {
    let entries: Vec<String> = members
        .iter()
        .map(|member| format!("{}={}", member.name, member.peer_url()))
        .collect();
    entries.join(",")
}
