//! A trace as the lines of a golden script.

use super::{Event, What};

/// What a line of a script is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// Mail, frames and outputs.
    Everything,
    /// Outputs only.
    Outputs,
}

/// The lines of some events. Scripts show what replicas do: the mail they send, the frames they
/// write and their outputs, not what the script itself said.
#[must_use]
pub fn lines(events: &[Event], detail: Detail) -> Vec<String> {
    let next = events.iter().skip(1).map(Some).chain([None]);
    let lines = events.iter().zip(next).map(|(event, next)| {
        let all = detail == Detail::Everything;
        match &event.what {
            What::Output { node, text, .. } => Some(format!("{node}: {text}")),
            What::Sent {
                mail,
                from,
                to,
                text,
                ..
            } if all => {
                // What a cut takes away at once is lost in the very next event.
                let lost = next.is_some_and(
                    |next| matches!(&next.what, What::Lost { mail: lost, .. } if lost == mail),
                );
                let fate = if lost { " (lost)" } else { "" };
                Some(format!("{from} -> {to}: {text}{fate}"))
            }
            What::Wrote { node, frame, text } if all => {
                Some(format!("{node} writes {}: {text}", frame.0))
            }
            _ => None,
        }
    });
    lines.flatten().collect()
}
