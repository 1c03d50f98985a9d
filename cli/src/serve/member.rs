//! One member: storage, machine, service, replica and API, put together and taken apart again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use quorate_core::NodeId;
use quorate_etcd::{Connected, ServerOptions};
use quorate_problems::total_order::Membership;
use quorate_runtime::{
    Clock, Directory, FailStop, Observer, Options, PeerOptions, Replica, mailbox,
};
use quorate_service::command::{Command, Rules};
use quorate_service::{Assembly, Service, ServiceOptions, Workers, assemble};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{info, warn};

use super::READY;
use super::config::Config;
use super::flags::Flags;
use super::following::{Addresses, Known, follow};
use super::metrics;
use super::opened::Opened;
use super::origin::Origin;
use super::protocol::{Served, Settings, With};
use super::rebuild;
use super::slow_disk;

/// The encoding of a command may be larger than the client's: small operations take more space.
const COMMAND_BYTES_PER_REQUEST_BYTE: usize = 4;
/// How long to wait before announcing oneself again.
const ANNOUNCE_RETRY: Duration = Duration::from_millis(500);
/// How long to wait before seeing again whether it has made up for what it forgot.
const WHOLE_RETRY: Duration = Duration::from_millis(20);
/// For how long there must have been a connection for a member to count as there, before the list of members is
/// changed: as etcd has it.
const CONNECTED_FOR: Duration = Duration::from_secs(5);
/// How many election timeouts a member that was removed goes on, for others to take over what it did.
const REMOVED_GRACE_TIMEOUTS: u32 = 3;

/// A running member.
pub(super) struct Member {
    me: NodeId,
    service: Service,
    replica: Replica,
    workers: Workers,
    /// Locked until the workers have written their last.
    directory: Directory,
    api: JoinHandle<()>,
    /// What goes on beside it.
    attending: JoinSet<()>,
    known: Arc<Known>,
    stop_api: watch::Sender<bool>,
}

/// What a member is started with.
struct Start<'a> {
    flags: &'a Flags,
    config: &'a Config,
    origin: &'a Origin,
    clients: Vec<TcpListener>,
    peers: Vec<TcpListener>,
}

impl With for Start<'_> {
    type Answer = Result<Member>;

    fn with<P: Served>(self) -> Result<Member> {
        Member::start_with::<P>(self)
    }
}

impl Member {
    /// Starts everything, with the protocol that the flags name. What cannot start says what to do
    /// about it.
    pub(super) fn start(
        flags: &Flags,
        config: &Config,
        origin: &Origin,
        clients: Vec<TcpListener>,
        peers: Vec<TcpListener>,
    ) -> Result<Member> {
        flags.protocol.with(Start {
            flags,
            config,
            origin,
            clients,
            peers,
        })
    }

    fn start_with<P: Served>(start: Start<'_>) -> Result<Member> {
        let (flags, config, origin) = (start.flags, start.config, start.origin);
        let opened = Opened::open(flags, origin)?;
        let (me, known) = (opened.me, opened.known.clone());
        let members = known.newest();
        let mut addresses = Addresses::default();
        let first_peers = addresses.peers(&members, &Membership::default());
        let incarnation = opened.storage.incarnation();
        let (mailbox, waker) = mailbox::<P>();
        let mut options = ServiceOptions::new(me, incarnation, config.election_timeout);
        options.quota_bytes = config.quota_bytes;
        options.disk_reserve_bytes = flags.disk_reserve_bytes;
        options.request_bytes_max =
            COMMAND_BYTES_PER_REQUEST_BYTE * flags.max_request_bytes + (1 << 20);
        let Assembly {
            service,
            batcher,
            applier,
            flushing,
        } = assemble(options, opened.machine, move || waker.wake());
        let workers = Workers::start(applier, flushing, |error| rebuild::give_up(&error))?;

        let protocol = P::config(Settings {
            members: opened.voters,
            heartbeat: config.heartbeat,
            election_timeout: config.election_timeout,
            retention_bytes: flags.log_bytes,
            lease_drift_ppm: flags.lease_reads.then_some(flags.clock_drift_ppm),
        });
        let clock = Clock::start();
        let options = Options {
            storage: opened.storage,
            peers: first_peers,
            introductions: known.clone(),
            listeners: into_std(start.peers)?,
            peer_options: PeerOptions::default(),
            fail_stop: FailStop::exit(),
            clock,
        };
        let replica = Replica::spawn(
            options,
            protocol,
            opened.checkpoint,
            batcher,
            Arc::new(opened.attachments),
            mailbox,
            &Handle::current(),
        )?;

        let mut attending = JoinSet::new();
        attending.spawn(follow(
            service.clone(),
            replica.peers(),
            known.clone(),
            addresses,
            config.election_timeout * REMOVED_GRACE_TIMEOUTS,
        ));
        let slow_disk = Arc::new(slow_disk::Found::default());
        let options = server_options(&known, flags, config, &replica, slow_disk.clone());
        attending.spawn(slow_disk::watch(
            service.clone(),
            replica.observer(),
            clock,
            slow_disk,
        ));
        attending.spawn(rebuild::give_up_if_differing(service.clone()));
        let announced = quorate_service::command::Member {
            id: me.0,
            ..config.me.clone()
        };
        attending.spawn(announce(service.clone(), announced));
        let (stop_api, mut stopping) = watch::channel(false);
        let api = tokio::spawn(quorate_etcd::serve(
            start.clients,
            service.clone(),
            options,
            async move {
                // If the sender is gone, so is the member.
                let _ = stopping.wait_for(|stop| *stop).await;
            },
        ));
        Ok(Member {
            me,
            service,
            replica,
            workers,
            directory: opened.directory,
            api,
            attending,
            known,
            stop_api,
        })
    }

    /// Waits until this member takes part no more, and answers why.
    pub(super) async fn removed(&self) -> String {
        self.known.removed().await
    }

    /// Hands leadership over, lets requests under way finish, and makes everything durable.
    pub(super) async fn stop(mut self, election_timeout: Duration) -> Result<()> {
        self.attending.abort_all();
        self.hand_over(election_timeout).await;
        // Everyone who serves still holds a receiver, or has ended already.
        let _ = self.stop_api.send(true);
        self.api.await.context("the API ended badly")?;
        let (replica, workers, directory) = (self.replica, self.workers, self.directory);
        tokio::task::spawn_blocking(move || {
            // In this order: the workers end once the replica has, and the lock after all of them.
            drop(replica);
            drop(workers);
            drop(directory);
        })
        .await?;
        info!("stopped");
        Ok(())
    }

    /// Waits until somebody else leads, if this member does and there is somebody else.
    async fn hand_over(&self, patience: Duration) {
        let mut changes = self.service.leader_changes();
        let leads = |lead: &Option<(u64, Option<NodeId>)>| {
            lead.is_some_and(|(_, leader)| leader == Some(self.me))
        };
        let view = self.service.view();
        let mut others = view.members().list.iter();
        let others = others.any(|member| member.id != self.me.0 && !member.is_learner);
        drop(view);
        if !others || !leads(&changes.borrow()) {
            return;
        }
        info!("handing leadership over");
        self.service.transfer(None);
        let handed = changes.wait_for(|lead| {
            lead.is_some_and(|(_, leader)| leader.is_some_and(|leader| leader != self.me))
        });
        if tokio::time::timeout(patience, handed).await.is_err() {
            warn!("nobody took leadership over in {patience:?}");
        }
    }
}

/// How the API presents this member.
fn server_options(
    known: &Known,
    flags: &Flags,
    config: &Config,
    replica: &Replica,
    slow_disk: Arc<slow_disk::Found>,
) -> ServerOptions {
    let mut options = ServerOptions::new(known.cluster(), replica.me().0);
    options.txn_ops_max = flags.max_txn_ops;
    options.request_bytes_max = flags.max_request_bytes;
    options.election_timeout = config.election_timeout;
    options.retention = config.retention;
    options.rules = Rules {
        strict: flags.strict_reconfig_check,
        learners_max: flags.max_learners,
    };
    options.connected = connected(replica.observer());
    options.complaints = slow_disk::complaints(replica.observer());
    options.metrics = vec![metrics::of_replica(replica.observer(), slow_disk)];
    options
}

/// Says who has been there for long enough.
fn connected(observer: Observer) -> Connected {
    Arc::new(move |id| {
        let metrics = observer.metrics();
        let mut peers = metrics.peers.iter();
        peers.any(|peer| peer.peer == id && peer.connected && peer.connected_for >= CONNECTED_FOR)
    })
}

fn into_std(listeners: Vec<TcpListener>) -> io::Result<Vec<std::net::TcpListener>> {
    listeners.into_iter().map(TcpListener::into_std).collect()
}

/// Tells the cluster how clients reach this member, and the operator that they can: then, and not before,
/// another member may be stopped without the cluster missing this one.
async fn announce(service: Service, me: quorate_service::command::Member) {
    let urls = me.client_urls.join(",");
    while let Err(error) = service.write(Command::Publish(me.clone())).await {
        info!(%error, "not announced yet");
        tokio::time::sleep(ANNOUNCE_RETRY).await;
    }
    while !service.status().whole {
        tokio::time::sleep(WHOLE_RETRY).await;
    }
    let entries = service.status().repaired;
    if entries > 0 {
        info!(
            entries,
            "the write-ahead log is whole again: the other members had what could not be read"
        );
    }
    info!(name = %me.name, clients = %urls, "{READY}");
}
