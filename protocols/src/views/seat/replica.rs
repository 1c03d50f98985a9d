//! A server's copy of the replicated service: what its replicas agree on, one after the other.

use core::marker::PhantomData;
use core::mem;

use alloc::vec::Vec;

use quorate_core::{Checkpoint, Effects, NodeId, Output, Payload, Reader, Wire};
use quorate_problems::total_order::{self, Request};

use super::super::config::Replicator;
use super::super::message::{Record, Timer};
use super::super::{Command, Views};
use super::{Body, Host, Seat, Wrapped};
use crate::embed::Step;

/// After how many commands a replicated service writes its state down and drops its log.
const COMPACT_EVERY: u64 = 16;

impl<M: Replicator> Seat<M> {
    /// A state arrived, which the replicated service may want now or later.
    pub(super) fn stage<P: Host<M>>(
        &mut self,
        checkpoint: Checkpoint,
        views: Views,
        fx: &mut Effects<P>,
    ) {
        /// More than are ever between arrival and installation.
        const STAGED_MAX: usize = 8;
        let position = self.checkpoint.position;
        self.staged.retain(|staged| staged.0.position > position);
        let known = self.staged.iter().any(|staged| staged.0 == checkpoint);
        if checkpoint.position > position && !known {
            if self.staged.len() == STAGED_MAX {
                self.staged.remove(0);
            }
            self.staged.push((checkpoint, views.clone()));
            fx.persist(P::record(Record::Staged { checkpoint, views }));
        }
    }

    /// Lets the replicated service take a step, and sees to what comes of it.
    pub(super) fn drive<P: Host<M>>(
        &mut self,
        fx: &mut Effects<P>,
        step: impl FnOnce(&mut M, &mut Effects<M>),
    ) {
        let Body::Replicated { child, .. } = &mut self.body else {
            return;
        };
        let lift = Wrapped::<P> {
            checkpoint: self.checkpoint,
            views: &self.views,
            host: PhantomData,
        };
        let step = child.step(fx, &lift, step);
        self.attend(step, fx);
    }

    pub(super) fn attend<P: Host<M>>(&mut self, step: Step, fx: &mut Effects<P>) {
        let Body::Replicated { child, .. } = &mut self.body else {
            return;
        };
        let outputs: Vec<Output<M>> = child.take_outputs().collect();
        for output in outputs {
            self.on_output(output, fx);
        }
        if step == Step::Mended {
            self.mended = true;
            self.restate(fx);
        }
        if self.checkpoint.position >= self.written + COMPACT_EVERY {
            // In one frame with the state, so whatever the service drops is in the state.
            self.write_state(fx);
            let checkpoint = self.checkpoint;
            self.drive(fx, |child, fx| {
                child.on_request(Request::Compact(checkpoint), fx);
            });
        }
    }

    fn on_output<P: Host<M>>(&mut self, output: Output<M>, fx: &mut Effects<P>) {
        match output {
            total_order::Output::Deliver {
                position,
                epoch,
                payload,
            } => {
                self.checkpoint = Checkpoint { position, epoch };
                self.on_command(&payload);
            }
            total_order::Output::Install(checkpoint) => self.install(checkpoint, fx),
            total_order::Output::Lead { leader, .. } => self.on_lead(leader, fx),
            // The service's members are in force, and before it was asked for them, all that was acknowledged
            // was at voters among them. So the copies' members are, too.
            total_order::Output::Members(members) => {
                self.in_force = members.version;
                fx.output(total_order::Output::Members(members));
            }
            total_order::Output::ReadReady { .. } => {} // Nobody reads.
        }
    }

    /// The replicas of the service have agreed on a command.
    fn on_command(&mut self, payload: &Payload) {
        let block = alloc::sync::Arc::new(payload.as_bytes().to_vec());
        if let Ok(command) = Command::decode(&mut Reader::new(&block)) {
            self.views.apply(&command, self.trusts());
            self.proposed = None;
            self.follow_servers();
        }
    }

    /// The staged state takes the place of this one.
    fn install<P: Host<M>>(&mut self, checkpoint: Checkpoint, fx: &mut Effects<P>) {
        let found = self.staged.iter().find(|staged| staged.0 == checkpoint);
        let (_, views) = found.expect("what is installed has arrived before");
        self.views = views.clone();
        self.checkpoint = checkpoint;
        self.follow_servers();
        self.write_state(fx);
    }

    /// Somebody leads the replicas of the service, or nobody does.
    fn on_lead<P: Host<M>>(&mut self, now: Option<NodeId>, fx: &mut Effects<P>) {
        let me = self.me;
        let Body::Replicated { leader, .. } = &mut self.body else {
            return;
        };
        let before = mem::replace(leader, now);
        if now == Some(me) && self.detector.is_none() {
            self.preside(before.filter(|&id| id != me), fx);
        } else if now != Some(me) && self.detector.is_some() {
            self.detector = None;
            fx.stop_timer(P::timer(Timer::Tick));
        }
        if now.is_some() && now != before {
            self.ping(fx);
        }
    }
}
