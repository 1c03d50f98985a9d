//! The links between machines: each direction has its own delays, losses and moods.

use quorate_core::{Choice, Instant};

use super::plan::Settings;

/// One in so many.
const PER: u32 = 10_000;

pub(super) struct Network {
    /// By sender, then receiver.
    links: Vec<Link>,
    members: usize,
    delay: u64,
    loss: u32,
    duplicate: u32,
    fifo: bool,
    /// No message takes longer, if not 0.
    bound: u64,
    /// From this moment on nothing is lost and the bound holds; before it, neither. 0 for always.
    stable_from: u64,
    /// Messages arrive at multiples of this, if not 0: rounds in lockstep.
    round: u64,
}

struct Link {
    cut: bool,
    /// How much longer everything takes.
    slow: u64,
    /// Until when nothing arrives; it all comes then.
    clogged: u64,
    /// When the last message arrives.
    last: u64,
    /// Of its own, so that one link's fate does not depend on what happens on others.
    choice: Choice,
}

/// When a message arrives: never, once or twice.
pub(super) type Arrivals = [Option<Instant>; 2];

impl Network {
    pub(super) fn new(settings: &Settings) -> Network {
        let members = settings.machines().len();
        let link = |at: usize| Link {
            cut: false,
            slow: 0,
            clogged: 0,
            last: 0,
            choice: Choice::Seeded(settings.seed ^ ((at as u64 + 1) << 40)),
        };
        let small = |number: u64| u32::try_from(number).unwrap_or(PER);
        Network {
            links: (0..members * members).map(link).collect(),
            members,
            delay: settings.delay_us * 1000,
            loss: small(settings.loss),
            duplicate: small(settings.duplicate),
            fifo: settings.fifo != 0,
            bound: settings.bound_us * 1000,
            stable_from: settings.gst_ms * 1_000_000,
            round: settings.round_us * 1000,
        }
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.members + to]
    }

    /// Sends a message of so many bytes.
    pub(super) fn send(&mut self, from: usize, to: usize, bytes: usize, now: Instant) -> Arrivals {
        let stable = self.stable_from > 0 && now.0 >= self.stable_from;
        let (loss, duplicate) = (self.loss, self.duplicate);
        let (delay, fifo, round) = (self.delay, self.fifo, self.round);
        let bound = match (self.bound, self.stable_from) {
            (0, _) => u64::MAX,
            (bound, 0) => bound,
            (bound, _) if stable => bound,
            _ => u64::MAX,
        };
        let link = self.link(from, to);
        if link.cut {
            return [None, None];
        }
        if !stable && link.choice.choose(PER) < loss {
            return [None, None];
        }
        let twice = !stable && link.choice.choose(PER) < duplicate;
        // A gigabit: eight nanoseconds a byte.
        let transfer = bytes as u64 * 8;
        let mut arrival = || {
            let usual = draw(&mut link.choice, delay) + link.slow;
            let mut at = now.0 + usual.min(bound) + transfer;
            at = at.max(link.clogged);
            if fifo {
                at = at.max(link.last);
                link.last = at;
            }
            if round > 0 {
                at = at.next_multiple_of(round);
            }
            Some(Instant(at))
        };
        [arrival(), if twice { arrival() } else { None }]
    }

    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.links[from * self.members + to].cut
    }

    pub(super) fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        self.link(from, to).cut = cut;
    }

    pub(super) fn set_slow(&mut self, from: usize, to: usize, nanos: u64) {
        self.link(from, to).slow = nanos;
    }

    pub(super) fn clog(&mut self, from: usize, to: usize, until: Instant) {
        self.link(from, to).clogged = until.0;
    }

    /// Nothing is cut any more.
    pub(super) fn join_all(&mut self) {
        for link in &mut self.links {
            link.cut = false;
        }
    }

    /// From now on every link between these machines is as good as it can be.
    pub(super) fn heal(&mut self, core: &[usize]) {
        (self.loss, self.duplicate) = (0, 0);
        for &from in core {
            for &to in core {
                let link = self.link(from, to);
                (link.cut, link.slow, link.clogged) = (false, 0, 0);
            }
        }
    }
}

/// A duration around `usual`, now and then much longer.
pub(super) fn draw(choice: &mut Choice, usual: u64) -> u64 {
    let usual = u32::try_from(usual).unwrap_or(u32::MAX - 1);
    let near = usual / 2 + choice.choose(usual + 1);
    match choice.choose(32) {
        0 => u64::from(near) * u64::from(2 + choice.choose(18)),
        _ => u64::from(near),
    }
}
