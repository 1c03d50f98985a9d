//! The verdict sheet: every property, whether it holds in a run, and what shows it.
//!
//! Worlds ask oracles and watches after everything that happens; what they find begins with the name of
//! the property that is broken. The sheet adds what only the whole run can show: that every request was
//! answered, and that all end with the same.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::NodeId;
use quorate_sim::trace::{Trace, What};

use super::claims::{Claims, End};
use super::tell::Told;
use crate::draw::words;

/// One line of the sheet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The property.
    pub property: String,
    /// Whether it holds.
    pub holds: bool,
    /// Whether that is as expected.
    pub expected: bool,
    /// What breaks it; if nothing does, what it says.
    pub witness: String,
}

/// Judges a story.
pub(super) fn judge(worlds: &[Told], claims: &Claims) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let violations: Vec<&String> = worlds.iter().flat_map(|told| &told.violations).collect();
    let named = |violation: &str| violation.split(": ").next().unwrap_or_default().to_string();
    let promises = claims.watched.iter().chain(claims.also);
    let mut properties: Vec<(String, &str)> = promises
        .map(|(name, promise)| (name.to_string(), *promise))
        .collect();
    for violation in &violations {
        let property = named(violation);
        if !properties.iter().any(|(known, _)| *known == property) {
            properties.push((property, ""));
        }
    }
    for (property, promise) in properties {
        let broken = violations
            .iter()
            .find(|violation| named(violation) == property);
        let witness = broken.map(|violation| violation[property.len()..].trim_start_matches(": "));
        verdicts.push(Verdict {
            holds: broken.is_none(),
            expected: true,
            witness: witness.unwrap_or(promise).to_string(),
            property,
        });
    }
    if let Some(end) = &claims.end {
        verdicts.push(answered(worlds, end));
        verdicts.push(converged(worlds, end));
        verdicts.extend(stuck(worlds, end));
    }
    verdicts
}

/// Whether every request was answered.
fn answered(worlds: &[Told], end: &End) -> Verdict {
    let (mut asked, mut open) = (0, None);
    for told in worlds {
        let events = &told.recording.trace.events;
        for (at, event) in events.iter().enumerate() {
            let What::Requested { node, text } = &event.what else {
                continue;
            };
            if !(end.wants)(text) {
                continue;
            }
            asked += 1;
            let answer = events[at..].iter().any(|event| match &event.what {
                What::Output {
                    node: by,
                    text: output,
                    ..
                } => (end.answers)(text, output, by == node),
                _ => false,
            });
            if !answer && open.is_none() {
                let request = words::request(text);
                open = Some(format!("`{request}`, asked of {node}, was never answered"));
            }
        }
    }
    Verdict {
        property: "every request is answered".to_string(),
        holds: open.is_none(),
        expected: true,
        witness: open.unwrap_or(format!("requests: {asked}")),
    }
}

/// Whether all that run at the end have come equally far.
fn converged(worlds: &[Told], end: &End) -> Verdict {
    let mut found = Vec::new();
    let mut holds = true;
    for told in worlds {
        let reached = reached(&told.recording.trace, end);
        holds &= reached.values().collect::<BTreeSet<_>>().len() <= 1;
        found.push(self::told(&reached));
    }
    Verdict {
        property: "all that run end equally far".to_string(),
        holds,
        expected: true,
        witness: found.join("; "),
    }
}

/// Whether nobody that runs at the end is in a state in which nobody should stay.
fn stuck(worlds: &[Told], end: &End) -> Option<Verdict> {
    let (begins, name) = end.stuck?;
    let mut stuck = BTreeSet::new();
    for (world, told) in worlds.iter().enumerate() {
        for event in &told.recording.trace.events {
            match &event.what {
                What::Started { node, .. } | What::Crashed { node, .. } => {
                    stuck.remove(&(world, *node));
                }
                What::Output { node, text, .. } if text == begins => {
                    stuck.insert((world, *node));
                }
                What::Output { node, text, .. } if (end.progress)(text).is_some() => {
                    stuck.remove(&(world, *node));
                }
                _ => {}
            }
        }
    }
    let names: Vec<_> = stuck.iter().map(|(_, node)| node.to_string()).collect();
    Some(Verdict {
        property: format!("nobody is {name}"),
        holds: stuck.is_empty(),
        expected: true,
        witness: match names.len() {
            0 => format!("nobody that runs at the end is {name}"),
            1 => format!("{} is {name} at the end", names[0]),
            _ => format!("{} are {name} at the end", names.join(" ")),
        },
    })
}

/// How far each process that runs at the end has come.
fn reached(trace: &Trace, end: &End) -> BTreeMap<NodeId, u64> {
    let mut reached = BTreeMap::new();
    for event in &trace.events {
        match &event.what {
            What::Started { node, .. } => {
                reached.insert(*node, 0);
            }
            What::Crashed { node, .. } => {
                reached.remove(node);
            }
            What::Output { node, text, .. } => {
                if let Some(position) = (end.progress)(text) {
                    reached.insert(*node, position);
                }
            }
            _ => {}
        }
    }
    reached
}

/// `n1 n2 at 3, n4 at 2`.
fn told(reached: &BTreeMap<NodeId, u64>) -> String {
    let mut by_position: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (node, position) in reached {
        by_position
            .entry(*position)
            .or_default()
            .push(node.to_string());
    }
    let parts = by_position
        .iter()
        .rev()
        .map(|(position, nodes)| format!("{} at {position}", nodes.join(" ")));
    parts.collect::<Vec<_>>().join(", ")
}
