//! Three whole nodes in one process, driven as a server drives them, with links and disks that reuse their
//! memory: what the test that counts allocations and the benches of commands have in common.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Checkpoint, Choice, Instant, NodeId, Payload, Protocol};
use quorate_node::{Frames, Input, Node};
use quorate_problems::total_order::{Output, Request, TotalOrder};

/// How many commands are in flight.
const WINDOW: u64 = 32;
/// After how many commands replicas say that their state is durable.
const COMPACT_EVERY: u64 = 128;
/// How much time passes in a round.
const ROUND: Duration = Duration::from_millis(5);

/// One of three replicas, and how far it is.
struct Replica<P: Protocol> {
    node: Node<P>,
    delivered: u64,
    newest: Checkpoint,
    compacted: u64,
    compactions: u64,
}

/// Three replicas.
pub(crate) struct Cluster<P: Protocol> {
    replicas: [Replica<P>; 3],
    /// What is on its way to each: the sender and the message.
    inboxes: [VecDeque<(NodeId, P::Message)>; 3],
    leader: usize,
    now: Instant,
    frames: Frames,
    command: Payload,
}

impl<P: Protocol<Problem = TotalOrder>> Cluster<P> {
    /// Starts three replicas and waits until somebody leads.
    pub(crate) fn start(config: fn(Vec<NodeId>) -> P::Config) -> Cluster<P> {
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
    pub(crate) fn order(&mut self, count: u64) {
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

    /// How often logs were cut, all replicas together.
    pub(crate) fn compactions(&self) -> u64 {
        self.replicas.iter().map(|one| one.compactions).sum()
    }

    /// How many commands each has delivered.
    pub(crate) fn delivered(&self) -> [u64; 3] {
        self.replicas.each_ref().map(|replica| replica.delivered)
    }

    fn round(&mut self) {
        self.now = self.now + ROUND;
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
