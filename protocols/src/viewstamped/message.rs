//! The whole vocabulary: what replicas tell one another, what they write down, what they wait for.
//!
//! Messages have the paper's names. Those that promise something are held until the promise is durable;
//! the others leave early. The table in `README.md` says which is which.

use quorate_core::{Checkpoint, NodeId, Payload, wire};

use crate::log::{Entries, Entry, Epoch as View, Index, Position};

use super::{Crashes, Epoch};

/// What replicas tell one another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// "Behind `previous` the log of `view` says `entries`, and it is committed through `commit`" (4.1, step 3).
    Prepare {
        /// The primary's view.
        view: View,
        /// What the entries follow; the receiver must have the same there.
        previous: Position,
        /// The primary's commit-number.
        commit: Index,
        /// What follows.
        entries: Entries,
    },
    /// "I have the log of `view` through `op`, and everything before it" (4.1, step 4).
    PrepareOk {
        /// The view that the log is of.
        view: View,
        /// The last op-number.
        op: Index,
    },
    /// "The log of `view` is committed through `commit`" (4.1, step 6). Needs no answer.
    Commit {
        /// The primary's view.
        view: View,
        /// The primary's commit-number.
        commit: Index,
    },
    /// "I am primary of `view`": the heartbeat. It is not the paper's Commit, since its answer serves
    /// reads and says whether the primary is still connected.
    Presiding {
        /// The primary's view.
        view: View,
        /// Numbers the question "am I still primary?" for reads.
        round: u64,
        /// The primary's commit-number.
        commit: Index,
        /// Through where the receiver has acknowledged: whoever has more says so again.
        matched: Index,
        /// Through where entries were sent to the receiver: whoever has less has missed some.
        sent: Index,
    },
    /// "When I received round `round`, I was in `view`."
    Heard {
        /// The view.
        view: View,
        /// The round.
        round: u64,
    },
    /// "I want to be in view `wanted`" (4.2, step 1). Promises nothing.
    StartViewChange {
        /// The view that the sender is in, from which there is no way back.
        entered: View,
        /// The view that it wants to enter, or is in.
        wanted: View,
    },
    /// "I am in `view` and take no part in any before it. My log is of view `normal`" (4.2, step 2). The log
    /// itself is fetched if it is needed (5.3).
    DoViewChange {
        /// The view that the sender is in.
        view: View,
        /// Its commit-number.
        commit: Index,
        /// Who recovered when, as far as it knows.
        crashes: Crashes,
        /// The last view in which its status was normal.
        normal: View,
        /// The end of its log.
        last: Position,
    },
    /// "`view` begins with my log, which ends at `last`" (4.2, step 4).
    StartView {
        /// The view.
        view: View,
        /// The end of its log.
        last: Position,
        /// The primary's commit-number.
        commit: Index,
    },
    /// "What does your log say behind `after`?" (5.2). From an earlier epoch: "what epoch is it?" (7.4).
    GetState {
        /// The view that the sender is in.
        view: View,
        /// The end of its log, or where the logs may agree.
        after: Position,
    },
    /// "Behind `previous` my log, which is of view `normal`, says `entries`" (5.2).
    NewState {
        /// From the question.
        view: View,
        /// The view that the log is of.
        normal: View,
        /// Where the logs may agree: the last place that is not later than what was asked.
        previous: Position,
        /// The sender's op-number: where its log ends.
        last: Index,
        /// Its commit-number.
        commit: Index,
        /// What follows `previous`, as much as fits.
        entries: Entries,
    },
    /// "What you lack I no longer have as entries: here is the state through `checkpoint`" (5.1). The state
    /// travels as an attachment.
    NewCheckpoint {
        /// What the attached state contains.
        checkpoint: Checkpoint,
    },
    /// "I have forgotten everything. What are you doing?" (4.3, step 1).
    Recovery {
        /// The asking replica's incarnation, which is never used again.
        nonce: u64,
        /// The number of the latest epoch that it knows of.
        epoch: u64,
    },
    /// "My status is normal" (4.3, step 2).
    RecoveryResponse {
        /// From the question.
        nonce: u64,
        /// The view that the sender is in.
        view: View,
        /// The end of its log. That of the primary matters.
        last: Position,
        /// Who recovered when, as far as it knows.
        crashes: Crashes,
    },
    /// "Someone asked me to broadcast this, and you are primary."
    Forward {
        /// What to broadcast.
        payload: Payload,
    },
    /// "Someone asked me to read, and you are primary."
    ReadAsked {
        /// The asking replica's incarnation: ids are unique only within one.
        incarnation: u64,
        /// The id of the read.
        id: u64,
    },
    /// "A state that contains `op` answers your read."
    ReadReady {
        /// From the question.
        incarnation: u64,
        /// From the question.
        id: u64,
        /// The op-number that the state must contain.
        op: Index,
    },
    /// "The epoch before this one is over" (7.1). Between replicas that know that, it asks whether this one
    /// has started.
    StartEpoch {
        /// The epoch.
        epoch: Epoch,
    },
    /// "It is written down that I am in this epoch", to oneself.
    EpochEntered {
        /// The epoch-number.
        epoch: u64,
    },
    /// "Something is committed in this epoch, so its members have all that you have" (7.1.1).
    EpochStarted {
        /// The epoch-number.
        epoch: u64,
    },
}

/// What a durable replica writes down.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    /// This replica is in this view, and takes no part in any before it.
    View(View),
    /// The log is that of this view, in which the status was normal. What is behind `last` is gone.
    Normal {
        /// The view.
        view: View,
        /// Where the log ends.
        last: Index,
    },
    /// The entry at `op`. Whatever was at or behind that op-number before is gone.
    Append {
        /// Where.
        op: Index,
        /// What.
        entry: Entry,
    },
    /// Everything through here is in the application's durable state; entries behind it remain.
    Base(Position),
    /// The log is empty and begins behind this position: a checkpoint replaced it.
    Reset(Position),
    /// This replica recovered from others in that incarnation, and has forgotten what it promised before.
    Recovered {
        /// Which.
        node: NodeId,
        /// In which incarnation.
        incarnation: u64,
    },
    /// This replica is in the first view of this epoch, or a later one, and takes no part in any before.
    Epoch(Epoch),
}

/// What a replica waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// Nothing was heard of the primary for too long, or a view change takes too long.
    Silence,
    /// What was said may have been lost. Runs while something is missing.
    Repeat,
    /// The primary's next heartbeat is due.
    Heartbeat,
    /// The primary must have heard from a quorum since this ran out last.
    CheckQuorum,
    /// Handing over took too long.
    Transfer,
}

impl Message {
    /// The view that the message is part of, if replicas that are in another have no use for it.
    pub(super) fn view(&self) -> Option<View> {
        match self {
            Message::Prepare { view, .. }
            | Message::PrepareOk { view, .. }
            | Message::Commit { view, .. }
            | Message::Presiding { view, .. }
            | Message::Heard { view, .. }
            | Message::DoViewChange { view, .. }
            | Message::StartView { view, .. }
            | Message::NewState { view, .. } => Some(*view),
            // Who wants a view is not in it, and what is recovered, asked or committed is part of none.
            Message::StartViewChange { .. }
            | Message::GetState { .. }
            | Message::NewCheckpoint { .. }
            | Message::Recovery { .. }
            | Message::RecoveryResponse { .. }
            | Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::ReadReady { .. }
            | Message::StartEpoch { .. }
            | Message::EpochEntered { .. }
            | Message::EpochStarted { .. } => None,
        }
    }

    /// The number of the epoch that the sender is in, if replicas of another have no use for the message.
    pub(super) fn epoch(&self) -> Option<u64> {
        match self {
            Message::StartViewChange { entered, .. } => Some(entered.epoch()),
            Message::GetState { view, .. } | Message::RecoveryResponse { view, .. } => {
                Some(view.epoch())
            }
            Message::Recovery { epoch, .. } => Some(*epoch),
            Message::Prepare { .. }
            | Message::PrepareOk { .. }
            | Message::Commit { .. }
            | Message::Presiding { .. }
            | Message::Heard { .. }
            | Message::DoViewChange { .. }
            | Message::StartView { .. }
            | Message::NewState { .. }
            | Message::NewCheckpoint { .. }
            | Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::ReadReady { .. }
            | Message::StartEpoch { .. }
            | Message::EpochEntered { .. }
            | Message::EpochStarted { .. } => self.view().map(View::epoch),
        }
    }

    /// Whether its sender says it for as long as nobody answers, so that it is worth telling it what epoch
    /// it is, or asking.
    pub(super) fn is_repeated(&self) -> bool {
        matches!(
            self,
            Message::Presiding { .. }
                | Message::StartView { .. }
                | Message::StartViewChange { .. }
                | Message::DoViewChange { .. }
                | Message::GetState { .. }
                | Message::Recovery { .. }
        )
    }

    /// Whether it is a vote, which only voters have.
    pub(super) fn votes(&self) -> bool {
        matches!(
            self,
            Message::StartViewChange { .. }
                | Message::DoViewChange { .. }
                | Message::RecoveryResponse { .. }
        )
    }

    /// Whether only the primary of its view sends it, whose status is normal then.
    pub(super) fn presides(&self) -> bool {
        matches!(
            self,
            Message::Prepare { .. }
                | Message::Commit { .. }
                | Message::Presiding { .. }
                | Message::StartView { .. }
        )
    }

    /// The incarnation whose question this answers, if it answers one.
    pub(super) fn answers(&self) -> Option<u64> {
        match self {
            Message::RecoveryResponse { nonce, .. } => Some(*nonce),
            Message::ReadReady { incarnation, .. } => Some(*incarnation),
            Message::Prepare { .. }
            | Message::PrepareOk { .. }
            | Message::Commit { .. }
            | Message::Presiding { .. }
            | Message::Heard { .. }
            | Message::StartViewChange { .. }
            | Message::DoViewChange { .. }
            | Message::StartView { .. }
            | Message::GetState { .. }
            | Message::NewState { .. }
            | Message::NewCheckpoint { .. }
            | Message::Recovery { .. }
            | Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::StartEpoch { .. }
            | Message::EpochEntered { .. }
            | Message::EpochStarted { .. } => None,
        }
    }

    /// Whether a replica that knows nothing of its past, or not yet what its epoch begins with, may take it.
    pub(super) fn recovers(&self) -> bool {
        matches!(
            self,
            Message::RecoveryResponse { .. }
                | Message::NewState { .. }
                | Message::NewCheckpoint { .. }
                | Message::StartEpoch { .. }
                | Message::EpochEntered { .. }
                | Message::EpochStarted { .. }
        )
    }

    /// Whether it asks or says something between epochs, where no view matters.
    pub(super) fn asks(&self) -> bool {
        matches!(
            self,
            Message::GetState { .. }
                | Message::StartEpoch { .. }
                | Message::EpochEntered { .. }
                | Message::EpochStarted { .. }
        )
    }

    /// Where the message names the state that is attached to it.
    pub(super) fn checkpoint(&mut self) -> Option<&mut Checkpoint> {
        if let Message::NewCheckpoint { checkpoint } = self {
            Some(checkpoint)
        } else {
            None
        }
    }
}

wire!(enum Message, "the tag of a message" {
    1 => Prepare { view, previous, commit, entries };
    2 => PrepareOk { view, op };
    3 => Commit { view, commit };
    4 => Presiding { view, round, commit, matched, sent };
    5 => Heard { view, round };
    6 => StartViewChange { entered, wanted };
    7 => DoViewChange { view, commit, crashes, normal, last };
    8 => StartView { view, last, commit };
    9 => GetState { view, after };
    10 => NewState { view, normal, previous, last, commit, entries };
    11 => NewCheckpoint { checkpoint };
    12 => Recovery { nonce, epoch };
    13 => RecoveryResponse { nonce, view, last, crashes };
    14 => Forward { payload };
    15 => ReadAsked { incarnation, id };
    16 => ReadReady { incarnation, id, op };
    17 => StartEpoch { epoch };
    18 => EpochEntered { epoch };
    19 => EpochStarted { epoch };
});

wire!(enum Record, "the tag of a record" {
    1 => View(view);
    2 => Normal { view, last };
    3 => Append { op, entry };
    4 => Base(position);
    5 => Reset(position);
    6 => Recovered { node, incarnation };
    7 => Epoch(epoch);
});
