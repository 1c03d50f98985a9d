//! The whole vocabulary: what replicas tell one another, what they write down, what they wait for.
//!
//! Messages are facts about their sender. Those that promise something are held until the promise is
//! durable; the others leave early. The table in `README.md` says which is which.

use quorate_core::{Checkpoint, Payload, wire};

use super::{Entries, Entry, Index, Number, Position};
use crate::views::{self, Known, Report, Views};

/// What replicas tell one another. `X` is what those who replicate the view service tell one another.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message<X> {
    /// "Behind `previous` my log says `entries`, and it is delivered through `commit`."
    Update {
        /// The sender's view, in which it is the primary.
        view: Number,
        /// What the entries follow; the receiver must have the same there.
        previous: Position,
        /// How far the primary has delivered.
        commit: Index,
        /// What follows.
        entries: Entries,
    },
    /// "My log agrees with yours through `index`, on disk."
    Updated {
        /// The view of the primary whose log it agrees with.
        view: Number,
        /// The last index that agrees.
        index: Index,
    },
    /// "I do not have what you say comes at `previous`; we may agree at `hint`."
    Differs {
        /// The primary's view.
        view: Number,
        /// The index that the refused message named as previous.
        previous: Index,
        /// The last place here that is not later than `previous`, in index or in epoch.
        hint: Position,
    },
    /// "I am primary; your log agrees with mine through `commit`, and that is delivered": the heartbeat.
    Leading {
        /// The primary's view.
        view: Number,
        /// Numbers the question "is there a later view?" for reads.
        round: u64,
        /// How far the receiver may deliver.
        commit: Index,
    },
    /// "When I received round `round`, I knew of no later view."
    Heard {
        /// The primary's view.
        view: Number,
        /// The round.
        round: u64,
    },
    /// "Your log agrees with mine through `commit`, and that is delivered": needs no answer.
    Committed {
        /// The primary's view.
        view: Number,
        /// How far the receiver may deliver.
        commit: Index,
    },
    /// "What you lack I no longer have as entries: here is the state through `checkpoint`." The state
    /// travels as an attachment.
    Snapshot {
        /// The primary's view.
        view: Number,
        /// What the attached state contains.
        checkpoint: Checkpoint,
    },
    /// "Your view is over: I am in `view`."
    Superseded {
        /// The sender's view.
        view: Number,
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
    /// "A state that contains `index` answers your read."
    ReadReady {
        /// From the question.
        incarnation: u64,
        /// From the question.
        id: u64,
        /// Through where the state must go.
        index: Index,
    },
    /// To the view service: "I am here."
    Ping(Report),
    /// From the view service: "This is the present view."
    Current(Known),
    /// From the view service: "You know the present view."
    Unchanged {
        /// How often the service's state had changed.
        changes: u64,
    },
    /// Among those who replicate the view service.
    Service(X),
    /// The same, with the state that it names attached.
    State {
        /// What the attached state contains.
        checkpoint: Checkpoint,
        /// The state.
        views: Views,
        /// What it is attached to.
        message: X,
    },
}

/// What a replica writes down. `R` is what those who replicate the view service write.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Record<R> {
    /// The view that this replica is in: it accepts nothing from earlier ones.
    View {
        /// Its number.
        number: Number,
    },
    /// The entry at `index`. Whatever was at or behind that index before is gone.
    Append {
        /// Where.
        index: Index,
        /// What.
        entry: Entry,
    },
    /// Everything through here is in the application's durable state; entries behind it remain.
    Base(Position),
    /// The log is empty and begins behind this position: a state replaced it.
    Reset(Position),
    /// Records were lost, and the view service does not know yet. Ends with the next `View`.
    Lost,
    /// About views.
    Views(views::Record<R>),
}

/// What a replica waits for. `T` is what those who replicate the view service wait for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer<T> {
    /// Nothing was heard of the primary for the detection time: it may be gone. Runs at those that follow.
    Silence,
    /// The primary's next heartbeat is due.
    Heartbeat,
    /// A transfer took too long.
    Transfer,
    /// The view service has not answered the primary for too long.
    Lease,
    /// The next ping to the view service is due.
    Ping,
    /// A tick of the view service.
    Tick,
    /// A timer of those who replicate the view service.
    Service(T),
}

impl<X> Message<X> {
    /// The view that the message is part of, if it is part of one.
    pub(super) fn view(&self) -> Option<Number> {
        match self {
            Message::Update { view, .. }
            | Message::Updated { view, .. }
            | Message::Differs { view, .. }
            | Message::Leading { view, .. }
            | Message::Heard { view, .. }
            | Message::Committed { view, .. }
            | Message::Snapshot { view, .. }
            | Message::Superseded { view } => Some(*view),
            Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::ReadReady { .. }
            | Message::Ping(_)
            | Message::Current(_)
            | Message::Unchanged { .. }
            | Message::Service(_)
            | Message::State { .. } => None,
        }
    }

    /// Whether only the primary of the message's view says that.
    pub(super) fn is_the_primarys(&self) -> bool {
        match self {
            Message::Update { .. }
            | Message::Leading { .. }
            | Message::Committed { .. }
            | Message::Snapshot { .. } => true,
            Message::Updated { .. }
            | Message::Differs { .. }
            | Message::Heard { .. }
            | Message::Superseded { .. }
            | Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::ReadReady { .. }
            | Message::Ping(_)
            | Message::Current(_)
            | Message::Unchanged { .. }
            | Message::Service(_)
            | Message::State { .. } => false,
        }
    }

    /// Where the message names the state that is attached to it. That of the view service travels inside
    /// its message.
    pub(super) fn checkpoint(&mut self) -> Option<&mut Checkpoint> {
        if let Message::Snapshot { checkpoint, .. } = self {
            Some(checkpoint)
        } else {
            None
        }
    }
}

impl<X> Message<X> {
    /// The message as the view service knows it, if it is about views.
    pub(super) fn about_views(self) -> Option<views::Message<X>> {
        match self {
            Message::Ping(report) => Some(views::Message::Ping(report)),
            Message::Current(known) => Some(views::Message::Current(known)),
            Message::Unchanged { changes } => Some(views::Message::Unchanged { changes }),
            Message::Service(message) => Some(views::Message::Service(message)),
            Message::State {
                checkpoint,
                views,
                message,
            } => Some(views::Message::State {
                checkpoint,
                views,
                message,
            }),
            Message::Update { .. }
            | Message::Updated { .. }
            | Message::Differs { .. }
            | Message::Leading { .. }
            | Message::Heard { .. }
            | Message::Committed { .. }
            | Message::Snapshot { .. }
            | Message::Superseded { .. }
            | Message::Forward { .. }
            | Message::ReadAsked { .. }
            | Message::ReadReady { .. } => None,
        }
    }
}

impl<X> From<views::Message<X>> for Message<X> {
    fn from(message: views::Message<X>) -> Message<X> {
        match message {
            views::Message::Ping(report) => Message::Ping(report),
            views::Message::Current(known) => Message::Current(known),
            views::Message::Unchanged { changes } => Message::Unchanged { changes },
            views::Message::Service(message) => Message::Service(message),
            views::Message::State {
                checkpoint,
                views,
                message,
            } => Message::State {
                checkpoint,
                views,
                message,
            },
        }
    }
}

impl<T> From<views::Timer<T>> for Timer<T> {
    fn from(timer: views::Timer<T>) -> Timer<T> {
        match timer {
            views::Timer::Ping => Timer::Ping,
            views::Timer::Tick => Timer::Tick,
            views::Timer::Service(timer) => Timer::Service(timer),
        }
    }
}

wire!(enum Message<X>, "the tag of a message" {
    1 => Update { view, previous, commit, entries };
    2 => Updated { view, index };
    3 => Differs { view, previous, hint };
    4 => Leading { view, round, commit };
    5 => Heard { view, round };
    6 => Committed { view, commit };
    7 => Snapshot { view, checkpoint };
    8 => Superseded { view };
    9 => Forward { payload };
    10 => ReadAsked { incarnation, id };
    11 => ReadReady { incarnation, id, index };
    12 => Ping(report);
    13 => Current(known);
    14 => Service(message);
    15 => State { checkpoint, views, message };
    16 => Unchanged { changes };
});

wire!(enum Record<R>, "the tag of a record" {
    1 => View { number };
    2 => Append { index, entry };
    3 => Base(position);
    4 => Reset(position);
    5 => Lost;
    6 => Views(record);
});

impl<R> Record<R> {
    /// A fresh log behind a position.
    pub(super) fn begin(number: Number, beginning: Position) -> [Record<R>; 2] {
        [Record::View { number }, Record::Reset(beginning)]
    }
}
