//! How a replica comes back that lost what it had acknowledged: as an empty spare.
//!
//! It may have forgotten views that it had entered and updates that others count on. So it takes part in
//! nothing, lets the view service know, and waits until that has written it down, and does not count
//! on it in the present view. Then it joins a later view like anybody else.

use quorate_core::Effects;

use super::message::Record;
use super::{Chain, ViewNumber};
use crate::views::Standing;

/// Records were lost.
#[derive(Clone, Hash, Debug)]
pub(super) struct Loss {
    /// Whether the damaged part of the disk is given up, and this loss is written down in its place.
    written: bool,
    /// The view in which this replica learned that the view service knows.
    known_in: Option<ViewNumber>,
}

impl Loss {
    /// A loss that is written down already, or was found just now.
    pub(super) fn written(written: bool) -> Loss {
        Loss {
            written,
            known_in: None,
        }
    }
}

impl Chain {
    /// Takes part again if nobody counts any more on what was forgotten here.
    pub(super) fn maybe_excused(&mut self, fx: &mut Effects<Chain>) {
        if self.seat.take_mended() {
            // The seat has just restated what it needs. Nothing older is of use to anybody.
            fx.compact(fx.frame(), [Record::Lost]);
            if let Some(loss) = &mut self.loss {
                loss.written = true;
            }
        }
        let (me, incarnation) = (self.me, self.incarnation);
        let Some(loss) = &mut self.loss else {
            return;
        };
        let known = self.seat.known();
        let mended = loss.written || !self.seat.serves();
        if known.lost < incarnation || !mended {
            return;
        }
        let since = *loss.known_in.get_or_insert(known.view.number);
        if known.view.number == since && known.view.contains(me) {
            return; // It may have been a member before it lost its records.
        }
        self.loss = None;
        let beginning = Record::Reset(self.log.base());
        self.seat.restate(fx);
        fx.compact(fx.frame(), [beginning, Record::Excused]);
        self.seat
            .report(fx, |report| report.standing = Standing::Well);
    }
}
