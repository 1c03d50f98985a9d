//! What happens inside one machine. It depends on nothing but the machine and on what happens to it,
//! and the same few machines meet the same few messages in a great many worlds: so it is computed
//! once and remembered.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use quorate_core::{
    Boot, Checkpoint, Choice, Instant, Output, Protocol, Reader, Request, Survival, Wire,
};
use quorate_node::{Frames, Input, Node};

use super::prints::Prints;
use super::state::{Letter, Machine};
use super::{Checkable, World, name};
use crate::fingerprint::{Same, combine, fingerprint};
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
    pub(super) machine: Arc<Machine<P>>,
    pub(super) letters: Vec<Arc<Letter>>,
    pub(super) outputs: Vec<Output<P>>,
    /// How many ways there were to go on, wherever there was a choice.
    pub(super) asked: Vec<u32>,
    pub(super) failure: Option<Arc<str>>,
}

/// Everything that one thread has computed.
pub(super) struct Memo<P: Checkable>(HashMap<u64, Arc<Outcome<P>>, BuildHasherDefault<Same>>);

impl<P: Checkable> Default for Memo<P> {
    fn default() -> Memo<P> {
        Memo(HashMap::default())
    }
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
    /// What comes of it, computed now or before.
    pub(super) fn local(
        &self,
        machine: &Machine<P>,
        stimulus: &Stimulus<'_, P>,
        given: Given<'_>,
    ) -> Arc<Outcome<P>> {
        /// More than any world of the size that can be explored needs; a bound all the same.
        const REMEMBERED_MAX: usize = 1 << 18;
        let about = fingerprint(&(given.at, given.newest, given.answers));
        let key = combine(machine.prints[0], combine(stimulus.fingerprint(), about));
        self.with_memo(|memo| {
            if let Some(known) = memo.0.get(&key) {
                return known.clone();
            }
            if memo.0.len() >= REMEMBERED_MAX {
                memo.0.clear();
            }
            let outcome = Arc::new(self.compute(machine, stimulus, given));
            memo.0.insert(key, outcome.clone());
            outcome
        })
    }

    /// Lets it happen. A panic of the protocol is a violation like any other.
    fn compute(
        &self,
        machine: &Machine<P>,
        stimulus: &Stimulus<'_, P>,
        given: Given<'_>,
    ) -> Outcome<P> {
        let outcome = catch(|| self.step(machine, stimulus, given));
        outcome.unwrap_or_else(|reason| Outcome {
            machine: Arc::new(Machine {
                node: None,
                disk: machine.disk.clone(),
                incarnation: machine.incarnation,
                timers: Vec::new(),
                prints: machine.prints.clone(),
            }),
            letters: Vec::new(),
            outputs: Vec::new(),
            asked: Vec::new(),
            failure: Some(format!("{} panicked: {reason}", self.members[given.at]).into()),
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
        let mut outcome = Outcome {
            machine: Arc::new(Machine {
                node: None,
                disk: Default::default(),
                incarnation: 0,
                timers: Vec::new(),
                prints: Prints::default(),
            }),
            letters: Vec::new(),
            outputs: Vec::new(),
            asked: Vec::new(),
            failure: None,
        };
        if let Some(node) = &mut next.node {
            let mut frames = Frames::default();
            node.take_frames(&mut frames);
            next.disk.write(&frames);
            let mail: Vec<_> = node.take_mail().collect();
            outcome.outputs = node.take_outputs().collect();
            node.protocol().invariants();
            let idle = Choice::Dictated {
                answers: Vec::new(),
                asked: Vec::new(),
            };
            if let Choice::Dictated { asked, .. } = std::mem::replace(node.choice(), idle) {
                outcome.asked = asked;
            }
            next.timers = Machine::timers_of(self, node);
            for letter in mail {
                match self.letter(letter.to, letter.message, given) {
                    Ok(letter) => outcome.letters.extend(letter.map(Arc::new)),
                    Err(reason) => outcome.failure = Some(reason.into()),
                }
            }
        }
        outcome.machine = Arc::new(self.printed_machine(given.at, next));
        outcome
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
    fn letter(
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
