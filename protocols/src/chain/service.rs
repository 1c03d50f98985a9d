//! The view service as this protocol embeds it: replicated by Raft among the members, or one process
//! beside them.

use super::{Chain, Message, Record, Timer};
use crate::raft::{self, Raft};
use crate::views::{self, Host, Seat};

/// A replica's part in the view service.
pub(super) type Service = Seat<Raft>;

/// What a replica must be told of the view service.
pub(super) type ServiceConfig = views::Config<raft::Config>;

/// What is said about views.
pub(super) type ViewsMessage = views::Message<raft::Message>;

/// What is written down about views.
pub(super) type ViewsRecord = views::Record<raft::Record>;

/// What is waited for because of views.
pub(super) type ViewsTimer = views::Timer<raft::Timer>;

impl Host<Raft> for Chain {
    fn message(message: ViewsMessage) -> Message {
        match message {
            views::Message::Ping(report) => Message::Ping(report),
            views::Message::Current(known) => Message::Current(known),
            views::Message::Unchanged { changes } => Message::Unchanged { changes },
            views::Message::Service(_) | views::Message::State { .. } => Message::Views(message),
        }
    }

    fn record(record: ViewsRecord) -> Record {
        Record::Views(record)
    }

    fn timer(timer: ViewsTimer) -> Timer {
        match timer {
            views::Timer::Ping => Timer::Ping,
            views::Timer::Tick => Timer::Tick,
            views::Timer::Service(timer) => Timer::Views(timer),
        }
    }
}

impl Message {
    /// Whether the message is about views.
    pub(super) fn is_about_views(&self) -> bool {
        match self {
            Message::Ping(_)
            | Message::Current(_)
            | Message::Unchanged { .. }
            | Message::Views(_) => true,
            Message::Update { .. }
            | Message::Stored { .. }
            | Message::Linked { .. }
            | Message::Missing { .. }
            | Message::Entered { .. }
            | Message::Snapshot { .. }
            | Message::Forward { .. }
            | Message::VersionAsked { .. }
            | Message::Version { .. } => false,
        }
    }

    /// The message as the view service knows it, if it is about views.
    pub(super) fn about_views(self) -> Option<ViewsMessage> {
        match self {
            Message::Ping(report) => Some(views::Message::Ping(report)),
            Message::Current(known) => Some(views::Message::Current(known)),
            Message::Unchanged { changes } => Some(views::Message::Unchanged { changes }),
            Message::Views(message) => Some(message),
            Message::Update { .. }
            | Message::Stored { .. }
            | Message::Linked { .. }
            | Message::Missing { .. }
            | Message::Entered { .. }
            | Message::Snapshot { .. }
            | Message::Forward { .. }
            | Message::VersionAsked { .. }
            | Message::Version { .. } => None,
        }
    }
}

impl Timer {
    /// The timer as the view service knows it, if it is about views.
    pub(super) fn about_views(self) -> Option<ViewsTimer> {
        match self {
            Timer::Ping => Some(views::Timer::Ping),
            Timer::Tick => Some(views::Timer::Tick),
            Timer::Views(timer) => Some(views::Timer::Service(timer)),
            Timer::Heartbeat | Timer::Silence | Timer::Transfer => None,
        }
    }
}
