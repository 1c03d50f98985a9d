//! The key-value machine: what a delivered payload does to the state.
//!
//! It is deterministic: the same payloads in the same order give the same state, the same replies
//! and the same events on every replica. It reads no clock and no random number; time is what
//! ticks in the log say. Everything is checked before anything is changed, so a refused command
//! has no effect.

mod health;
mod lease;
mod recent;
mod step;
#[cfg(test)]
mod tests;
mod txn;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use quorate_core::{Checkpoint, NodeId, Payload};

use crate::codec;
use crate::command::Command;
use crate::error::Error;
use crate::members::Members;
use crate::reply::{Reply, Revision};
use crate::store::layer::{Change, Layer, Layers};
use crate::store::shared::{Frozen, Published, Shared, lock};
use crate::store::state::Meta;
use crate::store::{Checkpoints, Directory, Files, Flaw, Flusher, Upkeep, Views};

pub use crate::store::Options;
use health::Noted;
pub(crate) use recent::Generation;
use recent::Recent;

/// How many layers may wait to be written. When there would be one more, publishing waits.
const FROZEN_MAX: usize = 2;

/// The machine. One thread owns it and applies; readers have [`Views`].
#[derive(Debug)]
pub struct Machine {
    shared: Arc<Shared>,
    /// The state as of the last payload applied.
    meta: Meta,
    /// The layers as of the last publication; new rows go to the active one.
    layers: Arc<Layers>,
    /// The newest rows of those layers, by key.
    recent: Recent,
    /// The changes since the last publication.
    round: Vec<Change>,
    /// Roughly what the active layer holds.
    active_bytes: usize,
    /// The position at which the active layer began.
    began: u64,
    /// Whether anything was applied since the active layer began.
    dirty: bool,
    /// What the last check found here.
    noted: Noted,
    /// Whether a majority found something else.
    differs: bool,
    /// What went wrong where it could not be said.
    failed: Option<Error>,
}

/// What applying one payload brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Whether it had been applied before and was skipped.
    pub duplicate: bool,
    /// Whose batch it was.
    pub origin: NodeId,
    /// Of which incarnation.
    pub incarnation: u64,
    /// Which batch of it; 0 if there was none.
    pub sequence: u64,
    /// One per command, if wanted and not a duplicate: the revision after the command and its reply.
    pub replies: Vec<Result<(i64, Reply), Error>>,
    /// The new revisions, oldest first.
    pub events: Vec<Revision>,
    /// The oldest readable revision, if it changed.
    pub compacted: Option<i64>,
}

impl Default for Outcome {
    fn default() -> Outcome {
        Outcome {
            duplicate: false,
            origin: NodeId(0),
            incarnation: 0,
            sequence: 0,
            replies: Vec::new(),
            events: Vec::new(),
            compacted: None,
        }
    }
}

impl Outcome {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.duplicate = false;
        self.origin = NodeId(0);
        self.incarnation = 0;
        self.sequence = 0;
        self.replies.clear();
        self.events.clear();
        self.compacted = None;
    }
}

impl Machine {
    /// Opens the state in a directory, or begins a new one. Answers what survived: delivery goes on
    /// behind it.
    ///
    /// # Errors
    /// If the disk fails, or what is on it is damaged or of another format.
    pub fn open(options: Options) -> Result<(Machine, Checkpoint), Error> {
        let files: Arc<dyn Files> =
            match &options.files {
                Some(files) => files.clone(),
                None => Arc::new(Directory::open(options.dir.clone()).map_err(|error| {
                    Error::Storage(format!("{}: {error}", options.dir.display()))
                })?),
            };
        let shared = Shared::open(options, files)?;
        let layers = lock(&shared.turn).layers.clone();
        let meta = layers.base.meta.clone();
        let checkpoint = meta.checkpoint;
        let machine = Machine {
            shared,
            meta,
            layers,
            recent: Recent::default(),
            round: Vec::new(),
            active_bytes: 0,
            began: checkpoint.position,
            dirty: false,
            noted: Noted::default(),
            differs: false,
            failed: None,
        };
        Ok((machine, checkpoint))
    }

    /// The famous bug that it has, if a search wants one.
    pub(crate) fn flaw(&self) -> Option<Flaw> {
        self.shared.options.flaw
    }

    /// Applies the payload at the next position; an empty one only moves the position. Replies are
    /// filled in only if `wanted`.
    ///
    /// # Errors
    /// Only what is fatal: the payload or the store is damaged, or the disk failed.
    ///
    /// # Panics
    /// If `position` is not the next one, which total order promises.
    pub fn apply(
        &mut self,
        position: u64,
        epoch: u64,
        payload: &Payload,
        wanted: bool,
        out: &mut Outcome,
    ) -> Result<(), Error> {
        assert_eq!(
            position,
            self.meta.checkpoint.position + 1,
            "positions have no gaps"
        );
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        out.clear();
        if !payload.is_empty() {
            self.batch(position, epoch, payload, wanted, out)?;
        }
        self.meta.checkpoint = Checkpoint { position, epoch };
        self.dirty = true;
        Ok(())
    }

    fn batch(
        &mut self,
        position: u64,
        ordered_in: u64,
        payload: &Payload,
        wanted: bool,
        out: &mut Outcome,
    ) -> Result<(), Error> {
        if crc32c::crc32c(payload.as_bytes()) != payload.checksum() {
            return Err(Error::Damaged(format!(
                "the payload at position {position}"
            )));
        }
        let batch = codec::decode(payload).map_err(|malformed| {
            Error::Damaged(format!("the payload at position {position}: {malformed}"))
        })?;
        out.origin = batch.origin;
        out.incarnation = batch.incarnation;
        out.sequence = batch.sequence;
        let newest = (batch.incarnation, batch.sequence);
        let last = self.meta.batches.get(&batch.origin.0);
        let flawed = self.shared.options.flaw == Some(Flaw::DuplicateAppliedTwice);
        if last.is_some_and(|last| *last >= newest) && !flawed {
            out.duplicate = true;
            return Ok(());
        }
        self.meta.batches.insert(batch.origin.0, newest);
        for command in batch.commands {
            let reply = self.command(command, position, ordered_in, wanted, out);
            match reply {
                Err(error) if error.is_fatal() => {
                    return Err(self.shared.damage.explain(error));
                }
                reply if wanted => {
                    let revision = self.meta.revision;
                    out.replies.push(reply.map(|reply| (revision, reply)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn command(
        &mut self,
        command: Command,
        at: u64,
        ordered_in: u64,
        wanted: bool,
        out: &mut Outcome,
    ) -> Result<Reply, Error> {
        self.check_alarms(&command)?;
        match command {
            Command::Put(put) => self.put(put, out).map(Reply::Put),
            Command::DeleteRange(delete) => self.delete_range(&delete, out).map(Reply::DeleteRange),
            Command::Txn(txn) => self.txn(&txn, wanted, out).map(Reply::Txn),
            Command::Compact { revision } => self.compact(revision, out),
            Command::LeaseGrant { id, ttl } => self.lease_grant(id, ttl),
            Command::LeaseRevoke { id } => self.lease_revoke(id, out),
            Command::LeaseKeepAlive { id } => Ok(self.lease_keep_alive(id)),
            // Broadcast again after its leader lost its office: it speaks of a time before renewals that
            // were ordered since, and the new leader counts from its own beginning.
            Command::Tick { epoch, .. } if epoch < ordered_in => Ok(Reply::Done),
            Command::Tick { epoch, elapsed_ms } => self.tick(epoch, elapsed_ms, out),
            Command::Publish(member) => {
                Arc::make_mut(&mut self.meta.members).publish(member);
                Ok(Reply::Done)
            }
            Command::MemberAdd { member, rules } => {
                self.change_members(at, |members| members.add(member, rules))
            }
            Command::MemberRemove { id, rules } => {
                self.change_members(at, |members| members.remove(id, rules))
            }
            Command::MemberUpdate { id, peer_urls } => {
                self.change_members(at, |members| members.update(id, peer_urls))
            }
            Command::MemberPromote { id, rules } => {
                let health = self.meta.health.clone();
                self.change_members(at, |members| {
                    members.promote(id, rules, || health.check_in_sync(id, at))
                })
            }
            Command::Check { epoch } if epoch < ordered_in => Ok(Reply::Done),
            Command::Check { .. } => Ok(self.begin_check(at)),
            Command::Report(report) => Ok(self.report(report)),
            Command::Raise(alarm) => Ok(self.raise(alarm)),
            Command::Disarm(alarm) => Ok(self.disarm(alarm)),
        }
    }

    /// Forgets at once; the space is freed later.
    fn compact(&mut self, revision: i64, out: &mut Outcome) -> Result<Reply, Error> {
        if revision <= self.meta.compacted {
            return Err(Error::Compacted {
                compacted: self.meta.compacted,
            });
        }
        if revision > self.meta.revision {
            return Err(Error::FutureRevision {
                current: self.meta.revision,
            });
        }
        self.meta.compacted = revision;
        self.meta.digest(revision.cast_unsigned());
        out.compacted = Some(revision);
        // Space is freed only behind a durable record of what may be freed.
        self.shared.flush_wanted.store(true, Ordering::Relaxed);
        Ok(Reply::Compact)
    }

    /// A change of the list of members, ordered at this position.
    fn change_members(
        &mut self,
        at: u64,
        change: impl FnOnce(&mut Members) -> Result<(), Error>,
    ) -> Result<Reply, Error> {
        let members = Arc::make_mut(&mut self.meta.members);
        change(members)?;
        members.version = at;
        Arc::make_mut(&mut self.meta.health).keep(&self.meta.members);
        self.meta.digest(at);
        Ok(Reply::Members { version: at })
    }

    /// Makes everything applied so far visible. Called once per round of applies, and every second
    /// or so while nothing is applied, so that what is in memory grows no older than it should.
    pub fn publish(&mut self) {
        if let Some(last) = self.round.last() {
            let revision = last.stamp.main;
            let changes: Arc<[Change]> = self.round.drain(..).collect();
            self.layers.active().history.insert(revision, changes);
        }
        let wanted = self.shared.flush_wanted.load(Ordering::Relaxed);
        let options = &self.shared.options;
        let positions = self.meta.checkpoint.position - self.began;
        let full = self.active_bytes >= options.layer_bytes || positions >= options.layer_positions;
        if self.dirty && (full || wanted) {
            self.wait_for_room();
            self.freeze();
        } else {
            let turn = lock(&self.shared.turn);
            self.layers = turn.layers.clone();
            let published = Published::new(&self.meta, self.layers.clone());
            self.shared.published.store(Arc::new(published));
        }
    }

    /// Whether publishing may have to wait for the disk.
    pub(crate) fn may_wait(&self) -> bool {
        lock(&self.shared.turn).frozen.len() >= FROZEN_MAX
    }

    /// Whether the cluster has no other members.
    pub(crate) fn is_alone(&self) -> bool {
        self.meta.members.list.len() == 1
    }

    /// Back-pressure: as long as too many layers wait, this thread helps to write them.
    fn wait_for_room(&mut self) {
        while self.failed.is_none() && lock(&self.shared.turn).frozen.len() >= FROZEN_MAX {
            // What is kept here would keep its pages from being used again.
            self.layers = lock(&self.shared.turn).layers.clone();
            if let Err(error) = self.flusher().run_once() {
                self.failed = Some(error);
            }
        }
    }

    /// The active layer takes no more rows; it will be written together with the state as it is now.
    fn freeze(&mut self) {
        self.shared.flush_wanted.store(false, Ordering::Relaxed);
        let leases = self.shared.leases.write();
        let delta = leases
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take_delta();
        let mut turn = lock(&self.shared.turn);
        let frozen = Frozen {
            layer: turn.layers.active().clone(),
            meta: self.meta.clone(),
            leases: delta,
            _garbage: self.recent.rotate(),
        };
        turn.frozen.push_back(Arc::new(frozen));
        let mut memory = vec![Arc::new(Layer::default())];
        memory.extend(turn.layers.memory.iter().cloned());
        turn.layers = Arc::new(Layers {
            memory,
            base: turn.layers.base.clone(),
            counts: turn.layers.counts.clone(),
        });
        self.layers = turn.layers.clone();
        let published = Published::new(&self.meta, self.layers.clone());
        self.shared.published.store(Arc::new(published));
        self.active_bytes = 0;
        self.began = self.meta.checkpoint.position;
        self.dirty = false;
    }

    /// Makes a checkpoint that has been received in full the state. What was applied and not in it
    /// is dropped, which is nothing: the checkpoint is ahead. One that is not ahead is ignored.
    ///
    /// # Errors
    /// If it is not there, or the disk fails.
    pub fn install(&mut self, checkpoint: Checkpoint) -> Result<(), Error> {
        if checkpoint.position <= self.meta.checkpoint.position {
            return Ok(());
        }
        let shared = self.shared.clone();
        let mut disk = lock(&shared.disk);
        self.layers = shared.install(&mut disk, checkpoint)?;
        self.meta = self.layers.base.meta.clone();
        if self.shared.options.flaw == Some(Flaw::SnapshotDropsSessions) {
            self.meta.batches.clear();
        }
        self.recent = Recent::default();
        self.noted = Noted::default();
        self.differs = false;
        self.round.clear();
        self.active_bytes = 0;
        self.began = checkpoint.position;
        self.dirty = false;
        Ok(())
    }

    /// Whether the store was damaged or lost, so that an empty one took its place, and does not hold yet
    /// what was lost. What the log does not have any more must then come from other replicas.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn is_rebuilding(&self) -> Result<bool, Error> {
        self.shared.is_rebuilding()
    }

    /// The log is new. If the state is not, because it was restored or recovered, that is written down: should
    /// the store be lost one day, the log cannot make up for it, however complete it is.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn on_new_log(&self) -> Result<(), Error> {
        match self.meta.checkpoint.position {
            0 => Ok(()),
            _ => self.shared.on_new_log(),
        }
    }

    /// Whether the log never had what the store began with.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn log_begins_later(&self) -> Result<bool, Error> {
        self.shared.log_begins_later()
    }

    /// Where checkpoints for peers come from, and where those of peers go.
    #[must_use]
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints {
            shared: self.shared.clone(),
        }
    }

    /// Where readers get their views.
    #[must_use]
    pub fn views(&self) -> Views {
        Views {
            shared: self.shared.clone(),
        }
    }

    /// What operators may do to the store.
    #[must_use]
    pub fn upkeep(&self) -> Upkeep {
        Upkeep {
            shared: self.shared.clone(),
        }
    }

    /// What carries layers to disk.
    #[must_use]
    pub fn flusher(&self) -> Flusher {
        Flusher {
            shared: self.shared.clone(),
        }
    }

    /// Everything through this checkpoint is durable.
    #[must_use]
    pub fn durable(&self) -> Checkpoint {
        self.flusher().durable()
    }
}
