//! The whole vocabulary: what processes tell one another, what they write down, what they wait for.

use alloc::vec::Vec;

use quorate_core::{Malformed, Reader, Wire};
use quorate_problems::atomic_commitment::Outcome;

/// What processes tell one another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// "I collect votes, and have none of yours": the coordinator.
    Prepare,
    /// "I vote yes: I can commit and can abort, whatever happens to me."
    Yes,
    /// "I vote no, and have aborted."
    No,
    /// "This is decided."
    Outcome {
        /// What.
        outcome: Outcome,
    },
    /// "I cannot decide: do you know the outcome?"
    Inquiry,
    /// "Neither can I: I have voted yes, too, and have heard nothing since."
    Uncertain,
}

/// What a process writes down.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    /// The coordinator begins to collect votes.
    Collecting,
    /// It has voted yes, and must not abort by itself any more.
    VotedYes,
    /// This is decided.
    Decided {
        /// What.
        outcome: Outcome,
    },
}

/// What a process waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// The coordinator has waited long enough for votes.
    Votes,
    /// A participant has waited long enough for the outcome.
    Outcome,
}

impl Wire for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Message::Prepare => 1u8.encode(out),
            Message::Yes => 2u8.encode(out),
            Message::No => 3u8.encode(out),
            Message::Outcome { outcome } => {
                4u8.encode(out);
                outcome.encode(out);
            }
            Message::Inquiry => 5u8.encode(out),
            Message::Uncertain => 6u8.encode(out),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Message, Malformed> {
        let malformed = input.malformed("the tag of a message");
        Ok(match u8::decode(input)? {
            1 => Message::Prepare,
            2 => Message::Yes,
            3 => Message::No,
            4 => Message::Outcome {
                outcome: Wire::decode(input)?,
            },
            5 => Message::Inquiry,
            6 => Message::Uncertain,
            _ => return Err(malformed),
        })
    }
}

impl Wire for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::Collecting => 1u8.encode(out),
            Record::VotedYes => 2u8.encode(out),
            Record::Decided { outcome } => {
                3u8.encode(out);
                outcome.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Record, Malformed> {
        let malformed = input.malformed("the tag of a record");
        Ok(match u8::decode(input)? {
            1 => Record::Collecting,
            2 => Record::VotedYes,
            3 => Record::Decided {
                outcome: Wire::decode(input)?,
            },
            _ => return Err(malformed),
        })
    }
}
