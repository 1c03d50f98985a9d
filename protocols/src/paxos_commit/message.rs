//! The whole vocabulary: what processes tell one another, what they write down, what they wait for.
//!
//! All instances travel together: what is said of one is said of all in the same message.

use alloc::vec::Vec;
use core::fmt;

use quorate_core::{Malformed, NodeId, Reader, Wire};
use quorate_problems::atomic_commitment::{Outcome, Vote};

use crate::synod::{Ballot, Proposal};

/// What processes tell one another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// "This is my vote": a participant, in ballot 0 of its own instance (phase 2a, without a phase 1
    /// since nobody else has that ballot). A no decides everything.
    Vote {
        /// What it votes.
        vote: Vote,
    },
    /// "In ballot 0 I have accepted a yes of everybody" (phase 2b of all instances).
    Collected,
    /// "I begin this ballot in all instances" (phase 1a).
    Prepare {
        /// Larger than any the sender has begun or heard of.
        ballot: Ballot,
    },
    /// "I take part in no ballot before this one" (phase 1b).
    Promise {
        /// From the question.
        ballot: Ballot,
        /// What the sender has accepted in earlier ballots, instance by instance.
        accepted: Vec<Cast>,
    },
    /// "My ballot has these votes" (phase 2a).
    Accept {
        /// The ballot.
        ballot: Ballot,
        /// Its only value in each instance.
        votes: Vec<Ruling>,
    },
    /// "I have accepted the votes of this ballot" (phase 2b).
    Accepted {
        /// The ballot.
        ballot: Ballot,
    },
    /// "I take no part in this ballot: I have promised more."
    Outbid {
        /// The ballot that comes too late.
        ballot: Ballot,
        /// What the sender has promised.
        promised: Ballot,
    },
    /// "This is decided."
    Decided {
        /// What.
        outcome: Outcome,
    },
    /// "I do not know what is decided, and cannot find out by myself."
    Wondering,
}

/// What an acceptor has accepted in the instance of one participant.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cast {
    /// Whose vote it is about.
    pub participant: NodeId,
    /// What was accepted.
    pub proposal: Proposal<Vote>,
}

/// What a ballot says of the vote of one participant.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ruling {
    /// Whose vote it is about.
    pub participant: NodeId,
    /// How it is counted.
    pub vote: Vote,
}

impl fmt::Debug for Cast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.participant, self.proposal)
    }
}

impl fmt::Debug for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.participant, self.vote)
    }
}

/// What a process writes down.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    /// Its own vote, which it does not change any more.
    Voted {
        /// What.
        vote: Vote,
    },
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
    /// It has accepted this in one instance.
    Accepted {
        /// Where, and what.
        cast: Cast,
    },
    /// It knows what is decided. Nothing else matters any more.
    Decided {
        /// What.
        outcome: Outcome,
    },
}

/// What a process waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// The transaction is under way and nobody has told what came of it.
    Patience,
}

/// Writes a tag and then the fields, in order.
macro_rules! put {
    ($out:ident, $tag:literal $(, $field:expr)*) => {{
        u8::encode(&$tag, $out);
        $(Wire::encode($field, $out);)*
    }};
}

impl Wire for Cast {
    fn encode(&self, out: &mut Vec<u8>) {
        self.participant.encode(out);
        self.proposal.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Cast, Malformed> {
        Ok(Cast {
            participant: Wire::decode(input)?,
            proposal: Wire::decode(input)?,
        })
    }
}

impl Wire for Ruling {
    fn encode(&self, out: &mut Vec<u8>) {
        self.participant.encode(out);
        self.vote.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Ruling, Malformed> {
        Ok(Ruling {
            participant: Wire::decode(input)?,
            vote: Wire::decode(input)?,
        })
    }
}

impl Wire for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Message::Vote { vote } => put!(out, 1, vote),
            Message::Collected => put!(out, 2),
            Message::Prepare { ballot } => put!(out, 3, ballot),
            Message::Promise { ballot, accepted } => put!(out, 4, ballot, accepted),
            Message::Accept { ballot, votes } => put!(out, 5, ballot, votes),
            Message::Accepted { ballot } => put!(out, 6, ballot),
            Message::Outbid { ballot, promised } => put!(out, 7, ballot, promised),
            Message::Decided { outcome } => put!(out, 8, outcome),
            Message::Wondering => put!(out, 9),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Message, Malformed> {
        let malformed = input.malformed("the tag of a message");
        let tag = u8::decode(input)?;
        // Fields of a struct expression are evaluated in the order written, which is the wire's.
        Ok(match tag {
            1 => Message::Vote {
                vote: Wire::decode(input)?,
            },
            2 => Message::Collected,
            3 => Message::Prepare {
                ballot: Wire::decode(input)?,
            },
            4 => Message::Promise {
                ballot: Wire::decode(input)?,
                accepted: Wire::decode(input)?,
            },
            5 => Message::Accept {
                ballot: Wire::decode(input)?,
                votes: Wire::decode(input)?,
            },
            6 => Message::Accepted {
                ballot: Wire::decode(input)?,
            },
            7 => Message::Outbid {
                ballot: Wire::decode(input)?,
                promised: Wire::decode(input)?,
            },
            8 => Message::Decided {
                outcome: Wire::decode(input)?,
            },
            9 => Message::Wondering,
            _ => return Err(malformed),
        })
    }
}

impl Wire for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::Voted { vote } => put!(out, 1, vote),
            Record::Begun { round } => put!(out, 2, round),
            Record::Promised { ballot } => put!(out, 3, ballot),
            Record::Accepted { cast } => put!(out, 4, cast),
            Record::Decided { outcome } => put!(out, 5, outcome),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Record, Malformed> {
        let malformed = input.malformed("the tag of a record");
        let tag = u8::decode(input)?;
        Ok(match tag {
            1 => Record::Voted {
                vote: Wire::decode(input)?,
            },
            2 => Record::Begun {
                round: Wire::decode(input)?,
            },
            3 => Record::Promised {
                ballot: Wire::decode(input)?,
            },
            4 => Record::Accepted {
                cast: Wire::decode(input)?,
            },
            5 => Record::Decided {
                outcome: Wire::decode(input)?,
            },
            _ => return Err(malformed),
        })
    }
}
