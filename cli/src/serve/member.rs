//! One member: storage, machine, service, replica and API, put together and taken apart again.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use quorate_core::{Checkpoint, NodeId, Survival};
use quorate_etcd::{Connected, ServerOptions};
use quorate_problems::total_order::Membership;
use quorate_runtime::{
    Checkpoints, Clock, Directory, FailStop, Observer, Options, PeerOptions, Receiving, Replica,
    Storage, mailbox,
};
use quorate_service::command::{Command, Rules};
use quorate_service::machine::Machine;
use quorate_service::members::Members;
use quorate_service::store;
use quorate_service::{Assembly, Service, ServiceOptions, Workers, assemble};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::READY;
use super::config::Config;
use super::flags::Flags;
use super::following::{Addresses, Known, follow};
use super::metrics;
use super::origin::Origin;
use super::protocol::{Served, Settings, With};
use super::rebuild;
use super::slow_disk;

/// How large a segment of the log is.
pub(super) const SEGMENT_BYTES: u64 = 64 << 20;
/// The encoding of a command may be larger than the client's: small operations take more space.
const COMMAND_BYTES_PER_REQUEST_BYTE: usize = 4;
/// How many members there must be for one of them to be rebuilt by the others: one forgets, and a quorum of two
/// is left.
const MEMBERS_MIN: usize = 3;
/// How long to wait before announcing oneself again.
const ANNOUNCE_RETRY: Duration = Duration::from_millis(500);
/// How long to wait before seeing again whether it has made up for what it forgot.
const WHOLE_RETRY: Duration = Duration::from_millis(20);
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
    announcing: JoinHandle<()>,
    following: JoinHandle<()>,
    watching: JoinHandle<()>,
    comparing: JoinHandle<()>,
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
        let Start {
            flags,
            config,
            origin,
            clients,
            peers,
        } = start;
        let identity = origin.identity();
        let me = identity.member;
        let directory = Directory::open(&flags.data_dir, identity)?;
        origin.keep(&directory)?;
        let mut storage = Storage::open(directory.clone(), SEGMENT_BYTES)?;
        let incarnation = storage.incarnation();

        let mut options = store::Options::new(flags.data_dir.join("store"));
        options.members = origin.introduction.founders.clone();
        options.layer_bytes = flags.layer_bytes;
        options.layer_positions = flags.snapshot_count;
        options.expected = !directory.is_new();
        let (machine, checkpoint) =
            Machine::open(options).context("the key-value store cannot be opened")?;
        if storage.survival() == Survival::Fresh {
            machine.on_new_log()?;
        }
        let checkpoints = Attachments(machine.checkpoints());
        let known = Known::new(me.0, origin.introduction.clone(), machine.views());
        let known = Arc::new(known);
        let members = known.newest();
        if members.removed.contains(&me.0) {
            return Err(removed(flags, "its own list of members does not name it"));
        }
        let voters = voters(me, &members, machine.views().view().members());
        meet_damage(flags, storage.survival(), voters.len())?;
        if machine.is_rebuilding()? {
            storage.on_state_lost(machine.log_begins_later()?);
            meet_lost_store(flags, storage.survival(), voters.len())?;
        }
        let mut addresses = Addresses::default();
        let first_peers = addresses.peers(&members, &Membership::default());
        info!(
            member = %me, cluster = format!("{:x}", identity.cluster), incarnation,
            protocol = flags.protocol.name(),
            position = checkpoint.position, "opened {}", flags.data_dir.display()
        );

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
        } = assemble(options, machine, move || waker.wake());
        let workers = Workers::start(applier, flushing, |error| rebuild::give_up(&error))?;

        let protocol = P::config(Settings {
            members: voters,
            heartbeat: config.heartbeat,
            election_timeout: config.election_timeout,
            retention_bytes: flags.log_bytes,
        });
        let options = Options {
            storage,
            peers: first_peers,
            introductions: known.clone(),
            listeners: into_std(peers)?,
            peer_options: PeerOptions::default(),
            fail_stop: FailStop::exit(),
            clock: Clock::start(),
        };
        let replica = Replica::spawn(
            options,
            protocol,
            checkpoint,
            batcher,
            Arc::new(checkpoints),
            mailbox,
            &Handle::current(),
        )?;

        let following = tokio::spawn(follow(
            service.clone(),
            replica.peers(),
            known.clone(),
            addresses,
            config.election_timeout * REMOVED_GRACE_TIMEOUTS,
        ));

        let mut options = ServerOptions::new(identity.cluster, me.0);
        options.txn_ops_max = flags.max_txn_ops;
        options.request_bytes_max = flags.max_request_bytes;
        options.election_timeout = config.election_timeout;
        options.retention = config.retention;
        options.rules = Rules {
            strict: flags.strict_reconfig_check,
            learners_max: flags.max_learners,
        };
        options.connected = connected(replica.observer(), config.election_timeout);
        options.complaints = slow_disk::complaints(replica.observer());
        let slow_disk = Arc::new(slow_disk::Found::default());
        options.metrics = vec![metrics::of_replica(replica.observer(), slow_disk.clone())];
        let watching = slow_disk::watch(service.clone(), replica.observer(), slow_disk);
        let watching = tokio::spawn(watching);
        let comparing = tokio::spawn(rebuild::give_up_if_differing(service.clone()));
        let (stop_api, mut stopping) = watch::channel(false);
        let api = tokio::spawn(quorate_etcd::serve(
            clients,
            service.clone(),
            options,
            async move {
                // If the sender is gone, so is the member.
                let _ = stopping.wait_for(|stop| *stop).await;
            },
        ));
        let announced = quorate_service::command::Member {
            id: me.0,
            ..config.me.clone()
        };
        let announcing = tokio::spawn(announce(service.clone(), announced));
        Ok(Member {
            me,
            service,
            replica,
            workers,
            directory,
            api,
            announcing,
            following,
            watching,
            comparing,
            known,
            stop_api,
        })
    }

    /// Waits until this member takes part no more, and answers why.
    pub(super) async fn removed(&self) -> String {
        self.known.removed().await
    }

    /// Hands leadership over, lets requests under way finish, and makes everything durable.
    pub(super) async fn stop(self, election_timeout: Duration) -> Result<()> {
        self.announcing.abort();
        self.following.abort();
        self.watching.abort();
        self.comparing.abort();
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

/// A member that may have forgotten promises asks the others what they were. That takes two others, who
/// must remember.
fn meet_damage(flags: &Flags, survival: Survival, members: usize) -> Result<()> {
    let folder = flags.data_dir.display();
    match survival {
        Survival::Fresh | Survival::Intact => {}
        Survival::Damaged if members >= MEMBERS_MIN => warn!(
            "the write-ahead log in {folder} is damaged: something that this member acknowledged cannot be read. \
             It asks all other members what it may have forgotten, catches up from them, and takes no part in \
             elections until then. If it does not come to serve, see whether another member is down or damaged too"
        ),
        Survival::Damaged => bail!(
            "the write-ahead log in {folder} is damaged: something that this member acknowledged cannot be read. \
             It stays as it is and this member does not start, since it may have forgotten a vote or \
             an entry, and there are too few others to learn them from. If the disk returned wrong bytes, mend that \
             and start again; otherwise restore the directory from a copy that was made while the member was stopped"
        ),
    }
    Ok(())
}

/// A member whose store was damaged or lost begins with an empty one. What its log does not have any more,
/// the others do.
fn meet_lost_store(flags: &Flags, survival: Survival, members: usize) -> Result<()> {
    let folder = flags.data_dir.join("store");
    let folder = folder.display();
    match survival {
        Survival::Fresh | Survival::Intact => warn!(
            "the store in {folder} was damaged or lost; it is rebuilt from the write-ahead log, which is complete"
        ),
        Survival::Damaged if members >= MEMBERS_MIN => warn!(
            "the store in {folder} was damaged or lost; it is rebuilt from the other members. This member takes \
             no part in elections until then"
        ),
        Survival::Damaged => bail!(
            "the store in {folder} was damaged or lost, the write-ahead log begins later, and there are too few \
             other members to rebuild it from. If it was damaged it is there as damaged.redb: if the disk returned \
             wrong bytes, mend that, give the file its name store.redb back, remove the file `rebuilding` beside \
             it, and start again; otherwise restore a snapshot with `quorate snapshot restore`"
        ),
    }
    Ok(())
}

/// Those who have a vote, as a replica that knows nothing yet should take them to be. Whoever joins is not one
/// of them, before the order itself has said so: it has nothing to vote with.
fn voters(me: NodeId, newest: &Members, applied: &Members) -> Vec<NodeId> {
    let voters = newest.membership().voters.into_iter();
    let has_vote = applied.membership().voters.contains(&me);
    voters.filter(|&id| id != me || has_vote).collect()
}

/// Says for how long there must have been a connection for a member to count as there.
fn connected(observer: Observer, at_least: Duration) -> Connected {
    Arc::new(move |id| {
        let metrics = observer.metrics();
        let mut peers = metrics.peers.iter();
        peers.any(|peer| peer.peer == id && peer.connected && peer.connected_for >= at_least)
    })
}

/// What a member says that was removed.
pub(super) fn removed(flags: &Flags, why: &str) -> anyhow::Error {
    let folder = flags.data_dir.display();
    let text = format!(
        "this member was removed from the cluster for good ({why}) and stops. Its data in {folder} is untouched and          of no more use to the cluster: to let this machine take part again, move that folder away, run `quorate ctl          member add` and start it with --initial-cluster-state existing"
    );
    crate::failure::Removed(text).into()
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
    info!(name = %me.name, clients = %urls, "{READY}");
}

/// The store's checkpoints as the runtime's attachments.
struct Attachments(store::Checkpoints);

impl Checkpoints for Attachments {
    fn open(&self) -> io::Result<(Checkpoint, Box<dyn io::Read + Send>)> {
        let (checkpoint, export) = self.0.open()?;
        Ok((checkpoint, Box::new(export)))
    }

    fn receive(&self, checkpoint: Checkpoint) -> io::Result<Box<dyn Receiving>> {
        Ok(Box::new(Arriving(self.0.receive(checkpoint)?)))
    }
}

struct Arriving(store::Import);

impl io::Write for Arriving {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Receiving for Arriving {
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.finish()
    }
}
