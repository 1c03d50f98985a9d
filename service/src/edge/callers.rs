//! Who waits for an answer: someone who asked for one thing, or someone who asked for many and looks
//! after all of them together.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::Error;
use crate::gathered::{Gathered, Wakers};
use crate::reply::Applied;

/// What one who asked for many things is told.
#[derive(Debug)]
pub enum Answer {
    /// A command was carried out, or not.
    Written(Result<Applied, Error>),
    /// The state is new enough to be read, or never will be.
    Readable(Result<(), Error>),
}

/// Where the answers of many calls come together, each with the number that the caller gave.
pub type Answers = Gathered<(u64, Answer)>;

/// A place among [`Answers`]. If it is dropped, the answer is that there will be none.
pub(crate) struct Ticket {
    number: u64,
    reads: bool,
    to: Option<Arc<Answers>>,
}

impl Ticket {
    pub(crate) fn new(number: u64, reads: bool, to: &Arc<Answers>) -> Ticket {
        Ticket {
            number,
            reads,
            to: Some(to.clone()),
        }
    }

    fn give(mut self, answer: Answer, wakers: &mut Wakers) {
        if let Some(to) = self.to.take() {
            to.push((self.number, answer), wakers);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(to) = self.to.take() {
            let answer = match self.reads {
                true => Answer::Readable(Err(Error::Stopped)),
                false => Answer::Written(Err(Error::Stopped)),
            };
            to.push((self.number, answer), &mut Wakers::default());
        }
    }
}

/// Who waits for the answer to a command.
pub(crate) enum Reply {
    One(oneshot::Sender<Result<Applied, Error>>),
    OfMany(Ticket),
}

impl Reply {
    /// Answers. A caller that has given up does not listen.
    pub(crate) fn send(self, result: Result<Applied, Error>, wakers: &mut Wakers) {
        match self {
            Reply::One(caller) => drop(caller.send(result)),
            Reply::OfMany(ticket) => ticket.give(Answer::Written(result), wakers),
        }
    }
}

/// Who waits to be told that a read may begin.
pub(crate) enum Reader {
    One(oneshot::Sender<()>),
    OfMany(Ticket),
}

impl Reader {
    /// The read may begin. A reader that has given up does not listen.
    pub(crate) fn send(self, wakers: &mut Wakers) {
        match self {
            Reader::One(reader) => drop(reader.send(())),
            Reader::OfMany(ticket) => ticket.give(Answer::Readable(Ok(())), wakers),
        }
    }

    /// Whether it has given up.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Reader::One(reader) => reader.is_closed(),
            Reader::OfMany(ticket) => ticket.to.as_ref().is_none_or(|to| to.is_closed()),
        }
    }
}
