//! In steady state a command costs no allocation, from the request to its delivery by all three replicas:
//! steps reuse their buffers, entries travel alone, and payloads are shared.
//!
//! The replicas are whole nodes, driven as a server drives them, with links and disks that reuse their
//! memory too. Heartbeats and compactions are part of it, but for a view service inside a protocol: that one
//! is pinged by the clock, however many commands there are, and orders its pings like any command; and what
//! it knows is written down again when the log is cut.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Checkpoint, Choice, Instant, NodeId, Payload, Protocol};
use quorate_node::{Frames, Input, Node};
use quorate_problems::total_order::{Output, Request, TotalOrder};
use quorate_protocols::{chain, multipaxos, primary_backup, raft, viewstamped};

/// How many commands are in flight.
const WINDOW: u64 = 32;
/// After how many commands replicas say that their state is durable.
const COMPACT_EVERY: u64 = 128;
/// How much of the log they keep all the same.
const RETENTION_BYTES: u64 = 8 << 10;
/// How many commands it takes until every buffer is as large as it gets.
const WARM_UP: u64 = 4_000;
/// How many commands must then cost nothing.
const MEASURED: u64 = 2_000;
/// How much time passes in a round, if any.
const ROUND: Duration = Duration::from_millis(5);

struct Replica<P: Protocol> {
    node: Node<P>,
    delivered: u64,
    newest: Checkpoint,
    compacted: u64,
    compactions: u64,
}

struct Cluster<P: Protocol> {
    replicas: [Replica<P>; 3],
    /// What is on its way to each: the sender and the message.
    inboxes: [VecDeque<(NodeId, P::Message)>; 3],
    leader: usize,
    now: Instant,
    round: Duration,
    frames: Frames,
    command: Payload,
}

impl<P: Protocol<Problem = TotalOrder>> Cluster<P> {
    fn start(config: fn(Vec<NodeId>) -> P::Config) -> Cluster<P> {
        let members = [NodeId(1), NodeId(2), NodeId(3)];
        let config = config(members.to_vec());
        let now = Instant::default();
        let replicas = members.map(|me| Replica {
            node: Node::fresh(me, &config, Choice::Seeded(me.0), now),
            delivered: 0,
            newest: Checkpoint::default(),
            compacted: 0,
            compactions: 0,
        });
        let block = Arc::new(vec![7; 256]);
        let mut cluster = Cluster {
            replicas,
            inboxes: [const { VecDeque::new() }; 3],
            leader: 0,
            now,
            round: ROUND,
            frames: Frames::default(),
            command: Payload::new(block, 0..256, 0),
        };
        for _ in 0..10_000 {
            cluster.round();
            let known = cluster
                .replicas
                .each_ref()
                .map(|one| one.node.status().leader);
            if let [Some(leader), two, three] = known
                && two == Some(leader)
                && three == Some(leader)
            {
                cluster.leader = leader.0 as usize - 1;
                if cluster.replicas[cluster.leader].node.window() as u64 >= WINDOW {
                    return cluster;
                }
            }
        }
        panic!("nobody leads");
    }

    /// Has `count` commands delivered by all three.
    fn order(&mut self, count: u64) {
        let first = self.replicas[self.leader].delivered;
        let (mut asked, end) = (first, first + count);
        let mut rounds = 0;
        while self.replicas.iter().any(|replica| replica.delivered < end) {
            let leader = &mut self.replicas[self.leader];
            while asked < end && asked - leader.delivered < WINDOW {
                let request = Request::Broadcast(self.command.clone());
                leader.node.step(Input::Request(request), self.now);
                asked += 1;
            }
            self.round();
            rounds += 1;
            assert!(rounds < 100 * count, "commands are delivered");
        }
    }

    fn compactions(&self) -> u64 {
        self.replicas.iter().map(|one| one.compactions).sum()
    }

    fn round(&mut self) {
        self.now = self.now + self.round;
        for after in 0..=3 {
            self.turn((self.leader + after) % 3);
        }
    }

    fn turn(&mut self, me: usize) {
        let Cluster {
            replicas,
            inboxes,
            now,
            frames,
            ..
        } = self;
        let Replica {
            node,
            delivered,
            newest,
            compacted,
            compactions,
        } = &mut replicas[me];
        for (from, message) in inboxes[me].drain(..) {
            node.step(Input::Message(from, message), *now);
        }
        node.expire(*now);
        node.take_frames(frames);
        if let Some(last) = frames.written.last() {
            node.synced(last.frame, *now);
        }
        frames.clear();
        for output in node.take_outputs() {
            if let Output::Deliver {
                position,
                epoch,
                payload,
            } = output
            {
                *newest = Checkpoint { position, epoch };
                *delivered += u64::from(!payload.is_empty());
            }
        }
        if *delivered >= *compacted + COMPACT_EVERY {
            *compacted = *delivered;
            *compactions += 1;
            node.step(Input::Request(Request::Compact(*newest)), *now);
        }
        let sender = node.me();
        for letter in node.take_mail() {
            inboxes[letter.to.0 as usize - 1].push_back((sender, letter.message));
        }
    }
}

/// What costs nothing.
enum Free {
    /// Commands, heartbeats and compactions.
    All,
    /// Commands. Time stands still, and a compaction costs copies of the present view.
    Commands,
}

/// How many allocations a compaction may cost that restates a view service.
const RESTATED_MAX: u64 = 4;

fn costs_nothing<P>(free: Free, config: fn(Vec<NodeId>) -> P::Config)
where
    P: Protocol<Problem = TotalOrder>,
{
    let mut cluster = Cluster::<P>::start(config);
    cluster.order(WARM_UP);
    let before = cluster.compactions();
    if let Free::Commands = free {
        cluster.round = Duration::ZERO;
    }
    let counted = allocation_counter::measure(|| cluster.order(MEASURED));
    let compactions = cluster.compactions() - before;
    assert!(compactions > 0, "logs were cut meanwhile");
    let allowed = match free {
        Free::All => 0,
        Free::Commands => compactions * RESTATED_MAX,
    };
    let allocations = counted.count_total;
    assert!(
        allocations <= allowed,
        "{allocations} allocations for {MEASURED} commands and {compactions} compactions"
    );
    let delivered = cluster.replicas.each_ref().map(|replica| replica.delivered);
    assert_eq!(delivered, [WARM_UP + MEASURED; 3]);
}

/// A counter that sees nothing would make every other test here pass.
#[test]
fn the_counter_sees_an_allocation() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(counted.count_total, 1);
}

#[test]
fn raft() {
    costs_nothing::<raft::Raft>(Free::All, |members| raft::Config {
        retention_bytes: RETENTION_BYTES,
        ..raft::Config::new(members)
    });
}

#[test]
fn multipaxos() {
    costs_nothing::<multipaxos::MultiPaxos>(Free::All, |members| multipaxos::Config {
        retention_bytes: RETENTION_BYTES,
        ..multipaxos::Config::new(members)
    });
}

#[test]
fn viewstamped() {
    costs_nothing::<viewstamped::Viewstamped>(Free::All, |members| viewstamped::Config {
        retention_bytes: RETENTION_BYTES,
        ..viewstamped::Config::new(members)
    });
}

#[test]
fn primary_backup() {
    costs_nothing::<primary_backup::PrimaryBackup>(Free::Commands, |members| {
        primary_backup::Config {
            retention_bytes: RETENTION_BYTES,
            ..primary_backup::Config::new(members)
        }
    });
}

#[test]
fn chain() {
    costs_nothing::<chain::Chain>(Free::Commands, |members| chain::Config {
        retention_bytes: RETENTION_BYTES,
        ..chain::Config::new(members)
    });
}
