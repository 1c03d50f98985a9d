//! Clients of a register, the network between them and its servers, and the question whether what they
//! saw is linearizable.
//!
//! Each client writes a value of its own and then reads. The network keeps every message until it is
//! delivered, in any order; a message that changes nothing is as good as not delivered. The state is
//! that of the examples "paxos" and "linearizable-register" of the stateright crate, history included,
//! so the numbers of states must be theirs; the code is ours.

use std::fmt::Debug;
use std::hash::Hash;

use quorate_check::actors::{self, ActorModel, Actors, Begin};
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
pub(crate) struct Client {
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
            let asks = &mut state.clients[usize::from(client)];
            let message = asks.ask(id, Some(client + 1), [0; CLIENTS_MAX]);
            state.send(id, id % self.servers, message);
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
        let index = envelope.to - self.servers;
        let after = after(&state.clients, index);
        let client = &mut state.clients[usize::from(index)];
        let Some(asks) = self.told(client, after, envelope) else {
            return false;
        };
        state.network.remove(at);
        if let Some((server, message)) = asks {
            state.send(envelope.to, server, message);
        }
        true
    }

    /// What being told something does to a client: nothing, or what it asks then, and whom.
    fn told<I>(
        &self,
        client: &mut Client,
        after: [u8; CLIENTS_MAX],
        envelope: &Envelope<I>,
    ) -> Option<Option<(Id, Message<I>)>> {
        let (number, value, is_put) = match envelope.message {
            Message::PutDone(number) => (number, 0, true),
            Message::GetDone(number, value) => (number, value, false),
            _ => return None,
        };
        if client.awaits != Some(number) {
            return None;
        }
        client.awaits = None;
        let mut done = client.under_way.take().expect("it awaits an answer");
        done.read = value;
        client.done.push(done);
        Some(is_put.then(|| {
            let id = envelope.to;
            let message = client.ask(2 * id, None, after);
            ((id + 1) % self.servers, message)
        }))
    }
}

/// How many operations each client has completed, as another one sees it.
fn after(clients: &[Client], index: u8) -> [u8; CLIENTS_MAX] {
    let mut after = [0; CLIENTS_MAX];
    for (other, client) in clients.iter().enumerate() {
        if other != usize::from(index) {
            after[other] = client.done.len() as u8;
        }
    }
    after
}

impl Client {
    /// It asks for something.
    fn ask<I>(
        &mut self,
        number: u8,
        writes: Option<Value>,
        after: [u8; CLIENTS_MAX],
    ) -> Message<I> {
        self.awaits = Some(number);
        self.under_way = Some(Operation {
            writes,
            read: 0,
            after,
        });
        match writes {
            Some(value) => Message::Put(number, value),
            None => Message::Get(number),
        }
    }
}

impl<S: Server> State<S> {
    fn send(&mut self, from: Id, to: Id, message: Message<S::Internal>) {
        let envelope = Envelope { from, to, message };
        let at = self.network.partition_point(|other| *other < envelope);
        self.network.insert(at, envelope);
    }

    pub(crate) fn is_linearizable(&self) -> bool {
        extends(&self.clients, [0; CLIENTS_MAX], 0)
    }

    /// Whether somebody is being told a value that somebody wrote.
    pub(crate) fn is_chosen(&self) -> bool {
        let mut messages = self.network.iter().map(|envelope| &envelope.message);
        messages.any(is_news)
    }
}

/// Whether the operations behind the first `taken` of each client can be ordered, given the value
/// that the register has then.
fn extends(clients: &[Client], taken: [u8; CLIENTS_MAX], value: Value) -> bool {
    let places = clients.iter().zip(taken);
    if places
        .clone()
        .all(|(client, taken)| client.done.len() <= usize::from(taken))
    {
        return true;
    }
    for (index, (client, count)) in places.enumerate() {
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
        if is_due && fits && extends(clients, taken, operation.writes.unwrap_or(value)) {
            return true;
        }
    }
    false
}

/// Whether somebody is told a value that somebody wrote.
fn is_news<I>(message: &Message<I>) -> bool {
    matches!(message, Message::GetDone(_, 1..))
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

/// The same as actors: the servers and clients, and what the clients saw as the history.
pub(crate) struct Cast<S>(Register, std::marker::PhantomData<S>);

#[derive(Clone, Debug, Hash)]
pub(crate) enum Actor<S> {
    Server(S),
    /// The number of the request that it awaits an answer to.
    Client(Option<u8>),
}

/// The model of servers of a kind and their clients as actors.
pub(crate) fn cast<S: Server>(servers: u8, clients: u8) -> ActorModel<Cast<S>> {
    let register = Register { servers, clients };
    ActorModel::new(Cast(register, std::marker::PhantomData))
}

impl<S: Server> Actors for Cast<S> {
    type Actor = Actor<S>;
    type Message = Message<S::Internal>;
    type History = Vec<Client>;

    fn begin(&self) -> Begin<Self> {
        let start = self.0.start::<S>();
        let servers = start.servers.into_iter().map(Actor::Server);
        let clients = start
            .clients
            .iter()
            .map(|client| Actor::Client(client.awaits));
        let mail = start.network.into_iter().map(|envelope| actors::Envelope {
            from: envelope.from.into(),
            to: envelope.to.into(),
            message: envelope.message,
        });
        Begin {
            actors: servers.chain(clients).collect(),
            mail: mail.collect(),
            history: start.clients,
        }
    }

    fn on_message(
        &self,
        actor: &mut Actor<S>,
        envelope: &actors::Envelope<Message<S::Internal>>,
        sent: &mut Vec<actors::Envelope<Message<S::Internal>>>,
    ) -> bool {
        let me = envelope.to;
        let mut send = |to: Id, message| {
            sent.push(actors::Envelope {
                from: me,
                to: to.into(),
                message,
            });
        };
        match actor {
            Actor::Server(server) => {
                let mut outbox = Outbox {
                    me: me as Id,
                    servers: self.0.servers,
                    sent: Vec::new(),
                };
                let noticed =
                    server.on_message(&mut outbox, envelope.from as Id, &envelope.message);
                let mail = outbox.sent.into_iter();
                mail.for_each(|(to, message)| send(to, message));
                noticed
            }
            Actor::Client(awaits) => {
                let (number, is_put) = match envelope.message {
                    Message::PutDone(number) => (number, true),
                    Message::GetDone(number, _) => (number, false),
                    _ => return false,
                };
                if *awaits != Some(number) {
                    return false;
                }
                let id = me as Id;
                *awaits = is_put.then_some(2 * id);
                if is_put {
                    send((id + 1) % self.0.servers, Message::Get(2 * id));
                }
                true
            }
        }
    }

    fn is_recorded(&self, envelope: &actors::Envelope<Message<S::Internal>>) -> bool {
        envelope.to >= usize::from(self.0.servers)
    }

    fn record(
        &self,
        history: &mut Vec<Client>,
        envelope: &actors::Envelope<Message<S::Internal>>,
        _: &[actors::Envelope<Message<S::Internal>>],
    ) {
        let index = envelope.to as Id - self.0.servers;
        let after = after(history, index);
        let told = Envelope {
            from: envelope.from as Id,
            to: envelope.to as Id,
            message: envelope.message.clone(),
        };
        let client = &mut history[usize::from(index)];
        let asks = self.0.told(client, after, &told);
        assert!(asks.is_some(), "the client took notice");
    }

    fn admits(&self, history: &Vec<Client>) -> bool {
        extends(history, [0; CLIENTS_MAX], 0)
    }

    fn properties(&self) -> Vec<Property<ActorModel<Self>>> {
        vec![
            Property::always("linearizable", |model: &ActorModel<Self>, state| {
                model.is_admitted(state)
            }),
            Property::sometimes("value chosen", |model: &ActorModel<Self>, state| {
                model.mail(state).any(|envelope| is_news(&envelope.message))
            }),
        ]
    }
}
