//! Crashes are detected by silence, and the next replica takes over.
//!
//! Budhiraja et al. 1993: the primary says every tau that it is alive, and a backup that has heard nothing
//! for tau + delta becomes primary. Where the bound delta holds nobody is suspected wrongly, and when the
//! silence ends everything that the primary ever sent has arrived everywhere. Where it does not hold,
//! there are two masters: `scripts/two_masters.txt`.

use quorate_core::{Effects, NodeId};
use quorate_problems::replicated::Output;

use super::{Message, Role, Strategies, Timer};

impl Strategies {
    /// The replica that is master in an epoch: each in turn, so no two share one.
    pub(super) fn master_of(&self, epoch: u64) -> NodeId {
        let count = self.config.succession.len() as u64;
        let turn = epoch.saturating_sub(1) % count.max(1);
        self.config.succession[turn as usize]
    }

    /// Who is master, as far as this process knows.
    pub(super) fn master(&self) -> NodeId {
        self.master_of(self.epoch)
    }

    /// Whether this replica is the one that orders.
    pub(super) fn is_master(&self) -> bool {
        self.role == Role::Replica && self.config.is_ordered() && self.master() == self.me
    }

    /// Says that it is alive, and will again.
    pub(super) fn say_alive(&mut self, fx: &mut Effects<Strategies>) {
        if !self.config.failover || self.role == Role::Proxy {
            return;
        }
        let after = self.config.heartbeat;
        fx.set_timer(Timer::Alive, after..after);
        if self.role == Role::Joining {
            return self.ask_for_everything(fx);
        }
        let (epoch, number) = (self.epoch, self.number);
        for &to in self.config.succession.iter().chain(&self.config.proxy) {
            if to != self.me {
                // Early: that it runs is true, whatever its disk has.
                fx.send_early(to, Message::Alive { epoch, number });
            }
        }
    }

    /// From now on a replica must not be silent for long.
    pub(super) fn listen_to(&self, peer: NodeId, fx: &mut Effects<Strategies>) {
        if self.config.failover && peer != self.me && self.config.succession.contains(&peer) {
            let after = self.config.silence();
            fx.set_timer(Timer::Silence(peer), after..after);
        }
    }

    /// A replica is alive.
    pub(super) fn on_alive(
        &mut self,
        from: NodeId,
        epoch: u64,
        number: u64,
        fx: &mut Effects<Strategies>,
    ) {
        self.listen_to(from, fx);
        match self.role {
            Role::Joining => return,
            Role::Proxy => return self.proxy_heard(from, epoch, number, fx),
            Role::Replica => {}
        }
        if !self.config.is_ordered() {
            self.alive.insert(from);
            return;
        }
        if epoch < self.epoch {
            let epoch = self.epoch;
            return fx.send(from, Message::Deposed { epoch });
        }
        if epoch > self.epoch {
            if from == self.master_of(epoch) {
                self.join(epoch, fx); // It took over without telling this one, which it thinks is gone.
            }
            return;
        }
        self.alive.insert(from);
        // Nobody counts on what may not be on its disk yet.
        if !self.config.log {
            self.on_have(from, epoch, number, fx);
        }
    }

    fn proxy_heard(&mut self, from: NodeId, epoch: u64, number: u64, fx: &mut Effects<Strategies>) {
        self.alive.insert(from);
        self.number = self.number.max(number);
        if epoch > self.epoch {
            self.epoch = epoch;
            self.begin_again(fx);
        }
    }

    /// A replica has been silent for too long: it is down, if the bounds hold.
    pub(super) fn on_silence(&mut self, peer: NodeId, fx: &mut Effects<Strategies>) {
        self.alive.remove(&peer);
        match self.role {
            Role::Joining => {}
            // Whoever was asked cannot answer. If it was the master, another will say so.
            Role::Proxy => self.begin_again(fx),
            Role::Replica => {
                self.take_back(peer, fx);
                self.maybe_take_over(fx);
                self.settle(fx);
            }
        }
    }

    /// The first replica that is up takes over from a master that is not.
    pub(super) fn maybe_take_over(&mut self, fx: &mut Effects<Strategies>) {
        if !self.config.is_ordered() || self.alive.contains(&self.master()) {
            return;
        }
        let mut succession = self.config.succession.iter();
        if succession.find(|id| self.alive.contains(id)) != Some(&self.me) {
            return;
        }
        let next = (self.epoch + 1..).find(|&epoch| self.master_of(epoch) == self.me);
        self.epoch = next.unwrap_or(self.epoch);
        self.lock = super::Lock::default();
        self.unacknowledged.clear();
        self.known.retain(|id, _| *id == self.me);
        let epoch = self.epoch;
        fx.output(Output::Leads { epoch });
        let others = self.alive.iter().copied().filter(|id| *id != self.me);
        for to in others.collect::<alloc::vec::Vec<_>>() {
            self.tell_everything(to, fx);
        }
        if let Some(proxy) = self.config.proxy {
            let number = self.number;
            fx.send(proxy, Message::Alive { epoch, number });
        }
        if self.config.resends > 0 {
            self.attempts = 0;
            let after = self.config.delay * 2 + core::time::Duration::from_millis(1);
            fx.set_timer(Timer::Resend, after..after);
        }
        self.begin_again(fx);
    }
}
