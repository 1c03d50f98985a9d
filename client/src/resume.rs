//! From where a watch goes on after its stream was lost.
//!
//! Two marks are kept apart. `next` is where the next stream starts: everything before it was
//! delivered, or the server said in a progress notification that there was nothing. `delivered`
//! is the last revision of which events were handed out: what is not newer is a repetition
//! and dropped. A notification that came too early (etcd before 3.5.8 sends such) therefore never
//! makes events disappear that follow it on the same stream.

use crate::Error;
use crate::proto::{Event, WatchCreateRequest, WatchResponse};

/// The text with which a server cuts a watch because it has lost sight of the leader.
const NO_LEADER: &str = "etcdserver: no leader";

/// What to do with a response.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// Hand it out.
    Deliver(WatchResponse),
    /// The watch exists; this is the first answer of its stream.
    Created,
    /// Nothing yet.
    Wait,
    /// Give up this stream and open another one.
    Reopen,
    /// The watch is over.
    End(Error),
}

/// The state of one watch that outlives its streams.
#[derive(Clone, Debug)]
pub struct Resume {
    request: WatchCreateRequest,
    /// Where the next stream starts; 0 until the server said what "now" is.
    next: i64,
    /// No event up to this revision is handed out (again).
    delivered: i64,
    /// Pieces of a revision of which more is to come.
    pieces: Vec<Event>,
}

impl Resume {
    /// A watch that was not started yet.
    #[must_use]
    pub fn new(request: WatchCreateRequest) -> Resume {
        let next = request.start_revision;
        Resume {
            request,
            next,
            delivered: (next - 1).max(0),
            pieces: Vec::new(),
        }
    }

    /// What to ask of a new stream. What the old one left unfinished comes again.
    pub fn request(&mut self) -> WatchCreateRequest {
        self.pieces.clear();
        WatchCreateRequest {
            start_revision: self.next,
            ..self.request.clone()
        }
    }

    /// The revision from which the next stream would start; 0 if the watch was never created.
    #[must_use]
    pub fn next_revision(&self) -> i64 {
        self.next
    }

    /// Takes a response of the current stream.
    pub fn on_response(&mut self, mut response: WatchResponse) -> Step {
        let revision = response.header.as_ref().map_or(0, |header| header.revision);
        if response.canceled {
            return Resume::on_canceled(&response);
        }
        if response.created {
            if self.next == 0 {
                // "Now" is decided, and must be the same on every later stream.
                self.next = revision + 1;
                self.delivered = revision;
            }
            return Step::Created;
        }
        if response.events.is_empty() && !response.fragment && self.pieces.is_empty() {
            self.next = self.next.max(revision + 1);
            return Step::Deliver(response);
        }
        self.pieces.append(&mut response.events);
        if response.fragment {
            return Step::Wait;
        }
        let mut events = std::mem::take(&mut self.pieces);
        events.retain(|event| revision_of(event) > self.delivered);
        let Some(newest) = events.iter().map(revision_of).max() else {
            return Step::Wait;
        };
        self.delivered = newest;
        self.next = self.next.max(newest + 1);
        response.events = events;
        Step::Deliver(response)
    }

    fn on_canceled(response: &WatchResponse) -> Step {
        if response.compact_revision != 0 {
            return Step::End(Error::Compacted {
                revision: response.compact_revision,
            });
        }
        if response.cancel_reason == NO_LEADER {
            return Step::Reopen;
        }
        let reason = if response.cancel_reason.is_empty() {
            "the server canceled the watch and gave no reason".to_owned()
        } else {
            response.cancel_reason.clone()
        };
        Step::End(Error::WatchCanceled(reason))
    }
}

fn revision_of(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
