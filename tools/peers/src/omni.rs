//! The crate `omnipaxos`, with its own storage in memory.

use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot};
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxos, ServerConfig};
use omnipaxos_storage::memory_storage::MemoryStorage;
use quorate_core::Payload;

use crate::harness::Stepped;
use crate::workload::{Commands, State};

/// After how many rounds replicas are told that time passes: it takes no part in what is measured.
const ROUNDS_PER_TICK: u64 = 2000;

/// A command as cheap to copy as ours.
#[derive(Clone, Debug)]
struct Command(Payload);

impl Entry for Command {
    type Snapshot = NoSnapshot;
}

struct Replica {
    paxos: OmniPaxos<Command, MemoryStorage<Command>>,
    inbox: Vec<Message<Command>>,
    state: State,
    read: usize,
}

/// Three replicas.
pub struct Omni {
    replicas: [Replica; 3],
    outgoing: Vec<Message<Command>>,
    delivering: Vec<Message<Command>>,
    leader: usize,
    rounds: u64,
}

impl Omni {
    /// Starts a cluster and waits until it has a leader.
    pub fn start() -> Omni {
        let cluster = ClusterConfig {
            configuration_id: 1,
            nodes: vec![1, 2, 3],
            flexible_quorum: None,
        };
        let replicas = [1, 2, 3].map(|pid| {
            let server = ServerConfig {
                pid,
                election_tick_timeout: 5,
                ..ServerConfig::default()
            };
            let storage = MemoryStorage::default();
            let paxos = cluster.clone().build_for_server(server, storage);
            Replica {
                paxos: paxos.expect("the configuration is sound"),
                inbox: Vec::new(),
                state: State::default(),
                read: 0,
            }
        });
        let mut omni = Omni {
            replicas,
            outgoing: Vec::new(),
            delivering: Vec::new(),
            leader: 0,
            rounds: 0,
        };
        for _ in 0..1000 {
            for replica in &mut omni.replicas {
                replica.paxos.tick();
            }
            omni.round();
            let leaders = omni
                .replicas
                .each_ref()
                .map(|replica| replica.paxos.get_current_leader());
            if let Some((leader, true)) = leaders[0]
                && leaders == [Some((leader, true)); 3]
            {
                omni.leader = leader as usize - 1;
                return omni;
            }
        }
        panic!("no leader was found");
    }

    fn turn(&mut self, me: usize) {
        let replica = &mut self.replicas[me];
        std::mem::swap(&mut replica.inbox, &mut self.delivering);
        for message in self.delivering.drain(..) {
            replica.paxos.handle_incoming(message);
        }
        if replica.paxos.get_decided_idx() > replica.read {
            let entries = replica
                .paxos
                .read_decided_suffix(replica.read)
                .unwrap_or_default();
            replica.read += entries.len();
            for entry in entries {
                match entry {
                    LogEntry::Decided(command) => replica.state.apply(command.0.as_bytes()),
                    other => panic!("nobody asked for {other:?}"),
                }
            }
        }
        self.send(me);
    }

    fn send(&mut self, me: usize) {
        self.replicas[me]
            .paxos
            .take_outgoing_messages(&mut self.outgoing);
        for message in self.outgoing.drain(..) {
            let to = message.get_receiver() as usize - 1;
            self.replicas[to].inbox.push(message);
        }
    }
}

impl Stepped for Omni {
    fn submit(&mut self, commands: &Commands, number: u64) {
        let command = Command(commands.get(number).clone());
        let appended = self.replicas[self.leader].paxos.append(command);
        appended.expect("a leader takes what it is given");
    }

    fn round(&mut self) {
        self.rounds += 1;
        if self.rounds.is_multiple_of(ROUNDS_PER_TICK) {
            for replica in &mut self.replicas {
                replica.paxos.tick();
            }
        }
        self.send(self.leader);
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
