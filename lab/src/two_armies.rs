//! Two armies: why nobody can be sure that a message arrived.
//!
//! Two generals must attack together or not at all, and their messengers may be caught (Akkoyunlu,
//! Ekanadham and Huber, "Some constraints and tradeoffs in the design of network communications",
//! 1975; named by Gray, 1978). A plan fixes how many letters are exchanged at most, each the
//! acknowledgement of the one before, and how many letters a general must have received to attack.
//! However many letters and whatever the rule: some loss lets one of them attack alone. Whoever sends
//! the last letter cannot know whether it arrived, so it must not matter to him; then it need not be
//! sent, and the one before is the last.

mod problem;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use quorate_core::{
    Boot, Effects, Faults, Links, Malformed, Model, NodeId, Protocol, Reader, Status, Timing, Wire,
};
use quorate_sim::suite::{number, unknown_option};
use quorate_sim::{Options, Parsed, Suite};

pub use problem::{Armies, Order, Resolve};

/// A general.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct General {
    me: NodeId,
    other: NodeId,
    plan: Plan,
    /// Whether he has been told to attack, or has heard of it.
    knows: bool,
    received: u32,
    resolved: Option<Resolve>,
}

/// What was agreed on before the armies parted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Plan {
    members: [NodeId; 2],
    /// How many letters are sent at most.
    letters: u32,
    /// For each general: whether he attacks if he has received no letter, one, two and so on.
    rules: [Vec<bool>; 2],
}

/// A letter.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Letter {
    /// "I will attack at dawn if you do."
    Proposal,
    /// "I have your letter of this number."
    Acknowledged {
        /// The number of the letter that is acknowledged; the proposal is number 1.
        letter: u32,
    },
}

/// What generals wait for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Bell {
    /// The time to attack, or not to.
    Dawn,
}

impl Letter {
    fn number(&self) -> u32 {
        match self {
            Letter::Proposal => 1,
            Letter::Acknowledged { letter } => letter.saturating_add(1),
        }
    }

    fn numbered(number: u32) -> Letter {
        match number {
            1 => Letter::Proposal,
            more => Letter::Acknowledged { letter: more - 1 },
        }
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Letter::Proposal => f.write_str("Proposal"),
            Letter::Acknowledged { letter } => write!(f, "Acknowledged {{ letter: {letter} }}"),
        }
    }
}

impl Wire for Letter {
    fn encode(&self, out: &mut Vec<u8>) {
        self.number().encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Letter, Malformed> {
        match u32::decode(input)? {
            0 => Err(input.malformed("a letter's number, from 1 on")),
            number => Ok(Letter::numbered(number)),
        }
    }
}

impl Protocol for General {
    type Problem = Armies;
    type Config = Plan;
    type Message = Letter;
    type Timer = Bell;
    /// Nothing is written down.
    type Record = u32;

    const MODEL: Model = Model {
        faults: Faults::CrashStop,
        // With this switch off, two letters are enough. With it on, no number is.
        links: Links {
            lose: false,
            duplicate: false,
            reorder: false,
        },
        timing: Timing::Synchronous,
    };

    fn open(plan: &Plan, boot: Boot<'_, General>, fx: &mut Effects<General>) -> General {
        let dawn = Duration::from_secs(8 * 3600);
        fx.set_timer(Bell::Dawn, dawn..dawn);
        let [first, second] = plan.members;
        General {
            me: boot.me,
            other: if boot.me == first { second } else { first },
            plan: plan.clone(),
            knows: false,
            received: 0,
            resolved: None,
        }
    }

    fn on_request(&mut self, _: Order, fx: &mut Effects<General>) {
        // Only the first general proposes, once; the plan counts his letters from there.
        if self.me == self.plan.members[0] && !self.knows {
            self.knows = true;
            self.write(1, fx);
        }
    }

    fn on_message(&mut self, _: NodeId, letter: Letter, fx: &mut Effects<General>) {
        // Letters arrive in turn; a copy of one says nothing new.
        let turn = u32::from(self.me == self.plan.members[0]) + 1 + 2 * self.received;
        if letter.number() == turn {
            self.knows = true;
            self.received += 1;
            self.write(letter.number() + 1, fx);
        }
    }

    fn on_timer(&mut self, _: Bell, fx: &mut Effects<General>) {
        let rule = &self.plan.rules[usize::from(self.me != self.plan.members[0])];
        let received = usize::try_from(self.received).unwrap_or(usize::MAX);
        // A general who was never told does not attack, whatever his rule says.
        let told = self.knows || self.me != self.plan.members[0];
        let resolve = match told && rule.get(received).copied().unwrap_or(false) {
            true => Resolve::Attack,
            false => Resolve::Stay,
        };
        self.resolved = Some(resolve);
        fx.output(resolve);
    }

    fn window(&self) -> usize {
        usize::from(!self.knows)
    }

    fn status(&self) -> Status {
        Status {
            role: "general",
            epoch: 0,
            leader: None,
            head: u64::from(self.received),
            decided: u64::from(self.resolved.is_some()),
            whole: true,
            repaired: 0,
        }
    }

    fn invariants(&self) {
        assert!(
            self.received <= self.plan.letters,
            "no more letters arrive than are sent"
        );
    }
}

impl General {
    /// Sends the letter of this number, if the plan has one.
    fn write(&self, number: u32, fx: &mut Effects<General>) {
        if number <= self.plan.letters {
            // Held mail would leave at once as well: nothing is ever written to a disk.
            fx.send(self.other, Letter::numbered(number));
        }
    }
}

/// What scripts need.
pub const SUITE: Suite<General> = Suite {
    config,
    invent: |_, choice| format!("letters={}", choice.choose(6)),
    disk: |_| Err("a general has no disk".to_string()),
    describe: |general| format!("has received {} letters", general.received),
    watch: || Box::new(|_| Ok(())),
};

/// What can be written behind `cluster 2` in a script.
const OPTIONS: &[&str] = &["letters", "first", "second"];

/// `letters=3 first=01 second=001`: the first general attacks if he has received one letter, but not if
/// he has received none. By default both want every letter that there can be.
fn config(members: &[NodeId], options: &Options<'_>) -> Parsed<Plan> {
    let &[first, second] = members else {
        return Err(format!("there are two armies, not {}", members.len()));
    };
    let mut letters: u32 = 2;
    for (&key, &value) in options {
        match key {
            "letters" => letters = number(key, value)?,
            "first" | "second" => {}
            _ => return Err(unknown_option(key, OPTIONS)),
        }
    }
    if letters > LETTERS_MAX {
        return Err(format!("at most {LETTERS_MAX} letters, not {letters}"));
    }
    let rule = |key: &str, receives: u32| match options.get(key) {
        Some(&value) => rule(key, value),
        None => Ok((0..=receives)
            .map(|received| received == receives)
            .collect()),
    };
    Ok(Plan {
        members: [first, second],
        letters,
        rules: [
            rule("first", letters / 2)?,
            rule("second", letters.div_ceil(2))?,
        ],
    })
}

/// More letters than anybody wants to see in a picture.
const LETTERS_MAX: u32 = 1000;

fn rule(key: &str, value: &str) -> Parsed<Vec<bool>> {
    let digits = value.chars().map(|digit| match digit {
        '0' => Ok(false),
        '1' => Ok(true),
        _ => Err(format!("expected 0 and 1, found {key}={value}")),
    });
    digits.collect()
}
