//! Registers: reads and writes of one value, and what a read may return while a write is under way.
//!
//! The three strengths are Lamport's ("On interprocess communication", 1986), for one writer and any
//! number of readers, (1,N); an atomic register for any number of writers too, (N,N), is one whose
//! histories are linearizable. All checkers judge the same [`History`], and each answers with an
//! explanation or with the smallest set of operations that has none.
//!
//! - *Safe*: a read that is concurrent with no write returns the last value written. Any other read
//!   may return anything.
//! - *Regular*: a read returns the last value written before it, or one written meanwhile.
//! - *Atomic*: every operation seems to take effect at one moment. With one writer, that is a regular
//!   register without *new-old inversions*: a read never returns an older value than a read before it.
//!   Being free of inversions alone is not enough: it admits values that nobody wrote.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use crate::history::{self, Operation};
use crate::key_value;
use crate::linearizable::{self, Point};

/// What can be asked of a register.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Input<V> {
    /// What is the value?
    Read,
    /// Let this be the value.
    Write(V),
}

/// What a register answers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Output<V> {
    /// What a read returns; nothing stands for the initial value.
    Value(Option<V>),
    /// A write is done.
    Written,
}

/// A history of a register.
pub type History<V> = history::History<Input<V>, Output<V>>;

/// How strong a register is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Strength {
    /// One writer; only undisturbed reads are right.
    Safe,
    /// One writer; a read returns the last value or a concurrent one.
    Regular,
    /// One writer; every operation takes effect at one moment.
    AtomicOneWriter,
    /// Any number of writers; every operation takes effect at one moment.
    Atomic,
}

/// The answer of a checker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Where every read has its value from.
    Sources(Vec<Source>),
    /// When every operation takes effect.
    Points(Vec<Point>),
    /// No explanation exists.
    Violated(Violation),
    /// The search was ended at its bound.
    GaveUp {
        /// The number of configurations that were looked at.
        configurations: u64,
    },
}

impl Verdict {
    /// Whether the history could be one of the register.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Verdict::Sources(_) | Verdict::Points(_))
    }
}

/// Where a read has its value from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source {
    /// The read, by its place in the history.
    pub read: usize,
    /// What it returned.
    pub from: From,
}

/// The origin of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum From {
    /// Nobody wrote before.
    Initial,
    /// This write, by its place in the history.
    Write(usize),
    /// Nowhere: the read was concurrent with this write, and the register is only safe.
    Disturbed(usize),
}

/// What is wrong, with the fewest operations that show it, by their places in the history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Violation {
    /// Two processes write to a register for one writer.
    TwoWriters(usize, usize),
    /// An operation got the answer of another kind.
    WrongAnswer(usize),
    /// A read returned a value that nobody had begun to write.
    Invented {
        /// The read.
        read: usize,
    },
    /// A read returned a value that had been overwritten before it began.
    Stale {
        /// The read.
        read: usize,
        /// The write that was over before the read, and began after all writes of its value.
        overwritten_by: usize,
    },
    /// A read returned an older value than a read before it.
    Inversion {
        /// The earlier read.
        newer: usize,
        /// The later read.
        older: usize,
    },
    /// No order explains these together.
    NoPoints(linearizable::Witness),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::TwoWriters(one, two) => {
                write!(f, "operations {one} and {two} are writes of two processes")
            }
            Violation::WrongAnswer(at) => write!(f, "operation {at} got an answer of another kind"),
            Violation::Invented { read } => {
                write!(f, "operation {read} read what nobody had begun to write")
            }
            Violation::Stale {
                read,
                overwritten_by,
            } => write!(
                f,
                "operation {read} read what operation {overwritten_by} had overwritten before"
            ),
            Violation::Inversion { newer, older } => write!(
                f,
                "new-old inversion: operation {older} read an older value than operation {newer} before it"
            ),
            Violation::NoPoints(witness) => write!(f, "no linearization points: {witness}"),
        }
    }
}

/// Whether a history could have come from a register of that strength, looking at no more than
/// `configurations_max` configurations.
pub fn check<V: Clone + Ord>(
    strength: Strength,
    history: &History<V>,
    configurations_max: u64,
) -> Verdict {
    let result = match strength {
        Strength::Safe => safe(history).map(Verdict::Sources),
        Strength::Regular => regular(history).map(Verdict::Sources),
        Strength::AtomicOneWriter => {
            let regular_then = regular(history).and_then(|_| inversion_free(history));
            regular_then.map(|()| atomic(history, configurations_max))
        }
        Strength::Atomic => Ok(atomic(history, configurations_max)),
    };
    result.unwrap_or_else(Verdict::Violated)
}

/// Where every read of a safe register for one writer has its value from.
///
/// # Errors
/// A read that no write disturbed, and that did not return the last value.
pub fn safe<V: Clone + Ord>(history: &History<V>) -> Result<Vec<Source>, Violation> {
    let writes = Writes::new(history)?;
    writes.are_of_one_process()?;
    let reads = writes.reads.iter();
    let sources = reads.map(|&read| {
        let from = match writes.disturbing(read) {
            Some(write) => From::Disturbed(write),
            None => writes.source(read)?,
        };
        Ok(Source { read, from })
    });
    sources.collect()
}

/// Where every read of a regular register for one writer has its value from.
///
/// # Errors
/// A read that returned neither the last value before it nor one written meanwhile.
pub fn regular<V: Clone + Ord>(history: &History<V>) -> Result<Vec<Source>, Violation> {
    let writes = Writes::new(history)?;
    writes.are_of_one_process()?;
    let reads = writes.reads.iter();
    let sources = reads.map(|&read| {
        let from = writes.source(read)?;
        Ok(Source { read, from })
    });
    sources.collect()
}

/// Whether no read returned a value that was surely written before the value of a read before it. Values
/// that nobody wrote, or that several writes wrote, are not looked at: this is one half of what an
/// atomic register for one writer promises, and [`regular`] is the other.
///
/// # Errors
/// The pair of reads.
pub fn inversion_free<V: Clone + Ord>(history: &History<V>) -> Result<(), Violation> {
    let writes = Writes::new(history)?;
    let all = history.operations();
    // When the value of a read began to be written, and when that was over; the initial value is
    // older than all others.
    let span = |read: usize| match writes.written_as(read) {
        None => Some((0, None)),
        Some([write]) => Some((
            all[*write].call + 1,
            all[*write].returned.as_ref().map(|(end, _)| *end + 1),
        )),
        Some(_) => None,
    };
    let mut reads: Vec<(u64, u64, Option<u64>, usize)> = Vec::new();
    for &read in &writes.reads {
        if let Some((begun, over)) = span(read) {
            let over = if begun == 0 { Some(0) } else { over };
            reads.push((all[read].end(), begun, over, read));
        }
    }
    let mut by_end: Vec<(u64, u64, usize)> = reads
        .iter()
        .map(|&(end, begun, _, read)| (end, begun, read))
        .collect();
    by_end.sort_unstable();
    // For the reads that are over first: the one among them whose value is newest.
    for at in 1..by_end.len() {
        if by_end[at - 1].1 >= by_end[at].1 {
            (by_end[at].1, by_end[at].2) = (by_end[at - 1].1, by_end[at - 1].2);
        }
    }
    for (_, _, over, older) in reads {
        let before = by_end.partition_point(|&(end, ..)| end < all[older].call);
        let Some(&(_, begun, newer)) = before.checked_sub(1).and_then(|at| by_end.get(at)) else {
            continue;
        };
        if over.is_some_and(|over| over < begun) {
            return Err(Violation::Inversion { newer, older });
        }
    }
    Ok(())
}

/// Linearization points of an atomic register, if there are any.
fn atomic<V: Clone + Ord>(history: &History<V>, configurations_max: u64) -> Verdict {
    if let Err(violation) = Writes::new(history) {
        return Verdict::Violated(violation);
    }
    let as_store = history.map(
        &mut (),
        |(), input| match input {
            Input::Read => key_value::Input::Get(()),
            Input::Write(value) => key_value::Input::Put((), value),
        },
        |(), output| match output {
            Output::Value(value) => key_value::Output::Value(value.as_ref()),
            Output::Written => key_value::Output::Done,
        },
    );
    match key_value::check(&as_store, configurations_max) {
        linearizable::Verdict::Linearizable(points) => Verdict::Points(points),
        linearizable::Verdict::Violated(witness) => Verdict::Violated(Violation::NoPoints(witness)),
        linearizable::Verdict::GaveUp { configurations } => Verdict::GaveUp { configurations },
    }
}

/// The writes of a history, so that the source of a read is found quickly.
struct Writes<'a, V> {
    operations: &'a [Operation<Input<V>, Output<V>>],
    /// The answered reads, and all writes.
    reads: Vec<usize>,
    all: Vec<usize>,
    /// The writes of each value.
    of_value: BTreeMap<&'a V, Vec<usize>>,
    /// All writes, in the order of their calls, each with the latest return so far.
    by_call: Vec<(u64, u64, usize)>,
    /// The writes that returned, in that order, each with the one so far that was called last.
    by_end: Vec<(u64, usize)>,
}

impl<'a, V: Clone + Ord> Writes<'a, V> {
    fn new(history: &'a History<V>) -> Result<Writes<'a, V>, Violation> {
        let operations = history.operations();
        let mut writes = Writes {
            operations,
            reads: Vec::new(),
            all: Vec::new(),
            of_value: BTreeMap::new(),
            by_call: Vec::new(),
            by_end: Vec::new(),
        };
        let mut latest: Option<(u64, usize)> = None;
        for (at, operation) in operations.iter().enumerate() {
            match (&operation.input, operation.output()) {
                (Input::Read, None) => {}
                (Input::Read, Some(Output::Value(_))) => writes.reads.push(at),
                (Input::Write(value), None | Some(Output::Written)) => {
                    writes.all.push(at);
                    writes.of_value.entry(value).or_default().push(at);
                    let this = (operation.end(), at);
                    let (end, which) = latest.filter(|(end, _)| *end > this.0).unwrap_or(this);
                    latest = Some((end, which));
                    writes.by_call.push((operation.call, end, which));
                    if operation.returned.is_some() {
                        writes.by_end.push(this);
                    }
                }
                (Input::Read, Some(Output::Written))
                | (Input::Write(_), Some(Output::Value(_))) => {
                    return Err(Violation::WrongAnswer(at));
                }
            }
        }
        writes.by_end.sort_unstable();
        for at in 1..writes.by_end.len() {
            let before = writes.by_end[at - 1].1;
            if operations[before].call > operations[writes.by_end[at].1].call {
                writes.by_end[at].1 = before;
            }
        }
        Ok(writes)
    }

    fn are_of_one_process(&self) -> Result<(), Violation> {
        let Some(&first) = self.all.first() else {
            return Ok(());
        };
        let process = |at: usize| self.operations[at].process;
        let mut all = self.all.iter();
        match all.find(|&&at| process(at) != process(first)) {
            Some(&other) => Err(Violation::TwoWriters(first, other)),
            None => Ok(()),
        }
    }

    /// A write that is concurrent with a read.
    fn disturbing(&self, read: usize) -> Option<usize> {
        let read = &self.operations[read];
        let called = self
            .by_call
            .partition_point(|&(call, ..)| call <= read.end());
        let (_, latest, which) = *self.by_call.get(called.checked_sub(1)?)?;
        (latest >= read.call).then_some(which)
    }

    /// The writes of the value that a read returned; nothing if that is the initial value.
    fn written_as(&self, read: usize) -> Option<&[usize]> {
        match self.operations[read].output() {
            Some(Output::Value(Some(value))) => {
                Some(self.of_value.get(value).map_or(&[], Vec::as_slice))
            }
            _ => None,
        }
    }

    /// Where a read of a regular register has its value from.
    fn source(&self, read: usize) -> Result<From, Violation> {
        let this = &self.operations[read];
        // Of the writes that are over before the read, the one that began last: it has overwritten
        // everything that was over before it began.
        let over = self.by_end.partition_point(|&(end, _)| end < this.call);
        let last = over.checked_sub(1).map(|at| self.by_end[at].1);
        let stale = |overwritten_by| Violation::Stale {
            read,
            overwritten_by,
        };
        let Some(writes) = self.written_as(read) else {
            return match last {
                Some(overwritten_by) => Err(stale(overwritten_by)),
                None => Ok(From::Initial),
            };
        };
        let mut begun = writes
            .iter()
            .copied()
            .filter(|&write| !this.precedes(&self.operations[write]))
            .peekable();
        if begun.peek().is_none() {
            return Err(Violation::Invented { read });
        }
        let Some(last) = last else {
            return begun
                .last()
                .map(From::Write)
                .ok_or(Violation::Invented { read });
        };
        let is_overwritten =
            |write: &usize| self.operations[*write].precedes(&self.operations[last]);
        let current = begun.filter(|write| !is_overwritten(write)).last();
        current.map(From::Write).ok_or(stale(last))
    }
}

#[cfg(test)]
mod tests;
