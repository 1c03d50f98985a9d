//! How a replica comes back that lost what it had acknowledged.
//!
//! Whatever it acknowledged, the primary counted on it. So it takes part in nothing until the view service
//! has written down that it does not have everything any more, and cannot lead the next view because it
//! once did. Then it is a spare like any other, behind the application's state, which is not part of
//! the damage.

use quorate_core::Effects;

use super::view::Role;
use super::{Flaw, Position, PrimaryBackup, Record};
use crate::views::{Number, Replicator, Standing};

impl<M: Replicator> PrimaryBackup<M> {
    /// What can still be read is of no use without the rest. Nothing is written, so that somebody who can
    /// mend the disk finds everything as it was.
    pub(super) fn become_lost(&mut self, state: Position, fx: &mut Effects<Self>) {
        self.number = Number(0);
        self.log.reset(state);
        self.commit = state.index;
        self.role = Role::Lost { state };
        self.forgot = true;
        self.seat
            .report(fx, |report| report.standing = Standing::Lost);
    }

    /// Whether the view service knows by now that this replica lost its records; then it starts anew.
    pub(super) fn maybe_found(&mut self, fx: &mut Effects<Self>) -> bool {
        let Role::Lost { state } = self.role else {
            return true;
        };
        let unknown = self.seat.known().lost < self.incarnation;
        if unknown && !self.has(Flaw::ForgetfulService) {
            if self.seat.take_mended() {
                // Those who replicate the view service recover by themselves. What they write from now on
                // counts, so what is damaged must go.
                fx.compact(fx.frame(), [Record::Lost]);
            }
            return false;
        }
        // The view that the service was in when it wrote that down, or a later one: no view that this
        // replica may have been in is later.
        self.number = self.seat.known().view.number;
        self.role = Role::Follower;
        fx.compact(fx.frame(), Record::begin(self.number, state));
        self.seat.restate(fx);
        let view = self.number;
        self.seat.report(fx, |report| {
            report.view = view;
            report.standing = Standing::Well;
        });
        self.tell_leader(fx);
        true
    }
}
