//! What a replica does between waiting and waiting: the part of its thread that is the same in the
//! real world and in a simulated one.

use quorate_core::{Frame, Instant, NodeId, Protocol, Status};
use quorate_node::{Edge, Frames, Input, Letter, Node};

/// Requests taken in one round before their results are handed over.
const REQUESTS_MAX: usize = 1024;

/// Where a round's results go, the outputs excepted, which the edge gets.
pub trait Outside<P: Protocol> {
    /// Takes the frames, and leaves an empty buffer.
    fn write(&mut self, frames: &mut Frames);

    /// Takes a message for a peer.
    fn post(&mut self, letter: Letter<P>);

    /// That was all mail for now.
    fn hand_over(&mut self);
}

/// A node with the layer above it.
pub struct Rounds<P: Protocol, E> {
    node: Node<P>,
    edge: E,
    /// An empty buffer.
    frames: Frames,
}

/// Whether to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Something may still have to be done.
    Again,
    /// Wait for something to happen.
    Wait,
}

impl<P: Protocol, E: Edge<P>> Rounds<P, E> {
    /// Puts a node under an edge.
    #[must_use]
    pub fn new(node: Node<P>, edge: E) -> Rounds<P, E> {
        Rounds {
            node,
            edge,
            frames: Frames::default(),
        }
    }

    /// A message arrived. What ran out before it did fires first: after a pause nobody may go on counting on
    /// a timer that has ended, a lease for instance.
    pub fn receive(&mut self, from: NodeId, message: P::Message, now: Instant) {
        self.node.expire(now);
        self.node.step(Input::Message(from, message), now);
    }

    /// The disk finished all frames through this one.
    pub fn synced(&mut self, frame: Frame, now: Instant) {
        self.node.synced(frame, now);
    }

    /// Fires timers, takes requests and hands over what came of everything so far.
    pub fn round(&mut self, clock: impl Fn() -> Instant, outside: &mut impl Outside<P>) -> Next {
        let mut now = clock();
        self.node.expire(now);
        let mut requests = 0;
        while requests < REQUESTS_MAX
            && let Some(request) = self.edge.next_request(self.node.window(), now)
        {
            // It may be younger than the clock was: a lease that ended before a read was asked for must
            // not answer it, however long this thread was paused in between.
            now = clock();
            self.node.expire(now);
            self.node.step(Input::Request(request), now);
            requests += 1;
        }
        // The disk first: it takes the longest.
        self.node.take_frames(&mut self.frames);
        if !self.frames.is_empty() {
            outside.write(&mut self.frames);
        }
        for letter in self.node.take_mail() {
            outside.post(letter);
        }
        outside.hand_over();
        let mut outputs = 0;
        for output in self.node.take_outputs() {
            self.edge.on_output(output, now);
            outputs += 1;
        }
        self.edge.on_round(self.node.status(), now);
        // What the edge heard may have given it something to ask for.
        match requests + outputs {
            0 => Next::Wait,
            _ => Next::Again,
        }
    }

    /// When the next round is due although nothing happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.node.next_deadline(), self.edge.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// What the replica says of itself.
    #[must_use]
    pub fn status(&self) -> Status {
        self.node.status()
    }

    /// The node, for oracles and reports.
    #[must_use]
    pub fn node(&self) -> &Node<P> {
        &self.node
    }

    /// The layer above it.
    pub fn edge_mut(&mut self) -> &mut E {
        &mut self.edge
    }
}
