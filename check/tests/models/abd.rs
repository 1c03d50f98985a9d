//! The atomic register of Attiya, Bar-Noy and Dolev ("Sharing memory robustly in message-passing
//! systems", 1995), for many writers: ask a majority for the newest tag, then tell a majority.

use std::collections::{BTreeMap, BTreeSet};

use super::register::{Id, Message, Outbox, Server, Value};

/// A logical time and who wrote.
type Tag = (u8, Id);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Internal {
    Query(u8),
    Newest(u8, Tag, Value),
    Store(u8, Tag, Value),
    Stored(u8),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Abd {
    tag: Tag,
    value: Value,
    phase: Option<Phase>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Query {
        number: u8,
        client: Id,
        writes: Option<Value>,
        newest: BTreeMap<Id, (Tag, Value)>,
    },
    Store {
        number: u8,
        client: Id,
        read: Option<Value>,
        stored: BTreeSet<Id>,
    },
}

impl Server for Abd {
    type Internal = Internal;

    fn start(me: Id) -> Abd {
        Abd {
            tag: (0, me),
            value: 0,
            phase: None,
        }
    }

    fn on_message(
        &mut self,
        net: &mut Outbox<Internal>,
        from: Id,
        message: &Message<Internal>,
    ) -> bool {
        match message {
            Message::Put(number, value) if self.phase.is_none() => {
                self.query(*number, from, Some(*value), net);
            }
            Message::Get(number) if self.phase.is_none() => self.query(*number, from, None, net),
            Message::Internal(Internal::Query(number)) => {
                let newest = Internal::Newest(*number, self.tag, self.value);
                net.send(from, Message::Internal(newest));
            }
            Message::Internal(Internal::Newest(number, tag, value)) => {
                return self.on_newest(*number, from, (*tag, *value), net);
            }
            Message::Internal(Internal::Store(number, tag, value)) => {
                net.send(from, Message::Internal(Internal::Stored(*number)));
                self.store(*tag, *value);
            }
            Message::Internal(Internal::Stored(number)) => {
                return self.on_stored(*number, from, net);
            }
            _ => return false,
        }
        true
    }
}

impl Abd {
    fn query(&mut self, number: u8, client: Id, writes: Option<Value>, net: &mut Outbox<Internal>) {
        self.phase = Some(Phase::Query {
            number,
            client,
            writes,
            newest: BTreeMap::from([(net.me, (self.tag, self.value))]),
        });
        net.broadcast(Internal::Query(number));
    }

    fn on_newest(
        &mut self,
        number: u8,
        from: Id,
        found: (Tag, Value),
        net: &mut Outbox<Internal>,
    ) -> bool {
        let (client, writes, (tag, value)) = match &mut self.phase {
            Some(Phase::Query {
                number: asked,
                client,
                writes,
                newest,
            }) if *asked == number => {
                newest.insert(from, found);
                if newest.len() != net.majority() {
                    return true;
                }
                let newest = newest.values().max().expect("there is a majority");
                (*client, *writes, *newest)
            }
            _ => return false,
        };
        let (tag, value) = match writes {
            Some(value) => ((tag.0 + 1, net.me), value),
            None => (tag, value),
        };
        net.broadcast(Internal::Store(number, tag, value));
        self.store(tag, value);
        self.phase = Some(Phase::Store {
            number,
            client,
            read: writes.is_none().then_some(value),
            stored: BTreeSet::from([net.me]),
        });
        true
    }

    fn store(&mut self, tag: Tag, value: Value) {
        if tag > self.tag {
            (self.tag, self.value) = (tag, value);
        }
    }

    fn on_stored(&mut self, number: u8, from: Id, net: &mut Outbox<Internal>) -> bool {
        let Some(Phase::Store {
            number: asked,
            client,
            read,
            stored,
        }) = &mut self.phase
        else {
            return false;
        };
        if *asked != number || !stored.insert(from) {
            return false;
        }
        if stored.len() == net.majority() {
            let done = match read {
                Some(value) => Message::GetDone(number, *value),
                None => Message::PutDone(number),
            };
            net.send(*client, done);
            self.phase = None;
        }
        true
    }
}
