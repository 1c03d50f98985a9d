//! Reads runs from JSON: those that [`super::json::run`] wrote, or another system in the same format.

use std::collections::BTreeSet;
use std::ops::Range;

use quorate_core::{Frame, Instant, NodeId, Status};
use quorate_sim::nearest::perhaps;
use quorate_sim::trace::{Event, Loss, MailId, Trace, What};
use serde_json::Value;

use super::json::{FORMAT, VERSION};
use crate::draw::html::{Head, Row};
use crate::draw::{Note, Recording};

/// All kinds of events.
const EVENTS: [&str; 17] = [
    "started",
    "crashed",
    "requested",
    "held",
    "sent",
    "forged",
    "copied",
    "received",
    "lost",
    "wrote",
    "synced",
    "fired",
    "output",
    "became",
    "cut",
    "healed",
    "violated",
];

pub(super) fn run(text: &str) -> Result<(Head, Vec<Recording>), String> {
    let document: Value = serde_json::from_str(text)
        .map_err(|error| format!("line {}: not JSON: {error}", error.line()))?;
    let top = At::new(&document, "");
    match document["format"].as_str() {
        Some(FORMAT) => {}
        Some(other) => return Err(format!("expected format `{FORMAT}`, found `{other}`")),
        None => {
            return Err(format!(
                "expected an object with `\"format\": \"{FORMAT}\"`"
            ));
        }
    }
    let version = top.number("version")?;
    if version != VERSION {
        return Err(format!(
            "this is version {version} of the format {FORMAT}; expected version {VERSION}"
        ));
    }
    let head = Head {
        title: top.text("title").unwrap_or_default(),
        source: top.text("source").unwrap_or_default(),
        story: top.texts("story").unwrap_or_default(),
        verdicts: match document.get("verdicts") {
            Some(_) => top.each("verdicts", verdict)?,
            None => Vec::new(),
        },
    };
    let mut reader = Reader {
        roles: BTreeSet::new(),
    };
    let worlds = top.each("worlds", |at| reader.world(&at))?;
    Ok((head, worlds))
}

fn verdict(at: At<'_>) -> Result<Row, String> {
    let holds = at.switch("holds")?;
    Ok(Row {
        property: at.text("property")?,
        holds,
        expected: holds == at.switch("expected")?,
        witness: at.text("witness")?,
    })
}

/// A value and the way to it.
struct At<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> At<'a> {
    fn new(value: &'a Value, path: impl Into<String>) -> At<'a> {
        let path = path.into();
        At { value, path }
    }

    fn get<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, String> {
        let value = self.value.get(key).unwrap_or(&Value::Null);
        read(value).ok_or_else(|| {
            let dot = if self.path.is_empty() { "" } else { ": " };
            format!(
                "{}{dot}expected `{key}`, {expected}, found {value}",
                self.path
            )
        })
    }

    fn number(&self, key: &str) -> Result<u64, String> {
        self.get(key, "a number", Value::as_u64)
    }

    fn switch(&self, key: &str) -> Result<bool, String> {
        self.get(key, "true or false", Value::as_bool)
    }

    fn text(&self, key: &str) -> Result<String, String> {
        self.get(key, "a text", |value| value.as_str().map(str::to_string))
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, String> {
        self.get(key, "a list of texts", |value| {
            let texts = value.as_array()?.iter().map(|text| text.as_str());
            texts.map(|text| text.map(str::to_string)).collect()
        })
    }

    fn node(&self, key: &str) -> Result<NodeId, String> {
        self.get(key, "a process like n1", |value| {
            value.as_str()?.parse().ok()
        })
    }

    fn each<T>(
        &self,
        key: &str,
        mut read: impl FnMut(At<'a>) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let values = self.get(key, "a list", Value::as_array)?;
        let dot = if self.path.is_empty() { "" } else { "." };
        let values = values.iter().enumerate();
        values
            .map(|(at, value)| read(At::new(value, format!("{}{dot}{key}[{at}]", self.path))))
            .collect()
    }

    fn wrong(&self, what: impl AsRef<str>) -> String {
        format!("{}: {}", self.path, what.as_ref())
    }
}

struct Reader {
    /// The names of roles that were read. There are a few of them, and they stay.
    roles: BTreeSet<&'static str>,
}

impl Reader {
    fn world(&mut self, at: &At<'_>) -> Result<Recording, String> {
        let members = at.texts("members")?;
        let members: Result<Vec<NodeId>, _> = members.iter().map(|text| text.parse()).collect();
        let members = members.map_err(|error| at.wrong(format!("members: {error}")))?;
        let (mut sent, mut known) = (BTreeSet::new(), BTreeSet::new());
        known.extend(members.iter().copied());
        let events = at.each("events", |at| {
            let what = self.event(&at)?;
            check(&what, &known, &mut sent).map_err(|reason| at.wrong(reason))?;
            let at = Instant(at.number("at").unwrap_or(0));
            Ok(Event { at, what })
        })?;
        let notes = match at.value.get("notes") {
            Some(_) => at.each("notes", |at| {
                let text = at.text("text")?;
                let at = usize::try_from(at.number("at")?).unwrap_or(usize::MAX);
                Ok(Note { at, text })
            })?,
            None => Vec::new(),
        };
        Ok(Recording {
            title: at.text("title").unwrap_or_default(),
            epoch: at.text("epoch").unwrap_or_default(),
            members,
            trace: Trace { events },
            notes,
            quiet: match at.value.get("quiet") {
                Some(_) => at.each("quiet", |at| range(&at))?,
                None => Vec::new(),
            },
        })
    }

    fn event(&mut self, at: &At<'_>) -> Result<What, String> {
        let event = at.text("event")?;
        let mail = |key: &str| at.number(key).map(MailId);
        let frame = |key: &str| at.number(key).map(Frame);
        let what = match event.as_str() {
            "started" => What::Started {
                node: at.node("node")?,
                incarnation: at.number("incarnation")?,
            },
            "crashed" => What::Crashed {
                node: at.node("node")?,
                kept: usize::try_from(at.number("kept")?).unwrap_or(usize::MAX),
            },
            "requested" => What::Requested {
                node: at.node("node")?,
                text: at.text("text")?,
            },
            "held" => What::Held {
                node: at.node("node")?,
                to: at.node("to")?,
                until: frame("until")?,
                kind: at.text("kind")?,
            },
            "sent" => What::Sent {
                mail: mail("mail")?,
                from: at.node("from")?,
                to: at.node("to")?,
                kind: at.text("kind")?,
                text: at.text("text")?,
            },
            "forged" => What::Forged {
                mail: mail("mail")?,
            },
            "copied" => What::Copied {
                mail: mail("mail")?,
                copy: mail("copy")?,
            },
            "received" => What::Received {
                mail: mail("mail")?,
                node: at.node("node")?,
            },
            "lost" => What::Lost {
                mail: mail("mail")?,
                why: loss(at)?,
            },
            "wrote" => What::Wrote {
                node: at.node("node")?,
                frame: frame("frame")?,
                text: at.text("text")?,
            },
            "synced" => What::Synced {
                node: at.node("node")?,
                frame: frame("frame")?,
            },
            "fired" => What::Fired {
                node: at.node("node")?,
                timer: at.text("timer")?,
            },
            "output" => What::Output {
                node: at.node("node")?,
                text: at.text("text")?,
                decision: at.switch("decision")?,
            },
            "became" => self.became(at)?,
            "cut" => What::Cut {
                from: at.node("from")?,
                to: at.node("to")?,
            },
            "healed" => What::Healed,
            "violated" => What::Violated {
                text: at.text("text")?,
            },
            other => {
                let hint = perhaps(other, EVENTS);
                return Err(at.wrong(format!("no event is called `{other}`{hint}")));
            }
        };
        Ok(what)
    }

    fn became(&mut self, at: &At<'_>) -> Result<What, String> {
        let role = at.text("role")?;
        Ok(What::Became {
            node: at.node("node")?,
            status: Status {
                role: self.role(&role),
                epoch: at.number("epoch")?,
                leader: at.node("leader").ok(),
                head: at.number("head").unwrap_or(0),
                decided: at.number("decided").unwrap_or(0),
                whole: at.switch("whole").unwrap_or(true),
                repaired: 0,
            },
        })
    }

    /// A role's name for good: protocols name theirs in their code, and so a status holds it.
    fn role(&mut self, name: &str) -> &'static str {
        if let Some(known) = self.roles.get(name) {
            return known;
        }
        let kept: &'static str = Box::leak(name.to_string().into_boxed_str());
        self.roles.insert(kept);
        kept
    }
}

fn loss(at: &At<'_>) -> Result<Loss, String> {
    let all = [Loss::Dropped, Loss::Cut, Loss::NobodyThere];
    let why = at.text("why")?;
    let found = all.into_iter().find(|loss| loss.to_string() == why);
    found.ok_or_else(|| {
        let names = all.map(|loss| format!("`{loss}`")).join(", ");
        at.wrong(format!("expected `why`, one of {names}, found `{why}`"))
    })
}

fn range(at: &At<'_>) -> Result<Range<usize>, String> {
    let ends = at.value.as_array().map(Vec::as_slice);
    let number = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
    match ends {
        Some([from, to]) => number(from).zip(number(to)).map(|(from, to)| from..to),
        _ => None,
    }
    .ok_or_else(|| at.wrong("expected two numbers"))
}

/// What a trace cannot say: something about a process that takes no part, or mail that nobody sent.
fn check(what: &What, known: &BTreeSet<NodeId>, sent: &mut BTreeSet<MailId>) -> Result<(), String> {
    let (node, mail) = match what {
        What::Sent { mail, from, .. } => {
            sent.insert(*mail);
            (Some(from), None)
        }
        What::Copied { mail, copy } => {
            let original = *mail;
            sent.insert(*copy);
            (None, Some(original))
        }
        What::Received { mail, node } => (Some(node), Some(*mail)),
        What::Lost { mail, .. } => (None, Some(*mail)),
        What::Started { node, .. }
        | What::Crashed { node, .. }
        | What::Requested { node, .. }
        | What::Held { node, .. }
        | What::Wrote { node, .. }
        | What::Synced { node, .. }
        | What::Fired { node, .. }
        | What::Output { node, .. }
        | What::Became { node, .. } => (Some(node), None),
        What::Cut { from, .. } => (Some(from), None),
        // A lie is told before its mail is sent.
        What::Forged { .. } | What::Healed | What::Violated { .. } => (None, None),
    };
    if let Some(node) = node.filter(|node| !known.contains(node)) {
        return Err(format!("{node} is none of the members"));
    }
    match mail.filter(|mail| !sent.contains(mail)) {
        Some(mail) => Err(format!("mail {} was never sent", mail.0)),
        None => Ok(()),
    }
}
