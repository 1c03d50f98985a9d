//! The machines that are replicated, as data: a state, operations on it, and what they answer.
//!
//! All machines share one small state, so that one oracle judges them all; a [`Machine`] says which
//! operations it offers. Whether those are deterministic, commute or overwrite one another is found out
//! by trying, not declared.

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// What a machine holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct State {
    /// The register, counter or account.
    pub value: i64,
    /// How many items are left to be sold.
    pub items: u32,
}

impl Default for State {
    /// A register of 0, and one item in stock.
    fn default() -> State {
        State { value: 0, items: 1 }
    }
}

/// What can be asked of a machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Operation {
    /// What is the value?
    Read,
    /// Let this be the value.
    Write(i64),
    /// Add this to the value.
    Add(i64),
    /// Multiply the value by this.
    Multiply(i64),
    /// Sell me an item.
    Buy,
    /// Draw a number by lot; it becomes the value.
    Draw,
    /// What time is it? It becomes the value.
    Stamp,
}

/// What a machine answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Outcome {
    /// The value read, drawn or stamped.
    Value(i64),
    /// It is done.
    Done,
    /// The item is yours.
    Sold,
    /// There was none left.
    SoldOut,
    /// This machine offers no such operation; nothing happened.
    NotOffered,
}

/// What a machine may find out from where it runs: the enemy of copies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Chance {
    /// The local clock.
    pub clock: u32,
    /// What the local random source gives.
    pub lot: u32,
}

impl Operation {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_read(self) -> bool {
        self == Operation::Read
    }
}

impl State {
    /// Executes an operation.
    pub fn execute(&mut self, operation: Operation, chance: Chance) -> Outcome {
        match operation {
            Operation::Read => return Outcome::Value(self.value),
            Operation::Write(value) => self.value = value,
            Operation::Add(value) => self.value = self.value.wrapping_add(value),
            Operation::Multiply(value) => self.value = self.value.wrapping_mul(value),
            Operation::Buy => {
                let left = self.items.checked_sub(1);
                self.items = left.unwrap_or(0);
                return left.map_or(Outcome::SoldOut, |_| Outcome::Sold);
            }
            Operation::Draw | Operation::Stamp => {
                let is_draw = operation == Operation::Draw;
                self.value = i64::from(if is_draw { chance.lot } else { chance.clock });
                return Outcome::Value(self.value);
            }
        }
        Outcome::Done
    }

    /// A number that is the same for equal states, and almost surely only for them.
    #[must_use]
    pub fn digest(self) -> Digest {
        Digest(mix(mix(self.value.cast_unsigned()) ^ u64::from(self.items)))
    }
}

/// What copies compare instead of their states.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub u64);

impl fmt::Debug for Digest {
    /// The first digits, which is enough to tell states apart by eye.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0 >> 48)
    }
}

/// Spreads a number over all bits (the finalizer of SplitMix64).
pub(super) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Which operations a service offers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Machine {
    /// Read and write: a later write overwrites an earlier one.
    Register,
    /// Read and add: the order of additions does not matter.
    Counter,
    /// Read, write, add and multiply: the order matters.
    Arithmetic,
    /// Read and buy: there is one item.
    Stock,
    /// Read, draw lots, and ask the time: the results depend on where they are executed.
    Lottery,
}

impl Machine {
    /// All of them.
    pub const ALL: [Machine; 5] = [
        Machine::Register,
        Machine::Counter,
        Machine::Arithmetic,
        Machine::Stock,
        Machine::Lottery,
    ];

    /// Its name on command lines and in scripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Machine::Register => "register",
            Machine::Counter => "counter",
            Machine::Arithmetic => "arithmetic",
            Machine::Stock => "stock",
            Machine::Lottery => "lottery",
        }
    }

    /// Some updates that it offers, of each kind.
    #[must_use]
    pub fn updates(self) -> &'static [Operation] {
        use Operation::{Add, Buy, Draw, Multiply, Stamp, Write};
        match self {
            Machine::Register => &[Write(1), Write(2)],
            Machine::Counter => &[Add(1), Add(2)],
            Machine::Arithmetic => &[Write(5), Add(2), Multiply(3)],
            Machine::Stock => &[Buy],
            Machine::Lottery => &[Draw, Stamp],
        }
    }

    /// Whether it offers an operation.
    #[must_use]
    pub fn offers(self, operation: Operation) -> bool {
        let kind = core::mem::discriminant(&operation);
        let mut updates = self.updates().iter();
        operation.is_read() || updates.any(|update| core::mem::discriminant(update) == kind)
    }

    /// Executes an operation if it is offered.
    pub fn execute(self, state: &mut State, operation: Operation, chance: Chance) -> Outcome {
        match self.offers(operation) {
            true => state.execute(operation, chance),
            false => Outcome::NotOffered,
        }
    }

    /// Two updates whose order matters, to the state or to what they answer, if there are any.
    #[must_use]
    pub fn in_conflict(self) -> Option<(Operation, Operation)> {
        let both = |one: Operation, two: Operation| {
            let mut state = State {
                value: 7,
                ..State::default()
            };
            let first = state.execute(one, Chance::default());
            let second = state.execute(two, Chance::default());
            (state, first, second)
        };
        self.pairs().find(|&(one, two)| {
            let (there, first, second) = both(one, two);
            let (back, second_first, first_second) = both(two, one);
            (there, first, second) != (back, first_second, second_first)
        })
    }

    /// An update after which something of the state before it is left, if there is one. Where there is
    /// none, the last result is the whole state.
    #[must_use]
    pub fn builds_on(self) -> Option<Operation> {
        let after = |value: i64, operation: Operation| {
            let mut state = State { value, items: 1 };
            let outcome = state.execute(operation, Chance::default());
            (state, outcome)
        };
        let mut updates = self.updates().iter().copied();
        updates.find(|&update| {
            let sells = update == Operation::Buy;
            sells || after(3, update) != after(8, update)
        })
    }

    fn pairs(self) -> impl Iterator<Item = (Operation, Operation)> {
        let updates = self.updates();
        updates
            .iter()
            .flat_map(|&one| updates.iter().map(move |&two| (one, two)))
    }
}

impl FromStr for Machine {
    type Err = ();

    /// Reads its name.
    fn from_str(name: &str) -> Result<Machine, ()> {
        let mut all = Machine::ALL.into_iter();
        all.find(|machine| machine.name() == name).ok_or(())
    }
}

/// What depends on more than state and operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nondeterminism {
    /// The operation.
    pub operation: Operation,
    /// What was perturbed between the two executions: `clock` or `random source`.
    pub source: &'static str,
    /// What the first execution answered and left behind.
    pub one: (Outcome, State),
    /// What the second did.
    pub two: (Outcome, State),
}

impl fmt::Display for Nondeterminism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Nondeterminism {
            operation,
            source,
            one,
            two,
        } = self;
        write!(
            f,
            "{operation:?} answered {:?}, and {:?} when only the {source} differed",
            one.0, two.0
        )
    }
}

/// Runs one operation twice from the same state, with the clock perturbed and then with the random
/// source perturbed, and reports what differs.
#[must_use]
pub fn perturb(state: State, operation: Operation, chance: Chance) -> Vec<Nondeterminism> {
    let run = |chance: Chance| {
        let mut state = state;
        let outcome = state.execute(operation, chance);
        (outcome, state)
    };
    let later = Chance {
        clock: chance.clock.wrapping_add(17),
        ..chance
    };
    let other = Chance {
        lot: chance.lot.wrapping_add(5),
        ..chance
    };
    let one = run(chance);
    let runs = [("clock", run(later)), ("random source", run(other))];
    let differing = runs.into_iter().filter(|(_, two)| *two != one);
    let found = differing.map(|(source, two)| Nondeterminism {
        operation,
        source,
        one,
        two,
    });
    found.collect()
}

impl Machine {
    /// An operation that is not deterministic, if it offers one.
    #[must_use]
    pub fn nondeterminism(self) -> Option<Nondeterminism> {
        let updates = self.updates().iter();
        let mut found = updates.flat_map(|&update| {
            let chance = Chance { clock: 12, lot: 3 };
            perturb(State::default(), update, chance)
        });
        found.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commutes_overwrites_and_depends_on_chance_is_found_by_trying() {
        let conflicts = Machine::ALL.map(Machine::in_conflict);
        assert!(conflicts[1].is_none(), "additions commute");
        let [register, _, arithmetic, stock, _] = conflicts;
        assert_eq!(register, Some((Operation::Write(1), Operation::Write(2))));
        assert!(arithmetic.is_some());
        assert_eq!(
            stock,
            Some((Operation::Buy, Operation::Buy)),
            "one is sold out"
        );
        let builds = Machine::ALL.map(Machine::builds_on);
        assert_eq!(builds[0], None, "a write leaves nothing of what was before");
        assert_eq!(builds[1], Some(Operation::Add(1)));
        assert_eq!(builds[3], Some(Operation::Buy));
    }

    #[test]
    fn the_detector_names_the_command_and_what_it_depends_on() {
        for machine in Machine::ALL {
            assert_eq!(
                machine.nondeterminism().is_some(),
                machine == Machine::Lottery
            );
        }
        let chance = Chance { clock: 12, lot: 3 };
        let draw = perturb(State::default(), Operation::Draw, chance);
        assert_eq!(
            draw[0].to_string(),
            "Draw answered Value(3), and Value(8) when only the random source differed"
        );
        let stamp = perturb(State::default(), Operation::Stamp, chance);
        assert_eq!((stamp.len(), stamp[0].source), (1, "clock"));
        assert!(perturb(State::default(), Operation::Add(4), chance).is_empty());
    }

    #[test]
    fn what_is_not_offered_changes_nothing() {
        let mut state = State::default();
        let outcome = Machine::Counter.execute(&mut state, Operation::Buy, Chance::default());
        assert_eq!((outcome, state), (Outcome::NotOffered, State::default()));
        let outcome = Machine::Stock.execute(&mut state, Operation::Buy, Chance::default());
        assert_eq!((outcome, state.items), (Outcome::Sold, 0));
        assert_eq!(
            state.execute(Operation::Buy, Chance::default()),
            Outcome::SoldOut
        );
    }

    use alloc::string::ToString;
}
