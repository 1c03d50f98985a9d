//! Two-phase commit, as abstract as in Gray and Lamport, "Consensus on transaction commit" (2006):
//! messages are a set that only grows, and any of them may be received again and again.
//!
//! The state is the one of the example that comes with the stateright crate, so that both checkers
//! can be compared on it.

use std::collections::BTreeSet;
use std::hash::Hash;

use quorate_check::{Foreseen, Model, Packing, Property, fingerprint};

/// The system with this many participants.
#[derive(Clone, Debug)]
pub(crate) struct TwoPhase {
    pub(crate) participants: usize,
    /// A planted bug: a participant that has prepared may still abort on its own.
    pub(crate) fickle: bool,
}

#[derive(Debug, Eq, Hash, PartialEq)]
pub(crate) struct State {
    pub(crate) participants: Vec<Participant>,
    pub(crate) manager: Manager,
    pub(crate) prepared: Vec<bool>,
    pub(crate) messages: BTreeSet<Message>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Message {
    Prepared { participant: usize },
    Commit,
    Abort,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Participant {
    Working,
    Prepared,
    Committed,
    Aborted,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Manager {
    Init,
    Committed,
    Aborted,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    ManagerPrepared(usize),
    ManagerCommit,
    ManagerAbort,
    Prepare(usize),
    ChooseToAbort(usize),
    Commit(usize),
    Abort(usize),
}

impl Clone for State {
    fn clone(&self) -> State {
        State {
            participants: self.participants.clone(),
            manager: self.manager,
            prepared: self.prepared.clone(),
            messages: self.messages.clone(),
        }
    }

    /// Into memory that is there.
    fn clone_from(&mut self, source: &State) {
        self.participants.clone_from(&source.participants);
        self.manager = source.manager;
        self.prepared.clone_from(&source.prepared);
        self.messages.clone_from(&source.messages);
    }
}

impl TwoPhase {
    pub(crate) fn new(participants: usize) -> TwoPhase {
        TwoPhase {
            participants,
            fickle: false,
        }
    }

    pub(crate) fn start(&self) -> State {
        State {
            participants: vec![Participant::Working; self.participants],
            manager: Manager::Init,
            prepared: vec![false; self.participants],
            messages: BTreeSet::new(),
        }
    }

    pub(crate) fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        let waits = state.manager == Manager::Init;
        if waits && state.prepared.iter().all(|&prepared| prepared) {
            actions.push(Action::ManagerCommit);
        }
        if waits {
            actions.push(Action::ManagerAbort);
        }
        for participant in 0..self.participants {
            let message = Message::Prepared { participant };
            if waits && state.messages.contains(&message) {
                actions.push(Action::ManagerPrepared(participant));
            }
            let role = state.participants[participant];
            if role == Participant::Working {
                actions.push(Action::Prepare(participant));
            }
            if role == Participant::Working || self.fickle && role == Participant::Prepared {
                actions.push(Action::ChooseToAbort(participant));
            }
            if state.messages.contains(&Message::Commit) {
                actions.push(Action::Commit(participant));
            }
            if state.messages.contains(&Message::Abort) {
                actions.push(Action::Abort(participant));
            }
        }
    }

    pub(crate) fn happen(&self, state: &mut State, action: Action) {
        match action {
            Action::ManagerPrepared(participant) => state.prepared[participant] = true,
            Action::ManagerCommit => {
                state.manager = Manager::Committed;
                state.messages.insert(Message::Commit);
            }
            Action::ManagerAbort => {
                state.manager = Manager::Aborted;
                state.messages.insert(Message::Abort);
            }
            Action::Prepare(participant) => {
                state.participants[participant] = Participant::Prepared;
                state.messages.insert(Message::Prepared { participant });
            }
            Action::ChooseToAbort(participant) | Action::Abort(participant) => {
                state.participants[participant] = Participant::Aborted;
            }
            Action::Commit(participant) => {
                state.participants[participant] = Participant::Committed;
            }
        }
    }
}

/// A part of a state. Its fingerprint is the sum of theirs, so that a step, which changes two of them at
/// most, changes only that much of it.
#[derive(Hash)]
enum Part {
    Role(usize, Participant),
    Manager(Manager),
    Prepared(usize),
    Message(Message),
}

fn key(part: Part) -> u64 {
    fingerprint(&part)
}

impl TwoPhase {
    /// The fingerprint of the state that an action leads to.
    fn print_behind(&self, state: &State, print: u64, action: Action) -> u64 {
        let role = |participant: usize, role| {
            let before = key(Part::Role(participant, state.participants[participant]));
            let after = key(Part::Role(participant, role));
            print.wrapping_sub(before).wrapping_add(after)
        };
        let manager = |manager| {
            let before = key(Part::Manager(state.manager));
            let after = key(Part::Manager(manager));
            print.wrapping_sub(before).wrapping_add(after)
        };
        let message = |print: u64, message| match state.messages.contains(&message) {
            true => print,
            false => print.wrapping_add(key(Part::Message(message))),
        };
        match action {
            Action::ManagerPrepared(participant) if state.prepared[participant] => print,
            Action::ManagerPrepared(participant) => {
                print.wrapping_add(key(Part::Prepared(participant)))
            }
            Action::ManagerCommit => message(manager(Manager::Committed), Message::Commit),
            Action::ManagerAbort => message(manager(Manager::Aborted), Message::Abort),
            Action::Prepare(participant) => message(
                role(participant, Participant::Prepared),
                Message::Prepared { participant },
            ),
            Action::ChooseToAbort(participant) | Action::Abort(participant) => {
                role(participant, Participant::Aborted)
            }
            Action::Commit(participant) => role(participant, Participant::Committed),
        }
    }
}

impl State {
    fn parts(&self) -> impl Iterator<Item = Part> {
        let roles = self.participants.iter().enumerate();
        let roles = roles.map(|(participant, &role)| Part::Role(participant, role));
        let prepared = self.prepared.iter().enumerate();
        let prepared = prepared.filter(|(_, prepared)| **prepared);
        let prepared = prepared.map(|(participant, _)| Part::Prepared(participant));
        let messages = self.messages.iter().copied().map(Part::Message);
        let manager = std::iter::once(Part::Manager(self.manager));
        roles.chain(prepared).chain(messages).chain(manager)
    }

    pub(crate) fn all(&self, role: Participant) -> bool {
        self.participants.iter().all(|&other| other == role)
    }

    pub(crate) fn is_consistent(&self) -> bool {
        let has = |role| self.participants.contains(&role);
        !(has(Participant::Aborted) && has(Participant::Committed))
    }
}

impl Model for TwoPhase {
    type State = State;
    type Action = Action;

    fn initial(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn apply(&self, state: &mut State, action: &Action, _: &mut Vec<Action>) -> bool {
        self.happen(state, *action);
        true
    }

    fn fingerprint(&self, state: &State) -> u64 {
        state.parts().map(key).fold(0, u64::wrapping_add)
    }

    fn foresee(&self, state: &State, print: u64, action: &Action) -> Foreseen {
        Foreseen::Print(self.print_behind(state, print, *action))
    }

    fn packing(&self) -> Option<Packing<TwoPhase>> {
        Some(Packing {
            pack: |_, state, bytes| pack(state, bytes),
            unpack: |_, bytes| unpack(bytes),
        })
    }

    fn properties(&self) -> Vec<Property<TwoPhase>> {
        vec![
            Property::sometimes("abort agreement", |_, state: &State| {
                state.all(Participant::Aborted)
            }),
            Property::sometimes("commit agreement", |_, state: &State| {
                state.all(Participant::Committed)
            }),
            Property::always("consistent", |_, state: &State| state.is_consistent()),
        ]
    }
}

// Each state as a few bytes.

fn pack(state: &State, bytes: &mut Vec<u8>) {
    let sent = |message| u8::from(state.messages.contains(&message));
    let manager = state.manager as u8;
    bytes.push(manager | sent(Message::Commit) << 2 | sent(Message::Abort) << 3);
    for (participant, &role) in state.participants.iter().enumerate() {
        let prepared = u8::from(state.prepared[participant]);
        let told = sent(Message::Prepared { participant });
        bytes.push(role as u8 | prepared << 2 | told << 3);
    }
}

fn unpack(packed: &[u8]) -> State {
    const MANAGERS: [Manager; 3] = [Manager::Init, Manager::Committed, Manager::Aborted];
    const ROLES: [Participant; 4] = [
        Participant::Working,
        Participant::Prepared,
        Participant::Committed,
        Participant::Aborted,
    ];
    let mut messages = BTreeSet::new();
    for (bit, message) in [(4, Message::Commit), (8, Message::Abort)] {
        if packed[0] & bit != 0 {
            messages.insert(message);
        }
    }
    for (participant, byte) in packed[1..].iter().enumerate() {
        if byte & 8 != 0 {
            messages.insert(Message::Prepared { participant });
        }
    }
    let roles = packed[1..].iter();
    State {
        participants: roles
            .clone()
            .map(|byte| ROLES[(byte & 3) as usize])
            .collect(),
        manager: MANAGERS[(packed[0] & 3) as usize],
        prepared: roles.map(|byte| byte & 4 != 0).collect(),
        messages,
    }
}
