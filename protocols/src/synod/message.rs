//! The whole vocabulary: what processes tell one another, what they write down, what they wait for.
//!
//! Messages are facts about their sender. Those that promise something are held until the promise is
//! durable; the others leave early. The table in `README.md` says which is which.

use alloc::vec::Vec;

use quorate_core::{Malformed, Payload, Reader, Wire};

use super::ballot::{Ballot, Proposal};

/// What processes tell one another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// "I begin this ballot" (phase 1a).
    Prepare {
        /// Larger than any the sender has begun or heard of.
        ballot: Ballot,
    },
    /// "I take part in no ballot before this one" (phase 1b).
    Promise {
        /// From the question.
        ballot: Ballot,
        /// What the sender has accepted in an earlier ballot, if anything.
        accepted: Option<Proposal<Payload>>,
    },
    /// "My ballot has this value" (phase 2a).
    Accept {
        /// The ballot.
        ballot: Ballot,
        /// Its only value.
        value: Payload,
    },
    /// "I have accepted the value of this ballot" (phase 2b).
    Accepted {
        /// The ballot.
        ballot: Ballot,
    },
    /// "I take no part in this ballot: I have promised more" (2.4: it is a hint to hurry).
    Outbid {
        /// The ballot that comes too late.
        ballot: Ballot,
        /// What the sender has promised.
        promised: Ballot,
    },
    /// "This value is chosen" (2.3).
    Decided {
        /// The value.
        value: Payload,
    },
    /// "I do not know what is chosen, and cannot find out by myself."
    Wondering,
}

/// What a process writes down (2.2: "an acceptor uses stable storage"; 2.5: proposers do, too).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    /// It has begun its ballot of this round, and will begin none up to it again.
    Begun {
        /// The round.
        round: u64,
    },
    /// It takes part in no ballot before this one.
    Promised {
        /// The ballot.
        ballot: Ballot,
    },
    /// It has accepted this.
    Accepted {
        /// What.
        proposal: Proposal<Payload>,
    },
    /// It knows what is chosen. Nothing else matters any more.
    Decided {
        /// What.
        value: Payload,
    },
}

/// What a process waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// Something is under way and nobody has told what came of it. It runs out the later, and the more at
    /// random, the more often it did (2.4: timeouts, randomness).
    Patience,
}

/// Writes a tag and then the fields, in order.
macro_rules! put {
    ($out:ident, $tag:literal $(, $field:expr)*) => {{
        u8::encode(&$tag, $out);
        $(Wire::encode($field, $out);)*
    }};
}

impl Wire for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Message::Prepare { ballot } => put!(out, 1, ballot),
            Message::Promise { ballot, accepted } => put!(out, 2, ballot, accepted),
            Message::Accept { ballot, value } => put!(out, 3, ballot, value),
            Message::Accepted { ballot } => put!(out, 4, ballot),
            Message::Outbid { ballot, promised } => put!(out, 5, ballot, promised),
            Message::Decided { value } => put!(out, 6, value),
            Message::Wondering => put!(out, 7),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Message, Malformed> {
        let malformed = input.malformed("the tag of a message");
        let tag = u8::decode(input)?;
        // Fields of a struct expression are evaluated in the order written, which is the wire's.
        Ok(match tag {
            1 => Message::Prepare {
                ballot: Wire::decode(input)?,
            },
            2 => Message::Promise {
                ballot: Wire::decode(input)?,
                accepted: Wire::decode(input)?,
            },
            3 => Message::Accept {
                ballot: Wire::decode(input)?,
                value: Wire::decode(input)?,
            },
            4 => Message::Accepted {
                ballot: Wire::decode(input)?,
            },
            5 => Message::Outbid {
                ballot: Wire::decode(input)?,
                promised: Wire::decode(input)?,
            },
            6 => Message::Decided {
                value: Wire::decode(input)?,
            },
            7 => Message::Wondering,
            _ => return Err(malformed),
        })
    }
}

impl Wire for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::Begun { round } => put!(out, 1, round),
            Record::Promised { ballot } => put!(out, 2, ballot),
            Record::Accepted { proposal } => put!(out, 3, proposal),
            Record::Decided { value } => put!(out, 4, value),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Record, Malformed> {
        let malformed = input.malformed("the tag of a record");
        let tag = u8::decode(input)?;
        Ok(match tag {
            1 => Record::Begun {
                round: Wire::decode(input)?,
            },
            2 => Record::Promised {
                ballot: Wire::decode(input)?,
            },
            3 => Record::Accepted {
                proposal: Wire::decode(input)?,
            },
            4 => Record::Decided {
                value: Wire::decode(input)?,
            },
            _ => return Err(malformed),
        })
    }
}
