//! The whole vocabulary: what replicas tell one another, what they write down, what they wait for.
//!
//! Messages have the paper's names. Those that promise something are held until the promise is durable;
//! the others leave early. The table in `README.md` says which is which.

use alloc::vec::Vec;

use quorate_core::{Checkpoint, Malformed, NodeId, Payload, Reader, Wire};

use crate::log::{Entries, Entry, Epoch as View, Index, Position};

use super::Crashes;

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
    /// "What does your log say behind `after`?" (5.2).
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
            | Message::GetState { view, .. }
            | Message::NewState { view, .. } => Some(*view),
            // Who wants a view is not in it, and what is recovered, asked or committed is part of none.
            Message::StartViewChange { .. }
            | Message::NewCheckpoint { .. }
            | Message::Recovery { .. }
            | Message::RecoveryResponse { .. }
            | Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::ReadReady { .. } => None,
        }
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
            | Message::ReadAsked { .. } => None,
        }
    }

    /// Whether a replica that knows nothing of its past may take it.
    pub(super) fn recovers(&self) -> bool {
        matches!(
            self,
            Message::RecoveryResponse { .. }
                | Message::NewState { .. }
                | Message::NewCheckpoint { .. }
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
            Message::Prepare {
                view,
                previous,
                commit,
                entries,
            } => put!(out, 1, view, previous, commit, entries),
            Message::PrepareOk { view, op } => put!(out, 2, view, op),
            Message::Commit { view, commit } => put!(out, 3, view, commit),
            Message::Presiding {
                view,
                round,
                commit,
                matched,
                sent,
            } => put!(out, 4, view, round, commit, matched, sent),
            Message::Heard { view, round } => put!(out, 5, view, round),
            Message::StartViewChange { entered, wanted } => put!(out, 6, entered, wanted),
            Message::DoViewChange {
                view,
                commit,
                crashes,
                normal,
                last,
            } => put!(out, 7, view, commit, crashes, normal, last),
            Message::StartView { view, last, commit } => put!(out, 8, view, last, commit),
            Message::GetState { view, after } => put!(out, 9, view, after),
            Message::NewState {
                view,
                normal,
                previous,
                last,
                commit,
                entries,
            } => put!(out, 10, view, normal, previous, last, commit, entries),
            Message::NewCheckpoint { checkpoint } => put!(out, 11, checkpoint),
            Message::Recovery { nonce } => put!(out, 12, nonce),
            Message::RecoveryResponse {
                nonce,
                view,
                last,
                crashes,
            } => put!(out, 13, nonce, view, last, crashes),
            Message::Forward { payload } => put!(out, 14, payload),
            Message::ReadAsked { incarnation, id } => put!(out, 15, incarnation, id),
            Message::ReadReady {
                incarnation,
                id,
                op,
            } => put!(out, 16, incarnation, id, op),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Message, Malformed> {
        let malformed = input.malformed("the tag of a message");
        let tag = u8::decode(input)?;
        // Fields of a struct expression are evaluated in the order written, which is the wire's.
        Ok(match tag {
            1 => Message::Prepare {
                view: Wire::decode(input)?,
                previous: Wire::decode(input)?,
                commit: Wire::decode(input)?,
                entries: Wire::decode(input)?,
            },
            2 => Message::PrepareOk {
                view: Wire::decode(input)?,
                op: Wire::decode(input)?,
            },
            3 => Message::Commit {
                view: Wire::decode(input)?,
                commit: Wire::decode(input)?,
            },
            4 => Message::Presiding {
                view: Wire::decode(input)?,
                round: Wire::decode(input)?,
                commit: Wire::decode(input)?,
                matched: Wire::decode(input)?,
                sent: Wire::decode(input)?,
            },
            5 => Message::Heard {
                view: Wire::decode(input)?,
                round: Wire::decode(input)?,
            },
            6 => Message::StartViewChange {
                entered: Wire::decode(input)?,
                wanted: Wire::decode(input)?,
            },
            7 => Message::DoViewChange {
                view: Wire::decode(input)?,
                commit: Wire::decode(input)?,
                crashes: Wire::decode(input)?,
                normal: Wire::decode(input)?,
                last: Wire::decode(input)?,
            },
            8 => Message::StartView {
                view: Wire::decode(input)?,
                last: Wire::decode(input)?,
                commit: Wire::decode(input)?,
            },
            9 => Message::GetState {
                view: Wire::decode(input)?,
                after: Wire::decode(input)?,
            },
            10 => Message::NewState {
                view: Wire::decode(input)?,
                normal: Wire::decode(input)?,
                previous: Wire::decode(input)?,
                last: Wire::decode(input)?,
                commit: Wire::decode(input)?,
                entries: Wire::decode(input)?,
            },
            11 => Message::NewCheckpoint {
                checkpoint: Wire::decode(input)?,
            },
            12 => Message::Recovery {
                nonce: Wire::decode(input)?,
            },
            13 => Message::RecoveryResponse {
                nonce: Wire::decode(input)?,
                view: Wire::decode(input)?,
                last: Wire::decode(input)?,
                crashes: Wire::decode(input)?,
            },
            14 => Message::Forward {
                payload: Wire::decode(input)?,
            },
            15 => Message::ReadAsked {
                incarnation: Wire::decode(input)?,
                id: Wire::decode(input)?,
            },
            16 => Message::ReadReady {
                incarnation: Wire::decode(input)?,
                id: Wire::decode(input)?,
                op: Wire::decode(input)?,
            },
            _ => return Err(malformed),
        })
    }
}

impl Wire for Record {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::View(view) => put!(out, 1, view),
            Record::Normal { view, last } => put!(out, 2, view, last),
            Record::Append { op, entry } => put!(out, 3, op, entry),
            Record::Base(position) => put!(out, 4, position),
            Record::Reset(position) => put!(out, 5, position),
            Record::Recovered { node, incarnation } => put!(out, 6, node, incarnation),
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Record, Malformed> {
        let malformed = input.malformed("the tag of a record");
        Ok(match u8::decode(input)? {
            1 => Record::View(Wire::decode(input)?),
            2 => Record::Normal {
                view: Wire::decode(input)?,
                last: Wire::decode(input)?,
            },
            3 => Record::Append {
                op: Wire::decode(input)?,
                entry: Wire::decode(input)?,
            },
            4 => Record::Base(Wire::decode(input)?),
            5 => Record::Reset(Wire::decode(input)?),
            6 => Record::Recovered {
                node: Wire::decode(input)?,
                incarnation: Wire::decode(input)?,
            },
            _ => return Err(malformed),
        })
    }
}
