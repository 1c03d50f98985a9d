//! Long texts made short enough for a picture.
//!
//! Traces hold what `Debug` prints. Most of it is noise beside an arrow, so a label is the name of the
//! message and the one field that usually matters: the last that is not a switch.

use quorate_core::Status;

/// What a process has become: `leader 3`, or its role alone where there are no epochs, or none yet.
pub(crate) fn role(status: &Status) -> String {
    match status.epoch {
        0 => status.role.to_string(),
        epoch => format!("{} {epoch}", status.role),
    }
}

/// What is written beside an arrow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Label {
    /// The name of the message.
    pub(crate) kind: String,
    /// What tells it from others of its kind, if that is short.
    pub(crate) detail: Option<String>,
}

/// Longer details say too much.
const DETAIL_CHARS_MAX: usize = 14;

/// The label of a message.
pub(crate) fn label(kind: &str, text: &str) -> Label {
    let fields = fields(text).map(|(_, fields)| fields).unwrap_or_default();
    let detail = fields.iter().rev().find_map(telling).or_else(|| {
        // Where ballots compete, a message about nothing else is about its ballot.
        let ballot = fields.iter().find(|(name, _)| name == "ballot");
        ballot.map(|(_, ballot)| ballot.clone())
    });
    Label {
        kind: kind.to_string(),
        detail: detail.filter(|detail| detail.chars().count() <= DETAIL_CHARS_MAX),
    }
}

/// What a field says of a message, if that tells it from others of its kind.
fn telling((name, value): &(String, String)) -> Option<String> {
    match (value.as_str(), name.as_str()) {
        ("false" | "[]" | "None", _) => None,
        ("true", name) => Some(name.to_string()),
        (_, "term" | "incarnation" | "view" | "ballot" | "round" | "epoch" | "commit") => None,
        (value, _) => {
            let inner = value.strip_prefix("Some(");
            let inner = inner.and_then(|inner| inner.strip_suffix(')'));
            Some(inner.unwrap_or(value).to_string())
        }
    }
}

/// An output in a few words; `None` if a picture shows the same in another way.
pub(crate) fn output(text: &str) -> Option<String> {
    // The line of a process shows who leads.
    if text.starts_with("Lead ") {
        return None;
    }
    Some(known(text).unwrap_or_else(|| clip(text, 24)))
}

/// The outputs of the problems.
fn known(text: &str) -> Option<String> {
    let (name, fields) = fields(text)?;
    let field = |wanted: &str| {
        let mut found = fields.iter().filter(|(name, _)| name == wanted);
        found.next().map(|(_, value)| value.as_str())
    };
    match name.as_str() {
        "Deliver" => {
            let payload = match field("payload")? {
                "\"\"" => "noop",
                payload => payload,
            };
            Some(format!("{} {}", field("position")?, clip(payload, 16)))
        }
        "Install" => {
            let (_, inner) = self::fields(field("0")?)?;
            Some(format!("state through {}", inner.first()?.1))
        }
        "Decide" => Some(match field("0")? {
            "Commit" => "commits".to_string(),
            "Abort" => "aborts".to_string(),
            value => format!("decides {}", clip(value, 16)),
        }),
        "Suspect" => Some(format!("suspects {}", field("0")?)),
        "ReadReady" => Some(format!("read {} at {}", field("id")?, field("position")?)),
        _ => None,
    }
}

/// At most so many characters, the last of them an ellipsis if there were more.
pub(crate) fn clip(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_string();
    }
    let mut short: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A request as a script would write it: `Broadcast("a")` is `broadcast "a"`.
pub(crate) fn request(text: &str) -> String {
    let (name, values) = match fields(text) {
        Some((name, fields)) => (name, fields.into_iter().map(|(_, value)| value).collect()),
        None => (text.to_string(), Vec::new()),
    };
    let mut words = vec![name.to_lowercase()];
    let values = values.into_iter().filter(|value| value != "None");
    words.extend(
        values.map(|value| match value.chars().all(char::is_alphabetic) {
            true => value.to_lowercase(),
            false => value,
        }),
    );
    clip(&words.join(" "), 24)
}

/// Decisions made together: two in full, more as a range.
pub(crate) fn decisions(texts: &[String]) -> Option<String> {
    match texts {
        [] => None,
        [first, .., last] if texts.len() > 2 => {
            let position = |text: &String| text.split(' ').next().unwrap_or_default().to_string();
            Some(format!("{}–{}", position(first), position(last)))
        }
        few => Some(few.join(", ")),
    }
}

/// A text in lines of at most so many characters, broken at spaces where there are any.
pub(crate) fn wrap(text: &str, chars_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = clip(word, chars_max.max(8));
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= chars_max => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// Takes `Name { a: 1, b: [2, 3] }` or `Name(1, 2)` apart. Fields without name are called by their number.
pub(crate) fn fields(text: &str) -> Option<(String, Vec<(String, String)>)> {
    let open = text.find(['{', '('])?;
    let name = text[..open].trim();
    let inner = text[open + 1..].trim_end().strip_suffix(['}', ')'])?;
    let named = text[open..].starts_with('{');
    let mut parts = Vec::new();
    let (mut depth, mut quoted, mut escaped, mut start) = (0i32, false, false, 0);
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let parts = parts.into_iter().map(str::trim).filter(|p| !p.is_empty());
    let fields = parts.enumerate().map(|(number, part)| {
        let pair = part.split_once(": ").filter(|_| named);
        match pair {
            Some((name, value)) => (name.to_string(), value.to_string()),
            None => (number.to_string(), part.to_string()),
        }
    });
    Some((name.to_string(), fields.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(kind: &str, text: &str) -> String {
        let label = label(kind, text);
        match label.detail {
            Some(detail) => format!("{} {detail}", label.kind),
            None => label.kind,
        }
    }

    #[test]
    fn a_label_is_the_name_and_what_tells_it_from_others() {
        let append = "Append { term: 4, previous: 2@2, commit: 0, entries: [noop@4] }";
        assert_eq!(short("Append", append), "Append [noop@4]");
        let vote = "RequestVote { term: 4, last: 2@2, transfer: false }";
        assert_eq!(short("RequestVote", vote), "RequestVote 2@2");
        let vote = "RequestVote { term: 4, last: 2@2, transfer: true }";
        assert_eq!(short("RequestVote", vote), "RequestVote transfer");
        assert_eq!(short("Granted", "Granted { term: 4 }"), "Granted");
        assert_eq!(short("Ping", "Ping"), "Ping");
        assert_eq!(short("Prepare", "Prepare { ballot: 2.n1 }"), "Prepare 2.n1");
        let promise = "Promise { ballot: 2.n1, accepted: None }";
        assert_eq!(short("Promise", promise), "Promise 2.n1");
        let promise = "Promise { ballot: 2.n1, accepted: Some(1.n2 \"b\") }";
        assert_eq!(short("Promise", promise), "Promise 1.n2 \"b\"");
        assert_eq!(short("Ordered", "Ordered(\"a, b\")"), "Ordered \"a, b\"");
    }

    #[test]
    fn outputs_in_a_few_words() {
        let deliver =
            |payload: &str| format!("Deliver {{ position: 2, epoch: 1, payload: {payload} }}");
        assert_eq!(output(&deliver("\"a\"")).as_deref(), Some("2 \"a\""));
        assert_eq!(output(&deliver("\"\"")).as_deref(), Some("2 noop"));
        assert_eq!(output("Lead { epoch: 1, leader: None }"), None);
        let install = "Install(Checkpoint { position: 3, epoch: 1 })";
        assert_eq!(output(install).as_deref(), Some("state through 3"));
        let strange = "Deliver { something: else }";
        assert_eq!(output(strange).as_deref(), Some("Deliver { something: el…"));
        assert_eq!(output("Decide(\"a\")").as_deref(), Some("decides \"a\""));
        assert_eq!(output("Decide(Commit)").as_deref(), Some("commits"));
        assert_eq!(output("Suspect(n2)").as_deref(), Some("suspects n2"));
        assert_eq!(output("attack").as_deref(), Some("attack"));
    }

    #[test]
    fn requests_look_as_in_a_script() {
        assert_eq!(request("Broadcast(\"a b\")"), "broadcast \"a b\"");
        assert_eq!(request("Read { id: 1 }"), "read 1");
        assert_eq!(request("Transfer { to: None }"), "transfer");
        assert_eq!(request("Attack"), "attack");
        assert_eq!(request("Vote(Yes)"), "vote yes");
    }

    #[test]
    fn decisions_made_together() {
        let texts = |texts: &[&str]| texts.iter().map(|t| t.to_string()).collect::<Vec<_>>();
        assert_eq!(decisions(&texts(&[])), None);
        let two = decisions(&texts(&["1 noop", "2 \"a\""]));
        assert_eq!(two.as_deref(), Some("1 noop, 2 \"a\""));
        let three = decisions(&texts(&["1 noop", "2 \"a\"", "3 \"b\""]));
        assert_eq!(three.as_deref(), Some("1–3"));
    }

    #[test]
    fn clipping_counts_characters() {
        assert_eq!(clip("überlang", 5), "über…");
        assert_eq!(clip("über", 4), "über");
    }
}
