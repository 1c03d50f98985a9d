//! The two traits: what is to be solved, and a solution.

use alloc::boxed::Box;
use core::fmt::Debug;

use crate::effects::Effects;
use crate::ids::{Checkpoint, NodeId};
use crate::wire::Wire;

/// What is to be solved. Correctness is stated about these two types and nothing else.
pub trait Problem {
    /// What the layer above asks for.
    type Request: Clone + Debug;
    /// What it is told.
    type Output: Clone + Debug;
}

/// The request type of a protocol's problem.
pub type Request<P> = <<P as Protocol>::Problem as Problem>::Request;
/// The output type of a protocol's problem.
pub type Output<P> = <<P as Protocol>::Problem as Problem>::Output;

/// A solution: a deterministic state machine that performs no I/O. One call of an `on_*` method is
/// one step: the records it persists reach the disk before the mail it sends leaves.
pub trait Protocol: Sized {
    /// What it solves.
    type Problem: Problem;
    /// What it must be told to start.
    type Config: Clone;
    /// What replicas tell one another.
    type Message: Wire + Clone + Debug;
    /// The names of its timers.
    type Timer: Copy + Ord + Debug;
    /// What it keeps on disk.
    type Record: Wire + Clone + Debug;

    /// The adversary that this protocol claims to withstand; checker and simulator grant exactly
    /// that.
    const MODEL: Model;

    /// Starts, or restarts from the records that survived.
    fn open(config: &Self::Config, boot: Boot<'_, Self>, fx: &mut Effects<Self>) -> Self;

    /// The layer above asks for something.
    fn on_request(&mut self, request: Request<Self>, fx: &mut Effects<Self>);

    /// A message arrived, perhaps late, twice or out of order.
    fn on_message(&mut self, from: NodeId, message: Self::Message, fx: &mut Effects<Self>);

    /// A timer ran out. It does not run on by itself.
    fn on_timer(&mut self, timer: Self::Timer, fx: &mut Effects<Self>);

    /// How many more requests that add to the order are welcome now. The edge keeps the rest and
    /// batches them, so this bounds what a protocol must hold in flight.
    fn window(&self) -> usize;

    /// One line of a trace, one row of metrics.
    fn status(&self) -> Status;

    /// Asserts what must hold between any two steps.
    ///
    /// # Panics
    /// If it does not hold, which is a bug in the protocol.
    fn invariants(&self);

    /// If this message carries an application checkpoint as an attachment, the place that names it.
    ///
    /// The sender's world writes there which checkpoint it really attached: its newest at the
    /// moment of sending, which contains at least what the protocol asked for. The receiver's world
    /// delivers the message only once the attachment is complete and durable there.
    fn attachment(message: &mut Self::Message) -> Option<&mut Checkpoint> {
        let _ = message;
        None
    }
}

/// What a replica starts from.
pub struct Boot<'a, P: Protocol> {
    /// This replica.
    pub me: NodeId,
    /// How often this replica has been started, this time included: larger than ever before, and
    /// durable already.
    pub incarnation: u64,
    /// What became of the records of earlier incarnations.
    pub survival: Survival,
    /// The surviving records with the frame each was written in, oldest first.
    pub records: Box<dyn Iterator<Item = (crate::ids::Frame, P::Record)> + 'a>,
    /// The application state that survived. It may be ahead of the records: what a quorum holds may
    /// be applied before it is durable here.
    pub checkpoint: Checkpoint,
}

/// What became of stable storage.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Survival {
    /// There were no earlier records: a new replica.
    Fresh,
    /// Everything that was acknowledged is there.
    Intact,
    /// Something that was acknowledged cannot be read: this replica may have forgotten promises.
    Damaged,
}

/// The adversary that a protocol claims to withstand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Model {
    /// What may happen to processes.
    pub faults: Faults,
    /// What may happen to messages.
    pub links: Links,
    /// What may be assumed about time.
    pub timing: Timing,
}

/// What may happen to processes: the hierarchy of failure models (Mullender, "Distributed Systems",
/// 1993, chapter 2). [`Faults::admits`] says which class contains which.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Faults {
    /// Processes may stop for good, and everybody learns of it.
    FailStop,
    /// Processes may stop for good.
    CrashStop,
    /// Processes may fail to send some messages.
    SendOmission,
    /// Processes may fail to receive some messages.
    ReceiveOmission,
    /// Processes may fail to send and to receive some messages.
    GeneralOmission,
    /// Processes may stop, lose what was not durable, and start again.
    CrashRecovery,
    /// Processes may do anything, but cannot forge what others sign.
    SignedByzantine,
    /// Processes may do anything.
    Byzantine,
}

impl Faults {
    /// Whether every run in which processes fail as in `run` is legal under this class too.
    #[must_use]
    pub fn admits(self, run: Faults) -> bool {
        use Faults::{
            Byzantine, CrashRecovery, CrashStop, FailStop, GeneralOmission, ReceiveOmission,
            SendOmission, SignedByzantine,
        };
        let below: &[Faults] = match self {
            FailStop => &[],
            CrashStop => &[FailStop],
            SendOmission | ReceiveOmission | CrashRecovery => &[FailStop, CrashStop],
            GeneralOmission => &[FailStop, CrashStop, SendOmission, ReceiveOmission],
            SignedByzantine => return run != Byzantine,
            Byzantine => return true,
        };
        run == self || below.contains(&run)
    }
}

/// What may happen to messages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Links {
    /// They may be lost.
    pub lose: bool,
    /// They may arrive more than once.
    pub duplicate: bool,
    /// They may overtake one another.
    pub reorder: bool,
}

/// What may be assumed about time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timing {
    /// Everybody takes steps in rounds: what is sent in one has arrived before the next.
    Lockstep,
    /// Known bounds on delays and steps hold always.
    Synchronous,
    /// Bounds hold from some unknown moment on; safety never depends on them.
    PartiallySynchronous,
    /// There are no bounds.
    Asynchronous,
}

/// What a replica says of itself, in words that fit every protocol.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Status {
    /// The role, in the protocol's own word: `leader`, `primary`, `acceptor`.
    pub role: &'static str,
    /// The epoch: term, ballot, view.
    pub epoch: u64,
    /// Who leads, if this replica knows and the protocol has leaders.
    pub leader: Option<NodeId>,
    /// The last position that this replica holds.
    pub head: u64,
    /// The last position that it knows to be decided.
    pub decided: u64,
    /// Whether it does all that others count on: false while it makes up for what it forgot.
    pub whole: bool,
    /// How many positions that it could not read it has put back since it started.
    pub repaired: u64,
}

#[cfg(test)]
mod tests {
    use super::Faults::{self, *};

    const ALL: [Faults; 8] = [
        FailStop,
        CrashStop,
        SendOmission,
        ReceiveOmission,
        GeneralOmission,
        CrashRecovery,
        SignedByzantine,
        Byzantine,
    ];

    #[test]
    fn the_hierarchy_is_a_partial_order_with_a_top_and_a_bottom() {
        for one in ALL {
            assert!(one.admits(one) && Byzantine.admits(one) && one.admits(FailStop));
            for two in ALL {
                assert!(one == two || !(one.admits(two) && two.admits(one)));
                for three in ALL {
                    let chain = one.admits(two) && two.admits(three);
                    assert!(!chain || one.admits(three), "{one:?} {two:?} {three:?}");
                }
            }
        }
        assert!(!SendOmission.admits(ReceiveOmission) && !ReceiveOmission.admits(SendOmission));
    }
}
