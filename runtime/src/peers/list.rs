//! Who the peers are, and how that changes while a replica runs.
//!
//! The replica's thread owns the list that mail is posted by, so that no message takes a lock; those who
//! accept calls read a copy of it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use quorate_core::{NodeId, Protocol};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::attachment::Outgoing;
use super::outbox::Outbox;
use super::{Peer, PeerOptions, Peers, sender, supervised};
use crate::metrics::PeerCounters;

#[cfg(test)]
mod tests;

/// Whom a replica exchanges mail with.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct PeerList {
    /// The peers, each with the places where it is called: host and port, in the order in which they are
    /// tried. The replica itself may be among them.
    pub peers: Vec<(NodeId, Vec<String>)>,
    /// Those who were members and are none any more: if one calls, it is told so.
    pub removed: BTreeSet<NodeId>,
}

impl PeerList {
    /// Peers with one address each.
    pub fn of(peers: impl IntoIterator<Item = (NodeId, String)>) -> PeerList {
        let peers = peers.into_iter();
        PeerList {
            peers: peers.map(|(id, address)| (id, vec![address])).collect(),
            removed: BTreeSet::new(),
        }
    }
}

/// Changes the peers of a running replica, from any thread. What it is given last holds.
#[derive(Clone)]
pub struct PeersHandle(pub(crate) Arc<dyn Fn(PeerList) + Send + Sync>);

impl PeersHandle {
    /// These are the peers from now on: new ones are called, new addresses are used for the next call, and
    /// those who are not named are hung up on.
    pub fn set(&self, list: PeerList) {
        (self.0)(list);
    }
}

/// What those who accept calls know.
#[derive(Default)]
pub(super) struct Roster {
    peers: Vec<Arc<Peer>>,
    removed: BTreeSet<NodeId>,
}

impl Roster {
    /// The peer with this id.
    pub(super) fn peer(&self, id: NodeId) -> Option<&Arc<Peer>> {
        self.peers.iter().find(|peer| peer.id == id)
    }

    /// Whether this one was a member and is none any more.
    pub(super) fn has_removed(&self, id: NodeId) -> bool {
        self.removed.contains(&id)
    }
}

/// A peer, as the replica's thread sees it.
pub(super) struct Slot {
    pub(super) peer: Arc<Peer>,
    /// The task that calls it.
    calling: AbortHandle,
    /// Mail was posted to it since the last [`Peers::hand_over`].
    pub(super) posted: bool,
}

impl Peer {
    fn new(id: NodeId, addresses: Vec<String>, options: &PeerOptions) -> Peer {
        Peer {
            id,
            addresses: ArcSwap::from_pointee(addresses),
            outbox: Outbox::new(options.queue_bytes_max, options.frame_bytes_max as usize),
            seen: Notify::new(),
            receiving: Mutex::default(),
            outgoing: Outgoing::default(),
            counters: Arc::new(PeerCounters::of(id)),
        }
    }
}

impl<P> Peers<P>
where
    P: Protocol + 'static,
    P::Message: Send,
{
    /// See [`PeersHandle::set`].
    pub(crate) fn set(&mut self, list: PeerList) {
        let me = self.shared.myself.me;
        let mut before = std::mem::take(&mut self.slots);
        for (id, addresses) in list.peers {
            if id == me || self.slots.iter().any(|slot| slot.peer.id == id) {
                continue;
            }
            let known = before.iter().position(|slot| slot.peer.id == id);
            let slot = match known {
                Some(at) => {
                    let slot = before.swap_remove(at);
                    if **slot.peer.addresses.load() != addresses {
                        slot.peer.addresses.store(Arc::new(addresses));
                        slot.peer.seen.notify_one();
                    }
                    slot
                }
                None => self.call(Arc::new(Peer::new(id, addresses, &self.shared.options))),
            };
            self.slots.push(slot);
        }
        let peers: Vec<Arc<Peer>> = self.slots.iter().map(|slot| slot.peer.clone()).collect();
        let counters = peers.iter().map(|peer| peer.counters.clone()).collect();
        self.shared.counters.peers.store(Arc::new(counters));
        // Nobody finds those who are gone any more, before they are hung up on.
        self.shared.roster.store(Arc::new(Roster {
            peers,
            removed: list.removed,
        }));
        for gone in before {
            tracing::info!(peer = %gone.peer.id, "is no peer any more");
            gone.calling.abort();
            gone.peer.hang_up();
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// Begins to call a new peer.
    fn call(&mut self, peer: Arc<Peer>) -> Slot {
        let _entered = self.runtime.enter();
        let seed = self.seed.wrapping_add(peer.id.0);
        let calling = sender::send_to(self.shared.clone(), peer.clone(), seed);
        let fail_stop = self.shared.fail_stop.clone();
        Slot {
            calling: self.tasks.spawn(supervised(fail_stop, calling)),
            peer,
            posted: false,
        }
    }
}
