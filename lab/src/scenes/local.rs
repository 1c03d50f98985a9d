//! What one process can know of a run: everything that it saw and did, and nothing else.

use std::fmt::Write as _;

use quorate_core::NodeId;
use quorate_sim::trace::{Trace, What};

/// The part of a trace that a process can see, as text. Two runs in which this text is the same are
/// the same to that process, whatever it computes.
#[must_use]
pub fn seen(trace: &Trace, me: NodeId) -> String {
    let mut out = String::new();
    for event in &trace.events {
        if let Some(line) = line(trace, &event.what, me) {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

fn line(trace: &Trace, what: &What, me: NodeId) -> Option<String> {
    let line = match what {
        What::Started { node, incarnation } if *node == me => format!("start {incarnation}"),
        What::Requested { node, text } if *node == me => format!("asked {text}"),
        What::Fired { node, timer } if *node == me => format!("timer {timer}"),
        What::Wrote { node, frame, text } if *node == me => format!("write {}: {text}", frame.0),
        What::Synced { node, frame } if *node == me => format!("durable {}", frame.0),
        What::Output { node, text, .. } if *node == me => format!("output {text}"),
        What::Became { node, status } if *node == me => format!("become {status:?}"),
        What::Sent { from, to, text, .. } if *from == me => format!("send {to}: {text}"),
        What::Received { mail, node } if *node == me => {
            let (from, text) = message(trace, *mail)?;
            format!("receive {from}: {text}")
        }
        _ => return None,
    };
    Some(line)
}

/// Who sent a piece of mail, and what it says. A copy says what its original says.
fn message(trace: &Trace, wanted: quorate_sim::trace::MailId) -> Option<(NodeId, &str)> {
    let mut wanted = wanted;
    // A copy is made after its original was sent, so one look backwards finds both.
    for event in trace.events.iter().rev() {
        match &event.what {
            What::Copied { mail, copy } if *copy == wanted => wanted = *mail,
            What::Sent {
                mail, from, text, ..
            } if *mail == wanted => return Some((*from, text)),
            _ => {}
        }
    }
    None
}
