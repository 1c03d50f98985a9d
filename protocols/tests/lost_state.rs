//! A replica whose application lost its state, though nothing of the log. If the log says that it has all
//! there ever was, it must make up for the state; if not, the others must, and the replica is opened as one
//! that may have forgotten something.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{
    Boot, Checkpoint, Choice, Effects, Frame, Instant, NodeId, Payload, Protocol, Survival,
};
use quorate_node::{Frames, Input, Node};
use quorate_problems::total_order::{Output, Request, TotalOrder};
use quorate_protocols::{chain, multipaxos, primary_backup, raft, viewstamped};

const MEMBERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const ROUND: Duration = Duration::from_millis(5);
/// How many rounds anything may take that is expected to happen.
const PATIENCE: usize = 20_000;

/// What a replica has on its disk.
struct Disk<P: Protocol> {
    frames: Vec<(Frame, P::Record)>,
    keep_from: Option<Frame>,
    incarnation: u64,
}

impl<P: Protocol<Problem = TotalOrder>> Disk<P> {
    /// Starts a replica, and answers where it installs a state that was staged before.
    fn start(
        &mut self,
        config: &P::Config,
        survival: Survival,
        checkpoint: Checkpoint,
    ) -> Option<Checkpoint> {
        self.incarnation += 1;
        let mut fx = Effects::new(Choice::Seeded(1));
        fx.frame = Frame(self.incarnation);
        let kept = self.frames.iter().cloned();
        let keep_from = self.keep_from.unwrap_or_default();
        let boot = Boot {
            me: MEMBERS[2],
            incarnation: self.incarnation,
            survival,
            records: Box::new(kept.filter(|(frame, _)| *frame >= keep_from)),
            checkpoint,
        };
        P::open(config, boot, &mut fx).invariants();
        let frame = fx.frame;
        self.keep_from = self.keep_from.max(fx.keep_from);
        let records = fx.records.into_iter().map(|record| (frame, record));
        self.frames.extend(records);
        fx.outputs.into_iter().find_map(|output| match output {
            Output::Install(checkpoint) => Some(checkpoint),
            Output::Deliver { .. }
            | Output::ReadReady { .. }
            | Output::Lead { .. }
            | Output::Members(_) => None,
        })
    }
}

/// What a quorum holds may be applied and durable before it is in the log here. Whoever then begins its log
/// behind the state must not look as if it had everything.
fn a_log_without_its_state_asks_for_nothing_that_never_arrived<P>(config: &P::Config)
where
    P: Protocol<Problem = TotalOrder>,
{
    let mut disk = Disk::<P> {
        frames: Vec::new(),
        keep_from: None,
        incarnation: 0,
    };
    let nothing = Checkpoint::default();
    // No log of them has had an epoch yet, and every one must know the epoch of what it has.
    let ahead = Checkpoint {
        position: 3,
        epoch: 0,
    };
    assert_eq!(disk.start(config, Survival::Fresh, nothing), None);
    assert_eq!(disk.start(config, Survival::Intact, ahead), None);
    let survival = match disk.keep_from {
        None => Survival::Intact,
        Some(_) => Survival::Damaged,
    };
    let installed = disk.start(config, survival, nothing);
    assert_eq!(installed, None, "{survival:?}");
}

struct Replica<P: Protocol> {
    node: Node<P>,
    state: Checkpoint,
}

struct Cluster<P: Protocol> {
    replicas: [Replica<P>; 3],
    inboxes: [VecDeque<(NodeId, P::Message)>; 3],
    now: Instant,
}

impl<P: Protocol<Problem = TotalOrder>> Cluster<P> {
    fn start(config: &P::Config) -> Cluster<P> {
        let now = Instant::default();
        Cluster {
            replicas: MEMBERS.map(|me| Replica {
                node: Node::fresh(me, config, Choice::Seeded(me.0), now),
                state: Checkpoint::default(),
            }),
            inboxes: [const { VecDeque::new() }; 3],
            now,
        }
    }

    /// n3 begins again with nothing.
    fn lose(&mut self, config: &P::Config) {
        let boot = Boot {
            me: MEMBERS[2],
            incarnation: 2,
            survival: Survival::Damaged,
            records: Box::new(std::iter::empty()),
            checkpoint: Checkpoint::default(),
        };
        let durable = Frame(1 << 32);
        self.inboxes[2].clear();
        self.replicas[2] = Replica {
            node: Node::open(config, boot, durable, Choice::Seeded(7), self.now),
            state: Checkpoint::default(),
        };
    }

    fn until(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        for _ in 0..PATIENCE {
            if reached(self) {
                return;
            }
            self.now = self.now + ROUND;
            for me in 0..3 {
                self.turn(me);
            }
        }
        let known = self.replicas.each_ref().map(|one| one.node.status());
        panic!("in vain: {what}: {known:?}");
    }

    /// Has somebody who leads order a command, until all of `who` have applied one more.
    fn order(&mut self, who: std::ops::Range<usize>) {
        let state = |cluster: &Cluster<P>, at: usize| cluster.replicas[at].state.position;
        let from = who.clone().map(|at| state(self, at)).max().unwrap_or(0);
        self.until("somebody leads", |cluster| {
            let mut nodes = cluster.replicas.iter().map(|one| &one.node);
            nodes.any(|node| node.status().leader == Some(node.me()) && node.window() > 0)
        });
        let command = Payload::new(Arc::new(vec![7; 256]), 0..256, 0);
        let now = self.now;
        for Replica { node, .. } in &mut self.replicas {
            if node.status().leader == Some(node.me()) {
                node.step(Input::Request(Request::Broadcast(command.clone())), now);
            }
        }
        self.until("it is applied", |cluster| {
            who.clone().all(|at| state(cluster, at) > from)
        });
    }

    fn turn(&mut self, me: usize) {
        let Replica { node, state } = &mut self.replicas[me];
        for (from, message) in self.inboxes[me].drain(..) {
            node.step(Input::Message(from, message), self.now);
        }
        node.expire(self.now);
        let mut frames = Frames::default();
        node.take_frames(&mut frames);
        if let Some(last) = frames.written.last() {
            node.synced(last.frame, self.now);
        }
        for output in node.take_outputs() {
            match output {
                Output::Deliver {
                    position, epoch, ..
                } => {
                    assert_eq!(position, state.position + 1);
                    *state = Checkpoint { position, epoch };
                }
                Output::Install(checkpoint) => *state = checkpoint,
                Output::ReadReady { .. } | Output::Lead { .. } | Output::Members(_) => {}
            }
        }
        for letter in node.take_mail() {
            let to = usize::try_from(letter.to.0 - 1).expect("it is small");
            self.inboxes[to].push_back((MEMBERS[me], letter.message));
        }
    }
}

/// Whether the others have the whole log still, or only what it led to.
fn who_has_nothing_left_comes_back<P>(config: &P::Config)
where
    P: Protocol<Problem = TotalOrder>,
{
    for compacted in [false, true] {
        let mut cluster = Cluster::<P>::start(config);
        for _ in 0..5 {
            cluster.order(0..3);
        }
        if compacted {
            for Replica { node, state } in &mut cluster.replicas {
                node.step(Input::Request(Request::Compact(*state)), cluster.now);
            }
        }
        cluster.lose(config);
        let newest = |cluster: &Cluster<P>| {
            let mut states = cluster.replicas.iter().map(|one| one.state.position);
            states.next().max(states.next())
        };
        cluster.until("it is whole", |cluster| {
            let lost = &cluster.replicas[2];
            lost.node.status().whole && Some(lost.state.position) == newest(cluster)
        });
        cluster.order(0..3);
    }
}

#[test]
fn raft() {
    let config = raft::Config {
        retention_bytes: 0,
        ..raft::Config::new(MEMBERS)
    };
    a_log_without_its_state_asks_for_nothing_that_never_arrived::<raft::Raft>(&config);
    who_has_nothing_left_comes_back::<raft::Raft>(&config);
}

#[test]
fn multipaxos() {
    let config = multipaxos::Config {
        retention_bytes: 0,
        ..multipaxos::Config::new(MEMBERS)
    };
    a_log_without_its_state_asks_for_nothing_that_never_arrived::<multipaxos::MultiPaxos>(&config);
    who_has_nothing_left_comes_back::<multipaxos::MultiPaxos>(&config);
}

#[test]
fn viewstamped() {
    let config = viewstamped::Config {
        retention_bytes: 0,
        ..viewstamped::Config::new(MEMBERS)
    };
    a_log_without_its_state_asks_for_nothing_that_never_arrived::<viewstamped::Viewstamped>(
        &config,
    );
    who_has_nothing_left_comes_back::<viewstamped::Viewstamped>(&config);
}

#[test]
fn primary_backup() {
    let config = primary_backup::Config {
        retention_bytes: 0,
        ..primary_backup::Config::new(MEMBERS)
    };
    a_log_without_its_state_asks_for_nothing_that_never_arrived::<primary_backup::PrimaryBackup>(
        &config,
    );
    who_has_nothing_left_comes_back::<primary_backup::PrimaryBackup>(&config);
}

#[test]
fn chain() {
    let config = chain::Config {
        retention_bytes: 0,
        ..chain::Config::new(MEMBERS)
    };
    a_log_without_its_state_asks_for_nothing_that_never_arrived::<chain::Chain>(&config);
    who_has_nothing_left_comes_back::<chain::Chain>(&config);
}
