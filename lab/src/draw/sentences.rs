//! Steps in words, for those who read and for those who cannot see the picture.

use super::diagram::{Diagram, Mark, Step};
use super::words;

/// What caused a step.
pub(super) fn cause(diagram: &Diagram, step: &Step) -> String {
    let id = diagram.processes[step.process];
    match step.marks.first() {
        Some(Mark::Received(mail)) => {
            let mail = &diagram.mail[*mail];
            let from = diagram.processes[mail.from];
            format!("{from} → {id}: {}", mail.text)
        }
        Some(Mark::Fired(timer)) => format!("{id}: the timer {timer} runs out"),
        Some(Mark::Requested(text)) => format!("{id} is asked: {}", words::request(text)),
        Some(Mark::Started(1)) => format!("{id} starts"),
        Some(Mark::Started(times)) => format!("{id} restarts: start number {times}"),
        Some(Mark::Crashed(0)) => format!("{id} crashes"),
        Some(Mark::Crashed(kept)) => {
            format!("{id} crashes; unfinished frames that survive: {kept}")
        }
        Some(Mark::Synced(frame)) => format!("{id}: durable through frame {}", frame.0),
        _ => String::new(),
    }
}

/// What was sent in the name of another.
pub(super) fn forged(diagram: &Diagram, mail: usize) -> String {
    let mail = &diagram.mail[mail];
    let (from, to) = (diagram.processes[mail.from], diagram.name(mail.to));
    format!("forged: {from} → {to}: {}", mail.text)
}

/// What a step writes, holds and sends.
pub(super) fn consequences(diagram: &Diagram, step: &Step) -> String {
    let mut sent: Vec<(&str, Vec<String>)> = Vec::new();
    let mut held: Vec<(u64, Vec<String>)> = Vec::new();
    let mut words = Vec::new();
    for mark in &step.marks {
        match mark {
            Mark::Sent(mail) => {
                let mail = &diagram.mail[*mail];
                group(&mut sent, mail.kind.as_str(), diagram.name(mail.to));
            }
            Mark::Held(frame, mail) => {
                let mail = &diagram.mail[*mail];
                let to = match mail.to == Some(step.process) {
                    true => "itself".to_string(),
                    false => diagram.name(mail.to),
                };
                group(&mut held, frame.0, format!("{} to {to}", mail.kind));
            }
            Mark::Counted(mail) => {
                words.push(format!("counts its own {}", diagram.mail[*mail].kind));
            }
            Mark::Wrote(frame, text) => words.push(format!("writes {}: {text}", frame.0)),
            _ => {}
        }
    }
    for (kind, receivers) in sent {
        words.push(format!("sends {kind} to {}", receivers.join(", ")));
    }
    for (frame, mail) in held {
        words.push(format!(
            "holds until {frame} is durable: {}",
            mail.join(", ")
        ));
    }
    words.join("; ")
}

/// Adds a value under its key, keeping the order in which keys came.
pub(super) fn group<K: PartialEq, V>(groups: &mut Vec<(K, Vec<V>)>, key: K, value: V) {
    match groups.iter_mut().find(|(known, _)| *known == key) {
        Some((_, values)) => values.push(value),
        None => groups.push((key, vec![value])),
    }
}
