//! A few replicas, their disks and the network between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{
    Boot, Choice, Frame, Instant, NodeId, Output, Protocol, Reader, Request, Survival, Wire,
};
use quorate_node::{Frames, Input, Node};

use crate::{Disk, Suite, Watch, Workload};

/// The world. Every method is one thing that happens; it fails if that breaks a promise.
pub struct World<P: Protocol>
where
    P::Problem: Workload,
{
    config: P::Config,
    machines: BTreeMap<NodeId, Machine<P>>,
    flying: Vec<Flying>,
    /// Who is cut off from whom, in both directions.
    cuts: BTreeSet<(NodeId, NodeId)>,
    now: Instant,
    seed: u64,
    oracle: <P::Problem as Workload>::Oracle,
    watch: Watch<P>,
    trace: Option<Trace>,
    /// Whether frames that are not needed are deleted at once, or whenever the driver likes.
    deletes: bool,
}

/// What happened, line by line.
#[derive(Default)]
struct Trace {
    lines: Vec<String>,
    /// Whether only outputs are written down.
    outputs_only: bool,
}

/// One computer: what is on it survives a crash, the replica does not.
struct Machine<P: Protocol>
where
    P::Problem: Workload,
{
    replica: Option<Node<P>>,
    disk: Disk,
    app: <P::Problem as Workload>::App,
    incarnation: u64,
}

/// Mail under way.
#[derive(Clone, Debug)]
pub struct Flying {
    /// Who sent it.
    pub from: NodeId,
    /// Who is to get it.
    pub to: NodeId,
    /// The kind of message, which is the name of its variant.
    pub kind: String,
    bytes: Vec<u8>,
}

/// What went wrong, in words.
type Outcome = Result<(), String>;

impl<P: Protocol> World<P>
where
    P::Problem: Workload,
{
    /// A world of these members, none of which runs yet.
    #[must_use]
    pub fn new(suite: &Suite<P>, members: &[NodeId], config: P::Config, seed: u64) -> World<P> {
        let machine = || Machine {
            replica: None,
            disk: Disk::default(),
            app: Default::default(),
            incarnation: 0,
        };
        World {
            config,
            machines: members.iter().map(|&id| (id, machine())).collect(),
            flying: Vec::new(),
            cuts: BTreeSet::new(),
            now: Instant(0),
            seed,
            oracle: Default::default(),
            watch: (suite.watch)(),
            trace: None,
            deletes: true,
        }
    }

    /// Starts to write down what happens.
    pub fn start_trace(&mut self) {
        self.trace = Some(Trace::default());
    }

    /// Whether mail and frames are left out of the trace.
    pub fn trace_outputs_only(&mut self, only: bool) {
        if let Some(trace) = &mut self.trace {
            trace.outputs_only = only;
        }
    }

    /// What happened since this was asked last.
    pub fn take_trace(&mut self) -> Vec<String> {
        let lines = self.trace.as_mut().map(|trace| &mut trace.lines);
        lines.map(std::mem::take).unwrap_or_default()
    }

    /// Leaves it to the driver when frames that are not needed are deleted.
    pub fn delete_by_hand(&mut self) {
        self.deletes = false;
    }

    /// The members in order.
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.machines.keys().copied()
    }

    /// A member's replica, if it runs.
    #[must_use]
    pub fn replica(&self, id: NodeId) -> Option<&Node<P>> {
        self.machines.get(&id)?.replica.as_ref()
    }

    /// A member's disk.
    ///
    /// # Panics
    /// If there is no such member.
    pub fn disk(&mut self, id: NodeId) -> &mut Disk {
        &mut self.machine(id).disk
    }

    /// What the layer above a member has.
    ///
    /// # Panics
    /// If there is no such member.
    pub fn app(&mut self, id: NodeId) -> &mut <P::Problem as Workload>::App {
        &mut self.machine(id).app
    }

    /// The mail under way, oldest first.
    #[must_use]
    pub fn flying(&self) -> &[Flying] {
        &self.flying
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// When the next timer anywhere runs out.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let replicas = self.machines.values().filter_map(|m| m.replica.as_ref());
        replicas.filter_map(Node::next_deadline).min()
    }

    /// Time passes, and timers run out.
    pub fn advance(&mut self, by: Duration) -> Outcome {
        self.now = self.now + by;
        let now = self.now;
        for id in self.members().collect::<Vec<_>>() {
            self.act(id, |replica| replica.expire(now))?;
        }
        Ok(())
    }

    /// One named timer runs out, whatever the time.
    pub fn fire(&mut self, id: NodeId, timer: P::Timer) -> Outcome {
        let now = self.now;
        self.act(id, |replica| replica.fire(timer, now))
    }

    /// The layer above a replica asks for something.
    pub fn request(&mut self, id: NodeId, request: Request<P>) -> Outcome {
        let Some(machine) = self.machines.get_mut(&id) else {
            return Err(format!("there is no {id}"));
        };
        if machine.replica.is_none() {
            return Err(format!("{id} is down"));
        }
        P::Problem::on_request(&mut self.oracle, &mut machine.app, id, &request);
        let now = self.now;
        self.act(id, |replica| replica.step(Input::Request(request), now))
    }

    /// Mail arrives.
    pub fn deliver(&mut self, at: usize) -> Outcome {
        let mail = self.flying.remove(at);
        let message = decode::<P>(&mail);
        self.receive(mail.from, mail.to, message)
    }

    /// Mail is lost.
    pub fn drop_mail(&mut self, at: usize) {
        self.flying.remove(at);
    }

    /// Mail will arrive twice: a copy goes to the end of the queue.
    pub fn duplicate(&mut self, at: usize) {
        self.flying.push(self.flying[at].clone());
    }

    /// A disk finishes up to `count` frames.
    pub fn sync(&mut self, id: NodeId, count: usize) -> Outcome {
        let deletes = self.deletes;
        let machine = self.machine(id);
        let frame = machine.disk.sync(count);
        if deletes {
            machine.disk.delete(usize::MAX);
        }
        let now = self.now;
        self.act(id, |replica| replica.synced(frame, now))
    }

    /// A machine stops. The first `keep` of the frames that are not durable survive all the same.
    pub fn crash(&mut self, id: NodeId, keep: usize) {
        let machine = self.machine(id);
        machine.replica = None;
        machine.disk.crash(keep);
    }

    /// Puts a disk into a machine that does not run.
    pub fn replace_disk(&mut self, id: NodeId, disk: Disk) {
        self.machine(id).disk = disk;
    }

    /// A machine starts, for the first time or again.
    pub fn restart(&mut self, id: NodeId) -> Outcome {
        let (now, seed) = (self.now, self.seed);
        let machine = self
            .machines
            .get_mut(&id)
            .ok_or_else(|| format!("there is no {id}"))?;
        if machine.replica.is_some() {
            return Err(format!("{id} is up"));
        }
        machine.incarnation += 1;
        let survival = match machine.disk.is_fresh() {
            true => Survival::Fresh,
            false => Survival::Intact,
        };
        let boot = Boot {
            me: id,
            incarnation: machine.incarnation,
            survival,
            records: Box::new(machine.disk.records().into_iter()),
            checkpoint: P::Problem::on_open(&mut self.oracle, &mut machine.app, id),
        };
        let choice = Choice::Seeded(seed ^ (id.0 << 32) ^ machine.incarnation);
        let durable = machine.disk.durable();
        machine.replica = Some(Node::open(&self.config, boot, durable, choice, now));
        self.collect(id)
    }

    /// Cuts two members off from one another; what is under way between them is lost.
    pub fn cut(&mut self, one: NodeId, two: NodeId) {
        self.cuts.insert((one, two));
        self.cuts.insert((two, one));
        let cuts = &self.cuts;
        self.flying
            .retain(|mail| !cuts.contains(&(mail.from, mail.to)));
    }

    /// Joins everybody again.
    pub fn heal(&mut self) {
        self.cuts.clear();
    }

    /// Asks everyone who is up, and those who see all of them, whether something is wrong.
    pub fn check(&mut self) -> Outcome {
        let replicas = self.machines.values().filter_map(|m| m.replica.as_ref());
        let protocols: Vec<&P> = replicas.map(Node::protocol).collect();
        (self.watch)(&protocols)
    }

    fn machine(&mut self, id: NodeId) -> &mut Machine<P> {
        self.machines.get_mut(&id).expect("drivers name members")
    }

    fn receive(&mut self, from: NodeId, to: NodeId, mut message: P::Message) -> Outcome {
        let machine = self.machine(to);
        if machine.replica.is_none() {
            return Ok(());
        }
        if let Some(checkpoint) = P::attachment(&mut message) {
            P::Problem::stage(&mut machine.app, *checkpoint);
        }
        let now = self.now;
        self.act(to, |replica| {
            replica.step(Input::Message(from, message), now)
        })
    }

    /// Lets a replica do something, if it is up, and carries out what it asks for.
    fn act(&mut self, id: NodeId, step: impl FnOnce(&mut Node<P>)) -> Outcome {
        match &mut self.machine(id).replica {
            Some(replica) => step(replica),
            None => return Ok(()),
        }
        self.collect(id)
    }

    fn collect(&mut self, id: NodeId) -> Outcome {
        let machine = self.machines.get_mut(&id).expect("drivers name members");
        let Some(replica) = &mut machine.replica else {
            return Ok(());
        };
        let mut frames = Frames::default();
        replica.take_frames(&mut frames);
        let mail: Vec<_> = replica.take_mail().collect();
        let outputs: Vec<_> = replica.take_outputs().collect();
        replica.protocol().invariants();
        machine.disk.write(&frames);
        self.trace_frames(id, frames.written.len());
        for letter in mail {
            self.send(id, letter.to, letter.message)?;
        }
        for output in outputs {
            self.output(id, &output)?;
        }
        self.check()
    }

    fn output(&mut self, id: NodeId, output: &Output<P>) -> Outcome {
        if let Some(trace) = &mut self.trace {
            trace.lines.push(format!("{id}: {output:?}"));
        }
        let machine = self.machines.get_mut(&id).expect("drivers name members");
        P::Problem::on_output(&mut self.oracle, &mut machine.app, id, output)
    }

    fn send(&mut self, from: NodeId, to: NodeId, mut message: P::Message) -> Outcome {
        let machine = self.machines.get_mut(&from).expect("drivers name members");
        if let Some(asked) = P::attachment(&mut message) {
            let newest = P::Problem::newest(&machine.app);
            if newest.position < asked.position {
                return Err(format!(
                    "{from} sends a state through {asked:?} but has {newest:?}"
                ));
            }
            *asked = newest;
        }
        let lost = self.cuts.contains(&(from, to)) || !self.machines.contains_key(&to);
        if let Some(trace) = self.trace.as_mut().filter(|trace| !trace.outputs_only) {
            let fate = if lost { " (lost)" } else { "" };
            trace
                .lines
                .push(format!("{from} -> {to}: {message:?}{fate}"));
        }
        if !lost {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            self.flying.push(Flying {
                from,
                to,
                kind: name(&message),
                bytes,
            });
        }
        Ok(())
    }

    fn trace_frames(&mut self, id: NodeId, count: usize) {
        let Some(trace) = self.trace.as_mut().filter(|trace| !trace.outputs_only) else {
            return;
        };
        let records = self.machines[&id].disk.newest::<P::Record>(count);
        for frame in records.chunk_by(|one, two| one.0 == two.0) {
            let Frame(number) = frame[0].0;
            let records: Vec<_> = frame.iter().map(|(_, r)| format!("{r:?}")).collect();
            trace
                .lines
                .push(format!("{id} writes {number}: {}", records.join(", ")));
        }
    }
}

/// The name of a variant, as `Debug` writes it.
pub(crate) fn name(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let end = text.find(|c: char| !c.is_alphanumeric());
    text[..end.unwrap_or(text.len())].to_string()
}

fn decode<P: Protocol>(mail: &Flying) -> P::Message {
    let block = Arc::new(mail.bytes.clone());
    let mut reader = Reader::new(&block);
    let message = P::Message::decode(&mut reader).expect("what was encoded can be decoded");
    reader.finish().expect("all that was encoded was decoded");
    message
}
