//! A page that holds everything about a run: story, verdicts, pictures, and every step in words. It
//! needs nothing but itself, so it can be mailed or attached to a bug report.

use std::fmt::Write as _;

use super::diagram::{Diagram, Happening};
use super::sentences;
use super::svg;
use super::svg::writer::escape;

/// What stands above the pictures.
#[derive(Clone, Default, Debug)]
pub struct Head {
    /// The title.
    pub title: String,
    /// Where the story comes from.
    pub source: String,
    /// The story, in paragraphs.
    pub story: Vec<String>,
    /// Properties: name, whether it holds and whether it should, and the reason.
    pub verdicts: Vec<Row>,
}

/// One line of the verdict sheet.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is claimed.
    pub property: String,
    /// Whether it holds.
    pub holds: bool,
    /// Whether that is as expected.
    pub expected: bool,
    /// Why it does not hold, or how it shows that it does.
    pub witness: String,
}

/// Draws pictures with all that belongs to them.
#[must_use]
pub fn render(head: &Head, diagrams: &[Diagram]) -> String {
    let mut out = String::new();
    let title = escape(&head.title);
    let style = include_str!("html/page.css");
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    if !head.source.is_empty() {
        let _ = writeln!(out, "<p class=\"source\">{}</p>", escape(&head.source));
    }
    for paragraph in &head.story {
        let _ = writeln!(out, "<p>{}</p>", escape(paragraph));
    }
    verdicts(&mut out, &head.verdicts);
    out.push_str("<p class=\"kinds\" hidden></p>\n");
    for diagram in diagrams {
        let _ = writeln!(out, "<figure>\n{}</figure>", svg::render(diagram));
        steps(&mut out, diagram);
    }
    out.push_str("</main>\n<aside hidden></aside>\n<script>\n");
    out.push_str(include_str!("html/page.js"));
    out.push_str("</script>\n</body>\n</html>\n");
    out
}

fn verdicts(out: &mut String, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    out.push_str("<table class=\"verdicts\">\n");
    for row in rows {
        let (class, sign) = match row.holds {
            true => ("true", "true"),
            false => ("false", "false"),
        };
        let surprise = if row.expected { "" } else { " (not expected)" };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"{class}\">{sign}{surprise}</td><td>{}</td></tr>",
            escape(&row.property),
            escape(&row.witness)
        );
    }
    out.push_str("</table>\n");
}

/// Every step in words.
fn steps(out: &mut String, diagram: &Diagram) {
    out.push_str("<details><summary>Every step in words</summary>\n<ol>\n");
    for moment in &diagram.moments {
        match &moment.what {
            Happening::Step(step) => {
                let cause = escape(&sentences::cause(diagram, step));
                let rest = escape(&sentences::consequences(diagram, step));
                let _ = writeln!(out, "<li>{cause}<span>{rest}</span></li>");
            }
            Happening::Note(text) => {
                let _ = writeln!(out, "<li class=\"note\">{}</li>", escape(text));
            }
            Happening::Parted(parting) if parting.cut.is_empty() => {
                out.push_str("<li class=\"note\">all links work</li>\n");
            }
            Happening::Parted(parting) => {
                let _ = writeln!(
                    out,
                    "<li class=\"alarm\">cut: {}</li>",
                    escape(&parting.text)
                );
            }
            Happening::Skipped => out.push_str("<li class=\"note\">…</li>\n"),
            Happening::Forged(mail) => {
                let text = escape(&sentences::forged(diagram, *mail));
                let _ = writeln!(out, "<li class=\"alarm\">{text}</li>");
            }
            Happening::Violated(text) => {
                let _ = writeln!(out, "<li class=\"alarm\">violated: {}</li>", escape(text));
            }
        }
    }
    out.push_str("</ol>\n</details>\n");
}
