//! What happens inside one machine. It depends on nothing but the machine and on what happens to it,
//! and the same few machines meet the same few messages in a great many worlds: so it is computed
//! once and remembered.

use std::sync::Arc;

use quorate_core::{
    Boot, Checkpoint, Choice, Instant, Output, Protocol, Reader, Request, Survival, Wire,
};
use quorate_node::{Frames, Input, Node};

use super::prints::Prints;
use super::state::{Letter, Machine};
use super::{Checkable, World, name};
use crate::fingerprint::{combine, fingerprint};
use crate::panics::catch;

/// Time stands still: timers run out when the explorer says so.
const NOW: Instant = Instant(0);

/// What can happen to a machine.
pub(super) enum Stimulus<'a, P: Protocol> {
    Deliver(&'a Letter),
    Fire(P::Timer),
    Request(Request<P>),
    Sync,
    Crash { keep: usize },
    Restart { checkpoint: Checkpoint },
}

/// What comes of it.
pub(super) struct Outcome<P: Checkable> {
    /// The number of the machine then.
    pub(super) machine: u32,
    /// The numbers of the mail that it sent.
    pub(super) letters: Vec<u32>,
    pub(super) outputs: Vec<Output<P>>,
    /// How many ways there were to go on, wherever there was a choice.
    pub(super) asked: Vec<u32>,
    pub(super) failure: Option<Arc<str>>,
}

/// What a machine is given besides what happens to it.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// Which machine it is.
    pub(super) at: usize,
    /// The newest application state that it could send to others.
    pub(super) newest: Checkpoint,
    /// How choices fall; the first way where there are no more answers.
    pub(super) answers: &'a [u32],
}

impl<P: Checkable> Stimulus<'_, P> {
    fn fingerprint(&self) -> u64 {
        match self {
            Stimulus::Deliver(letter) => combine(1, letter.prints[0]),
            Stimulus::Fire(timer) => combine(2, fingerprint(timer)),
            Stimulus::Request(request) => combine(3, fingerprint(&format!("{request:?}"))),
            Stimulus::Sync => 4,
            Stimulus::Crash { keep } => combine(5, *keep as u64),
            Stimulus::Restart { checkpoint } => combine(6, fingerprint(checkpoint)),
        }
    }
}

impl<P: Checkable> World<P> {
    /// What comes of it, computed now or before, with its number.
    pub(super) fn local(
        &self,
        machine: &Machine<P>,
        stimulus: &Stimulus<'_, P>,
        given: Given<'_>,
    ) -> (u32, &Outcome<P>) {
        let about = fingerprint(&(given.at, given.newest, given.answers));
        let key = combine(machine.prints[0], combine(stimulus.fingerprint(), about));
        let outcomes = &self.known.outcomes;
        let number = outcomes.number(key, || self.compute(machine, stimulus, given));
        (number, outcomes.get(number))
    }

    /// Lets it happen. A panic of the protocol is a violation like any other.
    fn compute(
        &self,
        machine: &Machine<P>,
        stimulus: &Stimulus<'_, P>,
        given: Given<'_>,
    ) -> Outcome<P> {
        /// Tells a machine whose protocol panicked from what it was.
        const PANICKED: u64 = 0x5bd1_e995;
        let outcome = catch(|| self.step(machine, stimulus, given));
        outcome.unwrap_or_else(|reason| {
            let prints = machine.prints.iter();
            let machine = Machine {
                node: None,
                disk: machine.disk.clone(),
                incarnation: machine.incarnation,
                timers: Vec::new(),
                prints: prints.map(|&print| combine(print, PANICKED)).collect(),
            };
            let reason = format!("{} panicked: {reason}", self.members[given.at]);
            Outcome {
                machine: self.number_of_machine(machine),
                letters: Vec::new(),
                outputs: Vec::new(),
                asked: Vec::new(),
                failure: Some(reason.into()),
            }
        })
    }

    fn step(
        &self,
        machine: &Machine<P>,
        stimulus: &Stimulus<'_, P>,
        given: Given<'_>,
    ) -> Outcome<P> {
        let mut next = Machine {
            node: machine.node.clone(),
            disk: machine.disk.clone(),
            incarnation: machine.incarnation,
            timers: Vec::new(),
            prints: Prints::default(),
        };
        let dictated = Choice::Dictated {
            answers: given.answers.iter().rev().copied().collect(),
            asked: Vec::new(),
        };
        self.stimulate(&mut next, stimulus, given.at, dictated);
        let (mut letters, mut outputs, mut choices) = (Vec::new(), Vec::new(), Vec::new());
        let mut failure = None;
        if let Some(node) = &mut next.node {
            let mut frames = Frames::default();
            node.take_frames(&mut frames);
            next.disk.write(&frames);
            let mail: Vec<_> = node.take_mail().collect();
            outputs = node.take_outputs().collect();
            node.protocol().invariants();
            let idle = Choice::Dictated {
                answers: Vec::new(),
                asked: Vec::new(),
            };
            if let Choice::Dictated { asked, .. } = std::mem::replace(node.choice(), idle) {
                choices = asked;
            }
            next.timers = Machine::timers_of(self, node);
            for letter in mail {
                match self.post(letter.to, letter.message, given) {
                    Ok(letter) => letters.extend(letter.map(|l| self.number_of_letter(l))),
                    Err(reason) => failure = Some(reason.into()),
                }
            }
        }
        Outcome {
            machine: self.number_of_machine(self.printed_machine(given.at, next)),
            letters,
            outputs,
            asked: choices,
            failure,
        }
    }

    fn stimulate(
        &self,
        machine: &mut Machine<P>,
        stimulus: &Stimulus<'_, P>,
        at: usize,
        choice: Choice,
    ) {
        match (stimulus, &mut machine.node) {
            (Stimulus::Deliver(letter), Some(node)) => {
                *node.choice() = choice;
                let from = self.members[letter.from];
                node.step(Input::Message(from, decode::<P>(letter)), NOW);
            }
            (Stimulus::Fire(timer), Some(node)) => {
                *node.choice() = choice;
                node.fire(*timer, NOW);
            }
            (Stimulus::Request(request), Some(node)) => {
                *node.choice() = choice;
                node.step(Input::Request(request.clone()), NOW);
            }
            (Stimulus::Sync, Some(node)) => {
                *node.choice() = choice;
                node.synced(machine.disk.sync(1), NOW);
            }
            (Stimulus::Crash { keep }, _) => {
                machine.node = None;
                machine.disk.crash(*keep);
            }
            (Stimulus::Restart { checkpoint }, _) => {
                machine.incarnation += 1;
                let survival = match machine.disk.is_fresh() {
                    true => Survival::Fresh,
                    false => Survival::Intact,
                };
                let boot = Boot {
                    me: self.members[at],
                    incarnation: machine.incarnation,
                    survival,
                    records: Box::new(machine.disk.records().into_iter()),
                    checkpoint: *checkpoint,
                };
                let durable = machine.disk.durable();
                machine.node = Some(Node::open(&self.config, boot, durable, choice, NOW));
            }
            (
                Stimulus::Deliver(_) | Stimulus::Fire(_) | Stimulus::Request(_) | Stimulus::Sync,
                None,
            ) => unreachable!("nothing happens to a machine that is down"),
        }
    }

    /// Mail on its way; none if there is no such receiver.
    fn post(
        &self,
        to: quorate_core::NodeId,
        mut message: P::Message,
        given: Given<'_>,
    ) -> Result<Option<Letter>, String> {
        let mut attached = None;
        if let Some(asked) = P::attachment(&mut message) {
            let newest = given.newest;
            if newest.position < asked.position {
                return Err(format!(
                    "{} sends a state through {asked:?} but has {newest:?}",
                    self.members[given.at]
                ));
            }
            *asked = newest;
            attached = Some(newest);
        }
        let Ok(to) = self.members.binary_search(&to) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let letter = Letter {
            from: given.at,
            to,
            kind: name(&message),
            bytes: Arc::new(bytes),
            attached,
            prints: Prints::default(),
        };
        Ok(Some(self.printed_letter(letter, &message)))
    }
}

fn decode<P: Protocol>(letter: &Letter) -> P::Message {
    let mut reader = Reader::new(&letter.bytes);
    let message = P::Message::decode(&mut reader).expect("what was encoded can be decoded");
    reader.finish().expect("all that was encoded was decoded");
    message
}
