//! What happens, in the words of the simulator's scripts: a counterexample is a script.

use std::fmt::Debug;

use quorate_core::NodeId;

use super::actions::{Action, Event};
use super::state::State;
use super::{Checkable, World};

impl<P: Checkable> World<P> {
    /// The command of a script that lets this happen, choices included, in the state that it happens in.
    pub(super) fn command(&self, state: &State<P>, action: &Action<P::Timer>) -> String {
        let Action { event, answers } = action;
        let mut others = Vec::new();
        let asked = self.happen(&mut state.clone(), event, answers, &mut others);
        let mut chosen = answers.clone();
        chosen.resize(asked.len().max(answers.len()), 0);
        let event = self.event(state, event);
        if chosen.is_empty() {
            return event;
        }
        let chosen: Vec<_> = chosen.iter().map(u32::to_string).collect();
        format!("choose {} {event}", chosen.join(","))
    }

    fn event(&self, state: &State<P>, event: &Event<P::Timer>) -> String {
        let id = |machine: usize| -> NodeId { self.members[machine] };
        match event {
            Event::Deliver { mail } => format!("deliver {}", self.mail(state, *mail)),
            Event::Lose { mail } => format!("drop {}", self.mail(state, *mail)),
            Event::Duplicate { mail } => format!("duplicate {}", self.mail(state, *mail)),
            Event::Sync { machine } => format!("sync {} 1", id(*machine)),
            Event::Fire { machine, timer, .. } | Event::FirePatiently { machine, timer, .. } => {
                format!("fire {} {}", id(*machine), spelled(timer))
            }
            Event::Request { machine } => {
                let request = &self.limits.requests[usize::from(state.spent.requests)];
                let (verb, rest) = request.split_once(' ').unwrap_or((request, ""));
                format!("{verb} {} {rest}", id(*machine))
                    .trim_end()
                    .to_string()
            }
            Event::Crash { machine, keep: 0 } => format!("crash {}", id(*machine)),
            Event::Crash { machine, keep } => format!("crash {} keep {keep}", id(*machine)),
            Event::Restart { machine } => format!("restart {}", id(*machine)),
        }
    }

    /// Names a piece of mail: `n1 n2 Append`, or `n1 n2 Append 2` for the second oldest such.
    fn mail(&self, state: &State<P>, mail: usize) -> String {
        let letter = self.letter(state.mail[mail]);
        let (from, to) = (self.members[letter.from], self.members[letter.to]);
        let older = state.mail[..mail].iter().filter(|&&other| {
            let other = self.letter(other);
            (other.from, other.to, &other.kind) == (letter.from, letter.to, &letter.kind)
        });
        match older.count() {
            0 => format!("{from} {to} {}", letter.kind),
            older => format!("{from} {to} {} {}", letter.kind, older + 1),
        }
    }
}

/// A timer as scripts write it: in one word.
fn spelled(timer: &impl Debug) -> String {
    let mut text = format!("{timer:?}");
    text.retain(|c| !c.is_whitespace());
    text
}
