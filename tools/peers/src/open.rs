//! The crate `openraft`, with log and state machine in memory as in its own benchmark, but for a log in a
//! queue instead of a tree, on a tokio runtime.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::error::{
    Infallible, RPCError, RaftError, RemoteError, ReplicationClosed, StreamingError,
};
use openraft::impls::OneshotResponder;
use openraft::network::RPCOption;
use openraft::raft::responder::Responder;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::storage::{LogFlushed, LogState, RaftLogStorage, RaftStateMachine};
use openraft::{
    BasicNode, Config, Entry, EntryPayload, LogId, OptionalSend, Raft, RaftLogReader, RaftNetwork,
    RaftNetworkFactory, RaftSnapshotBuilder, Snapshot, SnapshotMeta, SnapshotPolicy, StorageError,
    StoredMembership, Vote,
};
use quorate_core::Payload;
use tokio::runtime::Runtime;

use crate::harness::Cluster;
use crate::workload::{Commands, State};

openraft::declare_raft_types!(
    /// A command as cheap to copy as ours, and nothing in answer to it.
    Types: D = Payload, R = (), SnapshotData = ()
);

type Stored<T> = Result<T, StorageError<u64>>;

/// The log, the vote and the state machine of one replica.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    log: VecDeque<Entry<Types>>,
    purged: Option<LogId<u64>>,
    vote: Option<Vote<u64>>,
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, BasicNode>,
    state: State,
}

impl Store {
    fn with<T>(&self, work: impl FnOnce(&mut Kept) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    /// Where in the queue the entry at this index is.
    fn offset(&self, index: u64) -> usize {
        let first = self.log.front().map_or(index, |entry| entry.log_id.index);
        index.saturating_sub(first) as usize
    }
}

impl RaftLogReader<Types> for Store {
    async fn try_get_log_entries<R>(&mut self, range: R) -> Stored<Vec<Entry<Types>>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        Ok(self.with(|kept| {
            let start = match range.start_bound() {
                Bound::Included(&index) => kept.offset(index),
                Bound::Excluded(&index) => kept.offset(index + 1),
                Bound::Unbounded => 0,
            };
            let end = match range.end_bound() {
                Bound::Included(&index) => kept.offset(index + 1),
                Bound::Excluded(&index) => kept.offset(index),
                Bound::Unbounded => kept.log.len(),
            };
            let end = end.min(kept.log.len());
            kept.log.range(start.min(end)..end).cloned().collect()
        }))
    }
}

impl RaftLogStorage<Types> for Store {
    type LogReader = Store;

    async fn get_log_state(&mut self) -> Stored<LogState<Types>> {
        Ok(self.with(|kept| LogState {
            last_purged_log_id: kept.purged,
            last_log_id: kept.log.back().map(|entry| entry.log_id).or(kept.purged),
        }))
    }

    async fn get_log_reader(&mut self) -> Store {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Stored<()> {
        self.with(|kept| kept.vote = Some(*vote));
        Ok(())
    }

    async fn read_vote(&mut self) -> Stored<Option<Vote<u64>>> {
        Ok(self.with(|kept| kept.vote))
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Stored<()>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.with(|kept| kept.log.extend(entries));
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Stored<()> {
        self.with(|kept| {
            let keep = kept.offset(log_id.index);
            kept.log.truncate(keep);
        });
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId<u64>) -> Stored<()> {
        self.with(|kept| {
            let drop = kept.offset(log_id.index + 1).min(kept.log.len());
            kept.log.drain(..drop);
            kept.purged = Some(log_id);
        });
        Ok(())
    }
}

impl RaftStateMachine<Types> for Store {
    type SnapshotBuilder = Store;

    async fn applied_state(
        &mut self,
    ) -> Stored<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>)> {
        Ok(self.with(|kept| (kept.applied, kept.membership.clone())))
    }

    async fn apply<I>(&mut self, entries: I) -> Stored<Vec<()>>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        Ok(self.with(|kept| {
            let apply = |entry: Entry<Types>| {
                kept.applied = Some(entry.log_id);
                match entry.payload {
                    EntryPayload::Blank => {}
                    EntryPayload::Normal(command) => kept.state.apply(command.as_bytes()),
                    EntryPayload::Membership(members) => {
                        kept.membership = StoredMembership::new(Some(entry.log_id), members);
                    }
                }
            };
            entries.into_iter().map(apply).collect()
        }))
    }

    async fn get_snapshot_builder(&mut self) -> Store {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Stored<Box<()>> {
        panic!("nobody falls behind here")
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta<u64, BasicNode>,
        _snapshot: Box<()>,
    ) -> Stored<()> {
        panic!("nobody falls behind here")
    }

    async fn get_current_snapshot(&mut self) -> Stored<Option<Snapshot<Types>>> {
        Ok(None)
    }
}

impl RaftSnapshotBuilder<Types> for Store {
    async fn build_snapshot(&mut self) -> Stored<Snapshot<Types>> {
        // What is durable is in memory here, so a snapshot is no more than its name.
        Ok(self.with(|kept| Snapshot {
            meta: SnapshotMeta {
                last_log_id: kept.applied,
                last_membership: kept.membership.clone(),
                snapshot_id: String::new(),
            },
            snapshot: Box::new(()),
        }))
    }
}

/// Who is who: calls of one replica to another are calls of functions.
#[derive(Clone, Default)]
struct Router(Arc<Mutex<BTreeMap<u64, Raft<Types>>>>);

struct Connection {
    target: u64,
    peer: Raft<Types>,
}

impl RaftNetworkFactory<Types> for Router {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> Connection {
        let peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = peers
            .get(&target)
            .expect("all replicas start before they are connected");
        Connection {
            target,
            peer: peer.clone(),
        }
    }
}

type Called<T, E = Infallible> = Result<T, RPCError<u64, BasicNode, RaftError<u64, E>>>;

impl RaftNetwork<Types> for Connection {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Called<AppendEntriesResponse<u64>> {
        let answer = self.peer.append_entries(request).await;
        answer.map_err(|error| RemoteError::new(self.target, error).into())
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        _option: RPCOption,
    ) -> Called<VoteResponse<u64>> {
        let answer = self.peer.vote(request).await;
        answer.map_err(|error| RemoteError::new(self.target, error).into())
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote<u64>,
        _snapshot: Snapshot<Types>,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Types, openraft::error::Fatal<u64>>> {
        panic!("nobody falls behind here")
    }
}

/// Which of tokio's runtimes.
#[derive(Clone, Copy)]
pub enum Threads {
    /// Everything on the thread that waits.
    One,
    /// Two threads that take tasks from one another.
    Two,
}

/// Three replicas.
pub struct Open {
    runtime: Runtime,
    replicas: [Raft<Types>; 3],
    stores: [Store; 3],
    leader: usize,
}

impl Open {
    /// Starts a cluster and waits until it has a leader.
    pub fn start(threads: Threads) -> Open {
        let mut builder = match threads {
            Threads::One => tokio::runtime::Builder::new_current_thread(),
            Threads::Two => tokio::runtime::Builder::new_multi_thread(),
        };
        let runtime = builder.worker_threads(2).enable_time().build();
        let runtime = runtime.expect("a runtime can be had");
        let config = Config {
            heartbeat_interval: 500,
            election_timeout_min: 5000,
            election_timeout_max: 10_000,
            max_payload_entries: 4096,
            replication_lag_threshold: u64::MAX,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(16_384),
            max_in_snapshot_log_to_keep: 8192,
            purge_batch_size: 1024,
            ..Config::default()
        };
        let config = Arc::new(config.validate().expect("the configuration is sound"));
        let router = Router::default();
        let stores: [Store; 3] = Default::default();
        let (replicas, leader) = runtime.block_on(async {
            let mut replicas = Vec::new();
            for (id, store) in (1..).zip(&stores) {
                let started = Raft::new(
                    id,
                    config.clone(),
                    router.clone(),
                    store.clone(),
                    store.clone(),
                );
                replicas.push(started.await.expect("the store is empty"));
            }
            let named = (1..).zip(replicas.iter().cloned());
            router
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(named);
            let members: BTreeMap<u64, BasicNode> =
                (1..=3).map(|id| (id, BasicNode::default())).collect();
            let initialized = replicas[0].initialize(members).await;
            initialized.expect("nobody else does it");
            let waited = replicas[0].wait(Some(Duration::from_secs(60)));
            let metrics = waited
                .metrics(|metrics| metrics.current_leader.is_some(), "a leader")
                .await;
            (
                replicas,
                metrics.ok().and_then(|metrics| metrics.current_leader),
            )
        });
        Open {
            runtime,
            replicas: replicas.try_into().ok().expect("there are three"),
            stores,
            leader: leader.expect("a leader is found") as usize - 1,
        }
    }
}

impl Cluster for Open {
    fn drive(&mut self, commands: &Commands, count: u64, window: u64) {
        let leader = self.replicas[self.leader].clone();
        let first = self.stores[self.leader].with(|kept| kept.state.count);
        let end = first + count;
        self.runtime.block_on(async {
            // A client that keeps a window of answers open is cheaper for this crate than as many
            // clients that wait for one each.
            let mut open = VecDeque::new();
            for number in first..end {
                if open.len() as u64 == window {
                    complete(open.pop_front()).await;
                }
                let command = commands.get(number).clone();
                let asked = leader.client_write_ff(command).await;
                open.push_back(asked.expect("a leader takes what it is given"));
            }
            while let Some(receiver) = open.pop_front() {
                complete(Some(receiver)).await;
            }
            let all = |kept: &mut Kept| kept.state.count == end;
            while !self.stores.iter().all(|store| store.with(all)) {
                tokio::task::yield_now().await;
            }
        });
    }

    fn states(&self) -> [State; 3] {
        self.stores
            .each_ref()
            .map(|store| store.with(|kept| kept.state))
    }
}

type Receiver = <OneshotResponder<Types> as Responder<Types>>::Receiver;

async fn complete(receiver: Option<Receiver>) {
    let answer = receiver.expect("the window is open").await;
    let answer = answer.expect("the replica answers");
    answer.expect("the leader stays");
}
