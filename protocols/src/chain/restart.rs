//! How a replica starts from what survived.

use core::time::Duration;

use quorate_core::{Boot, Effects, Frame, Survival};
use quorate_problems::total_order::Output;

use super::loss::Loss;
use super::message::{Record, Timer};
use super::reads::Reads;
use super::service::{Service, ViewsRecord};
use super::{Chain, Config, View, ViewNumber};
use crate::log::{Entry, Epoch, Index, Log, Position};
use crate::raft;
use crate::views::{SeatReplay, Standing};

impl Chain {
    pub(super) fn restart(
        config: &Config,
        boot: Boot<'_, Chain>,
        fx: &mut Effects<Chain>,
    ) -> Chain {
        let mut replay = Replay::default();
        for (frame, record) in boot.records {
            replay.record(frame, record);
        }
        let damaged = boot.survival == Survival::Damaged;
        let place = (boot.me, boot.incarnation, boot.survival);
        let mut chain = Chain {
            me: boot.me,
            incarnation: boot.incarnation,
            seat: Service::open(&config.service(), place, replay.seat, fx),
            config: config.clone(),
            view: replay.view,
            established: false,
            log: replay.log,
            commit: Index(0),
            agreed: None,
            stored: Index(0),
            links: alloc::collections::BTreeMap::new(),
            unfed: 0,
            reads: Reads::default(),
            transfer: None,
            told: (ViewNumber(0), None),
            loss: None,
            forgot: false,
        };
        let state = Position::from(boot.checkpoint);
        if damaged || replay.lost {
            chain.loss = Some(Loss::written(replay.lost && !damaged));
            chain.forgot = true;
            chain.view = View::default();
            chain.log.reset(state);
            chain.commit = state.index;
        } else {
            assert!(
                replay.grounded,
                "the oldest record says where the log begins"
            );
            chain.meet_state(state, fx);
        }
        let (number, lost) = (chain.view.number, chain.loss.is_some());
        chain.seat.report(fx, |report| {
            report.view = number;
            report.standing = if lost { Standing::Lost } else { Standing::Well };
        });
        if number > ViewNumber(0) {
            chain.take_place(fx);
        }
        fx.set_timer(Timer::Heartbeat, Duration::ZERO..config.heartbeat);
        chain.follow_service(fx);
        chain
    }

    /// Brings log and application state together. Each may be ahead of the other.
    fn meet_state(&mut self, state: Position, fx: &mut Effects<Chain>) {
        let base = self.log.base();
        if base.index > state.index {
            // A snapshot arrived and the log was reset to it, but the state was not replaced yet.
            fx.output(Output::Install(base.into()));
        } else if !self.log.matches(state) {
            // It was told what is committed while it joined, before its own disk had it. Nobody must take
            // what is left for all there ever was: without the state it is not.
            self.log.reset(state);
            self.restate(Record::Reset(state), fx);
        }
        self.commit = self.log.base().index.max(state.index);
    }
}

/// The records of earlier incarnations, read one by one.
///
/// Compaction drops frames from the front, up to where it was told or not as far, so what is left
/// may begin anywhere: entries may come before the record that says where the log begins.
struct Replay {
    seat: SeatReplay<raft::Record>,
    view: View,
    log: Log,
    /// Whether the epoch at the log's base is known.
    grounded: bool,
    lost: bool,
}

impl Default for Replay {
    fn default() -> Replay {
        Replay {
            seat: SeatReplay::default(),
            view: View::default(),
            log: Log::default(),
            grounded: true,
            lost: false,
        }
    }
}

impl Replay {
    fn record(&mut self, frame: Frame, record: Record) {
        match record {
            Record::Views(record) => self.service(frame, record),
            Record::Append { index, entry } => self.append(index, entry, frame),
            Record::Base(position) => self.base(position),
            Record::Reset(position) => {
                self.log.reset(position);
                self.grounded = true;
            }
            Record::Entered(view) => {
                self.seat.enter(view.number);
                self.view = view;
            }
            Record::Lost => self.lost = true,
            Record::Excused => self.lost = false,
        }
    }

    fn service(&mut self, frame: Frame, record: ViewsRecord) {
        self.seat.record(frame, record);
    }

    fn append(&mut self, index: Index, entry: Entry, frame: Frame) {
        // Where frames are missing, what is left may contradict itself.
        let ordered = self.log.epoch_at(index.before()) <= Some(entry.epoch);
        let follows = index > self.log.base().index && index <= self.log.last().index.next();
        if !(follows && ordered) {
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
