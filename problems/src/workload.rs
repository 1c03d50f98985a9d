//! The layer above a replica in a model: what it does with a problem, how its requests are written
//! in a script, and when a run is wrong. Simulator, checker and lab share it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::hash::Hash;

use quorate_core::{Checkpoint, Choice, NodeId, Problem};

/// A problem that worlds can be built for.
pub trait Workload: Problem {
    /// Judges a whole run.
    type Oracle: Clone + Default + Debug + Hash;
    /// The layer above one replica: the durable part survives a crash.
    type App: Clone + Default + Debug + Hash;

    /// Reads a request from the words of a script; `None` if the first word is none of this problem.
    ///
    /// # Errors
    /// What is wrong with the words after it.
    fn parse(app: &mut Self::App, words: &[&str]) -> Option<Result<Self::Request, String>>;

    /// A request as the words of a script: what [`Workload::parse`] reads.
    fn words(request: &Self::Request) -> Vec<String>;

    /// Whether an output is a decision, to be marked in a picture.
    fn is_decision(output: &Self::Output) -> bool;

    /// Makes up a request in a world of these nodes. `serial` is larger every time.
    fn invent(
        app: &mut Self::App,
        nodes: &[NodeId],
        serial: u64,
        choice: &mut Choice,
    ) -> Self::Request;

    /// Whether this replica takes part, so that what works must work there too.
    fn participates(oracle: &Self::Oracle, id: NodeId) -> bool {
        let _ = (oracle, id);
        true
    }

    /// The groups of replicas that decide by majority, or may do so before long: of none of them may more be
    /// lost than it can do without. None if it is one group of all.
    fn groups(oracle: &Self::Oracle) -> Vec<Vec<NodeId>> {
        let _ = oracle;
        Vec::new()
    }

    /// Requests whose effects show, once everything works again, that it really does.
    fn probe(app: &mut Self::App, serial: u64) -> Vec<Self::Request>;

    /// Whether the effects of the requests from [`Workload::probe`] have all been seen here.
    fn is_satisfied(app: &Self::App) -> bool;

    /// What the oracle would remember if every replica had the name that `names` gives it: worlds that
    /// differ only in names need be explored once. The layer above one replica must name no other.
    fn renamed(oracle: &Self::Oracle, names: &dyn Fn(NodeId) -> NodeId) -> Self::Oracle;

    /// A replica is given a request.
    fn on_request(
        oracle: &mut Self::Oracle,
        app: &mut Self::App,
        me: NodeId,
        request: &Self::Request,
    );

    /// A replica produced an output.
    ///
    /// # Errors
    /// The promise that it breaks.
    fn on_output(
        oracle: &mut Self::Oracle,
        app: &mut Self::App,
        me: NodeId,
        output: &Self::Output,
    ) -> Result<(), String>;

    /// A replica starts: what was not durable is gone, and this is what was.
    fn on_open(oracle: &mut Self::Oracle, app: &mut Self::App, me: NodeId) -> Checkpoint;

    /// The application makes its state durable.
    fn flush(app: &mut Self::App);

    /// The newest state that can be sent to others.
    fn newest(app: &Self::App) -> Checkpoint;

    /// A state arrived as an attachment, in full, and is durable.
    fn stage(app: &mut Self::App, checkpoint: Checkpoint);
}
