//! Calls that go the short way: KV's `Range` of one key, `Put`, `DeleteRange` and `Txn`.
//!
//! They are decoded from what was read, handed to the service, and answered by the connection itself:
//! no request or response of a library, no task. All reads that came together are one reader for the
//! service, and all answers that come together are one wake-up and one write. Whatever is not plain
//! goes the long way, where it gets the answer or the refusal that it always got.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use prost::Message;
use quorate_http2::server::Server;
use quorate_service::command::{Command, Range};
use quorate_service::reply::{Applied, Reply};
use quorate_service::{Answer, Answers, Promise, Waiting};
use tokio::time::Instant;
use tonic::{Code, Status};

use super::asked::{Asked, Call};
use crate::context::Context;
use crate::proto::etcdserverpb as pb;
use crate::server::stats::{Method, Stats};
use crate::{check, convert, error, kv, reading};

/// What stands before a message: whether it is compressed, and how long it is.
const PREFIX_LEN: usize = 5;
/// How much may wait to be sent before nothing more is answered.
const QUEUED_BYTES_MAX: usize = 1 << 20;
/// Numbers of readers begin here; below are the streams of writers.
const READERS: u64 = 1 << 32;

/// Something that goes the long way after all.
pub(super) struct Unusual;

/// A write under way.
struct Write {
    call: Call,
    begun: Instant,
    promise: Promise,
}

/// A read.
struct Read {
    stream: u32,
    range: Range,
    begun: Instant,
}

/// Reads that wait together.
struct Group {
    number: u64,
    reads: Vec<Read>,
    begun: Instant,
    waiting: Waiting,
}

/// What must hold for any call, looked up once for all that come together.
struct Gates {
    corrupt: bool,
    vote: bool,
    leader: bool,
}

/// The calls of one connection that go the short way.
pub(super) struct Hot {
    context: Context,
    stats: Arc<Stats>,
    methods: [Method; 4],
    gates: Option<Gates>,
    writes: HashMap<u32, Write>,
    /// Reads that came since the service was asked last.
    came: Vec<Read>,
    groups: VecDeque<Group>,
    next_group: u64,
    /// Reads that can be answered.
    ready: VecDeque<Read>,
    answers: Arc<Answers>,
    /// Answers that were taken and not sent.
    answered: VecDeque<(u64, Answer)>,
    taken: Vec<(u64, Answer)>,
}

impl Hot {
    pub(super) fn new(context: Context, stats: Arc<Stats>) -> Hot {
        let methods = [Call::Range, Call::Put, Call::DeleteRange, Call::Txn]
            .map(|call| Stats::method("etcdserverpb.KV", call.method()));
        Hot {
            context,
            stats,
            methods,
            gates: None,
            writes: HashMap::new(),
            came: Vec::new(),
            groups: VecDeque::new(),
            next_group: READERS,
            ready: VecDeque::new(),
            answers: Arc::default(),
            answered: VecDeque::new(),
            taken: Vec::new(),
        }
    }

    /// Begins a call whose whole body is there. Refusals are answered at once.
    pub(super) fn begin(
        &mut self,
        stream: u32,
        asked: &Asked,
        call: Call,
        body: &Bytes,
        server: &mut Server<Asked>,
        now: Instant,
    ) -> Result<(), Unusual> {
        let message = message(body).ok_or(Unusual)?;
        let outcome = match call {
            Call::Range => self.range(stream, asked, message, now)?,
            Call::Put | Call::DeleteRange | Call::Txn => {
                self.write(stream, asked, call, message, now)?
            }
        };
        if let Err(status) = outcome {
            self.refuse(stream, call, &status, now, now, server);
        }
        Ok(())
    }

    fn range(
        &mut self,
        stream: u32,
        asked: &Asked,
        message: Bytes,
        now: Instant,
    ) -> Result<Result<(), Status>, Unusual> {
        let request = pb::RangeRequest::decode(message).map_err(|_| Unusual)?;
        // It may be long, and then it is read elsewhere.
        if !request.range_end.is_empty() {
            return Err(Unusual);
        }
        let gates = self.gates();
        let refusal = if gates.corrupt {
            Some(error::CORRUPT)
        } else if asked.wants_leader && !gates.leader {
            Some(error::NO_LEADER)
        } else if let Err(refusal) = check::range(&request) {
            Some(refusal)
        } else if !request.serializable && !gates.vote {
            Some(error::NOT_FOR_LEARNERS)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return Ok(Err(refusal.into()));
        }
        let is_ready = request.serializable;
        let read = Read {
            stream,
            range: convert::range(request),
            begun: now,
        };
        match is_ready {
            true => self.ready.push_back(read),
            false => self.came.push(read),
        }
        Ok(Ok(()))
    }

    fn write(
        &mut self,
        stream: u32,
        asked: &Asked,
        call: Call,
        message: Bytes,
        now: Instant,
    ) -> Result<Result<(), Status>, Unusual> {
        // The length that counts is that of the message without what we do not know.
        if self.context.check_size(message.len()).is_err() {
            return Err(Unusual);
        }
        let gates = self.gates();
        let refusal = if gates.corrupt {
            Some(error::CORRUPT)
        } else if !gates.vote {
            Some(error::NOT_FOR_LEARNERS)
        } else if asked.wants_leader && !gates.leader {
            Some(error::NO_LEADER)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return Ok(Err(refusal.into()));
        }
        let command = match command(call, message, self.context.options().txn_ops_max)? {
            Ok(command) => command,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        let service = self.context.service();
        let promise = match service.write_among(&command, stream.into(), &self.answers) {
            Ok(promise) => promise,
            Err(error) => return Ok(Err(error::status(&error))),
        };
        let write = Write {
            call,
            begun: now,
            promise,
        };
        self.writes.insert(stream, write);
        Ok(Ok(()))
    }

    fn gates(&mut self) -> &Gates {
        let context = &self.context;
        self.gates.get_or_insert_with(|| Gates {
            corrupt: context.check_state("etcdserverpb.KV").is_err(),
            vote: context.check_vote().is_ok(),
            leader: context.leader().is_some(),
        })
    }

    /// All that came together has begun: the reads among it ask the service as one.
    pub(super) fn ask(&mut self, server: &mut Server<Asked>, now: Instant) {
        self.gates = None;
        if self.came.is_empty() {
            return;
        }
        let reads = std::mem::take(&mut self.came);
        self.next_group += 1;
        let number = self.next_group;
        let service = self.context.service();
        match service.read_among(reads.len(), number, &self.answers) {
            Ok(waiting) => self.groups.push_back(Group {
                number,
                reads,
                begun: now,
                waiting,
            }),
            Err(error) => {
                let status = error::status(&error);
                for read in reads {
                    self.refuse(read.stream, Call::Range, &status, read.begun, now, server);
                }
            }
        }
    }

    /// The client does not want this any more. (Reads are not worth looking for.)
    pub(super) fn reset(&mut self, stream: u32) {
        self.writes.remove(&stream);
    }

    /// Sends the answers that are there, as long as there is room for them.
    pub(super) fn answer(&mut self, server: &mut Server<Asked>, waker: &Waker) {
        loop {
            self.answers.take(&mut self.taken, waker);
            let is_new = !self.taken.is_empty();
            self.answered.extend(self.taken.drain(..));
            if self.answered.is_empty() && self.ready.is_empty() {
                return;
            }
            self.answer_what_is_there(server);
            if !is_new {
                return;
            }
        }
    }

    /// Whether there are answers, and room for them.
    pub(super) fn can_answer(&self, server: &Server<Asked>) -> bool {
        has_room(server) && !(self.answered.is_empty() && self.ready.is_empty())
    }

    fn answer_what_is_there(&mut self, server: &mut Server<Asked>) {
        let now = Instant::now();
        // What the answers are made of may have been found to be wrong while they were made.
        let is_corrupt = self.context.check_state("etcdserverpb.KV").is_err();
        let header = self.context.header(0);
        while has_room(server)
            && let Some((number, answer)) = self.answered.pop_front()
        {
            match answer {
                Answer::Readable(outcome) => self.on_readable(number, outcome, server, now),
                Answer::Written(outcome) => {
                    let stream = number as u32;
                    let Some(write) = self.writes.remove(&stream) else {
                        continue;
                    };
                    let outcome = match is_corrupt {
                        true => Err(error::CORRUPT.into()),
                        false => outcome.map_err(|error| error::status(&error)),
                    };
                    let outcome = outcome.and_then(|applied| {
                        put_written(stream, write.call, &header, applied, server)
                    });
                    self.finish(stream, write.call, outcome, write.begun, now, server);
                }
            }
        }
        if !has_room(server) || self.ready.is_empty() {
            return;
        }
        let view = self.context.view();
        let header = pb::ResponseHeader {
            revision: view.revision(),
            ..header
        };
        while has_room(server)
            && let Some(read) = self.ready.pop_front()
        {
            let outcome = match is_corrupt {
                true => Err(error::CORRUPT.into()),
                false => view
                    .range(&read.range)
                    .map_err(|error| error::status(&error)),
            };
            let outcome = outcome.map(|reply| {
                put(read.stream, &convert::range_response(header, reply), server);
            });
            self.finish(read.stream, Call::Range, outcome, read.begun, now, server);
        }
    }

    fn on_readable(
        &mut self,
        number: u64,
        outcome: Result<(), quorate_service::error::Error>,
        server: &mut Server<Asked>,
        now: Instant,
    ) {
        let Some(at) = self.groups.iter().position(|group| group.number == number) else {
            return;
        };
        let Some(group) = self.groups.remove(at) else {
            return;
        };
        match outcome {
            Ok(()) => {
                self.context.was_latest(group.begun.into_std());
                self.ready.extend(group.reads);
            }
            Err(error) => self.refuse_all(group.reads, &error::status(&error), now, server),
        }
    }

    /// Refuses what has waited for too long, and answers when to look again.
    pub(super) fn expire(&mut self, server: &mut Server<Asked>, now: Instant) -> Option<Instant> {
        let patience = self.context.service().patience();
        let is_over = |begun: Instant| begun + patience <= now;
        let late: Vec<u32> = self
            .writes
            .iter()
            .filter(|(_, write)| is_over(write.begun))
            .map(|(&stream, _)| stream)
            .collect();
        for stream in late {
            if let Some(write) = self.writes.remove(&stream) {
                let status = error::status(&write.promise.give_up());
                self.refuse(stream, write.call, &status, write.begun, now, server);
            }
        }
        while self
            .groups
            .front()
            .is_some_and(|group| is_over(group.begun))
            && let Some(group) = self.groups.pop_front()
        {
            let status = error::status(&group.waiting.give_up());
            self.refuse_all(group.reads, &status, now, server);
        }
        let writes = self.writes.values().map(|write| write.begun);
        let groups = self.groups.iter().map(|group| group.begun);
        let first = writes.chain(groups).min();
        first.map(|begun| begun + patience)
    }

    /// Whether anything is under way that may have to be refused one day.
    pub(super) fn is_waiting(&self) -> bool {
        !self.writes.is_empty() || !self.groups.is_empty()
    }

    fn refuse_all(
        &mut self,
        reads: Vec<Read>,
        status: &Status,
        now: Instant,
        server: &mut Server<Asked>,
    ) {
        for read in reads {
            self.refuse(read.stream, Call::Range, status, read.begun, now, server);
        }
    }

    fn refuse(
        &mut self,
        stream: u32,
        call: Call,
        status: &Status,
        begun: Instant,
        now: Instant,
        server: &mut Server<Asked>,
    ) {
        self.finish(stream, call, Err(status.clone()), begun, now, server);
    }

    /// A call was answered, or is to be refused.
    fn finish(
        &self,
        stream: u32,
        call: Call,
        outcome: Result<(), Status>,
        begun: Instant,
        now: Instant,
        server: &mut Server<Asked>,
    ) {
        let code = match outcome {
            Ok(()) => Code::Ok,
            Err(status) => {
                let code = status.code();
                let response = status.into_http::<()>();
                let fields = super::fields(response.headers());
                server.head(stream, b"200", fields, true);
                code
            }
        };
        let took: Duration = now.saturating_duration_since(begun);
        self.stats.count_of(self.methods[call as usize], code, took);
    }
}

impl Drop for Hot {
    fn drop(&mut self) {
        self.answers.close();
    }
}

fn has_room(server: &Server<Asked>) -> bool {
    server.has_room() && server.queued() < QUEUED_BYTES_MAX
}

/// The one message that a body is made of, if it is that and nothing else.
fn message(body: &Bytes) -> Option<Bytes> {
    let &[compressed, a, b, c, d] = body.first_chunk::<PREFIX_LEN>()?;
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    let is_plain = compressed == 0 && len == body.len() - PREFIX_LEN;
    is_plain.then(|| body.slice(PREFIX_LEN..))
}

/// The command that a call asks for, or why there is none.
fn command(
    call: Call,
    message: Bytes,
    txn_ops_max: usize,
) -> Result<Result<Command, error::Refusal>, Unusual> {
    Ok(match call {
        Call::Put => {
            let request = pb::PutRequest::decode(message).map_err(|_| Unusual)?;
            check::put(&request).map(|()| Command::Put(convert::put(request)))
        }
        Call::DeleteRange => {
            let request = pb::DeleteRangeRequest::decode(message).map_err(|_| Unusual)?;
            let checked = check::delete_range(&request);
            checked.map(|()| Command::DeleteRange(convert::delete_range(request)))
        }
        Call::Txn => {
            let request = pb::TxnRequest::decode(message).map_err(|_| Unusual)?;
            match check::txn(&request, txn_ops_max) {
                // It needs no place in the log, and may be long.
                Ok(()) if reading::is_reading(&request) => return Err(Unusual),
                Ok(()) => convert::txn(request).map(Command::Txn),
                Err(refusal) => Err(refusal),
            }
        }
        Call::Range => return Err(Unusual),
    })
}

/// Answers a write.
fn put_written(
    stream: u32,
    call: Call,
    header: &pb::ResponseHeader,
    applied: Applied,
    server: &mut Server<Asked>,
) -> Result<(), Status> {
    let header = pb::ResponseHeader {
        revision: applied.revision,
        ..*header
    };
    match (call, applied.reply) {
        (Call::Put, Reply::Put(reply)) => {
            put(stream, &convert::put_response(header, reply), server);
        }
        (Call::DeleteRange, Reply::DeleteRange(reply)) => {
            let response = convert::delete_range_response(header, reply);
            put(stream, &response, server);
        }
        (Call::Txn, Reply::Txn(reply)) => {
            put(stream, &convert::txn_response(header, reply), server);
        }
        (_, other) => return Err(kv::unexpected(&other)),
    }
    Ok(())
}

/// Sends an answer: its head, its one message, and that all is well.
fn put(stream: u32, message: &impl Message, server: &mut Server<Asked>) {
    let kind: (&[u8], &[u8]) = (b"content-type", b"application/grpc");
    server.head(stream, b"200", [kind], false);
    let len = message.encoded_len();
    server.data_with(stream, PREFIX_LEN + len, false, |out| {
        out.put_u8(0);
        out.put_u32(len as u32);
        message.encode_raw(out);
    });
    server.trailers(stream, &[(b"grpc-status", b"0")]);
}
