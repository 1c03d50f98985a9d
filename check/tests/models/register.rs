//! Clients of a register, the network between them and its servers, and the question whether what they
//! saw is linearizable.
//!
//! Each client writes a value of its own and then reads. The network keeps every message until it is
//! delivered, in any order; a message that changes nothing is as good as not delivered. The state is
//! that of the examples "paxos" and "linearizable-register" of the stateright crate, history included,
//! so the numbers of states must be theirs; the code is ours.

use std::fmt::Debug;
use std::hash::Hash;

use quorate_check::{Model, Property, fingerprint};

/// Servers come first, clients behind them.
pub(crate) type Id = u8;
/// What clients write; 0 is what was there before.
pub(crate) type Value = u8;

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Message<I> {
    Internal(I),
    Put(u8, Value),
    Get(u8),
    PutDone(u8),
    GetDone(u8, Value),
}

/// How a server behaves.
pub(crate) trait Server: Clone + Debug + Eq + Hash + Send + Sync {
    type Internal: Clone + Debug + Ord + Hash + Send + Sync;

    fn start(me: Id) -> Self;

    /// A message arrives. Whether the server took notice of it, in its state or by an answer.
    fn on_message(
        &mut self,
        net: &mut Outbox<Self::Internal>,
        from: Id,
        message: &Message<Self::Internal>,
    ) -> bool;
}

/// What one server sends in one step.
pub(crate) struct Outbox<I> {
    pub(crate) me: Id,
    pub(crate) servers: u8,
    sent: Vec<(Id, Message<I>)>,
}

impl<I: Clone> Outbox<I> {
    pub(crate) fn send(&mut self, to: Id, message: Message<I>) {
        self.sent.push((to, message));
    }

    pub(crate) fn broadcast(&mut self, message: I) {
        for peer in (0..self.servers).filter(|&peer| peer != self.me) {
            self.sent.push((peer, Message::Internal(message.clone())));
        }
    }

    pub(crate) fn majority(&self) -> usize {
        usize::from(self.servers) / 2 + 1
    }
}

/// The model.
#[derive(Clone, Debug)]
pub(crate) struct Register {
    pub(crate) servers: u8,
    pub(crate) clients: u8,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct State<S: Server> {
    servers: Vec<S>,
    clients: Vec<Client>,
    /// Sorted; the same message may be under way more than once.
    network: Vec<Envelope<S::Internal>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Envelope<I> {
    from: Id,
    to: Id,
    message: Message<I>,
}

/// A client: what it asked, and what it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Client {
    awaits: Option<u8>,
    done: Vec<Operation>,
    under_way: Option<Operation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Operation {
    /// What it writes, if it does.
    writes: Option<Value>,
    /// What it read, once it is done.
    read: Value,
    /// How many operations each client had completed before it began.
    after: [u8; CLIENTS_MAX],
}

/// As many clients as anyone explores.
const CLIENTS_MAX: usize = 4;

impl<S: Server> Clone for State<S> {
    fn clone(&self) -> State<S> {
        State {
            servers: self.servers.clone(),
            clients: self.clients.clone(),
            network: self.network.clone(),
        }
    }

    /// Into memory that is there.
    fn clone_from(&mut self, source: &State<S>) {
        self.servers.clone_from(&source.servers);
        self.clients.clone_from(&source.clients);
        self.network.clone_from(&source.network);
    }
}

impl Register {
    pub(crate) fn start<S: Server>(&self) -> State<S> {
        let mut state = State {
            servers: (0..self.servers).map(S::start).collect(),
            clients: vec![Client::default(); usize::from(self.clients)],
            network: Vec::new(),
        };
        for client in 0..self.clients {
            let id = self.servers + client;
            self.ask(&mut state, client, id, id % self.servers, Some(client + 1));
        }
        state
    }

    /// The places of the different messages under way.
    pub(crate) fn possible<S: Server>(&self, state: &State<S>, actions: &mut Vec<usize>) {
        for at in 0..state.network.len() {
            if at == 0 || state.network[at] != state.network[at - 1] {
                actions.push(at);
            }
        }
    }

    /// Delivers a message. Whether anybody took notice.
    pub(crate) fn deliver<S: Server>(&self, state: &mut State<S>, at: usize) -> bool {
        let envelope = state.network[at].clone();
        let (from, to) = (envelope.from, envelope.to);
        if to >= self.servers {
            return self.answer(state, at, &envelope);
        }
        let mut outbox = Outbox {
            me: to,
            servers: self.servers,
            sent: Vec::new(),
        };
        let server = &mut state.servers[usize::from(to)];
        if !server.on_message(&mut outbox, from, &envelope.message) {
            return false;
        }
        state.network.remove(at);
        for (receiver, message) in outbox.sent {
            state.send(to, receiver, message);
        }
        true
    }

    /// A client is told something.
    fn answer<S: Server>(
        &self,
        state: &mut State<S>,
        at: usize,
        envelope: &Envelope<S::Internal>,
    ) -> bool {
        let (number, value, is_put) = match envelope.message {
            Message::PutDone(number) => (number, 0, true),
            Message::GetDone(number, value) => (number, value, false),
            _ => return false,
        };
        let index = envelope.to - self.servers;
        let client = &mut state.clients[usize::from(index)];
        if client.awaits != Some(number) {
            return false;
        }
        client.awaits = None;
        let mut done = client.under_way.take().expect("it awaits an answer");
        done.read = value;
        client.done.push(done);
        state.network.remove(at);
        if is_put {
            let id = envelope.to;
            self.ask(state, index, 2 * id, (id + 1) % self.servers, None);
        }
        true
    }

    /// A client asks for something.
    fn ask<S: Server>(
        &self,
        state: &mut State<S>,
        index: u8,
        number: u8,
        server: Id,
        writes: Option<Value>,
    ) {
        let mut after = [0; CLIENTS_MAX];
        for (other, client) in state.clients.iter().enumerate() {
            if other != usize::from(index) {
                after[other] = client.done.len() as u8;
            }
        }
        let client = &mut state.clients[usize::from(index)];
        client.awaits = Some(number);
        client.under_way = Some(Operation {
            writes,
            read: 0,
            after,
        });
        let message = match writes {
            Some(value) => Message::Put(number, value),
            None => Message::Get(number),
        };
        state.send(self.servers + index, server, message);
    }
}

impl<S: Server> State<S> {
    fn send(&mut self, from: Id, to: Id, message: Message<S::Internal>) {
        let envelope = Envelope { from, to, message };
        let at = self.network.partition_point(|other| *other < envelope);
        self.network.insert(at, envelope);
    }

    pub(crate) fn is_linearizable(&self) -> bool {
        self.extends([0; CLIENTS_MAX], 0)
    }

    /// Whether the operations behind the first `taken` of each client can be ordered, given the value
    /// that the register has then.
    fn extends(&self, taken: [u8; CLIENTS_MAX], value: Value) -> bool {
        let clients = self.clients.iter().zip(taken);
        if clients
            .clone()
            .all(|(client, taken)| client.done.len() <= usize::from(taken))
        {
            return true;
        }
        for (index, (client, count)) in clients.enumerate() {
            let next = usize::from(count);
            let operation = match client.done.get(next) {
                Some(done) => done,
                // What is under way may have had its effect, once.
                None if next == client.done.len() => match &client.under_way {
                    Some(operation) => operation,
                    None => continue,
                },
                None => continue,
            };
            let is_due = operation
                .after
                .iter()
                .zip(taken)
                .all(|(after, taken)| *after <= taken);
            let is_done = next < client.done.len();
            let fits = operation.writes.is_some() || !is_done || operation.read == value;
            let mut taken = taken;
            taken[index] += 1;
            if is_due && fits && self.extends(taken, operation.writes.unwrap_or(value)) {
                return true;
            }
        }
        false
    }

    /// Whether somebody is being told a value that somebody wrote.
    pub(crate) fn is_chosen(&self) -> bool {
        let mut messages = self.network.iter().map(|envelope| &envelope.message);
        messages.any(|message| matches!(message, Message::GetDone(_, 1..)))
    }
}

/// The model as one with servers of a kind.
pub(crate) struct With<S>(pub(crate) Register, pub(crate) std::marker::PhantomData<S>);

impl<S: Server> With<S> {
    pub(crate) fn new(servers: u8, clients: u8) -> With<S> {
        With(Register { servers, clients }, std::marker::PhantomData)
    }
}

impl<S: Server> Model for With<S> {
    type State = State<S>;
    type Action = usize;

    fn initial(&self) -> Vec<State<S>> {
        vec![self.0.start()]
    }

    fn actions(&self, state: &State<S>, actions: &mut Vec<usize>) {
        self.0.possible(state, actions);
    }

    fn apply(&self, state: &mut State<S>, action: &usize, _: &mut Vec<usize>) -> bool {
        self.0.deliver(state, *action)
    }

    fn fingerprint(&self, state: &State<S>) -> u64 {
        fingerprint(state)
    }

    fn properties(&self) -> Vec<Property<With<S>>> {
        vec![
            Property::always("linearizable", |_, state: &State<S>| {
                state.is_linearizable()
            }),
            Property::sometimes("value chosen", |_, state: &State<S>| state.is_chosen()),
        ]
    }
}
