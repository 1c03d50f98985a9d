//! One step of a replica, and all that it asks for.

use std::fmt::Write as _;
use std::sync::Arc;

use quorate_core::{NodeId, Output, Protocol, Reader, Wire};
use quorate_node::{Frames, Input, Node};

use super::{Flying, Machine, Outcome, World, choice, name};
use crate::Workload;
use crate::panics::catch;
use crate::trace::{Loss, MailId, What};

impl<P: Protocol> World<P>
where
    P::Problem: Workload,
{
    /// A promise is broken.
    pub(super) fn broken(&mut self, text: String) -> Outcome {
        self.note(|| What::Violated { text: text.clone() });
        Err(text)
    }

    /// A replica panicked, and is gone.
    pub(super) fn panicked(&mut self, id: NodeId, text: &str) -> Outcome {
        self.machine(id).replica = None;
        self.broken(format!("panic: {id}: {text}"))
    }

    /// Lets a replica do something, if it is up, and carries out what it asks for.
    pub(super) fn act(&mut self, id: NodeId, step: impl FnOnce(&mut Node<P>)) -> Outcome {
        let mut dictated = self.dictated.take();
        let Some(replica) = &mut self.machine(id).replica else {
            return Ok(());
        };
        let stepped = catch(|| {
            let seeded = choice::dictate(&mut dictated, replica.choice());
            step(replica);
            choice::restore(&mut dictated, replica.choice(), seeded);
        });
        self.dictated = dictated;
        match stepped {
            Ok(()) => self.collect(id),
            Err(text) => self.panicked(id, &text),
        }
    }

    /// Carries out what a replica asks for, if it is up, and looks whether all is well.
    pub(super) fn collect(&mut self, id: NodeId) -> Outcome {
        let machine = self.machines.get_mut(&id).expect("drivers name members");
        let Some(replica) = &mut machine.replica else {
            return Ok(());
        };
        self.steps += 1;
        if let Err(text) = catch(|| replica.protocol().invariants()) {
            return self.panicked(id, &text);
        }
        match self.carry_out(id).and_then(|()| self.check()) {
            Ok(()) => Ok(()),
            Err(text) => self.broken(text),
        }
    }

    fn carry_out(&mut self, id: NodeId) -> Outcome {
        let machine = self.machines.get_mut(&id).expect("drivers name members");
        let Some(replica) = &mut machine.replica else {
            return Ok(());
        };
        let mut frames = Frames::default();
        replica.take_frames(&mut frames);
        let mail: Vec<_> = replica.take_mail().collect();
        let outputs: Vec<_> = replica.take_outputs().collect();
        machine.disk.write(&frames);
        self.digest.number(id.0);
        self.digest.bytes(&frames.bytes);
        self.note_replica(id, frames.written.len());
        for letter in mail {
            self.send(id, letter.to, letter.message)?;
        }
        for output in outputs {
            self.output(id, &output)?;
        }
        Ok(())
    }

    fn output(&mut self, id: NodeId, output: &Output<P>) -> Outcome {
        write!(self.digest, "{output:?}").expect("a hash takes everything");
        self.note(|| What::Output {
            node: id,
            text: format!("{output:?}"),
            decision: P::Problem::is_decision(output),
        });
        let machine = self.machines.get_mut(&id).expect("drivers name members");
        P::Problem::on_output(&mut self.oracle, &mut machine.app, id, output)
    }

    fn send(&mut self, from: NodeId, to: NodeId, mut message: P::Message) -> Outcome {
        let machine = self.machines.get_mut(&from).expect("drivers name members");
        if let Some(asked) = P::attachment(&mut message) {
            let newest = P::Problem::newest(&machine.app);
            if newest.position < asked.position {
                return Err(format!(
                    "{from} sends a state through {asked:?} but has {newest:?}"
                ));
            }
            *asked = newest;
        }
        self.post(from, to, &message);
        Ok(())
    }

    /// Mail that its sender never sent.
    pub fn forge(&mut self, from: NodeId, to: NodeId, message: &P::Message) {
        self.counts.forgeries += 1;
        // The name that the mail is about to be given.
        let mail = MailId(self.next_mail + 1);
        self.note(|| What::Forged { mail });
        self.post(from, to, message);
    }

    /// Puts mail under way, or loses it at once.
    fn post(&mut self, from: NodeId, to: NodeId, message: &P::Message) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.digest.number(to.0);
        self.digest.bytes(&bytes);
        let (id, kind) = (self.name_mail(), name(message));
        self.note(|| What::Sent {
            mail: id,
            from,
            to,
            kind: kind.clone(),
            text: format!("{message:?}"),
        });
        let lost = match (
            self.cuts.contains(&(from, to)),
            self.machines.contains_key(&to),
        ) {
            (true, _) => Some(Loss::Cut),
            (false, false) => Some(Loss::NobodyThere),
            (false, true) => None,
        };
        if let Some(why) = lost {
            self.note(|| What::Lost { mail: id, why });
            return;
        }
        self.flying.push(Flying {
            id,
            from,
            to,
            kind,
            sent: self.now,
            bytes,
        });
    }

    /// Mail reaches its receiver.
    pub(super) fn receive(&mut self, mail: &Flying) -> Outcome {
        let (id, from, to) = (mail.id, mail.from, mail.to);
        if self.machine(to).replica.is_none() {
            let why = Loss::NobodyThere;
            self.note(|| What::Lost { mail: id, why });
            return Ok(());
        }
        self.counts.delivered += 1;
        self.note(|| What::Received { mail: id, node: to });
        let mut message = decode::<P>(mail);
        let machine: &mut Machine<P> = self.machine(to);
        if let Some(checkpoint) = P::attachment(&mut message) {
            P::Problem::stage(&mut machine.app, *checkpoint);
        }
        let now = self.now;
        self.act(to, |replica| {
            replica.step(Input::Message(from, message), now);
        })
    }

    pub(super) fn name_mail(&mut self) -> MailId {
        self.next_mail += 1;
        MailId(self.next_mail)
    }
}

fn decode<P: Protocol>(mail: &Flying) -> P::Message {
    let block = Arc::new(mail.bytes.clone());
    let mut reader = Reader::new(&block);
    let message = P::Message::decode(&mut reader).expect("what was encoded can be decoded");
    reader.finish().expect("all that was encoded was decoded");
    message
}
