//! The whole vocabulary: what processes tell one another, what they write down, what they wait for.
//!
//! Messages are facts about their sender. Those that promise something are held until the promise is
//! durable; the others leave early. The table in `README.md` says which is which.

use quorate_core::{Payload, wire};

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

wire!(enum Message, "the tag of a message" {
    1 => Prepare { ballot };
    2 => Promise { ballot, accepted };
    3 => Accept { ballot, value };
    4 => Accepted { ballot };
    5 => Outbid { ballot, promised };
    6 => Decided { value };
    7 => Wondering;
});

wire!(enum Record, "the tag of a record" {
    1 => Begun { round };
    2 => Promised { ballot };
    3 => Accepted { proposal };
    4 => Decided { value };
});
