//! The whole vocabulary: what processes tell one another, what they write down, what they wait for.

use alloc::vec::Vec;

use quorate_core::{Malformed, NodeId, Reader, Wire};
use quorate_problems::replicated::{CallId, Chance, Operation, Outcome, State};

/// One update on its way to the copies.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Update {
    /// Its place in the order; without one, its place among those of its origin.
    pub number: u64,
    /// The replica that answers its client.
    pub origin: NodeId,
    /// The call that asked for it.
    pub id: CallId,
    /// What is to be done.
    pub content: Content,
}

/// What is shipped: the "sync" of the primary-backup approach.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Content {
    /// Execute this: active replication.
    Execute {
        /// The operation.
        operation: Operation,
        /// What whoever executed it first found out from clock and lots.
        chance: Chance,
    },
    /// This is what came of it: passive replication.
    Adopt {
        /// The state with the update.
        state: State,
        /// What the client is told.
        result: Outcome,
        /// Which of several results is the latest: a Lamport clock.
        stamp: u64,
    },
}

/// Everything that a replica must have to be like another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Snapshot {
    /// The number of the last update in it.
    pub number: u64,
    /// The machine's state.
    pub state: State,
    /// The stamp of that state, and who gave it.
    pub stamp: (u64, NodeId),
    /// The updates in it, and what their clients are told if they ask again.
    pub made: Vec<(CallId, Outcome)>,
}

/// What processes tell one another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// "A client asks me for this, and it is for you to do."
    Asked {
        /// The call.
        id: CallId,
        /// What it asks for.
        operation: Operation,
    },
    /// "That is done, and this is the answer."
    Answered {
        /// The call.
        id: CallId,
        /// The answer.
        result: Outcome,
    },
    /// "This update is made."
    Made {
        /// The epoch of the master whose order it is in.
        epoch: u64,
        /// The update.
        update: Update,
    },
    /// "I have made all updates through this number."
    Have {
        /// The epoch that I follow.
        epoch: u64,
        /// The number.
        number: u64,
    },
    /// "I am alive."
    Alive {
        /// The epoch that I follow.
        epoch: u64,
        /// The last update that I have made.
        number: u64,
    },
    /// "There is a later master than yours."
    Deposed {
        /// Its epoch.
        epoch: u64,
    },
    /// "I want the lock for this call."
    Wanted {
        /// The call.
        id: CallId,
    },
    /// "You have the lock."
    Granted {
        /// The epoch of the lock's keeper.
        epoch: u64,
        /// The call.
        id: CallId,
    },
    /// "I do not need the lock any more."
    Freed {
        /// The call that it was for.
        id: CallId,
    },
    /// "I was away, and must be told everything."
    Joining,
    /// "This is everything."
    Everything {
        /// The sender's epoch.
        epoch: u64,
        /// What it has.
        snapshot: Snapshot,
    },
}

/// What a replica writes down, if it does.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    /// It made this update, with this outcome.
    Made {
        /// The update.
        update: Update,
        /// The outcome.
        result: Outcome,
        /// The state with it.
        state: State,
    },
    /// It was told everything.
    Installed(Snapshot),
}

/// What a process waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// Time to say that it is alive.
    Alive,
    /// Time to tell the others of updates that were answered already.
    Propagate,
    /// Time to send again what nobody acknowledged.
    Resend,
    /// A replica has not been heard of for longer than it can be silent if it is up.
    Silence(NodeId),
}

impl Wire for Update {
    fn encode(&self, out: &mut Vec<u8>) {
        self.number.encode(out);
        self.origin.encode(out);
        self.id.encode(out);
        self.content.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Update, Malformed> {
        Ok(Update {
            number: u64::decode(input)?,
            origin: NodeId::decode(input)?,
            id: CallId::decode(input)?,
            content: Content::decode(input)?,
        })
    }
}

impl Wire for Content {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Content::Execute { operation, chance } => {
                0u8.encode(out);
                operation.encode(out);
                chance.encode(out);
            }
            Content::Adopt {
                state,
                result,
                stamp,
            } => {
                1u8.encode(out);
                state.encode(out);
                result.encode(out);
                stamp.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Content, Malformed> {
        let malformed = input.malformed("an operation or a result");
        Ok(match u8::decode(input)? {
            0 => Content::Execute {
                operation: Operation::decode(input)?,
                chance: Chance::decode(input)?,
            },
            1 => Content::Adopt {
                state: State::decode(input)?,
                result: Outcome::decode(input)?,
                stamp: u64::decode(input)?,
            },
            _ => return Err(malformed),
        })
    }
}

impl Wire for Snapshot {
    fn encode(&self, out: &mut Vec<u8>) {
        self.number.encode(out);
        self.state.encode(out);
        self.stamp.0.encode(out);
        self.stamp.1.encode(out);
        let count = u32::try_from(self.made.len()).expect("sequences are shorter than 2^32");
        count.encode(out);
        for (id, result) in &self.made {
            id.encode(out);
            result.encode(out);
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Snapshot, Malformed> {
        /// A call and the shortest outcome.
        const ENTRY_BYTES_MIN: usize = 13;
        let number = u64::decode(input)?;
        let state = State::decode(input)?;
        let stamp = (u64::decode(input)?, NodeId::decode(input)?);
        let count = input.count(ENTRY_BYTES_MIN)?;
        let mut made = Vec::new();
        for _ in 0..count {
            made.push((CallId::decode(input)?, Outcome::decode(input)?));
        }
        Ok(Snapshot {
            number,
            state,
            stamp,
            made,
        })
    }
}

impl Wire for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Message::Asked { id, operation } => {
                0u8.encode(out);
                id.encode(out);
                operation.encode(out);
            }
            Message::Answered { id, result } => {
                1u8.encode(out);
                id.encode(out);
                result.encode(out);
            }
            Message::Made { epoch, update } => {
                2u8.encode(out);
                epoch.encode(out);
                update.encode(out);
            }
            Message::Have { epoch, number } => numbers(3, *epoch, *number, out),
            Message::Alive { epoch, number } => numbers(4, *epoch, *number, out),
            Message::Deposed { epoch } => {
                5u8.encode(out);
                epoch.encode(out);
            }
            Message::Wanted { id } => {
                6u8.encode(out);
                id.encode(out);
            }
            Message::Granted { epoch, id } => {
                7u8.encode(out);
                epoch.encode(out);
                id.encode(out);
            }
            Message::Freed { id } => {
                8u8.encode(out);
                id.encode(out);
            }
            Message::Joining => 9u8.encode(out),
            Message::Everything { epoch, snapshot } => {
                10u8.encode(out);
                epoch.encode(out);
                snapshot.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Message, Malformed> {
        let malformed = input.malformed("a message");
        Ok(match u8::decode(input)? {
            0 => Message::Asked {
                id: CallId::decode(input)?,
                operation: Operation::decode(input)?,
            },
            1 => Message::Answered {
                id: CallId::decode(input)?,
                result: Outcome::decode(input)?,
            },
            2 => Message::Made {
                epoch: u64::decode(input)?,
                update: Update::decode(input)?,
            },
            3 => Message::Have {
                epoch: u64::decode(input)?,
                number: u64::decode(input)?,
            },
            4 => Message::Alive {
                epoch: u64::decode(input)?,
                number: u64::decode(input)?,
            },
            5 => Message::Deposed {
                epoch: u64::decode(input)?,
            },
            6 => Message::Wanted {
                id: CallId::decode(input)?,
            },
            7 => Message::Granted {
                epoch: u64::decode(input)?,
                id: CallId::decode(input)?,
            },
            8 => Message::Freed {
                id: CallId::decode(input)?,
            },
            9 => Message::Joining,
            10 => Message::Everything {
                epoch: u64::decode(input)?,
                snapshot: Snapshot::decode(input)?,
            },
            _ => return Err(malformed),
        })
    }
}

fn numbers(tag: u8, epoch: u64, number: u64, out: &mut Vec<u8>) {
    tag.encode(out);
    epoch.encode(out);
    number.encode(out);
}

impl Wire for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::Made {
                update,
                result,
                state,
            } => {
                0u8.encode(out);
                update.encode(out);
                result.encode(out);
                state.encode(out);
            }
            Record::Installed(snapshot) => {
                1u8.encode(out);
                snapshot.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Record, Malformed> {
        let malformed = input.malformed("a record");
        Ok(match u8::decode(input)? {
            0 => Record::Made {
                update: Update::decode(input)?,
                result: Outcome::decode(input)?,
                state: State::decode(input)?,
            },
            1 => Record::Installed(Snapshot::decode(input)?),
            _ => return Err(malformed),
        })
    }
}
