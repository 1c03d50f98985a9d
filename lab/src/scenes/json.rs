//! Runs as JSON: what a program reads instead of a picture.
//!
//! A document names its format and version first. Times are in microseconds of the world's clock.

use serde_json::{Value, json};

use quorate_sim::trace::{Event, What};

use super::read;
use super::stage::Outcome;
use super::tell::Told;
use super::{Scene, Verdict};
use crate::draw::Recording;
use crate::draw::html::Head;

/// The name of the format.
pub const FORMAT: &str = "quorate-run";
/// Its version.
pub const VERSION: u64 = 1;

/// Reads a document: what stands above the pictures, and what is in them.
///
/// # Errors
/// Where it is not of this format, and what was expected there.
pub fn read(text: &str) -> Result<(Head, Vec<Recording>), String> {
    read::run(text)
}

/// A scene and what came of it.
#[must_use]
pub fn run(scene: &Scene, outcome: &Outcome) -> Value {
    json!({
        "format": FORMAT,
        "version": VERSION,
        "scene": scene.name,
        "title": scene.title,
        "source": scene.source,
        "protocol": scene.protocol,
        "story": scene.story,
        "as_expected": outcome.is_as_expected(),
        "verdicts": outcome.sheet.iter().map(verdict).collect::<Vec<_>>(),
        "worlds": outcome.worlds.iter().map(world).collect::<Vec<_>>(),
    })
}

fn verdict(verdict: &Verdict) -> Value {
    json!({
        "property": verdict.property,
        "holds": verdict.holds,
        "expected": verdict.expected,
        "witness": verdict.witness,
    })
}

/// One world: who takes part, what happened, what was remarked.
#[must_use]
pub fn world(told: &Told) -> Value {
    let recording = &told.recording;
    let names = recording.members.iter().map(ToString::to_string);
    let notes = recording.notes.iter();
    let quiet = recording.quiet.iter();
    json!({
        "title": recording.title,
        "epoch": recording.epoch,
        "members": names.collect::<Vec<_>>(),
        "violations": told.violations,
        "notes": notes.map(|note| json!({ "at": note.at, "text": note.text })).collect::<Vec<_>>(),
        "quiet": quiet.map(|range| json!([range.start, range.end])).collect::<Vec<_>>(),
        "events": recording.trace.events.iter().map(event).collect::<Vec<_>>(),
    })
}

fn event(event: &Event) -> Value {
    let mut value = what(&event.what);
    value["at"] = json!(event.at.0);
    value
}

fn what(what: &What) -> Value {
    match what {
        What::Started { node, incarnation } => {
            json!({ "event": "started", "node": node.to_string(), "incarnation": incarnation })
        }
        What::Crashed { node, kept } => {
            json!({ "event": "crashed", "node": node.to_string(), "kept": kept })
        }
        What::Requested { node, text } => {
            json!({ "event": "requested", "node": node.to_string(), "text": text })
        }
        What::Held {
            node,
            to,
            until,
            kind,
        } => json!({
            "event": "held", "node": node.to_string(), "to": to.to_string(),
            "until": until.0, "kind": kind,
        }),
        What::Sent {
            mail,
            from,
            to,
            kind,
            text,
        } => json!({
            "event": "sent", "mail": mail.0, "from": from.to_string(), "to": to.to_string(),
            "kind": kind, "text": text,
        }),
        What::Forged { mail } => json!({ "event": "forged", "mail": mail.0 }),
        What::Copied { mail, copy } => {
            json!({ "event": "copied", "mail": mail.0, "copy": copy.0 })
        }
        What::Received { mail, node } => {
            json!({ "event": "received", "mail": mail.0, "node": node.to_string() })
        }
        What::Lost { mail, why } => {
            json!({ "event": "lost", "mail": mail.0, "why": why.to_string() })
        }
        What::Wrote { node, frame, text } => json!({
            "event": "wrote", "node": node.to_string(), "frame": frame.0, "text": text,
        }),
        What::Synced { node, frame } => {
            json!({ "event": "synced", "node": node.to_string(), "frame": frame.0 })
        }
        What::Fired { node, timer } => {
            json!({ "event": "fired", "node": node.to_string(), "timer": timer })
        }
        What::Output {
            node,
            text,
            decision,
        } => json!({
            "event": "output", "node": node.to_string(), "text": text, "decision": decision,
        }),
        What::Became { node, status } => json!({
            "event": "became", "node": node.to_string(), "role": status.role,
            "epoch": status.epoch, "leader": status.leader.map(|leader| leader.to_string()),
            "head": status.head, "decided": status.decided,
            "whole": status.whole,
        }),
        What::Cut { from, to } => {
            json!({ "event": "cut", "from": from.to_string(), "to": to.to_string() })
        }
        What::Healed => json!({ "event": "healed" }),
        What::Violated { text } => json!({ "event": "violated", "text": text }),
    }
}
