//! The whole vocabulary: what replicas tell one another, what they write down, what they wait for.
//!
//! Messages are facts about their sender. Those that promise something (a vote, an entry that is on
//! disk) are held until the promise is durable; the others leave early. The table in `README.md`
//! says which is which.

use alloc::vec::Vec;

use quorate_core::{Checkpoint, NodeId, Payload, wire};

use crate::log::{Entries, Entry, Epoch as Term, Index, Position};
use crate::members::Configuration;

/// What replicas tell one another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// "I would campaign in `term`; my log ends at `last`." Nobody's term changes (thesis 9.6).
    PreVote {
        /// The sender's term plus one.
        term: Term,
        /// The end of its log.
        last: Position,
    },
    /// "I would vote for you in `term`." Promises nothing.
    PreGranted {
        /// The term that was asked about.
        term: Term,
    },
    /// "I am a candidate in `term` and my log ends at `last`" (5.2).
    RequestVote {
        /// The candidate's term.
        term: Term,
        /// The end of its log.
        last: Position,
        /// Whether the leader itself asked for this election (thesis 3.10), so that those who still
        /// hear from it vote all the same.
        transfer: bool,
        /// The candidate's incarnation: it may lose its records and campaign in this term again.
        incarnation: u64,
    },
    /// "You have my vote in `term`."
    Granted {
        /// The term voted in.
        term: Term,
        /// From the question.
        incarnation: u64,
    },
    /// "Your term is over: I am in `term`" (5.1).
    Outdated {
        /// The sender's term.
        term: Term,
    },
    /// "Behind `previous` my log says `entries`, and it is committed through `commit`" (5.3).
    Append {
        /// The leader's term.
        term: Term,
        /// What the entries follow; the receiver must have the same there.
        previous: Position,
        /// How far the leader has committed.
        commit: Index,
        /// What follows.
        entries: Entries,
    },
    /// "My log agrees with yours through `index`, on disk."
    Appended {
        /// The term of the leader whose log it agrees with.
        term: Term,
        /// The sender's incarnation: what an earlier one had on its disk may be lost since.
        incarnation: u64,
        /// The last index that agrees.
        index: Index,
    },
    /// "I do not have what you say comes at `previous`; we may agree at `hint`" (5.3, last part).
    Rejected {
        /// The leader's term.
        term: Term,
        /// The index that the refused message named as previous.
        previous: Index,
        /// The last place here that is not later than `previous`, in index or in term.
        hint: Position,
    },
    /// "I lead `term`; your log agrees with mine through `commit`, and that is committed": the
    /// heartbeat. It is not an empty append, since its answer must not wait for a disk while that
    /// of an append must.
    Leading {
        /// The leader's term.
        term: Term,
        /// Numbers the question "do I still lead?" for reads (thesis 6.4).
        round: u64,
        /// How far the receiver may deliver.
        commit: Index,
    },
    /// "When I received round `round`, I knew of no later term."
    Heard {
        /// The leader's term.
        term: Term,
        /// The round.
        round: u64,
    },
    /// "Your log agrees with mine through `commit`, and that is committed": needs no answer.
    Committed {
        /// The leader's term.
        term: Term,
        /// How far the receiver may deliver.
        commit: Index,
    },
    /// "What you lack I no longer have as entries: here is the state through `checkpoint`" (7). The
    /// state travels as an attachment.
    Snapshot {
        /// The leader's term.
        term: Term,
        /// What the attached state contains.
        checkpoint: Checkpoint,
        /// How far the sender knows who takes part.
        through: Index,
        /// Who takes part: from the beginning of the sender's log on, and from each change on.
        members: Vec<(Index, Configuration)>,
    },
    /// "Campaign now: you have all that I have" (thesis 3.10).
    TimeoutNow {
        /// The leader's term.
        term: Term,
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
    /// "A state that contains `index` answers your read."
    ReadReady {
        /// From the question.
        incarnation: u64,
        /// From the question.
        id: u64,
        /// The read index.
        index: Index,
    },
    /// "I lost records that I had acknowledged, and have only this state: how may my log begin?"
    Recovering {
        /// The asking replica's incarnation.
        incarnation: u64,
        /// What the state contains.
        state: Position,
    },
    /// "I lost records too."
    Forgotten {
        /// From the question.
        incarnation: u64,
    },
    /// "Your log may begin behind your state; these take part there."
    Beginning {
        /// From the question.
        incarnation: u64,
        /// What the state contains.
        position: Position,
        /// Who takes part there.
        members: Configuration,
    },
    /// "I cannot know what I promised: tell me of an entry that you write after this and that is committed
    /// without me."
    Rejoining {
        /// The asking replica's incarnation.
        incarnation: u64,
    },
    /// "This is such an entry."
    Restored {
        /// From the question.
        incarnation: u64,
        /// Where it is.
        at: Position,
    },
    /// "Frames of my log are lost, but not its end: what leads to `anchor`, from behind `after` on?"
    Lacking {
        /// The asking replica's incarnation.
        incarnation: u64,
        /// What it knows to be in its log.
        anchor: Position,
        /// What it may know before.
        after: Index,
    },
    /// "These lead to your anchor."
    Filling {
        /// From the question.
        incarnation: u64,
        /// What they follow.
        previous: Position,
        /// Who takes part there, if the sender knows.
        members: Option<Configuration>,
        /// What follows, through the anchor.
        entries: Entries,
    },
    /// "My log agrees with yours through `index`, on disk, but do not count on me."
    Copied {
        /// The term of the leader whose log it agrees with.
        term: Term,
        /// The sender's incarnation.
        incarnation: u64,
        /// The last index that agrees.
        index: Index,
    },
    /// To oneself: "the first that I ever wrote is on my disk."
    Begun,
}

/// What a replica writes down.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    /// The current term and the vote in it (figure 2, persistent state). Written by versions whose frames did
    /// not say each time what had been promised.
    Vote {
        /// The term.
        term: Term,
        /// Who has this replica's vote.
        vote: Option<NodeId>,
    },
    /// All that this replica has promised by then, said again in every frame: whoever can read one knows what
    /// those before it said, even if they are lost.
    Promised {
        /// The current term (figure 2, persistent state).
        term: Term,
        /// Who has this replica's vote in it (figure 2, persistent state).
        vote: Option<NodeId>,
        /// Records were lost, so that it copies the log again, but must not promise anything.
        rejoining: bool,
        /// What the first entry that is written with this follows; without entries, where the log ends.
        behind: Position,
    },
    /// The entry at `index`. Whatever was at or behind that index before is gone.
    Append {
        /// Where.
        index: Index,
        /// What.
        entry: Entry,
    },
    /// Everything through here is in the application's durable state; entries behind it remain.
    Base {
        /// Where the log begins.
        position: Position,
        /// Who takes part there.
        members: Configuration,
    },
    /// The log is empty and begins behind this position: it is new, or a snapshot replaced it.
    Reset {
        /// Where the log begins.
        position: Position,
        /// Who takes part there.
        members: Configuration,
    },
    /// Records were lost. This replica copies the log again, but must not promise anything. Like `Vote`.
    Rejoining,
    /// It has whatever it may have forgotten, and takes part again. Like `Vote`.
    Rejoined,
}

/// What a replica waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// Nothing was heard of the leader for an election timeout: it may be gone. Runs while a leader
    /// is known.
    Silence,
    /// Time to canvass for an election. Runs while no leader is known.
    Election,
    /// The leader's next heartbeat is due.
    Heartbeat,
    /// The leader must have heard from a quorum since this ran out last (thesis 6.2).
    CheckQuorum,
    /// A transfer of leadership took too long.
    Transfer,
    /// A question about what was forgotten may have been lost. Runs until the replica is whole again.
    Recovery,
    /// The lease that this replica gave its leader ends.
    Lease,
    /// The leader no longer counts on the leases that this round gave it.
    Term(u64),
}

impl Message {
    /// The term that the message is part of, if it is part of one (5.1). A pre-vote speaks of a term
    /// that nobody is in yet; what clients want is not part of any.
    pub(super) fn term(&self) -> Option<Term> {
        match self {
            Message::RequestVote { term, .. }
            | Message::Granted { term, .. }
            | Message::Outdated { term }
            | Message::Append { term, .. }
            | Message::Appended { term, .. }
            | Message::Rejected { term, .. }
            | Message::Leading { term, .. }
            | Message::Heard { term, .. }
            | Message::Committed { term, .. }
            | Message::Snapshot { term, .. }
            | Message::TimeoutNow { term }
            | Message::Copied { term, .. } => Some(*term),
            Message::PreVote { .. }
            | Message::PreGranted { .. }
            | Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::ReadReady { .. }
            | Message::Recovering { .. }
            | Message::Forgotten { .. }
            | Message::Beginning { .. }
            | Message::Rejoining { .. }
            | Message::Restored { .. }
            | Message::Lacking { .. }
            | Message::Filling { .. }
            | Message::Begun => None,
        }
    }

    /// The incarnation whose question the message answers. An earlier one's is of no use: ids of reads
    /// are in use again, and what was promised to it may be forgotten.
    pub(super) fn answers(&self) -> Option<u64> {
        match self {
            Message::Granted { incarnation, .. }
            | Message::ReadReady { incarnation, .. }
            | Message::Forgotten { incarnation }
            | Message::Beginning { incarnation, .. }
            | Message::Filling { incarnation, .. }
            | Message::Restored { incarnation, .. } => Some(*incarnation),
            Message::PreVote { .. }
            | Message::PreGranted { .. }
            | Message::RequestVote { .. }
            | Message::Outdated { .. }
            | Message::Append { .. }
            | Message::Appended { .. }
            | Message::Rejected { .. }
            | Message::Leading { .. }
            | Message::Heard { .. }
            | Message::Committed { .. }
            | Message::Snapshot { .. }
            | Message::TimeoutNow { .. }
            | Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::Recovering { .. }
            | Message::Rejoining { .. }
            | Message::Lacking { .. }
            | Message::Copied { .. }
            | Message::Begun => None,
        }
    }

    /// Where the message names the state that is attached to it.
    pub(super) fn checkpoint(&mut self) -> Option<&mut Checkpoint> {
        if let Message::Snapshot { checkpoint, .. } = self {
            Some(checkpoint)
        } else {
            None
        }
    }

    /// Whether the sender leads, or wants to lead, the message's term: it has to be told if that
    /// term is over.
    pub(super) fn claims_term(&self) -> bool {
        match self {
            Message::RequestVote { .. }
            | Message::Append { .. }
            | Message::Leading { .. }
            | Message::Committed { .. }
            | Message::Snapshot { .. } => true,
            Message::PreVote { .. }
            | Message::PreGranted { .. }
            | Message::Granted { .. }
            | Message::Outdated { .. }
            | Message::Appended { .. }
            | Message::Rejected { .. }
            | Message::Heard { .. }
            | Message::TimeoutNow { .. }
            | Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::ReadReady { .. }
            | Message::Recovering { .. }
            | Message::Forgotten { .. }
            | Message::Beginning { .. }
            | Message::Rejoining { .. }
            | Message::Restored { .. }
            | Message::Lacking { .. }
            | Message::Filling { .. }
            | Message::Copied { .. }
            | Message::Begun => false,
        }
    }
}

wire!(enum Message, "the tag of a message" {
    1 => PreVote { term, last };
    2 => PreGranted { term };
    3 => RequestVote { term, last, transfer, incarnation };
    4 => Granted { term, incarnation };
    5 => Outdated { term };
    6 => Append { term, previous, commit, entries };
    7 => Appended { term, incarnation, index };
    8 => Rejected { term, previous, hint };
    9 => Leading { term, round, commit };
    10 => Heard { term, round };
    11 => Committed { term, commit };
    12 => Snapshot { term, checkpoint, through, members };
    13 => TimeoutNow { term };
    14 => Forward { payload };
    15 => ReadAsked { incarnation, id };
    16 => ReadReady { incarnation, id, index };
    17 => Recovering { incarnation, state };
    18 => Forgotten { incarnation };
    19 => Beginning { incarnation, position, members };
    20 => Rejoining { incarnation };
    21 => Restored { incarnation, at };
    22 => Copied { term, incarnation, index };
    23 => Begun;
    24 => Lacking { incarnation, anchor, after };
    25 => Filling { incarnation, previous, members, entries };
});

wire!(enum Record, "the tag of a record" {
    1 => Vote { term, vote };
    2 => Append { index, entry };
    3 => Base { position, members };
    4 => Reset { position, members };
    5 => Rejoining;
    6 => Rejoined;
    7 => Promised { term, vote, rejoining, behind };
});
