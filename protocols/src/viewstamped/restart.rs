//! How a replica starts from what survived.
//!
//! In the paper nothing does, and whoever restarts recovers from the others. A durable replica replays
//! its records instead, and goes on where it was, so that even all of them may crash at once. But a
//! primary that restarts leaves its view: entries left it before they were on its disk, and must not
//! be replaced by others.

use quorate_core::{Boot, Effects, Frame, Survival};
use quorate_problems::total_order::Output;

use crate::log::{Entry, Epoch as View, Index, Log, Position};

use super::config::Memory;
use super::message::{Record, Timer};
use super::replicas::FIRST;
use super::role::Role;
use super::suspicion::Suspicion;
use super::transition::Transition;
use super::{Config, Crashes, Epoch, Flaw, Replicas, Viewstamped};

impl Viewstamped {
    pub(super) fn restart(
        config: &Config,
        boot: Boot<'_, Viewstamped>,
        fx: &mut Effects<Viewstamped>,
    ) -> Viewstamped {
        let mut replay = Replay::default();
        for (frame, record) in boot.records {
            replay.record(frame, record);
        }
        let first = Epoch::initial(config);
        let written = replay.epoch.is_some();
        let epoch = replay.epoch.unwrap_or(first);
        let mut replica = Viewstamped {
            me: boot.me,
            incarnation: boot.incarnation,
            config: config.clone(),
            replicas: Replicas::new(&epoch.members.voters),
            epoch,
            view: replay.view,
            normal: replay.normal,
            log: replay.log,
            commit: Index(0),
            role: Role::Backup,
            suspicion: Suspicion::new(replay.view),
            crashes: replay.crashes,
            asked: false,
            told: (View(0), None),
            told_members: 0,
        };
        replica.tell_members(fx);
        let state = Position::from(boot.checkpoint);
        let forgot = match config.memory {
            Memory::Durable => boot.survival == Survival::Damaged,
            Memory::Volatile => boot.incarnation > 1,
        };
        if forgot {
            replica.become_recovering(state, fx);
            return replica;
        }
        assert!(
            replay.grounded,
            "the oldest record says where the log begins"
        );
        if !written {
            // Whoever starts it again may say something else.
            replica.persist(Record::Epoch(replica.epoch.clone()), fx);
        }
        replica.meet_state(state, fx);
        if replica.has_start() {
            // What an epoch begins with is committed.
            replica.deliver_through(replica.epoch.start.index, fx);
        }
        replica.take_up(replay.began, fx);
        replica.tell_leader(fx);
        replica
    }

    /// Brings log and application state together. Each may be ahead of the other.
    fn meet_state(&mut self, state: Position, fx: &mut Effects<Viewstamped>) {
        let base = self.log.base();
        if base.index > state.index {
            // A checkpoint arrived and the log was reset to it, but the state was not replaced yet.
            fx.output(Output::Install(base.into()));
        } else if !self.log.matches(state) {
            // What a quorum has was applied before it was on the disk here. What the log holds beyond
            // conflicts with it, so it was never committed. Nobody must take what is left for all there
            // ever was: without the state it is not.
            self.log.reset(state);
            self.restate(Record::Reset(state), fx);
        }
        self.commit = self.log.base().index.max(state.index);
        let view = self.log.last().epoch.ordered_in();
        if view > self.view {
            self.view = view;
            self.suspicion = Suspicion::new(view);
            self.persist(Record::View(view), fx);
        }
    }

    /// Goes on where it was. `began` says that the last view in which its status was normal is written
    /// down: only then can this replica have presided over it.
    fn take_up(&mut self, began: bool, fx: &mut Effects<Viewstamped>) {
        let epoch = self.epoch.number();
        if self.view == self.epoch.first && self.normal.epoch() < epoch {
            // It has not begun the epoch. A later view it has entered, and so has begun it.
            self.await_repeat(fx);
            self.role = Role::Transitioning(Transition {
                written: true,
                teacher: None,
            });
            self.maybe_begin_epoch(fx);
        } else if !self.epoch.members.contains(self.me) {
            self.leave(self.has_start(), fx);
        } else if self.normal < self.view {
            self.await_view(fx);
            self.do_view_change(fx);
        } else if self.replicas.primary(self.view) != self.me {
            let timeout = self.config.view_timeout;
            fx.set_timer(Timer::Silence, timeout..timeout);
            self.maybe_offer_epoch(fx);
        } else if !began || self.has(Flaw::ResumedPrimary) {
            self.start_view(fx);
        } else {
            self.await_view(fx);
            self.suspect(fx);
        }
    }
}

/// The records of earlier incarnations, read one by one.
///
/// Compaction drops frames from the front, up to where it was told or not as far, so what is left
/// may begin anywhere: entries may come before the record that says where the log begins.
struct Replay {
    view: View,
    normal: View,
    /// Whether some record says which view the log is of.
    began: bool,
    log: Log,
    /// Whether the view at the log's base is known.
    grounded: bool,
    crashes: Crashes,
    epoch: Option<Epoch>,
}

impl Default for Replay {
    fn default() -> Replay {
        Replay {
            view: FIRST,
            normal: FIRST,
            began: false,
            log: Log::default(),
            grounded: true,
            crashes: Crashes::default(),
            epoch: None,
        }
    }
}

impl Replay {
    fn record(&mut self, frame: Frame, record: Record) {
        match record {
            Record::View(view) => self.view = view,
            Record::Normal { view, last } => {
                (self.normal, self.began) = (view, true);
                self.cut(last);
            }
            Record::Append { op, entry } => self.append(op, entry, frame),
            Record::Base(position) => self.base(position),
            Record::Reset(position) => {
                self.log.reset(position);
                self.grounded = true;
            }
            Record::Recovered { node, incarnation } => {
                self.crashes.learn(node, incarnation);
            }
            Record::Epoch(epoch) => {
                self.view = self.view.max(epoch.first);
                self.epoch = Some(epoch);
            }
        }
    }

    fn append(&mut self, op: Index, entry: Entry, frame: Frame) {
        // Where frames are missing, what is left may contradict itself.
        let ordered = self.log.epoch_at(op.before()) <= Some(entry.epoch);
        let follows = op > self.log.base().index && op <= self.log.last().index.next();
        if !(follows && ordered) {
            // The frames before are gone. A record to come says what was before this entry.
            self.begin_behind(op.before());
        } else if op <= self.log.last().index {
            self.log.truncate(op);
        }
        self.log.push(entry, frame);
    }

    fn cut(&mut self, last: Index) {
        if last < self.log.base().index {
            self.begin_behind(last);
        } else if last < self.log.last().index {
            self.log.truncate(last.next());
        }
    }

    fn begin_behind(&mut self, index: Index) {
        let epoch = View(0);
        self.log.reset(Position { index, epoch });
        self.grounded = index == Index(0);
    }

    fn base(&mut self, position: Position) {
        let base = self.log.base();
        if position.index < base.index {
            return; // Of an earlier compaction; that of the later one is still to come.
        }
        if position.index == base.index {
            self.log.ground(position.epoch);
        } else if self.log.matches(position) {
            self.log.compact(position.index);
        } else {
            self.log.reset(position);
        }
        self.grounded = true;
    }
}
