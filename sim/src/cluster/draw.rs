//! What a seed makes of a cluster: its size, its load, its network, and what goes wrong.

mod reconfigure;

use quorate_core::{Choice, Instant, NodeId, Protocol};

use super::Hurt;
use super::disk::{Area, DiskFault};
use super::plan::{Fault, Plan, Settings, Timed};
use super::world::MS;
use crate::{Parsed, Suite, suite};

/// Kinds of things that go wrong. A run in which some never happen goes deeper into what the others
/// do together (swarm testing: Groce et al., ISSTA 2012).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Crash,
    Kill,
    Pause,
    Cut,
    OneWay,
    Isolate,
    Halves,
    Bridge,
    Heal,
    SlowLink,
    Clog,
    SlowDisk,
    Clock,
    Flush,
    Transfer,
    Full,
    FailSync,
    Damage,
}

const USUAL: [(Kind, u32); 18] = [
    (Kind::Crash, 8),
    (Kind::Kill, 3),
    (Kind::Pause, 4),
    (Kind::Cut, 4),
    (Kind::OneWay, 4),
    (Kind::Isolate, 4),
    (Kind::Halves, 3),
    (Kind::Bridge, 2),
    (Kind::Heal, 8),
    (Kind::SlowLink, 3),
    (Kind::Clog, 4),
    (Kind::SlowDisk, 4),
    (Kind::Clock, 3),
    (Kind::Flush, 6),
    (Kind::Transfer, 4),
    (Kind::Full, 1),
    (Kind::FailSync, 2),
    (Kind::Damage, 2),
];

/// Draws a plan.
///
/// # Errors
/// If the protocol's options are none.
pub(super) fn draw<P: Protocol>(suite: &Suite<P>, seed: u64, hurt: &Hurt) -> Parsed<Plan> {
    let mut choice = stream(seed, 0x0c10_57e5);
    let mut settings = world(seed, hurt, &mut choice);
    let founders = settings.founders();
    let words = format!(
        "{} {}",
        (suite.invent)(&founders, &mut choice),
        hurt.options
    );
    let mut options = suite::options(words.split_whitespace())?;
    // Who takes part at first is said by the settings.
    options.remove("members");
    if settings.spares > 0 {
        // Quorums of a certain size fit no other number of voters.
        options.retain(|name, _| !["phase1", "phase2"].contains(name));
    }
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    settings.options = options.into_iter().map(own).collect();
    let changes = reconfigure::changes(seed, &settings, hurt);
    let faults = Drawing {
        members: settings.machines(),
        choice,
        victims: Vec::new(),
        faults: Vec::new(),
        damage: hurt.damage,
    }
    .faults(settings.hurt_ms, changes);
    Ok(Plan { settings, faults })
}

/// Chance for one purpose. Neighbouring seeds must not give neighbouring streams.
fn stream(seed: u64, purpose: u64) -> Choice {
    Choice::Seeded(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ purpose)
}

fn world(seed: u64, hurt: &Hurt, choice: &mut Choice) -> Settings {
    let mut pick = |values: &[u64]| values[choice.choose(values.len() as u32) as usize];
    let members = pick(&[1, 3, 3, 3, 3, 3, 4, 5, 5]);
    let quorum = members / 2 + 1;
    let gst = pick(&[0, 0, 0, 1]);
    // Of its own, so that what older seeds drew stays what it was.
    let mut chores = stream(seed, 0x00c8_04e5);
    let leases = [0, 0, 1, 3][chores.choose(4) as usize];
    let compact_ms = [0, 0, 0, 50, 500][chores.choose(5) as usize];
    let (spares, stay) = reconfigure::spares(seed, hurt);
    Settings {
        seed,
        members,
        core: quorum + pick(&[0, 1, 2, 2, 2]).min(members - quorum),
        hurt_ms: pick(&[2000, 5000, 10_000, 20_000]).min(hurt.ms_max),
        clients: pick(&[1, 2, 4, 8, 16]),
        think_us: pick(&[100, 1000, 5000, 20_000, 100_000]),
        patience_ms: pick(&[300, 1000, 3000, 9000]),
        keys: pick(&[1, 2, 4, 8, 32]),
        reads: pick(&[0, 20, 40, 80]),
        txns: pick(&[0, 0, 5, 20]),
        value_bytes: pick(&[1, 16, 16, 100, 1000]),
        delay_us: pick(&[50, 200, 1000, 5000, 40_000]),
        loss: pick(&[0, 0, 0, 20, 200, 1000]),
        duplicate: pick(&[0, 0, 0, 20, 200, 1000]),
        fifo: pick(&[0, 1]),
        bound_us: gst * 100_000,
        gst_ms: gst * hurt.ms_max,
        round_us: 0,
        sync_us: pick(&[20, 200, 1000, 5000, 20_000]),
        wake_us: pick(&[5, 20, 200, 1000]),
        apply_us: pick(&[5, 30, 500, 10_000]),
        flush_ms: pick(&[1, 20, 100, 1000]),
        layer_bytes: pick(&[1 << 10, 8 << 10, 64 << 10, 256 << 10]),
        cache_bytes: pick(&[0, 64 << 10, 1 << 20]),
        segment_bytes: pick(&[16 << 10, 64 << 10, 256 << 10]),
        watchers: pick(&[0, 1, 2]),
        leases,
        glances: [0, 1, 4][chores.choose(3) as usize],
        aged: [0, 0, 1, 3][chores.choose(4) as usize],
        reserve_bytes: [0, 20_000, 150_000][chores.choose(3) as usize],
        compact_ms,
        spares,
        stay,
        flaw: hurt.flaw,
        outside_model: u64::from(hurt.outside_model),
        ..Settings::default()
    }
}

struct Drawing {
    members: Vec<NodeId>,
    choice: Choice,
    /// Whose disks may be damaged: never a majority.
    victims: Vec<NodeId>,
    faults: Vec<Timed>,
    damage: bool,
}

impl Drawing {
    fn faults(mut self, hurt_ms: u64, changes: Vec<Timed>) -> Vec<Timed> {
        let weights: Vec<(Kind, u32)> = USUAL
            .into_iter()
            .map(|(kind, weight)| match self.choice.choose(5) {
                0 | 1 => (kind, 0),
                2 => (kind, weight),
                3 => (kind, weight * 3),
                _ => (kind, weight.div_ceil(3)),
            })
            .collect();
        for _ in 0..(self.members.len() - 1) / 2 {
            let node = self.member();
            self.victims.push(node);
        }
        // From hardly ever to several times a second.
        let gap = [50, 200, 500, 1000, 3000][self.choice.choose(5) as usize];
        let total: u32 = weights.iter().map(|(_, weight)| weight).sum();
        let mut at = u64::from(self.choice.choose(gap)) * MS;
        while total > 0 && at < hurt_ms * MS {
            let mut chosen = self.choice.choose(total);
            let kind = weights.iter().find(|(_, weight)| {
                let found = chosen < *weight;
                chosen = chosen.saturating_sub(*weight);
                found
            });
            if let Some((kind, _)) = kind {
                self.happen(*kind, at);
            }
            at += u64::from(1 + self.choice.choose(2 * gap * 1000)) * 1000;
        }
        self.faults.extend(changes);
        self.faults.retain(|timed| timed.at.0 < hurt_ms * MS);
        self.faults.sort_by_key(|timed| timed.at);
        self.faults
    }

    fn member(&mut self) -> NodeId {
        let count = self.members.len() as u32;
        self.members[self.choice.choose(count) as usize]
    }

    fn plan(&mut self, at: u64, fault: Fault) {
        self.faults.push(Timed {
            // Plans are written in microseconds.
            at: Instant(at / 1000 * 1000),
            fault,
        });
    }

    /// How long something lasts: mostly short, sometimes long.
    fn while_(&mut self) -> u64 {
        let ms = [20, 200, 1000, 4000][self.choice.choose(4) as usize];
        u64::from(1 + self.choice.choose(ms * 1000)) * 1000
    }

    fn happen(&mut self, kind: Kind, at: u64) {
        let node = self.member();
        let end = at + self.while_();
        match kind {
            Kind::Crash => {
                self.plan(at, Fault::Crash { node });
                self.plan(end, Fault::Start { node });
            }
            Kind::Kill => {
                self.plan(at, Fault::Kill { node });
                self.plan(end, Fault::Start { node });
            }
            Kind::Pause => {
                self.plan(at, Fault::Pause { node });
                self.plan(end, Fault::Resume { node });
            }
            Kind::Cut | Kind::OneWay | Kind::Isolate | Kind::Halves | Kind::Bridge => {
                self.partition(kind, node, at, end);
            }
            Kind::Heal => self.plan(at, Fault::Heal),
            Kind::SlowLink | Kind::Clog => self.slow_link(kind, node, at, end),
            Kind::SlowDisk => {
                let us = [300_000, 300_000, 3_000_000][self.choice.choose(3) as usize];
                let us = u64::from(self.choice.choose(us));
                self.plan(at, Fault::SlowDisk { node, us });
                // Some stay slow for good.
                if self.choice.choose(8) > 0 {
                    self.plan(end, Fault::SlowDisk { node, us: 0 });
                }
            }
            Kind::Clock => {
                let rates = [500_000, 900_000, 1_000_000, 1_000_000, 1_100_000, 2_000_000];
                let rate = rates[self.choice.choose(6) as usize];
                self.plan(at, Fault::Clock { node, rate });
            }
            Kind::Flush => self.plan(at, Fault::Flush { node }),
            Kind::Transfer => self.plan(at, Fault::Transfer { node }),
            Kind::Full => {
                let bytes = u64::from(self.choice.choose(200_000));
                self.plan(at, Fault::Full { node, bytes });
                self.plan(end, Fault::Mend { node });
            }
            Kind::FailSync => {
                let (area, fault) = (self.area(), DiskFault::FailSync);
                self.plan(at, Fault::Disk { node, area, fault });
            }
            Kind::Damage if self.damage && !self.victims.is_empty() => self.harm(at),
            Kind::Damage => {}
        }
    }

    fn area(&mut self) -> Area {
        Area::ALL[self.choice.choose(2) as usize]
    }

    fn partition(&mut self, kind: Kind, node: NodeId, at: u64, end: u64) {
        let other = self.member();
        let members = self.members.clone();
        let half: Vec<bool> = members.iter().map(|_| self.choice.choose(2) == 0).collect();
        let one_way = self.choice.choose(3) == 0;
        for (here, &from) in members.iter().enumerate() {
            for (there, &to) in members.iter().enumerate() {
                let between = |one, two| (from, to) == (one, two) || (to, from) == (one, two);
                let cut = match kind {
                    Kind::OneWay => (from, to) == (node, other),
                    Kind::Isolate => from == node || (to == node && !one_way),
                    Kind::Halves => half[here] != half[there],
                    // Two sides that both still see one member.
                    Kind::Bridge => half[here] != half[there] && from != node && to != node,
                    _ => between(node, other),
                };
                if cut && from != to {
                    self.plan(at, Fault::Cut { from, to });
                    self.plan(end, Fault::Join { from, to });
                }
            }
        }
    }

    fn slow_link(&mut self, kind: Kind, from: NodeId, at: u64, end: u64) {
        let to = self.member();
        if from == to {
            return;
        }
        match kind {
            Kind::Clog => {
                let us = (end - at) / 1000;
                self.plan(at, Fault::Clog { from, to, us });
            }
            _ => {
                let us = u64::from(self.choice.choose(400_000));
                self.plan(at, Fault::SlowLink { from, to, us });
                self.plan(end, Fault::SlowLink { from, to, us: 0 });
            }
        }
    }

    /// Damages a disk that may be damaged, mostly so that somebody soon has to read it.
    fn harm(&mut self, at: u64) {
        let count = self.victims.len() as u32;
        let node = self.victims[self.choice.choose(count) as usize];
        let area = self.area();
        // Not lost and misplaced writes: if the very last one before a crash is not where it should be,
        // nothing on the disk can tell, and no protocol here claims to live with that.
        match self.choice.choose(3) {
            0 => {
                let fault = DiskFault::MisplaceRead;
                self.plan(at, Fault::Disk { node, area, fault });
            }
            _ => self.plan(at, Fault::Rot { node, area }),
        }
        if self.choice.choose(2) == 0 {
            let soon = at + self.while_();
            self.plan(soon, Fault::Crash { node });
            let later = soon + self.while_();
            self.plan(later, Fault::Start { node });
        }
    }
}
