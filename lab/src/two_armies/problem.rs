//! What the generals must do: the same.

use std::collections::BTreeMap;

use quorate_core::{Checkpoint, Choice, NodeId, Problem};
use quorate_problems::Workload;

/// The problem of coordinated attack.
#[derive(Clone, Copy, Debug)]
pub struct Armies;

/// What a general is asked for: to propose an attack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Order {
    /// Propose it.
    Propose,
}

/// What a general does at dawn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Resolve {
    /// He attacks.
    Attack,
    /// He does not.
    Stay,
}

impl Problem for Armies {
    type Request = Order;
    type Output = Resolve;
}

/// Judges a campaign.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Judge {
    proposed: bool,
    resolved: BTreeMap<NodeId, Resolve>,
}

impl Workload for Armies {
    type Oracle = Judge;
    type App = ();

    fn parse((): &mut (), words: &[&str]) -> Option<Result<Order, String>> {
        match words {
            ["propose"] => Some(Ok(Order::Propose)),
            ["propose", ..] => Some(Err(format!("wrong arguments in {words:?}"))),
            _ => None,
        }
    }

    fn words(Order::Propose: &Order) -> Vec<String> {
        vec!["propose".to_string()]
    }

    fn is_decision(_: &Resolve) -> bool {
        true
    }

    fn invent((): &mut (), _: &[NodeId], _: u64, _: &mut Choice) -> Order {
        Order::Propose
    }

    fn probe((): &mut (), _: u64) -> Vec<Order> {
        Vec::new()
    }

    fn is_satisfied((): &()) -> bool {
        true
    }

    fn renamed(oracle: &Judge, names: &dyn Fn(NodeId) -> NodeId) -> Judge {
        let resolved = oracle.resolved.iter();
        Judge {
            proposed: oracle.proposed,
            resolved: resolved
                .map(|(&id, &resolve)| (names(id), resolve))
                .collect(),
        }
    }

    fn on_request(oracle: &mut Judge, (): &mut (), _: NodeId, Order::Propose: &Order) {
        oracle.proposed = true;
    }

    fn on_output(
        oracle: &mut Judge,
        (): &mut (),
        me: NodeId,
        resolve: &Resolve,
    ) -> Result<(), String> {
        oracle.resolved.insert(me, *resolve);
        if *resolve == Resolve::Attack && !oracle.proposed {
            return Err(format!("validity: {me} attacks, which nobody proposed"));
        }
        let other = oracle.resolved.iter().find(|(_, other)| *other != resolve);
        let Some((&other, _)) = other else {
            return Ok(());
        };
        let (attacks, stays) = match resolve {
            Resolve::Attack => (me, other),
            Resolve::Stay => (other, me),
        };
        Err(format!(
            "coordination: {attacks} attacks alone, {stays} stays"
        ))
    }

    fn on_open(_: &mut Judge, (): &mut (), _: NodeId) -> Checkpoint {
        Checkpoint::default()
    }

    fn flush((): &mut ()) {}

    fn newest((): &()) -> Checkpoint {
        Checkpoint::default()
    }

    fn stage((): &mut (), _: Checkpoint) {}
}
