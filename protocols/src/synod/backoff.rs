//! When to try again. Two proposers can outbid one another for ever (2.4); that they wait for a time that
//! is random, and longer each time, makes that ever less likely.

use core::time::Duration;

use quorate_core::Effects;

use super::{Message, Synod, Timer};

/// Beyond so many failures the wait grows no longer.
const DOUBLINGS_MAX: u32 = 6;

impl Synod {
    /// Waits until somebody else, or an attempt of its own, should have come to an end.
    pub(super) fn be_patient(&self, fx: &mut Effects<Synod>) {
        let shortest = self.config.patience;
        let longest = shortest.saturating_mul(2 << self.failures.min(DOUBLINGS_MAX));
        fx.set_timer(
            Timer::Patience,
            shortest..longest.max(shortest + Duration::from_micros(1)),
        );
    }

    pub(super) fn on_patience(&mut self, fx: &mut Effects<Synod>) {
        self.failures = (self.failures + 1).min(DOUBLINGS_MAX);
        self.try_again(fx);
    }

    /// "It can have a proposer issue a proposal" (2.3): another ballot also finds out what is chosen.
    /// Somebody without any value can only ask.
    pub(super) fn try_again(&mut self, fx: &mut Effects<Synod>) {
        let has_value = self.wanted.is_some() || self.acceptor.accepted().is_some();
        if has_value && !self.damaged {
            self.begin(fx);
            return;
        }
        for &to in self.config.members() {
            if to != self.me {
                // Early: a question promises nothing.
                fx.send_early(to, Message::Wondering);
            }
        }
        self.be_patient(fx);
    }
}
