//! A few replicas, their disks and the network between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Write as _};
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{
    Boot, Choice, Instant, NodeId, Output, Protocol, Reader, Request, Survival, Wire,
};
use quorate_node::{Frames, Input, Node};

use crate::trace::{Loss, MailId, Trace, What};
use crate::{Disk, Suite, Watch, Workload};

mod record;

/// The world. Every method is one thing that happens; it fails if that breaks a promise.
pub struct World<P: Protocol>
where
    P::Problem: Workload,
{
    config: P::Config,
    machines: BTreeMap<NodeId, Machine<P>>,
    flying: Vec<Flying>,
    /// From whom to whom nothing gets.
    cuts: BTreeSet<(NodeId, NodeId)>,
    now: Instant,
    seed: u64,
    oracle: <P::Problem as Workload>::Oracle,
    watch: Watch<P>,
    trace: Option<Trace>,
    /// The name of the next piece of mail.
    next_mail: u64,
    /// Whether frames that are not needed are deleted at once, or whenever the driver likes.
    deletes: bool,
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
    /// What the trace already knows of the replica.
    known: record::Known,
}

/// Mail under way.
#[derive(Clone, Debug)]
pub struct Flying {
    /// Its name in the trace.
    pub id: MailId,
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
            known: record::Known::default(),
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
            next_mail: 0,
            deletes: true,
        }
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
            let fired = self.expire(id, now);
            for timer in fired {
                self.note(|| What::Fired { node: id, timer });
            }
            self.collect(id)?;
        }
        Ok(())
    }

    /// Fires what is due at a replica, if it is up; names it if there is a trace.
    fn expire(&mut self, id: NodeId, now: Instant) -> Vec<String> {
        let traced = self.trace.is_some();
        let mut fired = Vec::new();
        let Some(replica) = &mut self.machine(id).replica else {
            return fired;
        };
        if !traced {
            replica.expire(now);
            return fired;
        }
        let due = |replica: &Node<P>| {
            let running = replica.timers().iter().filter(|(_, at)| *at <= now);
            running.min_by_key(|(timer, at)| (*at, *timer))
        };
        while let Some((timer, _)) = due(replica) {
            replica.fire(timer, now);
            fired.push(name(&timer));
        }
        fired
    }

    /// One named timer runs out, whatever the time.
    pub fn fire(&mut self, id: NodeId, timer: P::Timer) -> Outcome {
        let now = self.now;
        self.note(|| What::Fired {
            node: id,
            timer: name(&timer),
        });
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
        self.note(|| What::Requested {
            node: id,
            text: format!("{request:?}"),
        });
        let now = self.now;
        self.act(id, |replica| replica.step(Input::Request(request), now))
    }

    /// Mail arrives.
    pub fn deliver(&mut self, at: usize) -> Outcome {
        let mail = self.flying.remove(at);
        let message = decode::<P>(&mail);
        self.receive(mail.id, mail.from, mail.to, message)
    }

    /// Mail is lost.
    pub fn drop_mail(&mut self, at: usize) {
        let mail = self.flying.remove(at).id;
        let why = Loss::Dropped;
        self.note(|| What::Lost { mail, why });
    }

    /// Mail will arrive twice: a copy goes to the end of the queue.
    pub fn duplicate(&mut self, at: usize) {
        let (mail, copy) = (self.flying[at].id, self.name_mail());
        self.flying.push(Flying {
            id: copy,
            ..self.flying[at].clone()
        });
        self.note(|| What::Copied { mail, copy });
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
        self.note_synced(id, frame);
        self.act(id, |replica| replica.synced(frame, now))
    }

    /// A machine stops. The first `keep` of the frames that are not durable survive all the same.
    pub fn crash(&mut self, id: NodeId, keep: usize) {
        let machine = self.machine(id);
        machine.replica = None;
        machine.known = record::Known::default();
        let kept = machine.disk.crash(keep);
        self.note(|| What::Crashed { node: id, kept });
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
        let incarnation = machine.incarnation;
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
        self.note(|| What::Started {
            node: id,
            incarnation,
        });
        self.collect(id)
    }

    /// From now on nothing gets from one member to another; what is under way is lost.
    pub fn cut_one_way(&mut self, from: NodeId, to: NodeId) {
        self.cuts.insert((from, to));
        self.note(|| What::Cut { from, to });
        let (lost, kept) = std::mem::take(&mut self.flying)
            .into_iter()
            .partition(|mail| (mail.from, mail.to) == (from, to));
        self.flying = kept;
        for Flying { id: mail, .. } in lost {
            let why = Loss::Cut;
            self.note(|| What::Lost { mail, why });
        }
    }

    /// Cuts two members off from one another; what is under way between them is lost.
    pub fn cut(&mut self, one: NodeId, two: NodeId) {
        self.cut_one_way(one, two);
        self.cut_one_way(two, one);
    }

    /// Joins everybody again.
    pub fn heal(&mut self) {
        self.cuts.clear();
        self.note(|| What::Healed);
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

    fn receive(
        &mut self,
        mail: MailId,
        from: NodeId,
        to: NodeId,
        mut message: P::Message,
    ) -> Outcome {
        if self.machine(to).replica.is_none() {
            let why = Loss::NobodyThere;
            self.note(|| What::Lost { mail, why });
            return Ok(());
        }
        self.note(|| What::Received { mail, node: to });
        let machine = self.machine(to);
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
        let outcome = self.carry_out(id).and_then(|()| self.check());
        if let Err(violation) = &outcome {
            self.note(|| What::Violated {
                text: violation.clone(),
            });
        }
        outcome
    }

    /// Carries out what a replica asks for, if it is up.
    fn carry_out(&mut self, id: NodeId) -> Outcome {
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
        self.note_replica(id, frames.written.len());
        for letter in mail {
            self.send(id, letter.to, letter.message)?;
        }
        for output in outputs {
            self.output(id, &output)?;
        }
        Ok(())
    }

    fn output(&mut self, id: NodeId, output: &Output<P>) -> Outcome {
        self.note(|| What::Output {
            node: id,
            text: format!("{output:?}"),
            decision: P::Problem::is_decision(output),
        });
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
        let (id, kind) = (self.name_mail(), name(&message));
        self.note(|| What::Sent {
            mail: id,
            from,
            to,
            kind: kind.clone(),
            text: format!("{message:?}"),
        });
        let lost = match (
            self.cuts.contains(&(from, to)),
            self.machines.contains_key(&to),
        ) {
            (true, _) => Some(Loss::Cut),
            (false, false) => Some(Loss::NobodyThere),
            (false, true) => None,
        };
        if let Some(why) = lost {
            self.note(|| What::Lost { mail: id, why });
            return Ok(());
        }
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.flying.push(Flying {
            id,
            from,
            to,
            kind,
            bytes,
        });
        Ok(())
    }

    fn name_mail(&mut self) -> MailId {
        self.next_mail += 1;
        MailId(self.next_mail)
    }
}

/// The name of a variant, as `Debug` writes it.
pub(crate) fn name(value: &impl Debug) -> String {
    /// Stops the writer at the end of the name, since messages can be long.
    struct Name(String);
    impl fmt::Write for Name {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let end = text.find(|c: char| !c.is_alphanumeric());
            self.0.push_str(&text[..end.unwrap_or(text.len())]);
            end.map_or(Ok(()), |_| Err(fmt::Error))
        }
    }
    let mut name = Name(String::new());
    // The error only says that the name ended before the text did.
    let _ = write!(name, "{value:?}");
    name.0
}

fn decode<P: Protocol>(mail: &Flying) -> P::Message {
    let block = Arc::new(mail.bytes.clone());
    let mut reader = Reader::new(&block);
    let message = P::Message::decode(&mut reader).expect("what was encoded can be decoded");
    reader.finish().expect("all that was encoded was decoded");
    message
}
