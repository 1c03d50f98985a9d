//! Reliable broadcast, and the same with a total order: who broadcast what, and who delivered it when.
//!
//! A message is known by its sender and a number, not by its payload: two broadcasts of equal
//! payloads are two messages. Crashed processes count for the uniform properties, with what they
//! delivered before they crashed.

use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use quorate_core::{NodeId, Payload, Problem};

use crate::property::Judged;

/// The problem of reliable broadcast: what one correct process delivers, all do; in any order.
#[derive(Clone, Copy, Debug)]
pub struct ReliableBroadcast;

impl Problem for ReliableBroadcast {
    type Request = Request;
    type Output = Output;
}

/// What the layer above asks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Request {
    /// Deliver this everywhere. The number is never used twice by one process.
    Broadcast {
        /// The number of the message.
        number: u64,
        /// What it says.
        payload: Payload,
    },
}

/// What the layer above is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// A message arrived.
    Deliver {
        /// Which one.
        message: MessageId,
        /// What it says.
        payload: Payload,
    },
}

/// A message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MessageId {
    /// Who broadcast it.
    pub sender: NodeId,
    /// Its number there.
    pub number: u64,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.sender, self.number)
    }
}

/// Watches all broadcasts and deliveries of a run.
#[derive(Clone, Default, Hash, Debug)]
pub struct Oracle {
    broadcast: BTreeMap<MessageId, Payload>,
    /// What each process delivered, in order, and where each message is in it.
    delivered: BTreeMap<NodeId, Vec<MessageId>>,
    places: BTreeMap<(NodeId, MessageId), usize>,
    /// What nothing can mend, in the order in which it happened.
    integrity: Option<Violation>,
}

/// A broken promise.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Violation {
    /// A process delivered a message that nobody broadcast, or with another payload.
    Invented {
        /// Who delivered it.
        node: NodeId,
        /// What it delivered.
        message: MessageId,
    },
    /// A process delivered a message twice.
    Duplicate {
        /// Who delivered it.
        node: NodeId,
        /// The message.
        message: MessageId,
    },
    /// A correct process did not deliver what it broadcast.
    NotByItself {
        /// The message.
        message: MessageId,
    },
    /// A correct process did not deliver what another one delivered.
    NotByAll {
        /// The message.
        message: MessageId,
        /// Who delivered it.
        by: NodeId,
        /// Who did not.
        not_by: NodeId,
    },
    /// A process delivered a message without another one that comes before it elsewhere.
    OutOfOrder {
        /// What comes first.
        first: MessageId,
        /// What comes after it.
        second: MessageId,
        /// Where it is so.
        at: NodeId,
        /// Who delivered the second message, and not the first before it.
        not_at: NodeId,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Invented { node, message } => {
                write!(f, "{node} delivered {message}, which was not broadcast so")
            }
            Violation::Duplicate { node, message } => {
                write!(f, "{node} delivered {message} twice")
            }
            Violation::NotByItself { message } => {
                write!(f, "{} did not deliver its own {message}", message.sender)
            }
            Violation::NotByAll {
                message,
                by,
                not_by,
            } => write!(f, "{by} delivered {message} and {not_by} did not"),
            Violation::OutOfOrder {
                first,
                second,
                at,
                not_at,
            } => write!(
                f,
                "{at} delivered {first} before {second}, and {not_at} delivered {second} without {first} before it"
            ),
        }
    }
}

impl Oracle {
    /// A process broadcasts.
    pub fn on_broadcast(&mut self, message: MessageId, payload: &Payload) {
        self.broadcast.insert(message, payload.clone());
    }

    /// A process delivers.
    ///
    /// # Errors
    /// A message that was not broadcast so, or that it delivered before.
    pub fn on_deliver(
        &mut self,
        node: NodeId,
        message: MessageId,
        payload: &Payload,
    ) -> Result<(), Violation> {
        let sequence = self.delivered.entry(node).or_default();
        let is_as_broadcast = self.broadcast.get(&message) == Some(payload);
        let violation = match self.places.entry((node, message)) {
            Entry::Vacant(place) if is_as_broadcast => {
                place.insert(sequence.len());
                sequence.push(message);
                return Ok(());
            }
            Entry::Occupied(_) if is_as_broadcast => Violation::Duplicate { node, message },
            Entry::Vacant(_) | Entry::Occupied(_) => Violation::Invented { node, message },
        };
        self.integrity.get_or_insert_with(|| violation.clone());
        Err(violation)
    }

    /// Judges a run that is over, in which these processes were correct, as a reliable broadcast.
    #[must_use]
    pub fn judge(&self, correct: &BTreeSet<NodeId>) -> Vec<Judged<Violation>> {
        Vec::from([
            Judged::new("validity", self.not_by_itself(correct)),
            Judged::new(
                "agreement",
                self.not_by_all(correct, |node| correct.contains(node)),
            ),
            Judged::new("uniform agreement", self.not_by_all(correct, |_| true)),
            Judged::new("integrity", self.integrity.clone()),
        ])
    }

    /// Judges it as a total-order broadcast: the same, and one order.
    #[must_use]
    pub fn judge_total_order(&self, correct: &BTreeSet<NodeId>) -> Vec<Judged<Violation>> {
        let mut judged = self.judge(correct);
        let of_correct = self.out_of_order(|node| correct.contains(node));
        judged.push(Judged::new("total order", of_correct));
        judged.push(Judged::new(
            "uniform total order",
            self.out_of_order(|_| true),
        ));
        judged
    }

    fn has(&self, node: NodeId, message: MessageId) -> bool {
        self.places.contains_key(&(node, message))
    }

    fn not_by_itself(&self, correct: &BTreeSet<NodeId>) -> Option<Violation> {
        let mut messages = self.broadcast.keys().copied();
        let missing = |message: &MessageId| {
            correct.contains(&message.sender) && !self.has(message.sender, *message)
        };
        let message = messages.find(missing)?;
        Some(Violation::NotByItself { message })
    }

    fn not_by_all(
        &self,
        correct: &BTreeSet<NodeId>,
        counts: impl Fn(&NodeId) -> bool,
    ) -> Option<Violation> {
        for (&by, sequence) in self.delivered.iter().filter(|(node, _)| counts(node)) {
            for &message in sequence {
                let mut others = correct.iter().copied();
                if let Some(not_by) = others.find(|&other| !self.has(other, message)) {
                    return Some(Violation::NotByAll {
                        message,
                        by,
                        not_by,
                    });
                }
            }
        }
        None
    }

    /// "If some process delivers `first` before `second`, then every process delivers `second` only
    /// after it has delivered `first`."
    fn out_of_order(&self, counts: impl Fn(&NodeId) -> bool) -> Option<Violation> {
        let counted = || self.delivered.iter().filter(|(node, _)| counts(node));
        for (&at, sequence) in counted() {
            for (&not_at, other) in counted().filter(|(node, _)| **node != at) {
                // How many of the first messages of `sequence` the other one has delivered by now.
                let mut contained = 0;
                for (by_now, &second) in other.iter().enumerate() {
                    let is_before = |message: &MessageId| {
                        let place = self.places.get(&(not_at, *message));
                        place.is_some_and(|place| *place < by_now)
                    };
                    while sequence.get(contained).is_some_and(is_before) {
                        contained += 1;
                    }
                    let place = self.places.get(&(at, second));
                    if place.is_some_and(|place| *place > contained) {
                        return Some(Violation::OutOfOrder {
                            first: sequence[contained],
                            second,
                            at,
                            not_at,
                        });
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str) -> (MessageId, Payload) {
        let (sender, number) = name.split_once('#').expect("such as 1#2");
        let sender = NodeId(sender.parse().expect("a number"));
        let number = number.parse().expect("a number");
        // All payloads are equal: messages are told apart by their ids.
        (
            MessageId { sender, number },
            Payload::from_vec(b"same".to_vec(), 0),
        )
    }

    fn run(broadcast: &str, delivered: &[(u64, &str)], correct: &[u64]) -> Vec<&'static str> {
        let mut oracle = Oracle::default();
        for name in broadcast.split_whitespace() {
            let (id, payload) = message(name);
            oracle.on_broadcast(id, &payload);
        }
        for (node, names) in delivered {
            for name in names.split_whitespace() {
                let (id, payload) = message(name);
                let _ = oracle.on_deliver(NodeId(*node), id, &payload);
            }
        }
        let correct = correct.iter().copied().map(NodeId).collect();
        let judged = oracle.judge_total_order(&correct);
        assert_eq!(judged.len(), 6);
        let broken = judged.iter().filter(|one| !one.holds());
        broken.map(|one| one.property).collect()
    }

    #[test]
    fn the_same_sequence_everywhere_is_a_total_order() {
        let all = "1#1 2#1 1#2";
        assert!(run(all, &[(1, all), (2, all), (3, all)], &[1, 2, 3]).is_empty());
        assert!(
            run(all, &[(1, "1#1"), (2, all), (3, all)], &[2, 3]).is_empty(),
            "n1 crashed"
        );
    }

    #[test]
    fn equal_payloads_are_different_messages() {
        let both = "1#1 1#2";
        assert!(run(both, &[(1, both), (2, both)], &[1, 2]).is_empty());
        assert_eq!(
            run("1#1", &[(1, "1#1 1#1"), (2, "1#1")], &[1, 2]),
            ["integrity"]
        );
    }

    #[test]
    fn each_promise_is_broken_by_itself() {
        assert_eq!(run("1#1", &[], &[1, 2]), ["validity"]);
        assert!(run("1#1", &[], &[2]).is_empty(), "its sender crashed");
        let both = ["agreement", "uniform agreement"];
        assert_eq!(run("1#1", &[(1, "1#1")], &[1, 2]), both);
        assert_eq!(run("1#1", &[(1, "1#1")], &[2]), ["uniform agreement"]);
        assert_eq!(run("", &[(1, "2#7")], &[1]), ["integrity"]);
    }

    #[test]
    fn a_crashed_process_counts_for_uniform_total_order_only() {
        let all = "1#1 2#1";
        let swapped = "2#1 1#1";
        let both = ["total order", "uniform total order"];
        assert_eq!(run(all, &[(1, all), (2, swapped)], &[1, 2]), both);
        assert_eq!(
            run(all, &[(1, all), (2, swapped), (3, all)], &[2]),
            ["uniform total order"]
        );
        // Delivering the second without the first is wrong, too, however it goes on.
        assert_eq!(
            run(all, &[(1, all), (2, "2#1")], &[1]),
            ["uniform total order"]
        );
    }

    #[test]
    fn the_witness_names_the_pair() {
        let mut oracle = Oracle::default();
        for name in ["1#1", "1#2", "1#3"] {
            let (id, payload) = message(name);
            oracle.on_broadcast(id, &payload);
        }
        for (node, names) in [(1, ["1#1", "1#2", "1#3"]), (2, ["1#1", "1#3", "1#2"])] {
            for name in names {
                let (id, payload) = message(name);
                assert_eq!(oracle.on_deliver(NodeId(node), id, &payload), Ok(()));
            }
        }
        let found = oracle.out_of_order(|_| true);
        let (first, second) = (message("1#2").0, message("1#3").0);
        let (at, not_at) = (NodeId(1), NodeId(2));
        assert_eq!(
            found,
            Some(Violation::OutOfOrder {
                first,
                second,
                at,
                not_at
            })
        );
    }
}
