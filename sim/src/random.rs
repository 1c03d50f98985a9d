//! Random schedules: first hurt the cluster and watch that it never breaks a promise, then heal it
//! and demand that it makes progress.
//!
//! A seed decides everything: how many members, which configuration, which faults and how often.
//! Timers run out whenever the seed says so, since in a model time is only an order.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::{Choice, NodeId, Protocol};

use crate::{Suite, Workload, World, suite};

/// How hard a run tries.
#[derive(Clone, Copy, Debug)]
pub struct Hurt {
    /// How many things happen before the cluster is healed.
    pub steps: u32,
    /// Whether disks lose what they acknowledged, which no protocol here claims to withstand: the
    /// proof that breaking a promise is noticed.
    pub lying_disks: bool,
}

impl Default for Hurt {
    fn default() -> Hurt {
        Hurt {
            steps: 400,
            lying_disks: false,
        }
    }
}

/// What a run came to, so that a test can tell that runs are not idle.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The last position decided anywhere.
    pub decided: u64,
    /// The last epoch anywhere.
    pub epoch: u64,
    /// How much mail arrived.
    pub delivered: u64,
    /// How many crashes there were.
    pub crashes: u64,
}

/// Runs one seed.
///
/// # Errors
/// What went wrong, beginning with the seed.
pub fn run<P: Protocol>(suite: &Suite<P>, seed: u64, hurt: Hurt) -> Result<Summary, String>
where
    P::Problem: Workload,
{
    let mut driver = Driver::new(suite, seed, hurt);
    driver
        .hurt()
        .and_then(|()| driver.heal())
        .map_err(|reason| format!("seed {seed}: {reason}"))?;
    Ok(driver.summary)
}

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
}

struct Driver<P: Protocol>
where
    P::Problem: Workload,
{
    world: World<P>,
    members: Vec<NodeId>,
    choice: Choice,
    weights: Vec<(Event, u32)>,
    /// Whose disk is slow.
    slow: Option<NodeId>,
    hurt: Hurt,
    serial: u64,
    summary: Summary,
}

/// More mail than this under way is lost, as in any real network.
const FLYING_MAX: usize = 300;

impl<P: Protocol> Driver<P>
where
    P::Problem: Workload,
{
    fn new(suite: &Suite<P>, seed: u64, hurt: Hurt) -> Driver<P> {
        // Neighbouring seeds must not give neighbouring streams.
        let mut choice = Choice::Seeded(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x51a3);
        let size = [1, 2, 3, 3, 3, 3, 4, 5, 5][choice.choose(9) as usize];
        let members: Vec<NodeId> = (1..=size).map(NodeId).collect();
        let invented = (suite.invent)(&members, &mut choice);
        let config = suite::options(invented.split_whitespace())
            .and_then(|options| (suite.config)(&members, &options))
            .expect("a suite reads what it invents");
        let mut world = World::new(suite, &members, config, seed);
        world.delete_by_hand();
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
        ];
        let mut draw = |weight: u32, always: bool| match choice.choose(5) {
            0 | 1 => weight * u32::from(always),
            2 => weight,
            3 => weight * 3,
            _ => weight.div_ceil(3),
        };
        let weights = usual.map(|(event, weight, always)| (event, draw(weight, always)));
        let weights = weights.to_vec();
        let slow = members.get(choice.choose(8) as usize).copied();
        Driver {
            world,
            members,
            choice,
            weights,
            slow,
            hurt,
            serial: 0,
            summary: Summary::default(),
        }
    }

    fn hurt(&mut self) -> Result<(), String> {
        for id in self.members.clone() {
            self.world.restart(id)?;
        }
        for _ in 0..self.hurt.steps {
            self.happen()?;
            while self.world.flying().len() > FLYING_MAX {
                self.world.drop_mail(0);
            }
        }
        Ok(())
    }

    fn happen(&mut self) -> Result<(), String> {
        let event = self.event();
        let id = self.member();
        let up = self.world.replica(id).is_some();
        match event {
            // What is under way to a machine that is down waits: mail may be slow.
            Event::Deliver if up => {
                let mut flying = self.world.flying().iter();
                if let Some(at) = flying.position(|mail| mail.to == id) {
                    self.deliver(at)?;
                }
            }
            Event::DeliverAny => {
                if let Some(at) = self.mail() {
                    self.deliver(at)?;
                }
            }
            Event::Drop => {
                if let Some(at) = self.mail() {
                    self.world.drop_mail(at);
                }
            }
            Event::Duplicate => {
                if let Some(at) = self.mail() {
                    self.world.duplicate(at);
                }
            }
            Event::Sync | Event::SyncOne if self.slow == Some(id) && self.choice.choose(10) > 0 => {
            }
            Event::Sync if up => self.world.sync(id, usize::MAX)?,
            Event::SyncOne if up => self.world.sync(id, 1)?,
            Event::Fire if up => self.fire(id)?,
            Event::Advance => {
                let ms = u64::from(self.choice.choose(400));
                self.world.advance(Duration::from_millis(ms))?;
            }
            Event::Request if up => {
                self.serial += 1;
                let app = self.world.app(id);
                let request = P::Problem::invent(app, self.serial, &mut self.choice);
                self.world.request(id, request)?;
            }
            Event::Flush if up => P::Problem::flush(self.world.app(id)),
            Event::Crash if up => self.crash(id),
            Event::Restart if !up => self.world.restart(id)?,
            Event::Cut => self.cut(id),
            Event::Heal => self.world.heal(),
            Event::Delete => {
                let count = self.choice.choose(8) as usize;
                self.world.disk(id).delete(count);
            }
            _ => {}
        }
        Ok(())
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

    fn member(&mut self) -> NodeId {
        let count = u32::try_from(self.members.len()).expect("worlds are small");
        self.members[self.choice.choose(count) as usize]
    }

    /// A piece of mail, usually one of the older ones.
    fn mail(&mut self) -> Option<usize> {
        let count = u32::try_from(self.world.flying().len()).expect("mail is bounded");
        let far = count.min(1 << self.choice.choose(9));
        (count > 0).then(|| self.choice.choose(far) as usize)
    }

    fn deliver(&mut self, at: usize) -> Result<(), String> {
        self.summary.delivered += 1;
        self.world.deliver(at)
    }

    fn fire(&mut self, id: NodeId) -> Result<(), String> {
        let replica = self.world.replica(id).expect("it was asked about");
        let running: Vec<P::Timer> = replica.timers().iter().map(|(timer, _)| timer).collect();
        let Ok(count @ 1..) = u32::try_from(running.len()) else {
            return Ok(());
        };
        let timer = running[self.choice.choose(count) as usize];
        self.world.fire(id, timer)
    }

    fn crash(&mut self, id: NodeId) {
        self.summary.crashes += 1;
        // A state that became durable just before, without the frames that led to it, is a hard case.
        if self.choice.choose(4) == 0 {
            P::Problem::flush(self.world.app(id));
        }
        let pending = self.world.disk(id).pending();
        let pending = u32::try_from(pending).expect("disks are small");
        let keep = match self.choice.choose(2) {
            0 => 0,
            _ => self.choice.choose(pending + 1) as usize,
        };
        self.world.crash(id, keep);
        if self.hurt.lying_disks {
            let lost = self.choice.choose(6) as usize;
            self.world.disk(id).lose(lost);
        }
    }

    /// One link, one member, or the network in two halves.
    fn cut(&mut self, id: NodeId) {
        let shape = self.choice.choose(3);
        let other = self.member();
        let half: Vec<bool> = self
            .members
            .iter()
            .map(|_| self.choice.choose(2) == 0)
            .collect();
        for (at, one) in self.members.clone().into_iter().enumerate() {
            for (beside, two) in self.members.clone().into_iter().enumerate() {
                let cut = match shape {
                    0 => one == id && two == other,
                    1 => one == id,
                    _ => half[at] != half[beside],
                };
                if cut && one != two {
                    self.world.cut(one, two);
                }
            }
        }
    }

    /// Everything works from now on, and so must the cluster: whatever is asked everywhere, more than
    /// once if need be, has its effect everywhere.
    fn heal(&mut self) -> Result<(), String> {
        /// Enough for many elections: with odd luck candidates collide a few times.
        const ROUNDS_MAX: u32 = 3000;
        /// How many rounds to wait for an effect before asking again.
        const PATIENCE: u32 = 100;
        self.world.heal();
        for id in self.members.clone() {
            if self.world.replica(id).is_none() {
                self.world.restart(id)?;
            }
        }
        let mut asked = BTreeMap::new();
        for round in 0..ROUNDS_MAX {
            self.quiet()?;
            let mut satisfied = true;
            for id in self.members.clone() {
                let before = asked.get(&id).copied();
                let app = self.world.app(id);
                if before.is_some() && P::Problem::is_satisfied(app) {
                    continue;
                }
                satisfied = false;
                if before.is_none_or(|before| round - before >= PATIENCE) {
                    asked.insert(id, round);
                    self.serial += 1;
                    for request in P::Problem::probe(app, self.serial) {
                        self.world.request(id, request)?;
                    }
                }
            }
            if satisfied && self.agree() {
                return Ok(());
            }
            let next = self.world.next_deadline();
            let next = next.ok_or("nothing will ever happen again")?;
            self.world.advance(next.since(self.world.now()))?;
        }
        Err(format!("no progress: {}", self.statuses()))
    }

    /// Disks and network do what there is to do now.
    fn quiet(&mut self) -> Result<(), String> {
        /// Far more than any protocol needs between two timers.
        const MAIL_MAX: u32 = 200_000;
        for _ in 0..MAIL_MAX {
            for id in self.members.clone() {
                self.world.sync(id, usize::MAX)?;
            }
            if self.world.flying().is_empty() {
                return Ok(());
            }
            self.deliver(0)?;
        }
        Err(format!("never quiet: {}", self.statuses()))
    }

    /// Whether all have decided the same, which they must sooner or later once nobody asks for more.
    fn agree(&mut self) -> bool {
        let replicas = self.members.iter().filter_map(|&id| self.world.replica(id));
        let statuses: Vec<_> = replicas.map(|replica| replica.status()).collect();
        for status in &statuses {
            self.summary.decided = self.summary.decided.max(status.decided);
            self.summary.epoch = self.summary.epoch.max(status.epoch);
        }
        let decided = self.summary.decided;
        statuses.iter().all(|status| status.decided == decided)
    }

    fn statuses(&self) -> String {
        let replicas = self.members.iter().map(|&id| (id, self.world.replica(id)));
        let lines = replicas.map(|(id, replica)| match replica {
            Some(replica) => format!("{id} {:?}", replica.status()),
            None => format!("{id} is down"),
        });
        lines.collect::<Vec<_>>().join("; ")
    }
}
