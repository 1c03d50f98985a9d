//! The whole vocabulary: what replicas tell one another, what they write down, what they wait for.
//!
//! Messages are facts about their sender. Those that promise something (to ignore lower ballots, that a
//! value is accepted on disk) are held until the promise is durable; the others leave early. The table
//! in `README.md` says which is which.

use alloc::vec::Vec;

use quorate_core::{Checkpoint, Payload, wire};

use super::ballot::{Ballot, Cast, Slot};
use super::tenure::Tenure;
use crate::log::{Entries, Position};

/// What replicas tell one another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// "I would begin my next ballot after `after`; I know everything that is chosen through `chosen`."
    /// Nobody promises anything (PreVote: Ongaro's thesis 2014, 9.6, for the same reason).
    Canvass {
        /// What the sender has promised.
        after: Ballot,
        /// How far it has delivered.
        chosen: Slot,
    },
    /// "I would promise that one to you, and hear from no leader." Promises nothing.
    Support {
        /// From the question: what was promised when it was asked. Who has promised more since must ask
        /// again, even if its next ballot is the same.
        after: Ballot,
    },
    /// "I begin `ballot`: what have you accepted in the slots from `first` on?" (phase 1a)
    Prepare {
        /// The proposer's ballot.
        ballot: Ballot,
        /// The first slot that it asks about.
        first: Slot,
        /// The ballot whose leader wanted this, if one did: those who still hear from that one promise
        /// all the same.
        wanted_by: Option<Ballot>,
        /// The proposer's incarnation: it may lose its records and begin this ballot again.
        incarnation: u64,
    },
    /// "I shall accept nothing in a lower ballot, and this is what I have accepted" (phase 1b).
    Promise {
        /// The ballot promised.
        ballot: Ballot,
        /// From the question.
        incarnation: u64,
        /// From the question: the answer begins there.
        first: Slot,
        /// In every slot through here the sender has what is chosen, or what this ballot proposed.
        through: Slot,
        /// What it accepted from `first` on, in order.
        votes: Vec<Cast>,
        /// Whether that is all; if not, the rest is there for the asking.
        complete: bool,
    },
    /// "I have promised a higher ballot: `promised`."
    Refused {
        /// What the sender has promised.
        promised: Ballot,
    },
    /// "Accept `entries` in the slots from `first` on" (phase 2a). Without entries it only asks how far
    /// the receiver has come.
    Accept {
        /// The leader's ballot.
        ballot: Ballot,
        /// The slot of the first entry.
        first: Slot,
        /// Everything through here is chosen.
        chosen: Slot,
        /// The membership that governs the slots behind `chosen` was chosen in this slot. Who does not
        /// know it accepts nothing behind it that is not chosen.
        since: Slot,
        /// One for each slot.
        entries: Entries,
    },
    /// "I have accepted what you proposed in the slots `first` to `last`, on disk" (phase 2b).
    Accepted {
        /// The ballot in which.
        ballot: Ballot,
        /// The first of these slots.
        first: Slot,
        /// The last of them; before `first` if nothing was proposed.
        last: Slot,
        /// In every slot through here the sender has what is chosen, or what this ballot proposed.
        through: Slot,
    },
    /// "I lead `ballot`": the heartbeat. It is not an empty [`Message::Accept`], since its answer must
    /// not wait for a disk while that of an accept must.
    Leading {
        /// The leader's ballot.
        ballot: Ballot,
        /// Numbers the question "do I still lead?" for reads and leases.
        round: u64,
        /// Everything through here is chosen.
        chosen: Slot,
        /// In phase 1 nothing was found behind this slot; nothing while members who come are still to
        /// be asked.
        opened: Option<Slot>,
    },
    /// "When I received round `round`, I had promised no higher ballot."
    Heard {
        /// The leader's ballot.
        ballot: Ballot,
        /// The round.
        round: u64,
    },
    /// "Everything through `through` is chosen": needs no answer.
    Chosen {
        /// The leader's ballot: where the receiver accepted in it, it knows what was chosen.
        ballot: Ballot,
        /// The last of the chosen slots before the first that is not.
        through: Slot,
    },
    /// "What you lack I no longer have: here is the state through `checkpoint`." It travels as an
    /// attachment.
    Snapshot {
        /// The leader's ballot.
        ballot: Ballot,
        /// What the attached state contains.
        checkpoint: Checkpoint,
        /// Who governs the slots from before it on. The state may be newer than was asked for, so these
        /// are all that the sender knows.
        tenures: Vec<Tenure>,
    },
    /// "Begin a ballot now: you have all that I have."
    Handover {
        /// The leader's ballot.
        ballot: Ballot,
        /// Everything through here is chosen.
        chosen: Slot,
    },
    /// "Someone asked me to broadcast this, and you lead."
    Forward {
        /// What to broadcast.
        payload: Payload,
    },
    /// "Someone asked me to read, and you lead."
    ReadAsked {
        /// The asking replica's incarnation: ids are unique only within one.
        incarnation: u64,
        /// The id of the read.
        id: u64,
    },
    /// "A state that contains `slot` answers your read."
    ReadReady {
        /// From the question.
        incarnation: u64,
        /// From the question.
        id: u64,
        /// What was chosen when the question was confirmed.
        slot: Slot,
    },
    /// "I lost records that I had acknowledged: what have you promised?"
    Recovering {
        /// The asking replica's incarnation.
        incarnation: u64,
    },
    /// "I lost nothing, or have made up for it, and have promised `promised`."
    Remembered {
        /// From the question.
        incarnation: u64,
        /// The highest ballot that the sender promised.
        promised: Ballot,
        /// Who takes part, as far as it knows.
        tenures: Vec<Tenure>,
    },
    /// "I lost records too."
    Forgotten {
        /// From the question.
        incarnation: u64,
    },
    /// "The memberships that were chosen through `after` are on my disk": mail to oneself.
    Settled {
        /// The slot of the last of them.
        after: Slot,
    },
    /// "Who takes part has changed since you were told": to a canvasser that must not be supported.
    Outdated {
        /// Who takes part now.
        tenure: Tenure,
    },
}

/// What a replica writes down.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    /// It accepts nothing in a lower ballot any more ("Paxos Made Simple" 2.5: an acceptor's stable
    /// storage).
    Promised {
        /// The ballot.
        ballot: Ballot,
        /// What it has in the slots through here is chosen. Not needed for safety: it spares catching
        /// up after a restart.
        chosen: Slot,
    },
    /// It accepted something.
    Accepted(Cast),
    /// Everything through here is in the application's state; what was accepted behind it remains.
    Base(Position),
    /// Records were lost. This replica accepts again, but must not promise anything until it has
    /// whatever it may have forgotten.
    Rejoining {
        /// It has asked those who take part behind this slot what it forgot.
        asked: Slot,
    },
    /// It has it, and promises again.
    Rejoined,
    /// Who takes part: a membership that was chosen, or the one that it began with.
    Governs(Tenure),
}

/// What a replica waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// Nothing was heard of the leader for an election timeout. Runs while a leader is known.
    Silence,
    /// Time to canvass. Runs while no leader is known.
    Election,
    /// The leader's next heartbeat is due, or a proposer's next question.
    Heartbeat,
    /// The leader must have heard from a phase-2 quorum since this ran out last.
    CheckQuorum,
    /// A transfer of leadership took too long.
    Transfer,
    /// The question what was forgotten may have been lost. Runs while the replica is damaged.
    Recovery,
    /// An acceptor's lease to the leader ends.
    Lease,
    /// The leader no longer counts on the leases that round gave it.
    Term(u64),
}

impl Message {
    /// The ballot of somebody who leads it or wants to. Such messages come from its owner only.
    pub(super) fn claim(&self) -> Option<Ballot> {
        match self {
            Message::Prepare { ballot, .. }
            | Message::Accept { ballot, .. }
            | Message::Leading { ballot, .. }
            | Message::Chosen { ballot, .. }
            | Message::Snapshot { ballot, .. }
            | Message::Handover { ballot, .. } => Some(*ballot),
            Message::Canvass { .. }
            | Message::Support { .. }
            | Message::Promise { .. }
            | Message::Refused { .. }
            | Message::Accepted { .. }
            | Message::Heard { .. }
            | Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::ReadReady { .. }
            | Message::Recovering { .. }
            | Message::Remembered { .. }
            | Message::Forgotten { .. }
            | Message::Settled { .. }
            | Message::Outdated { .. } => None,
        }
    }

    /// The ballot of a proposer or leader that the message answers: another's is of no use to it.
    pub(super) fn answered_ballot(&self) -> Option<Ballot> {
        match self {
            Message::Promise { ballot, .. }
            | Message::Accepted { ballot, .. }
            | Message::Heard { ballot, .. } => Some(*ballot),
            Message::Canvass { .. }
            | Message::Support { .. }
            | Message::Prepare { .. }
            | Message::Refused { .. }
            | Message::Accept { .. }
            | Message::Leading { .. }
            | Message::Chosen { .. }
            | Message::Snapshot { .. }
            | Message::Handover { .. }
            | Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::ReadReady { .. }
            | Message::Recovering { .. }
            | Message::Remembered { .. }
            | Message::Forgotten { .. }
            | Message::Settled { .. }
            | Message::Outdated { .. } => None,
        }
    }

    /// The incarnation whose question the message answers. An earlier one's is of no use: ids of reads
    /// are in use again, and what was promised to it may be forgotten.
    pub(super) fn answered_incarnation(&self) -> Option<u64> {
        match self {
            Message::Promise { incarnation, .. }
            | Message::ReadReady { incarnation, .. }
            | Message::Remembered { incarnation, .. }
            | Message::Forgotten { incarnation } => Some(*incarnation),
            Message::Canvass { .. }
            | Message::Support { .. }
            | Message::Prepare { .. }
            | Message::Refused { .. }
            | Message::Accept { .. }
            | Message::Accepted { .. }
            | Message::Leading { .. }
            | Message::Heard { .. }
            | Message::Chosen { .. }
            | Message::Snapshot { .. }
            | Message::Handover { .. }
            | Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::Recovering { .. }
            | Message::Settled { .. }
            | Message::Outdated { .. } => None,
        }
    }

    /// Whether a replica that knows nothing of its past may take it.
    pub(super) fn recovers(&self) -> bool {
        matches!(
            self,
            Message::Recovering { .. } | Message::Remembered { .. } | Message::Forgotten { .. }
        )
    }

    /// Where the message names the state that is attached to it.
    pub(super) fn checkpoint(&mut self) -> Option<&mut Checkpoint> {
        if let Message::Snapshot { checkpoint, .. } = self {
            Some(checkpoint)
        } else {
            None
        }
    }
}

wire!(enum Message, "the tag of a message" {
    1 => Canvass { after, chosen };
    2 => Support { after };
    3 => Prepare { ballot, first, wanted_by, incarnation };
    4 => Promise { ballot, incarnation, first, through, votes, complete };
    5 => Refused { promised };
    6 => Accept { ballot, first, chosen, since, entries };
    7 => Accepted { ballot, first, last, through };
    8 => Leading { ballot, round, chosen, opened };
    9 => Heard { ballot, round };
    10 => Chosen { ballot, through };
    11 => Snapshot { ballot, checkpoint, tenures };
    12 => Handover { ballot, chosen };
    13 => Forward { payload };
    14 => ReadAsked { incarnation, id };
    15 => ReadReady { incarnation, id, slot };
    16 => Recovering { incarnation };
    17 => Remembered { incarnation, promised, tenures };
    18 => Forgotten { incarnation };
    19 => Settled { after };
    20 => Outdated { tenure };
});

wire!(enum Record, "the tag of a record" {
    1 => Promised { ballot, chosen };
    2 => Accepted(cast);
    3 => Base(position);
    4 => Rejoining { asked };
    5 => Rejoined;
    6 => Governs(tenure);
});
