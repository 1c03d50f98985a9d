//! Quorate's protocols: three `Node<P>`, driven as its runtime drives one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Checkpoint, Choice, Instant, NodeId, Payload, Protocol, Reader, Wire};
use quorate_node::{Frames, Input, Node};
use quorate_problems::total_order::{Output, Request, TotalOrder};

use crate::harness::Stepped;
use crate::workload::{Commands, State};

/// After how many applied commands a replica says that its state is durable, so that the log in memory
/// may be cut.
const COMPACT_EVERY: u64 = 1024;
/// How much time a round takes on the replicas' clock.
const ROUND: Duration = Duration::from_micros(50);
/// How long a cluster may take to find a leader, in rounds.
const ELECTION_ROUNDS_MAX: u32 = 10_000_000;

/// How messages travel.
pub trait Link<P: Protocol> {
    /// Takes a message to carry.
    fn send(&mut self, message: P::Message);
    /// Hands over everything that was sent before the call.
    fn deliver(&mut self, take: impl FnMut(P::Message));
    /// A link without messages.
    fn new() -> Self;
}

/// Messages as values.
pub struct Values<P: Protocol>(VecDeque<P::Message>);

impl<P: Protocol> Link<P> for Values<P> {
    fn send(&mut self, message: P::Message) {
        self.0.push_back(message);
    }

    fn deliver(&mut self, mut take: impl FnMut(P::Message)) {
        for message in self.0.drain(..) {
            take(message);
        }
    }

    fn new() -> Values<P> {
        Values(VecDeque::new())
    }
}

/// Blocks of memory that are used again once nobody holds a slice of them any more.
#[derive(Default)]
struct Blocks {
    filling: Arc<Vec<u8>>,
    used: VecDeque<Arc<Vec<u8>>>,
}

impl Blocks {
    /// The block that is being filled.
    fn filling(&mut self) -> &mut Vec<u8> {
        Arc::get_mut(&mut self.filling).expect("a block is filled before it is shared")
    }

    /// What was filled since the last time, if anything was.
    fn take(&mut self) -> Option<Arc<Vec<u8>>> {
        if self.filling.is_empty() {
            return None;
        }
        let is_free = |block: &Arc<Vec<u8>>| Arc::strong_count(block) == 1;
        // Mostly the oldest is free, but what a view service keeps of its few messages stays for long.
        for _ in 0..4 {
            if !self.used.front().is_none_or(is_free) {
                self.used.rotate_left(1);
            }
        }
        let free = self.used.front().is_some_and(is_free);
        let reused = if free { self.used.pop_front() } else { None };
        let mut next = reused.unwrap_or_default();
        Arc::get_mut(&mut next)
            .expect("nobody else holds it")
            .clear();
        let block = std::mem::replace(&mut self.filling, next);
        self.used.push_back(block.clone());
        Some(block)
    }
}

/// Messages as bytes: encoded into a block, which is then decoded as what a network read brought is. The
/// receiver's log keeps slices of it.
pub struct Bytes(Blocks);

impl<P: Protocol> Link<P> for Bytes {
    fn send(&mut self, message: P::Message) {
        message.encode(self.0.filling());
    }

    fn deliver(&mut self, mut take: impl FnMut(P::Message)) {
        if let Some(block) = self.0.take() {
            let mut reader = Reader::new(&block);
            while reader.remaining() > 0 {
                take(P::Message::decode(&mut reader).expect("it was encoded here"));
            }
        }
    }

    fn new() -> Bytes {
        Bytes(Blocks::default())
    }
}

/// What a payload is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Each command is a payload.
    Alone,
    /// All commands that wait become one payload, as the service's edge makes one of them.
    Together,
}

struct Replica<P: Protocol> {
    node: Node<P>,
    state: State,
    position: Checkpoint,
    compacted: u64,
}

/// Three replicas of protocol `P`.
pub struct Ours<P: Protocol, L> {
    replicas: [Replica<P>; 3],
    /// From each to each.
    links: [[L; 3]; 3],
    leader: usize,
    now: Instant,
    empty: Frames,
    packing: Packing,
    waiting: Blocks,
}

impl<P: Protocol<Problem = TotalOrder>, L: Link<P>> Ours<P, L> {
    /// Starts a cluster and waits until it has a leader.
    pub fn start(config: fn(&[NodeId]) -> P::Config, packing: Packing) -> Ours<P, L> {
        let members = [NodeId(1), NodeId(2), NodeId(3)];
        let now = Instant::default();
        let replicas = members.map(|me| Replica {
            node: Node::fresh(me, &config(&members), Choice::Seeded(me.0), now),
            state: State::default(),
            position: Checkpoint::default(),
            compacted: 0,
        });
        let links = std::array::from_fn(|_| std::array::from_fn(|_| L::new()));
        let mut cluster = Ours {
            replicas,
            links,
            leader: 0,
            now,
            empty: Frames::default(),
            packing,
            waiting: Blocks::default(),
        };
        for _ in 0..ELECTION_ROUNDS_MAX {
            cluster.round();
            let status = cluster
                .replicas
                .each_ref()
                .map(|replica| replica.node.status());
            if let Some(leader) = status[0].leader
                && status.iter().all(|status| status.leader == Some(leader))
            {
                cluster.leader = leader.0 as usize - 1;
                if cluster.replicas[cluster.leader].node.window() > 0 {
                    return cluster;
                }
            }
        }
        panic!("no leader was found");
    }

    fn broadcast(&mut self, payload: Payload) {
        let leader = &mut self.replicas[self.leader].node;
        leader.step(Input::Request(Request::Broadcast(payload)), self.now);
    }

    /// Gives a replica all that waits for it, then does what it wants done.
    fn turn(&mut self, me: usize) {
        let Ours {
            replicas,
            links,
            now,
            empty,
            ..
        } = self;
        let node = &mut replicas[me].node;
        for from in 0..3 {
            let sender = NodeId(from as u64 + 1);
            links[from][me].deliver(|message| node.step(Input::Message(sender, message), *now));
        }
        node.expire(*now);
        // The frames of all these steps are in memory, encoded, which is where this disk is.
        node.take_frames(empty);
        if let Some(last) = empty.written.last() {
            node.synced(last.frame, *now);
        }
        empty.clear();
        self.carry_out(me);
    }

    /// Carries mail away and applies outputs.
    fn carry_out(&mut self, me: usize) {
        let Ours {
            replicas,
            links,
            now,
            ..
        } = self;
        let replica = &mut replicas[me];
        for letter in replica.node.take_mail() {
            links[me][letter.to.0 as usize - 1].send(letter.message);
        }
        for output in replica.node.take_outputs() {
            match output {
                Output::Deliver {
                    position,
                    epoch,
                    payload,
                } => {
                    replica.position = Checkpoint { position, epoch };
                    replica.state.apply(payload.as_bytes());
                }
                Output::Lead { .. } | Output::Members(_) => {}
                Output::ReadReady { .. } | Output::Install(_) => {
                    panic!("nobody asked for {output:?}")
                }
            }
        }
        if replica.state.count >= replica.compacted + COMPACT_EVERY {
            replica.compacted = replica.state.count;
            let compact = Request::Compact(replica.position);
            replica.node.step(Input::Request(compact), *now);
        }
    }
}

impl<P: Protocol<Problem = TotalOrder>, L: Link<P>> Stepped for Ours<P, L> {
    fn submit(&mut self, commands: &Commands, number: u64) {
        let command = commands.get(number);
        match self.packing {
            Packing::Alone => self.broadcast(command.clone()),
            Packing::Together => self.waiting.filling().extend_from_slice(command.as_bytes()),
        }
    }

    fn round(&mut self) {
        self.now = self.now + ROUND;
        if let Some(block) = self.waiting.take() {
            let all = 0..block.len();
            self.broadcast(Payload::new(block, all, 0));
        }
        self.carry_out(self.leader);
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
