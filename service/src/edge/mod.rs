//! The edge: between callers on many threads and the replica on its one.
//!
//! Commands wait in a queue. Whenever the protocol has room, all that wait go into one payload: a
//! batch of one when idle, a large one when busy, no timers. Batches are remembered until they are
//! delivered and broadcast again when they may have been lost. What is delivered goes to the apply
//! thread. Nothing here blocks.

pub(crate) mod callers;
mod flight;
mod membership;
pub(crate) mod reads;
pub(crate) mod shared;
#[cfg(test)]
mod tests;
mod ticks;
mod voice;

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_channel::Receiver;
use quorate_core::{Checkpoint, Instant, NodeId, Payload, Protocol, Status};
use quorate_node::Edge;
use quorate_problems::total_order::{Output, Request, TotalOrder};

use crate::codec::{self, Packer};
use crate::error::Error;
use crate::gathered::Wakers;
use crate::works::Desk;
use callers::{Reader, Reply};
use flight::{Flight, Sent};
use membership::Following;
use reads::Reads;
use shared::{Shared, Submission, count};
use ticks::Ticks;
use voice::Voice;

/// What the apply thread is given.
pub(crate) enum Work {
    /// The payload at the next position.
    Deliver {
        position: u64,
        epoch: u64,
        payload: Payload,
        /// If it is a batch of ours: who waits for it, one per command.
        replies: Option<Vec<Option<Reply>>>,
    },
    /// The state is to be replaced.
    Install(Checkpoint),
    /// Readers that must see everything through this position.
    Read { position: u64, readers: Vec<Reader> },
    /// Look after the machine although nothing was delivered.
    Look,
    /// There will be no more.
    Stop,
}

/// The edge of a replica that orders commands for the key-value machine. See the module.
pub struct Batcher {
    shared: Arc<Shared>,
    submissions: Receiver<Submission>,
    readers: Receiver<Reader>,
    works: Desk,
    /// Commands that wait, in the order in which they came.
    queue: VecDeque<Submission>,
    queue_bytes: usize,
    flight: Flight,
    /// The last sequence given to a batch.
    sequence: u64,
    /// The batch that carries the tick in flight.
    tick_sequence: u64,
    reads: Reads,
    ticks: Ticks,
    voice: Voice,
    leader: Option<NodeId>,
    /// Under whom everything in flight was asked for last.
    asked_of: Option<(u64, NodeId)>,
    membership: Following,
    /// The protocol knows that the state is durable through this position.
    told_durable: u64,
    /// When to look for callers who have given up.
    sweep_at: Option<Instant>,
}

impl Batcher {
    pub(crate) fn new(
        shared: Arc<Shared>,
        submissions: Receiver<Submission>,
        readers: Receiver<Reader>,
        works: Desk,
        checkpoint: Checkpoint,
    ) -> Batcher {
        let patience = shared.options.election_timeout;
        let ticks = Ticks::new(shared.options.tick_interval);
        let options = &shared.options;
        let voice = Voice::new(options.check_interval, options.check_changes, patience);
        Batcher {
            shared,
            submissions,
            readers,
            works,
            queue: VecDeque::new(),
            queue_bytes: 0,
            flight: Flight::new(patience),
            sequence: 0,
            tick_sequence: 0,
            reads: Reads::new(patience),
            ticks,
            voice,
            leader: None,
            asked_of: None,
            membership: Following::new(patience),
            told_durable: checkpoint.position,
            sweep_at: None,
        }
    }

    pub(crate) fn request(&mut self, room: usize, now: Instant) -> Option<Request> {
        self.take_in();
        self.on_time(now);
        if let Some(to) = self.shared.take_transfer() {
            return Some(Request::Transfer { to });
        }
        if self.voice.resigns(&self.shared, now) {
            return Some(Request::Transfer { to: None });
        }
        if let Some(checkpoint) = self.shared.durable_after(self.told_durable) {
            self.told_durable = checkpoint.position;
            return Some(Request::Compact(checkpoint));
        }
        // Without a leader, whatever is asked is lost; it waits here instead.
        self.leader?;
        if self.leads()
            && let Some(members) = self.membership.next(&self.shared, now)
        {
            return Some(Request::Reconfigure(members));
        }
        if let Some(id) = self.reads.next(now) {
            count(&self.shared.counters.read_rounds, 1);
            return Some(Request::Read { id });
        }
        if room == 0 || self.shared.is_backlogged() {
            return None;
        }
        if let Some(payload) = self.flight.next(now) {
            count(&self.shared.counters.broadcast_again, 1);
            return Some(Request::Broadcast(payload));
        }
        self.pack(now);
        self.flight.next(now).map(Request::Broadcast)
    }

    /// Takes in what callers have left for us.
    fn take_in(&mut self) {
        while let Ok(submission) = self.submissions.try_recv() {
            self.queue_bytes += submission.bytes.len();
            self.queue.push_back(submission);
        }
        while let Ok(reader) = self.readers.try_recv() {
            self.reads.push(reader);
        }
    }

    fn on_time(&mut self, now: Instant) {
        let me = self.shared.options.me;
        // What a leader has proposed is in its own log, and lost only together with its lead.
        let repeat = self.leader.is_some_and(|leader| leader != me);
        self.flight.on_time(now, repeat);
        self.reads.on_time(now);
        self.ticks.on_time(self.shared.has_leases(), now);
        self.voice.on_time(&self.shared, now);
        if self.queue.is_empty() && self.reads.is_empty() {
            self.sweep_at = None;
        } else if self.sweep_at.is_none_or(|at| at <= now) {
            if self.sweep_at.is_some() {
                self.sweep();
            }
            self.sweep_at = Some(now + self.shared.options.timeout);
        }
    }

    /// Lets go of callers who have given up, which matters when nothing moves for long.
    fn sweep(&mut self) {
        self.reads.sweep();
        let shared = &self.shared;
        let queue_bytes = &mut self.queue_bytes;
        self.queue.retain(|submission| {
            let stays = !submission.claim.is_taken();
            if !stays {
                *queue_bytes -= submission.bytes.len();
                shared.pending.subtract(1, submission.bytes.len());
            }
            stays
        });
    }

    /// Whether a batch should be made now. While several small ones are under way it is better to
    /// let commands gather: they would wait for the disk anyway, and share its next sync.
    fn is_worth_a_batch(&self) -> bool {
        let options = &self.shared.options;
        let (batches, bytes) = (self.flight.len(), self.flight.bytes());
        if batches >= options.flight_batches_max || bytes >= options.flight_bytes_max {
            return false;
        }
        let is_large = self.queue_bytes >= options.small_batch_bytes;
        batches < options.small_batches_max || is_large
    }

    /// Packs what waits into a batch.
    fn pack(&mut self, now: Instant) {
        let speaks = self.ticks.is_wanted() || self.voice.is_wanted(&self.shared, now);
        let is_empty = self.queue.is_empty() && !speaks;
        if is_empty || !self.is_worth_a_batch() {
            return;
        }
        let options = &self.shared.options;
        let sequence = self.sequence + 1;
        let mut packer = Packer::new(options.me, options.incarnation, sequence);
        let mut replies = Vec::with_capacity(self.queue.len().min(options.batch_commands_max) + 1);
        if let Some(tick) = self.ticks.take(now) {
            packer.push(&tick);
            replies.push(None);
            self.tick_sequence = sequence;
            count(&self.shared.counters.ticks, 1);
        }
        for command in self.voice.take(&self.shared, now) {
            packer.push(&command);
            replies.push(None);
        }
        let (mut commands, mut bytes) = (0, 0);
        while let Some(next) = self.queue.front() {
            let is_full = packer.commands() >= options.batch_commands_max
                || packer.bytes() + next.bytes.len() > options.batch_bytes_max;
            if is_full && packer.commands() > 0 {
                break;
            }
            let Some(next) = self.queue.pop_front() else {
                break;
            };
            self.queue_bytes -= next.bytes.len();
            if !next.claim.take() {
                self.shared.pending.subtract(1, next.bytes.len());
                continue; // Its caller has given up, and may count on that.
            }
            packer.push_encoded(&next.bytes);
            replies.push(Some(next.reply));
            commands += 1;
            bytes += next.bytes.len();
        }
        if packer.commands() == 0 {
            return;
        }
        let counters = &self.shared.counters;
        count(&counters.batches, 1);
        count(&counters.batch_commands, packer.commands());
        count(&counters.batch_bytes, packer.bytes());
        self.sequence = sequence;
        let mut sent = Sent::new(sequence, packer.finish(), replies);
        sent.count = commands;
        sent.bytes = bytes;
        self.flight.push(sent);
    }

    fn on_deliver(&mut self, position: u64, epoch: u64, payload: Payload, now: Instant) {
        let options = &self.shared.options;
        let replies = match codec::label(&payload) {
            Some((origin, incarnation, sequence))
                if origin == options.me && incarnation == options.incarnation =>
            {
                self.on_back(sequence, now)
            }
            _ => None,
        };
        // The count of positions, and not their bytes, is what keeps empty ones from piling up.
        self.shared.backlog.add(1, payload.len());
        self.work(Work::Deliver {
            position,
            epoch,
            payload,
            replies,
        });
    }

    /// A batch of ours was delivered.
    fn on_back(&mut self, sequence: u64, now: Instant) -> Option<Vec<Option<Reply>>> {
        let (back, older) = self.flight.on_delivered(sequence, now);
        if sequence >= self.tick_sequence {
            self.ticks.on_back();
        }
        for sent in older {
            self.send_anew(sent);
        }
        let back = back?;
        self.shared.pending.subtract(back.count, back.bytes);
        Some(back.replies)
    }

    /// A batch that was overtaken by a later one and can never take effect any more.
    fn send_anew(&mut self, mut sent: Sent) {
        if sent.is_uncertain() {
            self.shared.pending.subtract(sent.count, sent.bytes);
            let mut wakers = Wakers::default();
            for reply in sent.replies.into_iter().flatten() {
                reply.send(Err(Error::Timeout), &mut wakers);
            }
            return;
        }
        self.sequence += 1;
        let options = &self.shared.options;
        let (me, incarnation) = (options.me, options.incarnation);
        sent.payload = codec::relabeled(&sent.payload, me, incarnation, self.sequence);
        sent.sequence = self.sequence;
        self.flight.push(sent);
    }

    fn on_lead(&mut self, epoch: u64, leader: Option<NodeId>) {
        let before = *self.shared.lead.borrow();
        if before == Some((epoch, leader)) {
            return;
        }
        let was = before.and_then(|(_, leader)| leader);
        if leader.is_some() && leader != was {
            count(&self.shared.counters.leader_changes, 1);
        }
        self.leader = leader;
        self.ticks
            .on_lead(epoch, leader == Some(self.shared.options.me));
        self.voice
            .on_lead(epoch, leader == Some(self.shared.options.me));
        self.shared.lead.send_replace(Some((epoch, leader)));
        // What was asked for is lost with the leader who was asked, and with nobody else: the same one, heard of
        // again, has it still, or the network lost it, and then patience runs out.
        let asks = leader.map(|leader| (epoch, leader));
        if asks.is_some() && asks != self.asked_of {
            self.asked_of = asks;
            self.flight.on_leader();
            self.reads.repeat();
            self.membership.repeat();
        }
    }

    fn leads(&self) -> bool {
        self.leader == Some(self.shared.options.me)
    }

    fn work(&mut self, work: Work) {
        let bytes = match &work {
            Work::Deliver { payload, .. } => payload.len(),
            _ => 0,
        };
        self.works.push(work, bytes);
    }

    pub(crate) fn output(&mut self, output: Output, now: Instant) {
        match output {
            Output::Deliver {
                position,
                epoch,
                payload,
            } => self.on_deliver(position, epoch, payload, now),
            Output::ReadReady { id, position } => {
                let readers = self.reads.on_ready(id);
                if self.shared.applied() >= position {
                    let mut wakers = Wakers::default();
                    for reader in readers {
                        reader.send(&mut wakers);
                    }
                } else if !readers.is_empty() {
                    self.work(Work::Read { position, readers });
                }
            }
            Output::Install(checkpoint) => {
                self.flight.on_install();
                self.shared.backlog.add(1, 0);
                self.work(Work::Install(checkpoint));
            }
            Output::Lead { epoch, leader } => self.on_lead(epoch, leader),
            Output::Members(members) => {
                self.membership.on_members(members.version);
                self.shared.in_force.send_replace(members);
            }
        }
    }

    /// That was all that was delivered for now.
    pub(crate) fn hand_over(&mut self) {
        self.works.hand_over();
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let waiting = [
            self.flight.repeat_at(),
            self.reads.repeat_at(),
            self.ticks.due(),
            self.voice.due(),
            // Whoever does not lead asks for nobody, and would be woken for ever by a time that has passed.
            self.membership.due().filter(|_| self.leads()),
            self.sweep_at,
        ];
        waiting.into_iter().flatten().min()
    }
}

impl<P: Protocol<Problem = TotalOrder>> Edge<P> for Batcher {
    fn next_request(&mut self, room: usize, now: Instant) -> Option<Request> {
        self.request(room, now)
    }

    fn on_output(&mut self, output: Output, now: Instant) {
        self.output(output, now);
    }

    fn on_round(&mut self, status: Status, _now: Instant) {
        if **self.shared.status.load() != status {
            self.shared.status.store(Arc::new(status));
        }
        self.hand_over();
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.deadline()
    }
}

impl Drop for Batcher {
    fn drop(&mut self) {
        // Everyone who waits for something in here learns it from their channel.
        self.work(Work::Stop);
        self.works.hand_over();
    }
}
