//! What happens, in the words of the simulator's scripts: a counterexample is a script.

use quorate_core::NodeId;

use super::actions::Event;
use super::state::State;
use super::{Checkable, World, name};

impl<P: Checkable> World<P> {
    /// The command of a script that lets this happen, in the state that it happens in.
    pub(super) fn command(&self, state: &State<P>, event: &Event<P::Timer>) -> String {
        let id = |machine: usize| -> NodeId { self.members[machine] };
        match event {
            Event::Deliver { mail } => format!("deliver {}", self.mail(state, *mail)),
            Event::Lose { mail } => format!("drop {}", self.mail(state, *mail)),
            Event::Duplicate { mail } => format!("duplicate {}", self.mail(state, *mail)),
            Event::Sync { machine } => format!("sync {} 1", id(*machine)),
            Event::Fire { machine, timer, .. } => format!("fire {} {}", id(*machine), name(timer)),
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
