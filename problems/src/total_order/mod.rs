//! Total-order broadcast: every replica delivers the same payloads at the same positions.
//!
//! Validity: what a correct replica broadcasts is delivered, unless it is lost with a leader; the
//! edge then broadcasts it again. Uniform agreement: what any replica delivers at a position, even
//! one that crashes right after, every replica that delivers that position delivers. Integrity:
//! only what was broadcast is delivered. A payload may be delivered twice, since the edge may
//! broadcast twice; the service above recognises it. Positions have no gaps. Whoever has started with
//! the same version of the membership has started with the same members.

mod follower;
mod membership;
mod oracle;

use quorate_core::{Checkpoint, NodeId, Payload, Problem};

pub use follower::Follower;
pub use membership::Membership;
pub use oracle::{Oracle, Violation};

/// The problem.
#[derive(Clone, Copy, Debug)]
pub struct TotalOrder;

impl Problem for TotalOrder {
    type Request = Request;
    type Output = Output;
}

/// What the layer above asks for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Request {
    /// Put this payload into the order. Silence is no refusal: it may be delivered later, or be lost
    /// with a leader.
    Broadcast(Payload),
    /// Name a position such that a state which contains it contains everything that was delivered
    /// anywhere before this request was made. Answered by [`Output::ReadReady`], or by nothing if
    /// a message or a leader was lost; the edge asks again under a new id.
    Read {
        /// Names the answer; the edge never uses one twice in an incarnation.
        id: u64,
    },
    /// The application state through this checkpoint is durable here and can be sent to others, so
    /// the log need not be kept for it.
    Compact(Checkpoint),
    /// If this replica leads, let `to` lead instead; whoever is best placed if there is no `to`.
    Transfer {
        /// The replica that should lead.
        to: Option<NodeId>,
    },
    /// Let these take part, by whatever steps are safe. It does nothing where another leads, and
    /// nothing if what is in force, or on its way there, is as new. The edge asks again until
    /// [`Output::Members`] says that it is done.
    Reconfigure(Membership),
}

/// What the layer above is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// The payload at the next position. An empty payload is one that the protocol had to put
    /// there itself.
    Deliver {
        /// One more than the position delivered before.
        position: u64,
        /// The epoch in which it was ordered.
        epoch: u64,
        /// What was ordered.
        payload: Payload,
    },
    /// A state that contains `position` answers the read linearizably.
    ReadReady {
        /// The id from the request.
        id: u64,
        /// The position that the state must contain.
        position: u64,
    },
    /// Replace the state by this checkpoint, which has arrived in full. Delivery goes on behind it.
    Install(Checkpoint),
    /// Who leads now, as far as this replica knows.
    Lead {
        /// The epoch; it never decreases.
        epoch: u64,
        /// The leader of that epoch, once it is known.
        leader: Option<NodeId>,
    },
    /// Who takes part, as far as this replica knows: told when it starts and after each change, once
    /// the change cannot be taken back. Versions only grow while a replica runs. A replica that no
    /// longer takes part may never be told.
    Members(Membership),
}
