//! Where everything that concerns a replica arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender};
use quorate_core::{Frame, NodeId, Protocol};
use tokio::sync::OwnedSemaphorePermit;

use crate::peers::PeerList;

/// What can happen to a replica.
pub(crate) enum Event<P: Protocol> {
    /// The edge has something to ask for.
    Wake,
    /// A peer's messages, in order.
    Mail {
        from: NodeId,
        messages: Vec<P::Message>,
        /// Their share of the memory for incoming mail, given back when they are processed.
        room: Option<OwnedSemaphorePermit>,
    },
    /// All frames through this one are durable.
    Synced(Frame),
    /// These are the peers from now on.
    Peers(PeerList),
    /// The end.
    Stop,
}

/// The replica's end: give it to [`Replica::spawn`](crate::Replica::spawn).
pub struct Mailbox<P: Protocol> {
    pub(crate) sender: Sender<Event<P>>,
    pub(crate) receiver: Receiver<Event<P>>,
    pub(crate) woken: Arc<AtomicBool>,
}

/// Tells a replica that its edge has something to ask for. Cheap: while the replica has not yet
/// looked, waking it again is one atomic operation.
#[derive(Clone)]
pub struct Waker {
    woken: Arc<AtomicBool>,
    /// A closure, so that the many places that wake a replica need not name its protocol.
    send: Arc<dyn Fn() + Send + Sync>,
}

impl Waker {
    /// Makes the replica ask its edge for requests soon.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            (self.send)();
        }
    }
}

/// A mailbox and what wakes its owner.
#[must_use]
pub fn mailbox<P>() -> (Mailbox<P>, Waker)
where
    P: Protocol + 'static,
    P::Message: Send,
{
    let (sender, receiver) = crossbeam_channel::unbounded();
    let woken = Arc::new(AtomicBool::new(false));
    let wake = sender.clone();
    let waker = Waker {
        woken: woken.clone(),
        send: Arc::new(move || {
            // A replica that has stopped needs no waking.
            let _ = wake.send(Event::Wake);
        }),
    };
    let mailbox = Mailbox {
        sender,
        receiver,
        woken,
    };
    (mailbox, waker)
}
