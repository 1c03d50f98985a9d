//! Draws what happens next.

use std::collections::VecDeque;
use std::time::Duration;

use quorate_core::{Choice, Faults, NodeId, Protocol, Timing};

use super::luck::Luck;
use super::{Hurt, Schedule, Summary};
use crate::adversary::Adversary;
use crate::command::{Command, Fate, Who};
use crate::{Suite, Workload, World};

/// Things that can happen, each with how often it does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    Deliver,
    DeliverAny,
    Drop,
    Duplicate,
    Sync,
    SyncOne,
    Fire,
    Advance,
    Request,
    Flush,
    Crash,
    Restart,
    Cut,
    Heal,
    Delete,
    Luck,
    Lie,
}

pub(super) struct Driver<'a, P: Protocol>
where
    P::Problem: Workload,
{
    suite: &'a Suite<P>,
    pub(super) world: World<P>,
    pub(super) members: Vec<NodeId>,
    pub(super) choice: Choice,
    pub(super) adversary: Adversary,
    /// Who may be faulty, where the adversary does not let everybody be.
    pub(super) faulty: Vec<NodeId>,
    /// How much has happened.
    pub(super) step: u32,
    /// From which step on bounds hold, where they hold from some moment on.
    pub(super) stable_from: u32,
    /// What liars heard.
    pub(super) kept: VecDeque<(NodeId, Vec<u8>)>,
    pub(super) luck: Luck,
    weights: Vec<(Event, u32)>,
    hurt: &'a Hurt,
    /// Whose disk is slow.
    slow_disk: Option<NodeId>,
    /// The link on which mail takes long.
    slow_link: Option<(NodeId, NodeId)>,
    /// Whose disk may become unreadable.
    damaged: Option<NodeId>,
    /// Whose disk did.
    lost: Option<NodeId>,
    serial: u64,
    schedule: Schedule,
}

/// How many members clusters have, the usual sizes more often.
const SIZES: [u64; 9] = [1, 2, 3, 3, 3, 3, 4, 5, SIZE_MAX];

/// The most that any cluster has.
pub(super) const SIZE_MAX: u64 = 5;

/// More mail than this under way is lost, as in any real network.
const FLYING_MAX: usize = 300;

/// How often in a row nearly all lose something.
const HOLES: u32 = 3;

/// A broken promise.
pub(super) type Outcome = Result<(), String>;

impl<'a, P: Protocol> Driver<'a, P>
where
    P::Problem: Workload,
{
    pub(super) fn new(
        suite: &'a Suite<P>,
        seed: u64,
        hurt: &'a Hurt,
    ) -> Result<Driver<'a, P>, String> {
        // Neighbouring seeds must not give neighbouring streams.
        let mut choice = Choice::Seeded(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x51a3);
        let size = SIZES[choice.choose(9) as usize];
        let members: Vec<NodeId> = (1..=size).map(NodeId).collect();
        let schedule = schedule(suite, seed, hurt, &members, &mut choice);
        let world = World::from_words(suite, size, &schedule.words)?;
        let mut adversary = match hurt.adversary {
            Some(adversary) => adversary,
            None => Adversary::draw(P::MODEL, &mut choice),
        };
        let mut words = schedule.words.iter();
        if hurt.adversary.is_none() && words.any(|word| word.starts_with("members=")) {
            // So few of all nodes may be all that count, so whoever is drawn here must come back.
            adversary.model.faults = P::MODEL.faults;
        }
        let faulty = faulty(&adversary, hurt.outside_model, &members, &mut choice);
        // Stabilisation may come late: in half of the runs, only after everything else.
        let stable_from = match choice.choose(2) {
            0 => hurt.steps,
            _ => choice.choose(hurt.steps.max(1)),
        };
        let weights = weights(&mut choice);
        let any = |choice: &mut Choice| members.get(choice.choose(8) as usize).copied();
        let slow_disk = any(&mut choice);
        let slow_link = any(&mut choice).zip(any(&mut choice));
        let damaged = any(&mut choice).filter(|_| hurt.damaged_disks && size > 2);
        Ok(Driver {
            suite,
            world,
            choice,
            adversary,
            faulty,
            step: 0,
            stable_from,
            kept: VecDeque::new(),
            luck: Luck::default(),
            weights,
            hurt,
            slow_disk,
            slow_link,
            damaged,
            lost: None,
            serial: 0,
            schedule,
            members,
        })
    }

    pub(super) fn schedule(self) -> Schedule {
        self.schedule
    }

    pub(super) fn summary(&self) -> Summary {
        let replicas = self.members.iter().filter_map(|&id| self.world.replica(id));
        let mut summary = Summary {
            counts: self.world.counts(),
            steps: self.world.steps(),
            time: self.world.now().since(quorate_core::Instant(0)),
            digest: self.world.digest(),
            ..Summary::default()
        };
        for replica in replicas {
            let status = replica.status();
            summary.decided = summary.decided.max(status.decided);
            summary.epoch = summary.epoch.max(status.epoch);
        }
        summary
    }

    pub(super) fn hurt(&mut self) -> Outcome {
        self.world.start_all()?;
        // Where not everybody takes part, fewer can be spared.
        for group in self.world.groups() {
            while self.is_too_faulty(&group) {
                let mut faulty = self.faulty.iter();
                let last = faulty.rposition(|id| group.contains(id));
                self.faulty.remove(last.expect("some of them are faulty"));
            }
        }
        for step in 0..self.hurt.steps {
            self.step = step;
            let model = self.adversary.model;
            if model.timing == Timing::PartiallySynchronous && step == self.stable_from {
                self.play(Command::Heal)?;
            }
            match model.timing {
                Timing::Lockstep => self.round()?,
                _ => self.happen()?,
            }
            while self.world.flying().len() > FLYING_MAX {
                match self.may_lose(0) {
                    true => self.mail(Fate::Drop, 0)?,
                    false => self.mail(Fate::Deliver, 0)?,
                }
            }
        }
        Ok(())
    }

    /// Everything works from now on, and so must the cluster: all of it if everybody may come back,
    /// and otherwise those who were never faulty.
    pub(super) fn heal(&mut self) -> Outcome {
        if self.adversary.model.faults == Faults::CrashRecovery {
            return self.play(Command::Progress(Vec::new()));
        }
        for id in self.faulty.clone() {
            // Whoever may fail may as well be gone for good.
            self.play(Command::Crash {
                who: Who::One(id),
                keep: 0,
            })?;
        }
        let core = self.members.iter().filter(|id| !self.faulty.contains(id));
        let core = core.copied().collect();
        self.play(Command::Progress(core))
    }

    /// All is well; then nearly all lose something, but nothing that is nowhere else, and all must be well again.
    pub(super) fn pierce(&mut self) -> Outcome {
        let may_restart = self.adversary.model.faults == Faults::CrashRecovery;
        for _ in 0..HOLES {
            if !self.hurt.holes || !may_restart {
                return Ok(());
            }
            let mut groups = self.world.groups().into_iter();
            let spared = groups.next().and_then(|group| {
                let count = u32::try_from(group.len()).ok().filter(|&count| count > 0)?;
                group.get(self.choice.choose(count) as usize).copied()
            });
            let members = self.members.clone();
            let compacted = |id: &NodeId| self.world.disk(*id).is_compacted();
            if members.iter().any(compacted) || self.choice.choose(4) == 0 {
                // The spared one need not have as entries what others have no state of.
                for &id in members.iter().filter(|id| Some(**id) != spared) {
                    self.play(Command::Flush(id))?;
                }
                self.play(Command::Settle)?;
            }
            self.play(Command::Crash {
                who: Who::All,
                keep: usize::MAX,
            })?;
            for &id in members.iter().filter(|id| Some(**id) != spared) {
                self.pierce_one(id)?;
            }
            self.play(Command::Restart(Who::All))?;
            self.play(Command::Progress(Vec::new()))?;
        }
        Ok(())
    }

    /// A run of frames becomes unreadable, and what is behind it stays.
    fn pierce_one(&mut self, id: NodeId) -> Outcome {
        let frames: Vec<u64> = self.world.disk(id).frames().map(|frame| frame.0).collect();
        let Ok(count @ 1..) = u32::try_from(frames.len().saturating_sub(1)) else {
            return Ok(());
        };
        let first = self.choice.choose(count);
        let len = 1 + self.choice.choose((count - first).min(6));
        let frames = frames
            .into_iter()
            .skip(first as usize)
            .take(len as usize)
            .collect();
        self.play(Command::Damage { node: id, frames })
    }

    /// Lets something happen, and remembers it.
    pub(super) fn play(&mut self, command: Command) -> Outcome {
        let mut said = Vec::new();
        match self.world.apply(self.suite, &command, &mut said) {
            Ok(outcome) => {
                self.schedule.commands.push(command);
                outcome
            }
            // It makes no sense here, so nothing happened.
            Err(_) => Ok(()),
        }
    }

    fn happen(&mut self) -> Outcome {
        if self.is_lucky() {
            return self.be_lucky();
        }
        let event = self.event();
        let id = self.member();
        let up = self.world.replica(id).is_some();
        match event {
            // What is under way to a machine that is down waits: mail may be slow.
            Event::Deliver if up => self.deliver_next(id),
            Event::DeliverAny => match self.any_mail() {
                Some(at) if self.adversary.model.links.reorder => self.mail(Fate::Deliver, at),
                Some(at) => {
                    let mail = &self.world.flying()[at];
                    self.deliver_oldest((mail.from, mail.to))
                }
                None => Ok(()),
            },
            Event::Drop => match self.any_mail() {
                Some(at) if self.may_lose(at) => self.mail(Fate::Drop, at),
                _ => Ok(()),
            },
            Event::Duplicate if self.adversary.model.links.duplicate => match self.any_mail() {
                Some(at) => self.mail(Fate::Duplicate, at),
                None => Ok(()),
            },
            Event::Sync | Event::SyncOne
                if self.slow_disk == Some(id) && self.choice.choose(10) > 0 =>
            {
                Ok(())
            }
            Event::Sync if up => self.sync(id, None),
            Event::SyncOne if up => self.sync(id, Some(1)),
            Event::Fire if up && !self.is_timely() => self.fire(id),
            Event::Advance => {
                let ms = u64::from(self.choice.choose(400));
                match self.is_timely() {
                    true => self.advance_timely(Duration::from_millis(ms)),
                    false => self.play(Command::Advance { us: ms * 1000 }),
                }
            }
            Event::Request if up => self.request(id),
            Event::Flush if up => self.play(Command::Flush(id)),
            Event::Crash if up => self.crash(id),
            Event::Restart if !up && self.adversary.recovers() => {
                self.play(Command::Restart(Who::One(id)))
            }
            Event::Cut if self.may_cut() => self.cut(id),
            Event::Luck => {
                self.change_luck();
                Ok(())
            }
            Event::Lie => self.lie(),
            Event::Heal if self.may_cut() => self.play(Command::Heal),
            Event::Delete => {
                let count = self.choice.choose(8) as usize;
                let count = count.min(self.world.disk(id).deletable());
                match count {
                    0 => Ok(()),
                    _ => self.play(Command::Delete { node: id, count }),
                }
            }
            _ => Ok(()),
        }
    }

    fn event(&mut self) -> Event {
        let total = self.weights.iter().map(|(_, weight)| weight).sum();
        let mut chosen = self.choice.choose(total);
        for &(event, weight) in &self.weights {
            if chosen < weight {
                return event;
            }
            chosen -= weight;
        }
        unreachable!("the choice is below the sum of the weights")
    }

    pub(super) fn member(&mut self) -> NodeId {
        let count = u32::try_from(self.members.len()).expect("worlds are small");
        self.members[self.choice.choose(count) as usize]
    }

    pub(super) fn mail(&mut self, fate: Fate, at: usize) -> Outcome {
        let mail = self.world.selector(at);
        self.play(Command::Mail { fate, mail })
    }

    /// The oldest mail to a member, but for a slow link, whose mail is mostly overtaken.
    fn deliver_next(&mut self, id: NodeId) -> Outcome {
        let slow = self.slow_link.filter(|_| self.choice.choose(10) > 0);
        let mut flying = self.world.flying().iter();
        let next = flying.position(|mail| mail.to == id && Some((mail.from, id)) != slow);
        next.map_or(Ok(()), |at| self.mail(Fate::Deliver, at))
    }

    /// The oldest mail on a link.
    pub(super) fn deliver_oldest(&mut self, link: (NodeId, NodeId)) -> Outcome {
        let mut flying = self.world.flying().iter();
        let at = flying.position(|mail| (mail.from, mail.to) == link);
        at.map_or(Ok(()), |at| self.mail(Fate::Deliver, at))
    }

    /// Some piece of mail, usually one of the older ones.
    fn any_mail(&mut self) -> Option<usize> {
        let count = u32::try_from(self.world.flying().len()).expect("mail is bounded");
        let far = count.min(1 << self.choice.choose(9));
        (count > 0).then(|| self.choice.choose(far) as usize)
    }

    /// Whether a piece of mail may be lost: on any link, or by a process that fails to send or to
    /// receive.
    pub(super) fn may_lose(&self, at: usize) -> bool {
        let mail = &self.world.flying()[at];
        let faulty = |id: &NodeId| self.faulty.contains(id);
        self.adversary.model.links.lose
            || (self.adversary.omits_sending() && faulty(&mail.from))
            || (self.adversary.omits_receiving() && faulty(&mail.to))
    }

    /// Whether links may stop working for a while, which loses what is sent on them.
    fn may_cut(&self) -> bool {
        let stable = self.adversary.model.timing == Timing::PartiallySynchronous;
        self.adversary.model.links.lose && !(stable && self.is_timely())
    }

    pub(super) fn sync(&mut self, id: NodeId, count: Option<usize>) -> Outcome {
        match self.world.disk(id).pending() {
            0 => Ok(()),
            _ => self.play(Command::Sync {
                who: Who::One(id),
                count,
            }),
        }
    }

    pub(super) fn fire(&mut self, id: NodeId) -> Outcome {
        let replica = self.world.replica(id).expect("it was asked about");
        let running: Vec<P::Timer> = replica.timers().iter().map(|(timer, _)| timer).collect();
        let Ok(count @ 1..) = u32::try_from(running.len()) else {
            return Ok(());
        };
        let timer = &running[self.choice.choose(count) as usize];
        self.play(Command::Fire {
            node: id,
            timer: crate::world::spelled(timer),
        })
    }

    /// Whether more of a group are faulty than any could spare.
    fn is_too_faulty(&self, group: &[NodeId]) -> bool {
        let faulty = self.faulty.iter().filter(|id| group.contains(id));
        !self.hurt.outside_model && faulty.count() > self.adversary.tolerable(group.len())
    }

    /// Whether a group could not go on without those who are faulty, or lost what they knew.
    fn is_too_weak(&self, group: &[NodeId]) -> bool {
        self.is_too_faulty(group) || self.lost.is_some_and(|lost| needs(group, lost))
    }

    pub(super) fn request(&mut self, id: NodeId) -> Outcome {
        self.serial += 1;
        // What is made up is said in words and read again, which counts it a second time.
        let mut app = self.world.app(id).clone();
        let nodes: Vec<NodeId> = self.world.members().collect();
        let request = P::Problem::invent(&mut app, &nodes, self.serial, &mut self.choice);
        let mut after = self.world.oracle().clone();
        P::Problem::on_request(&mut after, &mut app, id, &request);
        if P::Problem::groups(&after)
            .iter()
            .any(|group| self.is_too_weak(group))
        {
            return Ok(()); // No protocol could go on with these.
        }
        let mut words = P::Problem::words(&request).into_iter();
        let verb = words.next().expect("a request has a verb");
        self.play(Command::Request {
            verb,
            node: id.to_string(),
            arguments: words.collect(),
        })
    }

    pub(super) fn crash(&mut self, id: NodeId) -> Outcome {
        let anybody = self.adversary.model.faults == Faults::CrashRecovery;
        if self.world.replica(id).is_none() || !(anybody || self.faulty.contains(&id)) {
            return Ok(());
        }
        // A state that became durable just before, without the frames that led to it, is a hard case.
        if self.choice.choose(4) == 0 {
            self.play(Command::Flush(id))?;
        }
        let pending = self.world.disk(id).pending();
        let pending = u32::try_from(pending).expect("disks are small");
        let keep = match self.choice.choose(2) {
            0 => 0,
            _ => self.choice.choose(pending + 1) as usize,
        };
        self.play(Command::Crash {
            who: Who::One(id),
            keep,
        })?;
        if self.hurt.lying_disks {
            let count = self.choice.choose(6) as usize;
            self.play(Command::Lose { node: id, count })?;
        }
        let mut groups = self.world.groups().into_iter();
        let repairable = !groups.any(|group| needs(&group, id));
        if self.damaged == Some(id) && self.choice.choose(3) == 0 && repairable {
            self.damage(id)?;
        }
        Ok(())
    }

    /// A run of frames becomes unreadable.
    fn damage(&mut self, id: NodeId) -> Outcome {
        self.lost = Some(id);
        let frames: Vec<u64> = self.world.disk(id).frames().map(|frame| frame.0).collect();
        let Ok(count @ 1..) = u32::try_from(frames.len()) else {
            return Ok(());
        };
        let first = self.choice.choose(count) as usize;
        let len = 1 + self.choice.choose(4) as usize;
        let frames = frames.into_iter().skip(first).take(len).collect();
        self.play(Command::Damage { node: id, frames })
    }

    /// One link or one direction of it, one member or one direction of it, the network in two
    /// halves, or two halves with a bridge.
    fn cut(&mut self, id: NodeId) -> Outcome {
        let other = self.member();
        let others: Vec<NodeId> = self
            .members
            .iter()
            .copied()
            .filter(|one| *one != id)
            .collect();
        let mut half = |bridge: Option<NodeId>| {
            let mut sides = vec![Vec::new(), Vec::new()];
            for &member in &self.members {
                let side = self.choice.choose(2) as usize;
                sides[side].push(member);
                if bridge == Some(member) {
                    sides[1 - side].push(member);
                }
            }
            Command::Partition(sides)
        };
        let both = |one: NodeId, two: NodeId| {
            [(one, two), (two, one)].map(|(from, to)| Command::Cut { from, to })
        };
        let halves = [half(None), half(Some(id))];
        let cuts: Vec<Command> = match self.choice.choose(7) {
            0 if id != other => both(id, other).to_vec(),
            1 if id != other => vec![Command::Cut {
                from: id,
                to: other,
            }],
            2 => vec![Command::Isolate(id)],
            3 => others
                .iter()
                .map(|&to| Command::Cut { from: id, to })
                .collect(),
            4 => others
                .iter()
                .map(|&from| Command::Cut { from, to: id })
                .collect(),
            5 => vec![halves[0].clone()],
            6 => vec![halves[1].clone()],
            _ => Vec::new(),
        };
        cuts.into_iter().try_for_each(|cut| self.play(cut))
    }
}

/// Whether nobody else in a group could make up for what this replica forgets: in a group of two.
fn needs(group: &[NodeId], id: NodeId) -> bool {
    group.contains(&id) && group.len() < 3
}

/// Who may be faulty.
fn faulty(
    adversary: &Adversary,
    beyond: bool,
    members: &[NodeId],
    choice: &mut Choice,
) -> Vec<NodeId> {
    let mut rest = members.to_vec();
    let tolerable = adversary.tolerable(members.len());
    // What is said of all clusters may be more than a small one has or withstands.
    let max = match (adversary.faulty, beyond) {
        (None, _) => tolerable,
        (Some(said), true) => said.min(members.len()),
        (Some(said), false) => said.min(tolerable),
    };
    let max = u32::try_from(max).expect("worlds are small");
    // Mostly as many as there may be.
    let count = max.saturating_sub(choice.choose(4) / 3);
    let mut pick = |_| {
        let left = u32::try_from(rest.len()).expect("worlds are small");
        rest.swap_remove(choice.choose(left) as usize)
    };
    let mut faulty: Vec<NodeId> = (0..count).map(&mut pick).collect();
    faulty.sort_unstable();
    faulty
}

/// The world of a seed, in which nothing has happened yet.
fn schedule<P: Protocol>(
    suite: &Suite<P>,
    seed: u64,
    hurt: &Hurt,
    members: &[NodeId],
    choice: &mut Choice,
) -> Schedule
where
    P::Problem: Workload,
{
    let invented = (suite.invent)(members, choice);
    let fixed: Vec<&str> = hurt.options.split_whitespace().collect();
    // What is asked for outright is not invented.
    let key = |word: &str| word.split('=').next().map(str::to_string);
    let asked: Vec<_> = fixed.iter().map(|word| key(word)).collect();
    let mut words = vec!["hoard".to_string(), format!("seed={seed}")];
    let invented = invented.split_whitespace();
    words.extend(
        invented
            .filter(|word| !asked.contains(&key(word)))
            .map(str::to_string),
    );
    words.extend(fixed.iter().map(|word| (*word).to_string()));
    Schedule {
        size: members.len() as u64,
        words,
        fixed: fixed.len(),
        commands: Vec::new(),
    }
}

/// How often each thing happens.
fn weights(choice: &mut Choice) -> Vec<(Event, u32)> {
    // Swarm testing (Groce et al., ISSTA 2012): a run in which some things never happen goes deeper
    // into what the others do together than one in which a little of everything does.
    let usual = [
        (Event::Deliver, 60, true),
        (Event::DeliverAny, 25, false),
        (Event::Drop, 6, false),
        (Event::Duplicate, 6, false),
        (Event::Sync, 25, true),
        (Event::SyncOne, 20, false),
        (Event::Fire, 8, true),
        (Event::Advance, 5, false),
        (Event::Request, 15, true),
        (Event::Flush, 3, false),
        (Event::Crash, 4, false),
        (Event::Restart, 6, true),
        (Event::Cut, 3, false),
        (Event::Heal, 3, true),
        (Event::Delete, 3, false),
        (Event::Luck, 6, false),
        (Event::Lie, 15, false),
    ];
    let mut draw = |weight: u32, always: bool| match choice.choose(5) {
        0 | 1 => weight * u32::from(always),
        2 => weight,
        3 => weight * 3,
        _ => weight.div_ceil(3),
    };
    let weights = usual.map(|(event, weight, always)| (event, draw(weight, always)));
    weights.to_vec()
}
