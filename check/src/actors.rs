//! Models of actors: processes that do nothing but take notice of messages, and send some.
//!
//! The same few actors meet the same few messages in a great many states. So what an actor does is
//! asked once for each of its own states and each message; after that a step is looked up, its fingerprint
//! is the one before plus a difference that is known too, and a state is a list of numbers.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;

use crate::fingerprint::{combine, fingerprint};
use crate::model::{Foreseen, Model, Packing, Property};
use crate::parts::{Memo, Parts, Rows};

/// A system of actors.
///
/// Mail stays under way until it is delivered, in any order. That of which nobody takes notice is as
/// good as not delivered.
pub trait Actors: Sync + Sized {
    /// The state of one actor.
    type Actor: Clone + Hash + Send + Sync;
    /// What they say.
    type Message: Clone + Debug + Hash + Send + Sync;
    /// What somebody outside remembers of a run.
    type History: Clone + Hash + Send + Sync;

    /// Where it starts.
    fn begin(&self) -> Begin<Self>;

    /// A message arrives at an actor. Whether it took notice, in its state or by an answer.
    fn on_message(
        &self,
        actor: &mut Self::Actor,
        envelope: &Envelope<Self::Message>,
        sent: &mut Vec<Envelope<Self::Message>>,
    ) -> bool;

    /// Whether the history is told of the arrival of such a message.
    fn is_recorded(&self, envelope: &Envelope<Self::Message>) -> bool;

    /// The history is told that a message arrived, and what was sent because of it.
    fn record(
        &self,
        history: &mut Self::History,
        envelope: &Envelope<Self::Message>,
        sent: &[Envelope<Self::Message>],
    );

    /// Whether a history is as it should be; asked once for each.
    fn admits(&self, history: &Self::History) -> bool;

    /// What must be true.
    fn properties(&self) -> Vec<Property<ActorModel<Self>>>;
}

/// How a system of actors starts.
pub struct Begin<A: Actors> {
    /// The actors, by whose places they are named.
    pub actors: Vec<A::Actor>,
    /// What is remembered.
    pub history: A::History,
    /// Mail under way.
    pub mail: Vec<Envelope<A::Message>>,
}

/// A message under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Envelope<M> {
    /// Who sent it.
    pub from: usize,
    /// Who will receive it.
    pub to: usize,
    /// What it says.
    pub message: M,
}

/// The model of a system of actors.
pub struct ActorModel<A: Actors> {
    system: A,
    /// How many actors there are.
    count: usize,
    actors: Parts<Printed<A::Actor>>,
    histories: Parts<Printed<History<A::History>>>,
    mail: Parts<Printed<Envelope<A::Message>>>,
    /// What comes of an actor and a message.
    effects: Memo<(u32, u32), Option<u32>>,
    known_effects: Rows<Effect>,
    /// What comes of a history and such an effect, and how much that adds to the fingerprint.
    records: Memo<(u32, u32), (u32, u64)>,
}

/// A state: the numbers of the actors, of the history and of the mail under way.
#[derive(Debug)]
pub struct ActorState<A> {
    /// The sum of the parts' fingerprints.
    print: u64,
    parts: Vec<u32>,
    system: PhantomData<fn() -> A>,
}

/// A part with its fingerprint.
struct Printed<T> {
    print: u64,
    value: T,
}

struct History<H> {
    history: H,
    /// Whether it is as it should be.
    is_admitted: bool,
}

/// What comes of a message.
struct Effect {
    /// The actor then.
    actor: u32,
    sent: Vec<u32>,
    /// How much the fingerprint of the state grows, history aside.
    difference: u64,
    /// The message, if the history is told of it.
    recorded: Option<u32>,
}

impl<A: Actors> ActorModel<A> {
    /// The model of this system.
    pub fn new(system: A) -> ActorModel<A> {
        ActorModel {
            count: system.begin().actors.len(),
            system,
            actors: Parts::default(),
            histories: Parts::default(),
            mail: Parts::default(),
            effects: Memo::default(),
            known_effects: Rows::default(),
            records: Memo::default(),
        }
    }

    /// The system.
    pub fn system(&self) -> &A {
        &self.system
    }

    /// The actors in a state.
    pub fn actors(&self, state: &ActorState<A>) -> impl Iterator<Item = &A::Actor> {
        let numbers = state.parts[..self.count].iter();
        numbers.map(|&number| &self.actors.get(number).value)
    }

    /// The mail under way in a state.
    pub fn mail(&self, state: &ActorState<A>) -> impl Iterator<Item = &Envelope<A::Message>> {
        let numbers = state.parts[self.count + 1..].iter();
        numbers.map(|&number| &self.mail.get(number).value)
    }

    /// What is remembered in a state.
    pub fn history(&self, state: &ActorState<A>) -> &A::History {
        &self.histories.get(state.parts[self.count]).value.history
    }

    /// Whether what is remembered in a state is as it should be.
    pub fn is_admitted(&self, state: &ActorState<A>) -> bool {
        self.histories
            .get(state.parts[self.count])
            .value
            .is_admitted
    }

    fn number_of_actor(&self, at: usize, actor: A::Actor) -> (u32, u64) {
        let print = combine(at as u64, fingerprint(&actor));
        let value = actor;
        (
            self.actors.number(print, || Printed { print, value }),
            print,
        )
    }

    fn number_of_mail(&self, envelope: Envelope<A::Message>) -> (u32, u64) {
        let print = fingerprint(&envelope);
        let value = envelope;
        (self.mail.number(print, || Printed { print, value }), print)
    }

    fn number_of_history(&self, history: A::History) -> (u32, u64) {
        let print = combine(u64::MAX, fingerprint(&history));
        let number = self.histories.number(print, || {
            let is_admitted = self.system.admits(&history);
            let value = History {
                history,
                is_admitted,
            };
            Printed { print, value }
        });
        (number, print)
    }

    /// The number of what comes of delivering mail, if anybody takes notice.
    #[inline]
    fn effect(&self, state: &ActorState<A>, mail: u32) -> Option<u32> {
        let to = self.mail.get(mail).value.to;
        let actor = state.parts[to];
        self.effects.recall((actor, mail), || {
            let effect = self.compute(to, actor, mail)?;
            Some(self.known_effects.push(effect))
        })
    }

    /// The fingerprint of a state of these parts.
    fn sum(&self, parts: &[u32]) -> u64 {
        let (actors, rest) = parts.split_at(self.count);
        let (history, mail) = rest.split_first().expect("there is a history");
        let actors = actors.iter().map(|&actor| self.actors.get(actor).print);
        let mail = mail.iter().map(|&mail| self.mail.get(mail).print);
        let history = self.histories.get(*history).print;
        actors.chain(mail).fold(history, u64::wrapping_add)
    }

    fn compute(&self, to: usize, actor: u32, mail: u32) -> Option<Effect> {
        let (before, delivered) = (self.actors.get(actor), self.mail.get(mail));
        let mut after = before.value.clone();
        let mut sent = Vec::new();
        if !self
            .system
            .on_message(&mut after, &delivered.value, &mut sent)
        {
            return None;
        }
        let recorded = self.system.is_recorded(&delivered.value);
        let (actor, print) = self.number_of_actor(to, after);
        let mut difference = print
            .wrapping_sub(before.print)
            .wrapping_sub(delivered.print);
        let sent = sent.into_iter().map(|envelope| {
            let (number, print) = self.number_of_mail(envelope);
            difference = difference.wrapping_add(print);
            number
        });
        Some(Effect {
            actor,
            sent: sent.collect(),
            difference,
            recorded: recorded.then_some(mail),
        })
    }

    /// The history after an effect, and how much that adds to the fingerprint.
    #[inline]
    fn recorded(&self, history: u32, effect: u32) -> (u32, u64) {
        let Some(mail) = self.known_effects.get(effect).recorded else {
            return (history, 0);
        };
        self.records.recall((history, effect), || {
            let before = self.histories.get(history);
            let mut after = before.value.history.clone();
            let sent = self.known_effects.get(effect).sent.iter();
            let sent: Vec<_> = sent
                .map(|&sent| self.mail.get(sent).value.clone())
                .collect();
            let delivered = &self.mail.get(mail).value;
            self.system.record(&mut after, delivered, &sent);
            let (number, print) = self.number_of_history(after);
            (number, print.wrapping_sub(before.print))
        })
    }
}

impl<A> ActorState<A> {
    /// Adds mail. Its order is that of the fingerprints, so that actions have an order that does not
    /// depend on who numbered what first.
    fn send(&mut self, mail: u32, count: usize, print: impl Fn(u32) -> u64) {
        let print_of_new = print(mail);
        let under_way = &self.parts[count + 1..];
        let at = under_way.partition_point(|&other| print(other) < print_of_new);
        self.parts.insert(count + 1 + at, mail);
    }
}

impl<A: Actors> Model for ActorModel<A> {
    type State = ActorState<A>;
    /// The place of the message that is delivered.
    type Action = usize;

    fn initial(&self) -> Vec<ActorState<A>> {
        let begin = self.system.begin();
        let mut state = ActorState {
            print: 0,
            parts: Vec::new(),
            system: PhantomData,
        };
        let mut print = 0u64;
        let actors = begin.actors.into_iter().enumerate();
        let actors = actors.map(|(at, actor)| self.number_of_actor(at, actor));
        for (number, part) in actors.chain([self.number_of_history(begin.history)]) {
            state.parts.push(number);
            print = print.wrapping_add(part);
        }
        for envelope in begin.mail {
            let (number, part) = self.number_of_mail(envelope);
            state.send(number, self.count, |mail| self.mail.get(mail).print);
            print = print.wrapping_add(part);
        }
        state.print = print;
        vec![state]
    }

    fn actions(&self, state: &ActorState<A>, actions: &mut Vec<usize>) {
        let mut last = None;
        for (at, &mail) in state.parts.iter().enumerate().skip(self.count + 1) {
            // Of messages that read the same, one is as good as the other.
            if last.replace(mail) != Some(mail) {
                actions.push(at);
            }
        }
    }

    fn apply(&self, state: &mut ActorState<A>, action: &usize, _: &mut Vec<usize>) -> bool {
        let mail = state.parts[*action];
        let Some(number) = self.effect(state, mail) else {
            return false;
        };
        let effect = self.known_effects.get(number);
        let (history, difference) = self.recorded(state.parts[self.count], number);
        state.parts.remove(*action);
        state.parts[self.mail.get(mail).value.to] = effect.actor;
        state.parts[self.count] = history;
        for &sent in &effect.sent {
            state.send(sent, self.count, |mail| self.mail.get(mail).print);
        }
        let difference = difference.wrapping_add(effect.difference);
        state.print = state.print.wrapping_add(difference);
        true
    }

    fn fingerprint(&self, state: &ActorState<A>) -> u64 {
        state.print
    }

    fn foresee(&self, state: &ActorState<A>, print: u64, action: &usize) -> Foreseen {
        let Some(number) = self.effect(state, state.parts[*action]) else {
            return Foreseen::Nothing;
        };
        let effect = self.known_effects.get(number);
        let (_, difference) = self.recorded(state.parts[self.count], number);
        let difference = difference.wrapping_add(effect.difference);
        Foreseen::Print(print.wrapping_add(difference))
    }

    fn packing(&self) -> Option<Packing<Self>> {
        Some(Packing {
            pack: |_, state, bytes| {
                bytes.extend(state.parts.iter().flat_map(|part| part.to_le_bytes()));
            },
            unpack: |model, bytes| {
                let numbers = bytes.chunks_exact(size_of::<u32>());
                let numbers = numbers.map(|number| number.try_into().expect("four bytes"));
                let parts: Vec<u32> = numbers.map(u32::from_le_bytes).collect();
                ActorState {
                    print: model.sum(&parts),
                    parts,
                    system: PhantomData,
                }
            },
        })
    }

    fn properties(&self) -> Vec<Property<ActorModel<A>>> {
        self.system.properties()
    }

    fn describe(&self, state: &ActorState<A>, action: &usize) -> String {
        let envelope = &self.mail.get(state.parts[*action]).value;
        let Envelope { from, to, message } = envelope;
        format!("{from} to {to}: {message:?}")
    }
}

// Derived instances would ask the same of `A`.
impl<A> Clone for ActorState<A> {
    fn clone(&self) -> ActorState<A> {
        ActorState {
            print: self.print,
            parts: self.parts.clone(),
            system: PhantomData,
        }
    }

    /// Into memory that is there.
    fn clone_from(&mut self, source: &ActorState<A>) {
        self.print = source.print;
        self.parts.clone_from(&source.parts);
    }
}
