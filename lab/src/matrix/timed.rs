//! A few processes under a simulated clock: every message takes a known time, so latencies come out in
//! message delays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Boot, Choice, Instant, NodeId, Reader, Wire};
use quorate_node::{Frames, Input, Node};
use quorate_problems::replicated::{CallId, Operation, Oracle, Outcome, Output, Request};
use quorate_protocols::strategies::{Config, Message, Record, Strategies};
use quorate_sim::Disk;

/// One message delay.
pub(super) const UNIT: Duration = Duration::from_millis(10);

/// A moment so many message delays after the beginning.
pub(super) fn at(delays: f64) -> Instant {
    Instant(0) + UNIT.mul_f64(delays)
}

/// A time in message delays.
pub(super) fn in_delays(time: Duration) -> f64 {
    time.as_secs_f64() / UNIT.as_secs_f64()
}

/// What will happen to whom.
#[derive(Clone, Debug)]
enum Event {
    Mail {
        from: NodeId,
        to: NodeId,
        bytes: Vec<u8>,
    },
    Crash(NodeId),
    Restart(NodeId),
    Cut(BTreeSet<NodeId>),
    Heal,
}

/// A call, as its client saw it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) operation: Operation,
    pub(super) asked: Instant,
    pub(super) answered: Option<(Instant, Outcome)>,
}

/// What a process had to do.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Work {
    /// Messages sent and received, without signs of life.
    pub(super) messages: u64,
    /// Operations executed.
    pub(super) executions: u64,
}

/// Processes, links and a clock.
pub(super) struct Timed {
    config: Config,
    now: Instant,
    nodes: BTreeMap<NodeId, Node<Strategies>>,
    disks: BTreeMap<NodeId, Disk>,
    incarnations: BTreeMap<NodeId, u64>,
    members: Vec<NodeId>,
    events: BTreeMap<(Instant, u64), Event>,
    count: u64,
    /// When the last message of a link arrives: channels keep their order.
    last: BTreeMap<(NodeId, NodeId), Instant>,
    /// A replica with slow links, and how many times slower they are.
    pub(super) slow: Option<(NodeId, u32)>,
    /// One of so many messages is lost, but never more than so many in a row.
    pub(super) losses: Option<(u32, u32)>,
    lost_in_a_row: BTreeMap<(NodeId, NodeId, bool), u32>,
    /// Those on one side of a cut.
    side: BTreeSet<NodeId>,
    pub(super) choice: Choice,
    /// Judges the run, unless nobody wants to know.
    pub(super) oracle: Oracle,
    pub(super) judged: bool,
    pub(super) violations: Vec<String>,
    pub(super) calls: BTreeMap<CallId, Call>,
    /// Who was told what since somebody looked last.
    pub(super) answers: Vec<CallId>,
    pub(super) work: BTreeMap<NodeId, Work>,
    pub(super) mail: u64,
    pub(super) leads: Vec<(Instant, NodeId)>,
}

impl Timed {
    pub(super) fn new(config: &Config, seed: u64) -> Timed {
        let members: Vec<NodeId> = config
            .succession
            .iter()
            .chain(&config.proxy)
            .copied()
            .collect();
        let mut timed = Timed {
            config: config.clone(),
            now: Instant(0),
            nodes: BTreeMap::new(),
            disks: members.iter().map(|&id| (id, Disk::default())).collect(),
            incarnations: BTreeMap::new(),
            members: members.clone(),
            events: BTreeMap::new(),
            count: 0,
            last: BTreeMap::new(),
            slow: None,
            losses: None,
            lost_in_a_row: BTreeMap::new(),
            side: BTreeSet::new(),
            choice: Choice::Seeded(seed.wrapping_mul(0x9e37_79b9) ^ 0x51ab),
            oracle: Oracle::default(),
            judged: true,
            violations: Vec::new(),
            calls: BTreeMap::new(),
            answers: Vec::new(),
            work: BTreeMap::new(),
            mail: 0,
            leads: Vec::new(),
        };
        for id in members {
            timed.start(id);
        }
        timed
    }

    pub(super) fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn is_up(&self, id: NodeId) -> bool {
        self.nodes.contains_key(&id)
    }

    pub(super) fn crash(&mut self, when: Instant, id: NodeId) {
        self.plan(when, Event::Crash(id));
    }

    pub(super) fn restart(&mut self, when: Instant, id: NodeId) {
        self.plan(when, Event::Restart(id));
    }

    /// From then on these can reach only one another.
    pub(super) fn cut(&mut self, when: Instant, side: impl IntoIterator<Item = NodeId>) {
        self.plan(when, Event::Cut(side.into_iter().collect()));
    }

    pub(super) fn heal(&mut self, when: Instant) {
        self.plan(when, Event::Heal);
    }

    fn plan(&mut self, when: Instant, event: Event) {
        self.count += 1;
        self.events.insert((when, self.count), event);
    }

    /// A client asks; asking again keeps the call.
    pub(super) fn ask(&mut self, to: NodeId, id: CallId, operation: Operation) {
        let asked = self.now;
        self.calls.entry(id).or_insert(Call {
            operation,
            asked,
            answered: None,
        });
        if self.judged {
            self.oracle.on_invoke(id, operation);
        }
        let now = self.now;
        if let Some(node) = self.nodes.get_mut(&to) {
            node.step(Input::Request(Request::Invoke { id, operation }), now);
            self.collect(to);
        }
    }

    /// Lets everything happen that happens by then. What arrives in the same moment in which a timer runs
    /// out has arrived in time.
    pub(super) fn run_until(&mut self, until: Instant) {
        loop {
            let event = self.events.first_key_value().map(|(key, _)| *key);
            let timers = self.nodes.iter();
            let timers = timers.filter_map(|(id, node)| Some((node.next_deadline()?, *id)));
            let timer = timers.min();
            let event_first = match (event, timer) {
                (Some((when, _)), Some((deadline, _))) => when <= deadline,
                (event, _) => event.is_some(),
            };
            if let (Some(key), true) = (event, event_first) {
                if key.0 > until {
                    break;
                }
                self.now = self.now.max(key.0);
                if let Some(event) = self.events.remove(&key) {
                    self.happen(event);
                }
            } else if let Some((deadline, id)) = timer {
                if deadline > until {
                    break;
                }
                self.now = self.now.max(deadline);
                let now = self.now;
                if let Some(node) = self.nodes.get_mut(&id) {
                    node.expire(now);
                    self.collect(id);
                }
            } else {
                break;
            }
        }
        self.now = self.now.max(until);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Mail { from, to, bytes } => self.receive(from, to, bytes),
            Event::Crash(id) => {
                self.nodes.remove(&id);
                if let Some(disk) = self.disks.get_mut(&id) {
                    disk.crash(0);
                }
            }
            Event::Restart(id) => self.start(id),
            Event::Cut(side) => self.side = side,
            Event::Heal => self.side.clear(),
        }
    }

    fn start(&mut self, id: NodeId) {
        let incarnation = self.incarnations.entry(id).or_default();
        *incarnation += 1;
        let incarnation = *incarnation;
        self.oracle.on_open(id);
        let disk = self.disks.entry(id).or_default();
        let boot = Boot {
            me: id,
            incarnation,
            survival: disk.survival(),
            records: Box::new(disk.records::<Record>().into_iter()),
            checkpoint: quorate_core::Checkpoint::default(),
        };
        let seed = u64::from(self.choice.choose(u32::MAX));
        let durable = disk.durable();
        let choice = Choice::Seeded(seed);
        let node = Node::open(&self.config, boot, durable, choice, self.now);
        self.nodes.insert(id, node);
        self.collect(id);
    }

    fn receive(&mut self, from: NodeId, to: NodeId, bytes: Vec<u8>) {
        let block = Arc::new(bytes);
        let message = Message::decode(&mut Reader::new(&block));
        let message = message.expect("what was encoded can be decoded");
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&to) else {
            return;
        };
        if !is_sign_of_life(&message) {
            self.work.entry(to).or_default().messages += 1;
        }
        node.step(Input::Message(from, message), now);
        self.collect(to);
    }

    /// Carries out what a process asks for. Its disk takes no time.
    fn collect(&mut self, id: NodeId) {
        let now = self.now;
        loop {
            let Some(node) = self.nodes.get_mut(&id) else {
                return;
            };
            let mut frames = Frames::default();
            node.take_frames(&mut frames);
            if frames.is_empty() {
                break;
            }
            let disk = self.disks.entry(id).or_default();
            disk.write(&frames);
            let frame = disk.sync(usize::MAX);
            node.synced(frame, now);
        }
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        let mail: Vec<_> = node.take_mail().collect();
        let outputs: Vec<_> = node.take_outputs().collect();
        let executions = node.protocol().executions();
        self.work.entry(id).or_default().executions = executions;
        for letter in mail {
            self.send(id, letter.to, &letter.message);
        }
        for output in outputs {
            self.output(id, &output);
        }
    }

    fn output(&mut self, id: NodeId, output: &Output) {
        if self.judged
            && let Err(violation) = self.oracle.on_output(id, output)
        {
            self.violations.push(violation.to_string());
        }
        let now = self.now;
        match output {
            Output::Reply { id, result } => {
                if let Some(call) = self.calls.get_mut(id)
                    && call.answered.is_none()
                {
                    call.answered = Some((now, *result));
                    self.answers.push(*id);
                }
            }
            Output::Leads { .. } => self.leads.push((now, id)),
            Output::Updated { .. } | Output::Installed { .. } => {}
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: &Message) {
        if !is_sign_of_life(message) {
            self.mail += 1;
            self.work.entry(from).or_default().messages += 1;
        }
        let apart = self.side.contains(&from) != self.side.contains(&to);
        if (apart && !self.side.is_empty()) || self.is_lost(from, to, is_sign_of_life(message)) {
            return;
        }
        let factor = match self.slow {
            Some((slow, factor)) if slow == from || slow == to => factor,
            _ => 1,
        };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let last = self.last.get(&(from, to)).copied().unwrap_or_default();
        let arrives = (self.now + UNIT * factor).max(last);
        self.last.insert((from, to), arrives);
        self.plan(arrives, Event::Mail { from, to, bytes });
    }

    /// Signs of life are counted apart, so that they do not make up for lost updates.
    fn is_lost(&mut self, from: NodeId, to: NodeId, alive: bool) -> bool {
        let Some((one_of, in_a_row_max)) = self.losses else {
            return false;
        };
        let lost = self.lost_in_a_row.entry((from, to, alive)).or_default();
        if *lost < in_a_row_max && self.choice.choose(one_of) == 0 {
            *lost += 1;
            return true;
        }
        *lost = 0;
        false
    }

    /// Whether any process that is up, but for the proxy, has this update.
    pub(super) fn survives(&self, id: CallId) -> bool {
        let mut up = self.members.iter().filter(|member| self.is_up(**member));
        up.any(|member| self.oracle.contains(*member, id))
    }
}

/// Signs of life are counted apart: they are sent whether anybody asks for anything or not.
fn is_sign_of_life(message: &Message) -> bool {
    matches!(message, Message::Alive { .. })
}
