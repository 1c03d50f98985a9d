//! How a replica starts from what survived.

use quorate_core::{Boot, Effects, Frame, Survival};
use quorate_problems::total_order::Output;

use super::view::Role;
use super::{Config, Entry, Epoch, Index, Log, Number, Position, PrimaryBackup, Record};
use crate::views::{Replicator, Seat, SeatReplay, Standing};

impl<M: Replicator> PrimaryBackup<M> {
    pub(super) fn restart(
        config: &Config<M::Config>,
        boot: Boot<'_, Self>,
        fx: &mut Effects<Self>,
    ) -> Self {
        let mut replay = Replay::<M::Record>::default();
        for (frame, record) in boot.records {
            replay.record(frame, record);
        }
        let about = (boot.me, boot.incarnation, boot.survival);
        let seat = Seat::open(&config.views(), about, replay.seat, fx);
        let mut replica = PrimaryBackup {
            me: boot.me,
            incarnation: boot.incarnation,
            config: config.clone(),
            seat,
            number: replay.number,
            log: replay.log,
            commit: Index(0),
            leader: None,
            told: (Number(0), None),
            role: Role::Follower,
            forgot: false,
        };
        let state = Position::from(boot.checkpoint);
        if boot.survival == Survival::Damaged || replay.lost {
            replica.become_lost(state, fx);
        } else {
            assert!(
                replay.grounded,
                "the oldest record says where the log begins"
            );
            replica.meet_state(state, fx);
            let number = replica.number;
            replica.seat.report(fx, |report| {
                report.view = number;
                report.standing = Standing::Well;
            });
            replica.tell_leader(fx);
        }
        replica.look_at_views(fx);
        replica
    }

    /// Brings log and application state together. Each may be ahead of the other.
    fn meet_state(&mut self, state: Position, fx: &mut Effects<Self>) {
        let base = self.log.base();
        if base.index > state.index {
            // A snapshot arrived and the log was reset to it, but the state was not replaced yet.
            fx.output(Output::Install(base.into()));
        } else if !self.log.matches(state) {
            // What was delivered was durable at all members of the view, and this was none of them, or
            // not any more. What the log holds beyond was never delivered. Nobody must take what is left
            // for all there ever was: without the state it is not.
            self.log.reset(state);
            self.restate(Record::Reset(state), fx);
        }
        self.commit = self.log.base().index.max(state.index);
        // The view was persisted before its entries, but the state may have survived without either.
        let epoch = self.log.last().epoch;
        if epoch > self.number {
            self.number = epoch;
            fx.persist(Record::View { number: epoch });
        }
    }
}

/// The records of earlier incarnations, read one by one.
///
/// Compaction drops frames from the front, up to where it was told or not as far, so what is left
/// may begin anywhere: entries may come before the record that says where the log begins.
struct Replay<R> {
    number: Number,
    log: Log,
    /// Whether the epoch at the log's base is known.
    grounded: bool,
    lost: bool,
    seat: SeatReplay<R>,
}

impl<R> Default for Replay<R> {
    fn default() -> Replay<R> {
        Replay {
            number: Number(0),
            log: Log::default(),
            grounded: true,
            lost: false,
            seat: SeatReplay::default(),
        }
    }
}

impl<R> Replay<R> {
    fn record(&mut self, frame: Frame, record: Record<R>) {
        match record {
            Record::View { number } => {
                (self.number, self.lost) = (number, false);
                self.seat.enter(number);
            }
            Record::Append { index, entry } => self.append(index, entry, frame),
            Record::Base(position) => self.base(position),
            Record::Reset(position) => {
                self.log.reset(position);
                self.grounded = true;
            }
            Record::Lost => self.lost = true,
            Record::Views(record) => self.seat.record(frame, record),
        }
    }

    fn append(&mut self, index: Index, entry: Entry, frame: Frame) {
        // Where frames are missing, what is left may contradict itself.
        let ordered = self.log.epoch_at(index.before()) <= Some(entry.epoch);
        let follows = index > self.log.base().index && index <= self.log.last().index.next();
        let follows = follows && ordered;
        if !follows {
            // The frames before are gone. A record to come says what was before this entry.
            self.log.reset(Position {
                index: index.before(),
                epoch: Epoch(0),
            });
            self.grounded = index == Index(1);
        } else if index <= self.log.last().index {
            self.log.truncate(index);
        }
        self.log.push(entry, frame);
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
