//! A few replicas, their disks and the network between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug, Write as _};
use std::time::Duration;

use quorate_core::{Boot, Choice, Instant, NodeId, Protocol, Request};
use quorate_node::{Input, Node};

use crate::panics::catch;
use crate::trace::{Loss, MailId, Trace, What};
use crate::{Disk, Suite, Watch, Workload, suite};

mod apply;
mod carry;
mod choice;
mod digest;
mod progress;
mod record;

pub use apply::Done;

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
    /// Whether never more than a minority may be away at once: down, or back but still recovering.
    minority: bool,
    /// What the next replica to take a step is to choose, last choice first, if that was dictated.
    dictated: Option<Vec<u32>>,
    /// How often [`Workload::probe`] was asked.
    probes: u64,
    /// How many times timers run out before progress must have been made.
    pub(crate) rounds_max: u32,
    /// How many steps replicas have taken.
    steps: u64,
    counts: Counts,
    digest: digest::Digest,
}

/// Enough for many elections: with odd luck candidates collide a few times.
pub(crate) const ROUNDS_MAX: u32 = 3000;

/// How often what happened.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Requests of the layer above.
    pub requests: u64,
    /// Mail that arrived.
    pub delivered: u64,
    /// Mail that the network lost.
    pub dropped: u64,
    /// Mail that was copied.
    pub duplicated: u64,
    /// Mail that its sender never sent.
    pub forgeries: u64,
    /// Links that were cut, each way counted.
    pub cuts: u64,
    /// Timers that somebody let run out before their time.
    pub fired: u64,
    /// Machines that stopped.
    pub crashes: u64,
    /// Machines that started again.
    pub restarts: u64,
    /// Disks that forgot what they had acknowledged.
    pub lost_frames: u64,
    /// Disks that could not read what they had acknowledged.
    pub damages: u64,
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
    /// When it was sent.
    pub sent: Instant,
    pub(crate) bytes: Vec<u8>,
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
            minority: false,
            dictated: None,
            probes: 0,
            rounds_max: ROUNDS_MAX,
            steps: 0,
            counts: Counts::default(),
            digest: digest::Digest::new(),
        }
    }

    /// A world from the words of `cluster`, none of whose members runs yet.
    ///
    /// # Errors
    /// What is wrong with the words.
    pub fn from_words(suite: &Suite<P>, size: u64, words: &[String]) -> Result<World<P>, String> {
        /// More would be a mistake: every step asks about all of them.
        const SIZE_MAX: u64 = 99;
        if size == 0 || size > SIZE_MAX {
            return Err(format!("a cluster has 1 to {SIZE_MAX} members, not {size}"));
        }
        let members: Vec<NodeId> = (1..=size).map(NodeId).collect();
        let flags = ["down", "hoard", "minority"];
        let valued = words.iter().map(String::as_str);
        let valued = valued.filter(|word| !flags.contains(word));
        let mut options = suite::options(valued)?;
        let seed = options.remove("seed");
        let seed = seed.map_or(Ok(0), |value| suite::number("seed", value))?;
        let config = (suite.config)(&members, &options)?;
        let mut world = World::new(suite, &members, config, seed);
        world.deletes = !words.iter().any(|word| word == "hoard");
        world.minority = words.iter().any(|word| word == "minority");
        Ok(world)
    }

    /// Starts every member that is down.
    ///
    /// # Errors
    /// A broken promise.
    pub fn start_all(&mut self) -> Outcome {
        for id in self.members().collect::<Vec<_>>() {
            if self.replica(id).is_none() {
                self.restart(id)?;
            }
        }
        Ok(())
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

    /// What watches over the run.
    pub(crate) fn oracle(&self) -> &<P::Problem as Workload>::Oracle {
        &self.oracle
    }

    /// The mail under way, oldest first.
    #[must_use]
    pub fn flying(&self) -> &[Flying] {
        &self.flying
    }

    /// How often what happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many steps replicas have taken so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// A hash of everything that happened so far.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.value()
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
        self.digest.number(self.now.0);
        let now = self.now;
        for id in self.members().collect::<Vec<_>>() {
            match catch(|| self.expire(id, now)) {
                Ok(fired) => {
                    for timer in fired {
                        self.note(|| What::Fired { node: id, timer });
                    }
                    self.collect(id)?;
                }
                Err(text) => return self.panicked(id, &text),
            }
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
            fired.push(spelled(&timer));
        }
        fired
    }

    /// One named timer runs out, whatever the time.
    pub fn fire(&mut self, id: NodeId, timer: P::Timer) -> Outcome {
        let now = self.now;
        self.note(|| What::Fired {
            node: id,
            timer: spelled(&timer),
        });
        self.counts.fired += 1;
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
        self.counts.requests += 1;
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
        self.receive(&mail)
    }

    /// Mail is lost.
    pub fn drop_mail(&mut self, at: usize) {
        let mail = self.flying.remove(at).id;
        let why = Loss::Dropped;
        self.counts.dropped += 1;
        self.digest.number(mail.0);
        self.note(|| What::Lost { mail, why });
    }

    /// Mail will arrive twice: a copy goes to the end of the queue.
    pub fn duplicate(&mut self, at: usize) {
        let (mail, copy) = (self.flying[at].id, self.name_mail());
        self.flying.push(Flying {
            id: copy,
            ..self.flying[at].clone()
        });
        self.counts.duplicated += 1;
        self.digest.number(copy.0);
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
        self.digest.number(frame.0);
        self.note_synced(id, frame);
        self.act(id, |replica| replica.synced(frame, now))
    }

    /// A machine stops. The first `keep` of the frames that are not durable survive all the same.
    pub fn crash(&mut self, id: NodeId, keep: usize) {
        let machine = self.machine(id);
        machine.replica = None;
        machine.known = record::Known::default();
        let kept = machine.disk.crash(keep);
        self.counts.crashes += 1;
        self.digest.number(kept as u64);
        self.note(|| What::Crashed { node: id, kept });
    }

    /// Whether these machines may stop, where never more than a minority of any group may be away at once. A
    /// replica that says that it is `recovering` is not back yet.
    pub(crate) fn may_crash(&self, stops: impl Fn(NodeId) -> bool) -> bool {
        let here = |id: NodeId| {
            let replica = self.replica(id);
            replica.is_some_and(|replica| replica.status().role != "recovering")
        };
        let withstands = |group: &Vec<NodeId>| {
            let left = group.iter().filter(|&&id| here(id) && !stops(id));
            let lost = group.iter().any(|&id| here(id) && stops(id));
            !lost || left.count() > group.len() / 2
        };
        !self.minority || self.groups().iter().all(withstands)
    }

    /// The groups that decide by majority, or may do so before long.
    pub(crate) fn groups(&self) -> Vec<Vec<NodeId>> {
        let groups = P::Problem::groups(&self.oracle);
        match groups.is_empty() {
            true => vec![self.members().collect()],
            false => groups,
        }
    }

    /// The application of a member makes its state durable, and tells nobody.
    pub fn flush(&mut self, id: NodeId) {
        P::Problem::flush(self.app(id));
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
        let boot = Boot {
            me: id,
            incarnation,
            survival: machine.disk.survival(),
            records: Box::new(machine.disk.records().into_iter()),
            checkpoint: P::Problem::on_open(&mut self.oracle, &mut machine.app, id),
        };
        let mut choice = Choice::Seeded(seed ^ (id.0 << 32) ^ incarnation);
        let durable = machine.disk.durable();
        let config = &self.config;
        let mut dictated = self.dictated.take();
        let opened = catch(|| {
            let seeded = choice::dictate(&mut dictated, &mut choice);
            let mut replica = Node::open(config, boot, durable, choice, now);
            choice::restore(&mut dictated, replica.choice(), seeded);
            replica
        });
        self.dictated = dictated;
        self.digest.number(incarnation);
        self.counts.restarts += u64::from(incarnation > 1);
        self.note(|| What::Started {
            node: id,
            incarnation,
        });
        match opened {
            Ok(replica) => {
                self.machine(id).replica = Some(replica);
                self.collect(id)
            }
            Err(text) => self.panicked(id, &text),
        }
    }

    /// From now on nothing gets from one member to another; what is under way is lost.
    pub fn cut_one_way(&mut self, from: NodeId, to: NodeId) {
        self.digest.number(from.0 << 32 | to.0);
        self.counts.cuts += u64::from(self.cuts.insert((from, to)));
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

/// A timer as scripts write it: in one word.
pub(crate) fn spelled(timer: &impl Debug) -> String {
    let mut text = format!("{timer:?}");
    text.retain(|c| !c.is_whitespace());
    text
}
