//! What clients asked and were told, and when: the one format that all checkers of client-visible
//! behaviour judge.
//!
//! A history is a set of operations. Each has the moment of its call and, if it was answered, the
//! moment of its return. Operation `a` *precedes* `b` if `a` returned before `b` was called; otherwise
//! the two are *concurrent* (Herlihy and Wing, "Linearizability", 1990). Moments are any numbers that
//! grow: nanoseconds, or the count of events so far. Equal moments order nothing.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

/// One operation of one process.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Operation<I, O> {
    /// Who asked. A process has one operation at a time.
    pub process: u64,
    /// When it was called.
    pub call: u64,
    /// What was asked.
    pub input: I,
    /// When it returned, and with what. An operation without a return is *pending*: it may take
    /// effect at any moment after its call, or never.
    pub returned: Option<(u64, O)>,
}

impl<I, O> Operation<I, O> {
    /// What it answered, if it did.
    pub fn output(&self) -> Option<&O> {
        self.returned.as_ref().map(|(_, output)| output)
    }

    /// When it returned; a pending operation may yet, so later than anything.
    pub fn end(&self) -> u64 {
        self.returned.as_ref().map_or(u64::MAX, |(at, _)| *at)
    }

    /// Whether this one returned before the other was called.
    pub fn precedes(&self, other: &Operation<I, O>) -> bool {
        self.end() < other.call
    }
}

/// Operations in the order of their calls. Built event by event, or from whole operations; either
/// way, only well-formed histories exist.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct History<I, O> {
    operations: Vec<Operation<I, O>>,
    /// The operation that each process waits for.
    open: BTreeMap<u64, usize>,
    /// The moment of the last event.
    now: u64,
    /// How many events there were.
    events: usize,
}

impl<I, O> Default for History<I, O> {
    fn default() -> History<I, O> {
        History {
            operations: Vec::new(),
            open: BTreeMap::new(),
            now: 0,
            events: 0,
        }
    }
}

/// Why something is no history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// The event (or the operation, where whole operations are given) that makes no sense, counted
    /// from 1.
    pub event: usize,
    /// Whose event it is.
    pub process: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What makes an event impossible.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A process called while its last operation was still open.
    TwoAtOnce,
    /// A reply, a failure or a loss of an operation that was never called, or that is over.
    NotCalled,
    /// An event before the one before it.
    BackInTime {
        /// The moment of the event before it.
        last: u64,
        /// The moment of this event.
        at: u64,
    },
    /// An operation that returned before it was called.
    ReturnBeforeCall {
        /// When it was called.
        call: u64,
        /// When it returned.
        returned: u64,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Malformed {
            event,
            process,
            fault,
        } = self;
        write!(f, "event {event}: {}", fault.of(*process))
    }
}

impl Fault {
    /// The fault in a sentence, without the number of the event.
    pub fn of(self, process: u64) -> impl fmt::Display {
        Sentence(self, process)
    }
}

struct Sentence(Fault, u64);

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sentence(fault, process) = self;
        match fault {
            Fault::TwoAtOnce => write!(
                f,
                "process {process} calls while its last operation is still open; expected a reply first"
            ),
            Fault::NotCalled => write!(
                f,
                "process {process} has no open operation; expected a call before its reply"
            ),
            Fault::BackInTime { last, at } => write!(
                f,
                "moment {at} comes after moment {last}; expected events in order"
            ),
            Fault::ReturnBeforeCall { call, returned } => write!(
                f,
                "process {process} got its reply at {returned}, before its call at {call}"
            ),
        }
    }
}

impl<I, O> History<I, O> {
    /// An empty history.
    #[must_use]
    pub fn new() -> History<I, O> {
        History::default()
    }

    /// A process calls. Answers the number of the operation, which is its place in
    /// [`History::operations`].
    ///
    /// # Errors
    /// If the process has an operation open, or time runs backwards.
    pub fn call(&mut self, process: u64, at: u64, input: I) -> Result<usize, Malformed> {
        self.advance(process, at)?;
        let number = self.operations.len();
        if self.open.contains_key(&process) {
            return Err(self.malformed(process, Fault::TwoAtOnce));
        }
        self.open.insert(process, number);
        self.operations.push(Operation {
            process,
            call: at,
            input,
            returned: None,
        });
        Ok(number)
    }

    /// A process gets its reply. Answers the number of the operation.
    ///
    /// # Errors
    /// If the process has no operation open, or time runs backwards.
    pub fn reply(&mut self, process: u64, at: u64, output: O) -> Result<usize, Malformed> {
        self.advance(process, at)?;
        let number = self.close(process)?;
        self.operations[number].returned = Some((at, output));
        Ok(number)
    }

    /// A process stops waiting and goes on. Nobody knows whether the operation took effect, or will:
    /// it stays pending for ever. Answers its number.
    ///
    /// # Errors
    /// If the process has no operation open, or time runs backwards.
    pub fn lose(&mut self, process: u64, at: u64) -> Result<usize, Malformed> {
        self.advance(process, at)?;
        self.close(process)
    }

    fn advance(&mut self, process: u64, at: u64) -> Result<(), Malformed> {
        self.events += 1;
        if at < self.now {
            let last = self.now;
            return Err(self.malformed(process, Fault::BackInTime { last, at }));
        }
        self.now = at;
        Ok(())
    }

    fn close(&mut self, process: u64) -> Result<usize, Malformed> {
        match self.open.remove(&process) {
            Some(number) => Ok(number),
            None => Err(self.malformed(process, Fault::NotCalled)),
        }
    }

    fn malformed(&self, process: u64, fault: Fault) -> Malformed {
        Malformed {
            event: self.events,
            process,
            fault,
        }
    }

    /// A history of whole operations, which may come in any order; equal calls keep it.
    ///
    /// # Errors
    /// If one returns before its call, or a process has two at once. A process may go on after an
    /// operation that never returned.
    pub fn from_operations(
        operations: impl IntoIterator<Item = Operation<I, O>>,
    ) -> Result<History<I, O>, Malformed> {
        let mut numbered: Vec<(usize, Operation<I, O>)> = (1..).zip(operations).collect();
        numbered.sort_by_key(|(_, operation)| operation.call);
        let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
        for (event, operation) in &numbered {
            let Operation { process, call, .. } = *operation;
            let malformed = |fault| Malformed {
                event: *event,
                process,
                fault,
            };
            if let Some((returned, _)) = operation.returned
                && returned < call
            {
                return Err(malformed(Fault::ReturnBeforeCall { call, returned }));
            }
            if ends.get(&process).is_some_and(|&end| end > call) {
                return Err(malformed(Fault::TwoAtOnce));
            }
            if let Some((returned, _)) = operation.returned {
                ends.insert(process, returned);
            }
        }
        Ok(History {
            now: ends.values().copied().max().unwrap_or(0),
            events: numbered.len(),
            open: BTreeMap::new(),
            operations: numbered
                .into_iter()
                .map(|(_, operation)| operation)
                .collect(),
        })
    }

    /// The same history with other inputs and outputs. `context` is at the disposal of both functions.
    pub fn map<'a, C, I2, O2>(
        &'a self,
        context: &mut C,
        mut input: impl FnMut(&mut C, &'a I) -> I2,
        mut output: impl FnMut(&mut C, &'a O) -> O2,
    ) -> History<I2, O2> {
        let operations = self.operations.iter().map(|operation| Operation {
            process: operation.process,
            call: operation.call,
            input: input(context, &operation.input),
            returned: operation
                .returned
                .as_ref()
                .map(|(at, given)| (*at, output(context, given))),
        });
        History {
            operations: operations.collect(),
            open: self.open.clone(),
            now: self.now,
            events: self.events,
        }
    }

    /// All operations, in the order of their calls.
    #[must_use]
    pub fn operations(&self) -> &[Operation<I, O>] {
        &self.operations
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether nothing was ever asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The number of the operation that a process waits for.
    #[must_use]
    pub fn open(&self, process: u64) -> Option<usize> {
        self.open.get(&process).copied()
    }
}

#[cfg(test)]
mod tests;
