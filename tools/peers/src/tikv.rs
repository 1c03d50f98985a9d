//! The crate `raft` (tikv): a `RawNode` with the crate's own storage in memory and a loop around `Ready`,
//! as its documentation has it.

use raft::eraftpb::{ConfState, Entry, Message};
use raft::storage::MemStorage;
use raft::{Config, INVALID_ID, NO_LIMIT, RawNode};

use crate::harness::Stepped;
use crate::workload::{Commands, State};

/// After how many rounds replicas are told that time passes: it takes no part in what is measured.
const ROUNDS_PER_TICK: u64 = 2000;
/// After how many applied commands the log in memory is cut.
const COMPACT_EVERY: u64 = 4096;

struct Replica {
    node: RawNode<MemStorage>,
    storage: MemStorage,
    inbox: Vec<Message>,
    state: State,
    applied: u64,
    compacted: u64,
}

/// Three replicas.
pub struct Tikv {
    replicas: [Replica; 3],
    delivering: Vec<Message>,
    leader: usize,
    rounds: u64,
}

impl Tikv {
    /// Starts a cluster and waits until it has a leader.
    pub fn start() -> Tikv {
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let replicas = [1, 2, 3].map(|id| {
            let members = ConfState::from((vec![1, 2, 3], vec![]));
            let storage = MemStorage::new_with_conf_state(members);
            // One entry per message is the default, a megabyte what TiKV itself sets; appending to a
            // message that has not left yet makes this crate fastest.
            let config = Config {
                id,
                election_tick: 10,
                heartbeat_tick: 3,
                max_size_per_msg: 1 << 20,
                max_inflight_msgs: 4096,
                max_committed_size_per_ready: NO_LIMIT,
                batch_append: true,
                check_quorum: true,
                pre_vote: true,
                ..Config::default()
            };
            let node = RawNode::new(&config, storage.clone(), &logger);
            Replica {
                node: node.expect("the configuration is sound"),
                storage,
                inbox: Vec::new(),
                state: State::default(),
                applied: 0,
                compacted: 0,
            }
        });
        let mut cluster = Tikv {
            replicas,
            delivering: Vec::new(),
            leader: 0,
            rounds: 0,
        };
        for _ in 0..1000 {
            for replica in &mut cluster.replicas {
                replica.node.tick();
            }
            cluster.round();
            let leaders = cluster
                .replicas
                .each_ref()
                .map(|replica| replica.node.raft.leader_id);
            if leaders[0] != INVALID_ID && leaders == [leaders[0]; 3] {
                cluster.leader = leaders[0] as usize - 1;
                return cluster;
            }
        }
        panic!("no leader was found");
    }

    fn turn(&mut self, me: usize) {
        let replica = &mut self.replicas[me];
        std::mem::swap(&mut replica.inbox, &mut self.delivering);
        for message in self.delivering.drain(..) {
            replica.node.step(message).expect("messages are legal");
        }
        self.ready(me);
    }

    /// All that a replica wants done.
    fn ready(&mut self, me: usize) {
        while self.replicas[me].node.has_ready() {
            let replica = &mut self.replicas[me];
            let mut ready = replica.node.ready();
            let (early, committed) = (ready.take_messages(), ready.take_committed_entries());
            let entries = ready.take_entries();
            let stored = replica.storage.wl().append(&entries);
            stored.expect("entries follow one another");
            if let Some(hard) = ready.hs() {
                replica.storage.wl().set_hardstate(hard.clone());
            }
            let late = ready.take_persisted_messages();
            replica.apply(committed);
            let mut light = replica.node.advance(ready);
            if let Some(commit) = light.commit_index() {
                replica.storage.wl().mut_hard_state().set_commit(commit);
            }
            let (last, committed) = (light.take_messages(), light.take_committed_entries());
            replica.apply(committed);
            replica.node.advance_apply();
            replica.compact();
            for message in early.into_iter().chain(late).chain(last) {
                self.replicas[message.to as usize - 1].inbox.push(message);
            }
        }
    }
}

impl Replica {
    fn apply(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            self.applied = entry.index;
            if !entry.data.is_empty() {
                self.state.apply(&entry.data);
            }
        }
    }

    fn compact(&mut self) {
        if self.applied >= self.compacted + 2 * COMPACT_EVERY {
            self.compacted = self.applied - COMPACT_EVERY;
            let compacted = self.storage.wl().compact(self.compacted);
            compacted.expect("what is cut is applied");
        }
    }
}

impl Stepped for Tikv {
    fn submit(&mut self, commands: &Commands, number: u64) {
        // This crate wants a vector of its own for each command.
        let command = commands.get(number).as_bytes().to_vec();
        let proposed = self.replicas[self.leader].node.propose(Vec::new(), command);
        proposed.expect("a leader takes what it is given");
    }

    fn round(&mut self) {
        self.rounds += 1;
        if self.rounds.is_multiple_of(ROUNDS_PER_TICK) {
            for replica in &mut self.replicas {
                replica.node.tick();
            }
        }
        self.ready(self.leader);
        for after in 1..=3 {
            self.turn((self.leader + after) % 3);
        }
    }

    fn completed(&self) -> u64 {
        self.replicas[self.leader].state.count
    }

    fn states(&self) -> [State; 3] {
        self.replicas.each_ref().map(|replica| replica.state)
    }
}
