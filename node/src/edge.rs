//! The layer above a replica, seen from below.

use quorate_core::{Instant, Output, Protocol, Request, Status};

/// Gives a replica its requests and takes its outputs. It is called on the replica's own thread
/// and must not block.
pub trait Edge<P: Protocol> {
    /// The next request, if there is one. `room` is how many more requests that add to the order
    /// the protocol welcomes: with no room, only requests that add nothing may be given.
    fn next_request(&mut self, room: usize, now: Instant) -> Option<Request<P>>;

    /// Takes one output; they come in order.
    fn on_output(&mut self, output: Output<P>, now: Instant);

    /// All outputs of a round of steps have been handed over.
    fn on_round(&mut self, status: Status, now: Instant);

    /// When it wants to be asked for requests again although nothing else happens.
    fn next_deadline(&self) -> Option<Instant>;
}
