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
        Message::Views(message)
    }

    fn record(record: ViewsRecord) -> Record {
        Record::Views(record)
    }

    fn timer(timer: ViewsTimer) -> Timer {
        Timer::Views(timer)
    }
}
