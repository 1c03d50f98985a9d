//! Checkpoints (paper 5.1): what is in the application's durable state need not be in the log.
//!
//! The application decides when its state is durable. What the log then need not hold any more is
//! dropped, except for a tail of bounded size. A replica that needs more than that is sent the state
//! itself, as an attachment (`state_transfer.rs`).

use quorate_core::{Checkpoint, Effects};

use crate::log::Index;

use super::Viewstamped;
use super::message::Record;
use super::role::Role;

impl Viewstamped {
    /// The application's state is durable through `checkpoint`.
    pub(super) fn on_compact(&mut self, checkpoint: Checkpoint, fx: &mut Effects<Viewstamped>) {
        if matches!(self.role, Role::Recovering(_)) {
            return;
        }
        let durable = Index(checkpoint.position).min(self.commit);
        let base = self.log.tail(durable, self.config.retention_bytes);
        if base <= self.log.base().index {
            return;
        }
        self.log.compact(base);
        self.restate(Record::Base(self.log.base()), fx);
    }

    /// Writes down again what the frames that are now forgotten said. The entries that remain are in the
    /// frames that remain.
    pub(super) fn restate(&self, beginning: Record, fx: &mut Effects<Viewstamped>) {
        if self.writes() {
            let keep_from = self.log.oldest_frame().unwrap_or(fx.frame());
            let records = [beginning].into_iter().chain(self.restated());
            fx.compact(keep_from, records);
        }
    }

    /// Everything but the log.
    pub(super) fn restated(&self) -> impl Iterator<Item = Record> + '_ {
        let normal = Record::Normal {
            view: self.normal,
            last: self.log.last().index,
        };
        let recovered = self.crashes.iter();
        let recovered =
            recovered.map(|(node, incarnation)| Record::Recovered { node, incarnation });
        [
            Record::Epoch(self.epoch.clone()),
            normal,
            Record::View(self.view),
        ]
        .into_iter()
        .chain(recovered)
    }
}
