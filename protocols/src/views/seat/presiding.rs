//! What a server does that answers for the service: it listens, counts ticks, and decides.

use alloc::vec::Vec;

use quorate_core::{Effects, NodeId, Payload, Wire};
use quorate_problems::total_order::Request;

use super::super::Command;
use super::super::config::{Careless, Replicator};
use super::super::detector::Detector;
use super::super::message::{Message, Report, Timer};
use super::{Body, Host, Seat};

/// For how many ticks the service waits for what it proposed before it proposes again.
const PROPOSAL_TICKS: u32 = 3;

impl<M: Replicator> Seat<M> {
    /// A server is there.
    pub(super) fn on_ping<P: Host<M>>(
        &mut self,
        from: NodeId,
        report: Report,
        fx: &mut Effects<P>,
    ) {
        if let Some(detector) = &mut self.detector {
            let knows = report.changes;
            detector.on_ping(from, report);
            let changes = self.views.changes();
            self.propose(fx);
            if knows == self.views.changes() {
                // Held, like all that is said of the present view.
                fx.send(from, P::message(Message::Unchanged { changes }));
            } else if changes == self.views.changes() {
                // If a lone service decided just now, it has told everybody.
                self.tell(from, fx);
            }
        }
    }

    /// Tells a server the present view.
    fn tell<P: Host<M>>(&self, to: NodeId, fx: &mut Effects<P>) {
        let known = self.knowledge(to);
        // Held: a lone service must not announce what it could forget.
        fx.send(to, P::message(Message::Current(known)));
    }

    /// This server answers for the service from now on.
    pub(super) fn preside<P: Host<M>>(&mut self, suspected: Option<NodeId>, fx: &mut Effects<P>) {
        self.detector = Some(Detector::new(&self.config, &self.views, suspected));
        self.proposed = None;
        let tick = self.config.ping;
        fx.set_timer(P::timer(Timer::Tick), tick..tick);
    }

    pub(super) fn on_tick<P: Host<M>>(&mut self, fx: &mut Effects<P>) {
        if let Some(detector) = &mut self.detector {
            detector.tick(&self.views);
            self.proposed = match self.proposed {
                Some(ticks) if ticks < PROPOSAL_TICKS => Some(ticks + 1),
                _ => None,
            };
            let tick = self.config.ping;
            fx.set_timer(P::timer(Timer::Tick), tick..tick);
            self.propose(fx);
            self.call(fx);
            self.guide(fx);
        }
    }

    /// Tells those the present view who are not heard of: who is new does not know whom to ask.
    fn call<P: Host<M>>(&self, fx: &mut Effects<P>) {
        if let Some(detector) = self.detector.as_ref().filter(|_| !self.is_alone()) {
            for server in detector.silent().filter(|&id| id != self.me) {
                self.tell(server, fx);
            }
        }
    }

    /// Once what is acknowledged depends on nobody else any more, the newest servers replicate the
    /// service, too. The copies go first: the service can always name views, whoever keeps it, but nobody
    /// who is told that they are not needed any more may be needed still.
    fn guide<P: Host<M>>(&mut self, fx: &mut Effects<P>) {
        let wanted = self.views.servers();
        if self.views.is_settled() && wanted.version > self.in_force {
            let wanted = wanted.clone();
            self.drive(fx, |child, fx| {
                child.on_request(Request::Reconfigure(wanted), fx);
            });
        }
    }

    fn is_alone(&self) -> bool {
        matches!(self.body, Body::Alone)
    }

    /// Decides what should happen, and sees to it.
    fn propose<P: Host<M>>(&mut self, fx: &mut Effects<P>) {
        let detector = self.detector.as_ref().filter(|_| self.proposed.is_none());
        let command = detector.and_then(|detector| detector.decide(&self.views, &self.config));
        let Some(command) = command else {
            return;
        };
        match &self.body {
            Body::Alone => self.decide(&command, fx),
            Body::Replicated { .. } => {
                self.proposed = Some(0);
                let mut bytes = Vec::new();
                command.encode(&mut bytes);
                // Logs and links have checksums of their own, so this needs none.
                let payload = Payload::from_vec(bytes, 0);
                self.drive(fx, |child, fx| {
                    child.on_request(Request::Broadcast(payload), fx);
                });
            }
            Body::Gone | Body::Elsewhere { .. } => {}
        }
    }

    /// The lone service has decided, and announces it.
    pub(super) fn decide<P: Host<M>>(&mut self, command: &Command, fx: &mut Effects<P>) {
        if self.views.apply(command, self.trusts()) {
            self.write_state(fx);
            self.follow_servers();
            for &server in &self.config.servers {
                self.tell(server, fx);
            }
        }
    }

    pub(super) fn trusts(&self) -> bool {
        match self.config.careless {
            Some(Careless::Hasty | Careless::StartsOver) => true,
            Some(Careless::Forgetful) | None => false,
        }
    }

    /// There may be other servers to listen to.
    pub(super) fn follow_servers(&mut self) {
        if let Some(detector) = &mut self.detector {
            detector.follow(&self.config, &self.views);
        }
    }
}
