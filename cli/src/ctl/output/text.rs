//! Bytes as text.

use std::fmt::Write;

/// How keys and values are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    /// The bytes themselves: for pipes and files.
    Raw,
    /// What cannot be seen, or would steer a terminal, is escaped.
    Escaped,
    /// All bytes in hexadecimal.
    Hex,
}

/// Shows bytes in a style.
pub(crate) fn show(bytes: &[u8], style: Style) -> Vec<u8> {
    match style {
        Style::Raw => bytes.to_vec(),
        Style::Escaped => escape(bytes, "\n\t").into_bytes(),
        Style::Hex => hex(bytes).into_bytes(),
    }
}

/// The same for one line of text, as a cell of a table is.
pub(crate) fn show_line(bytes: &[u8], style: Style) -> String {
    match style {
        Style::Raw | Style::Escaped => escape(bytes, ""),
        Style::Hex => hex(bytes),
    }
}

/// In double quotes, as Go and etcdctl quote.
pub(crate) fn quote(bytes: &[u8], style: Style) -> String {
    if style == Style::Hex {
        return format!("\"{}\"", hex(bytes));
    }
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                other => push(&mut out, other, ""),
            }
        }
        push_bytes(&mut out, chunk.invalid());
    }
    out.push('"');
    out
}

fn escape(bytes: &[u8], kept: &str) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push(&mut out, character, kept);
        }
        push_bytes(&mut out, chunk.invalid());
    }
    out
}

/// Appends a character so that it can be seen, unless it is to be `kept` as it is.
fn push(out: &mut String, character: char, kept: &str) {
    match character {
        kept_one if kept.contains(kept_one) => out.push(kept_one),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other if is_seen(other) => out.push(other),
        other if u32::from(other) < 0x80 => push_bytes(out, &[other as u8]),
        other => {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(other));
        }
    }
}

/// Not a control character, nor one that changes the direction of what follows.
fn is_seen(character: char) -> bool {
    let steers = matches!(
        u32::from(character),
        0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x2069 | 0xfeff
    );
    !character.is_control() && !steers
}

fn push_bytes(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(out, "\\x{byte:02x}");
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 4);
    push_bytes(&mut out, bytes);
    out
}

/// A size as people say it, in powers of ten, as etcdctl has it.
pub(crate) fn size(bytes: i64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 || value >= 9.95 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}
