//! A diagram for a terminal, or for a comment in a bug report.
//!
//! Every piece of mail has one line, in which it arrives or is lost; what a step came to stands in the
//! line below. To the right of the picture, if there is room, the same in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use quorate_sim::trace::Loss;

use super::diagram::{Diagram, End, Happening, Life, Mark, Parting, Step};
use super::sentences;
use super::words::{self, clip};

/// How the picture is to look.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// How many columns there are.
    pub width: usize,
    /// Whether epochs are shown in colour.
    pub colour: bool,
}

impl Default for Style {
    fn default() -> Style {
        Style {
            width: 120,
            colour: false,
        }
    }
}

/// Draws a diagram.
#[must_use]
pub fn render(diagram: &Diagram, style: Style) -> String {
    let mut pen = Pen::new(diagram, style);
    pen.header();
    let mut losses: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, mail) in diagram.mail.iter().enumerate() {
        if let End::Lost(after, _) = mail.end {
            losses.entry(after).or_default().push(at);
        }
    }
    let mut number = 0;
    for (at, moment) in diagram.moments.iter().enumerate() {
        pen.losses(losses.get(&at));
        match &moment.what {
            Happening::Step(step) => {
                number += 1;
                pen.step(number, step);
            }
            Happening::Note(text) => pen.note(text),
            Happening::Parted(parting) => pen.parted(parting),
            Happening::Skipped => pen.across("..."),
            Happening::Forged(mail) => pen.forged(*mail),
            Happening::Violated(text) => pen.violated(text),
        }
    }
    pen.losses(losses.get(&diagram.moments.len()));
    pen.under_way();
    pen.out
}

/// Columns before the first process: the number of the step.
const GUTTER: usize = 6;
/// Fewer columns to the right of the picture hold no words.
const WORDS_WIDTH_MIN: usize = 24;

struct Pen<'a> {
    diagram: &'a Diagram,
    style: Style,
    /// The distance between two processes.
    gap: usize,
    lives: Vec<Life>,
    cut: BTreeSet<(usize, usize)>,
    out: String,
}

/// One line under work.
struct Line {
    cells: Vec<(char, Option<u64>)>,
}

impl Line {
    /// Writes over what is there.
    fn put(&mut self, at: usize, text: &str, epoch: Option<u64>) {
        for (offset, c) in text.chars().enumerate() {
            if self.cells.len() <= at + offset {
                self.cells.resize(at + offset + 1, (' ', None));
            }
            self.cells[at + offset] = (c, epoch);
        }
    }
}

impl Pen<'_> {
    fn new(diagram: &Diagram, style: Style) -> Pen<'_> {
        let kinds = diagram.mail.iter().map(|mail| mail.kind.chars().count());
        let gap = kinds.max().unwrap_or(0) + 7;
        let columns = diagram.processes.len().max(1);
        let fits = style.width.saturating_sub(GUTTER) / columns;
        Pen {
            diagram,
            style,
            gap: gap.clamp(16, 24).min(fits.max(10)),
            lives: diagram.before.clone(),
            cut: BTreeSet::new(),
            out: String::new(),
        }
    }

    /// Where a process's line is.
    fn x(&self, process: usize) -> usize {
        GUTTER + 2 + process * self.gap
    }

    /// How many columns there are for words, to the right of the picture.
    fn room(&self) -> usize {
        let start = self.x(self.diagram.processes.len());
        self.style.width.saturating_sub(start)
    }

    fn header(&mut self) {
        let mut line = Line { cells: Vec::new() };
        for (at, id) in self.diagram.processes.iter().enumerate() {
            let name = id.to_string();
            line.put(
                self.x(at).saturating_sub(name.chars().count() / 2),
                &name,
                None,
            );
        }
        self.finish(line, "");
        let line = self.lines(None);
        self.finish(line, "");
    }

    /// The lines of all processes, and what separates them.
    fn lines(&self, number: Option<usize>) -> Line {
        let mut line = Line { cells: Vec::new() };
        if let Some(number) = number {
            line.put(0, &format!("{number:>4}"), None);
        }
        for (at, life) in self.lives.iter().enumerate() {
            let (text, epoch) = match life {
                Life::Down => (" ", None),
                Life::Up(status) => match status.role {
                    "leader" | "primary" | "coordinator" => ("┃", Some(status.epoch)),
                    "candidate" | "pre-candidate" => ("╎", Some(status.epoch)),
                    _ => ("│", Some(status.epoch)),
                },
            };
            line.put(self.x(at), text, epoch);
            let parted = self.cut.contains(&(at, at + 1)) || self.cut.contains(&(at + 1, at));
            if parted {
                line.put(self.x(at) + self.gap / 2, "░", None);
            }
        }
        line
    }

    /// Ends a line, with words to its right if there is room.
    fn finish(&mut self, mut line: Line, words: &str) {
        if !words.is_empty() && self.room() >= WORDS_WIDTH_MIN {
            let start = self.x(self.diagram.processes.len());
            let start = start.max(line.cells.len() + 2);
            line.put(
                start,
                &clip(words, self.style.width.saturating_sub(start)),
                None,
            );
        }
        while line.cells.last().is_some_and(|(c, _)| *c == ' ') {
            line.cells.pop();
        }
        let mut colour = None;
        for (c, epoch) in line.cells {
            let wanted = epoch.filter(|_| self.style.colour && c != ' ');
            if wanted != colour {
                let code = wanted.map_or(0, |epoch| [90, 34, 33, 35, 36, 31, 32][hue(epoch, 7)]);
                let _ = write!(self.out, "\u{1b}[{code}m");
                colour = wanted;
            }
            self.out.push(c);
        }
        if colour.is_some() {
            self.out.push_str("\u{1b}[0m");
        }
        self.out.push('\n');
    }

    fn step(&mut self, number: usize, step: &Step) {
        let mut line = self.lines(Some(number));
        let x = self.x(step.process);
        let epoch = self.epoch(step.process);
        let words = sentences::cause(self.diagram, step);
        match step.marks.first() {
            Some(Mark::Received(mail)) => self.arrow(&mut line, *mail, true, 1),
            Some(Mark::Fired(timer)) => line.put(x, &self.fit(&format!("◷ {timer}")), epoch),
            Some(Mark::Requested(text)) => {
                line.put(x, &self.fit(&format!("► {}", words::request(text))), epoch)
            }
            Some(Mark::Started(1)) => line.put(x, "▲ start", None),
            Some(Mark::Started(_)) => line.put(x, "▲ restart", None),
            Some(Mark::Crashed(_)) => line.put(x, "╳ crash", None),
            Some(Mark::Synced(frame)) => line.put(x, &format!("▣ {}", frame.0), epoch),
            _ => {}
        }
        self.finish(line, &words);
        self.lives[step.process] = step.after;
        self.outcome(step);
    }

    /// What came of a step, below its cause, in as many lines as it needs.
    fn outcome(&mut self, step: &Step) {
        let (pieces, words) = (
            self.pieces(step),
            sentences::consequences(self.diagram, step),
        );
        let mut lines: Vec<String> = Vec::new();
        for piece in pieces {
            let fits =
                |line: &&mut String| line.chars().count() + piece.chars().count() + 4 < self.gap;
            match lines.last_mut().filter(fits) {
                Some(line) => *line = format!("{line} {piece}"),
                None => lines.push(self.fit(&piece)),
            }
        }
        if lines.is_empty() && !words.is_empty() && self.room() >= WORDS_WIDTH_MIN {
            lines.push(String::new());
        }
        let x = self.x(step.process) + 2;
        let epoch = self.epoch(step.process);
        for (at, text) in lines.iter().enumerate() {
            let mut line = self.lines(None);
            line.put(x, text, epoch);
            self.finish(line, if at == 0 { &words } else { "" });
        }
    }

    fn epoch(&self, process: usize) -> Option<u64> {
        match self.lives[process] {
            Life::Up(status) => Some(status.epoch),
            Life::Down => None,
        }
    }

    /// As much of a text as fits between two processes.
    fn fit(&self, text: &str) -> String {
        clip(text, self.gap.saturating_sub(3))
    }

    /// The signs of what came of a step.
    fn pieces(&self, step: &Step) -> Vec<String> {
        let mut pieces = Vec::new();
        let mut decided = Vec::new();
        for mark in &step.marks {
            match mark {
                Mark::Wrote(frame, _) => pieces.push(format!("▢ {}", frame.0)),
                Mark::Became => {
                    // Only what it was last is worth a line.
                    pieces.retain(|piece: &String| !piece.starts_with('['));
                    if let Life::Up(status) = step.after {
                        let full = format!("[{}]", words::role(&status));
                        pieces.push(match full.chars().count() + 3 > self.gap {
                            true => format!("[{}]", status.role),
                            false => full,
                        });
                    }
                }
                Mark::Output(text, true) => decided.extend(words::output(text)),
                Mark::Output(text, false) => {
                    pieces.extend(words::output(text).map(|text| format!("◇ {text}")));
                }
                _ => {}
            }
        }
        pieces.extend(words::decisions(&decided).map(|text| format!("◆ {text}")));
        pieces
    }

    /// Mail as an arrow with its name, which stands beside the receiver.
    fn arrow(&self, line: &mut Line, mail: usize, arrives: bool, count: usize) {
        let mail = &self.diagram.mail[mail];
        let Some(to) = mail.to else { return };
        let epoch = self.epoch(mail.from);
        let to = match mail.end {
            End::Lost(_, Loss::Cut) => self.border(mail.from, to),
            _ => to,
        };
        let (from_x, to_x) = (self.x(mail.from), self.x(to));
        let rightwards = to_x > from_x;
        let columns: Vec<usize> = (0..self.lives.len()).map(|at| self.x(at)).collect();
        for x in from_x.min(to_x) + 1..from_x.max(to_x) {
            if !columns.contains(&x) || line.cells[x].0 == ' ' {
                line.put(x, "─", epoch);
            }
        }
        let head = match (arrives, rightwards) {
            (true, true) => "▶",
            (true, false) => "◀",
            (false, _) => "╳",
        };
        line.put(if rightwards { to_x - 1 } else { to_x + 1 }, head, epoch);
        // Beside the receiver no other arrow of the same broadcast has its name.
        let room = self.gap.saturating_sub(4);
        let full = match &mail.detail {
            _ if count > 1 => format!("{} ×{count}", mail.kind),
            Some(detail) => format!("{} {detail}", mail.kind),
            None => mail.kind.clone(),
        };
        let name = match full.chars().count() <= room {
            true => full,
            false => clip(&mail.kind, room),
        };
        let slack = self.gap.saturating_sub(2 + name.chars().count());
        let start = match rightwards {
            true => to_x - self.gap + 1 + slack / 2,
            false => to_x + 2 + slack / 2,
        };
        line.put(start, &name, epoch);
    }

    /// The first process behind the cut that stops mail.
    fn border(&self, from: usize, to: usize) -> usize {
        let way: Vec<usize> = match from < to {
            true => (from..=to).collect(),
            false => (to..=from).rev().collect(),
        };
        let mut links = way.windows(2);
        let met = links.find(|link| self.cut.contains(&(link[0], link[1])));
        met.map_or(to, |link| link[1])
    }

    /// Mail that is lost between two moments. What one broadcast loses at one border has one arrow.
    fn losses(&mut self, mail: Option<&Vec<usize>>) {
        let mut groups = Vec::new();
        for &number in mail.into_iter().flatten() {
            let found = &self.diagram.mail[number];
            let Some(to) = found.to else { continue };
            let border = match found.end {
                End::Lost(_, Loss::Cut) => self.border(found.from, to),
                _ => to,
            };
            let key = (
                found.from,
                border,
                found.end,
                found.left,
                found.kind.as_str(),
            );
            sentences::group(&mut groups, key, number);
        }
        let lost: Vec<Vec<usize>> = groups.into_iter().map(|(_, mail)| mail).collect();
        for mail in lost {
            self.lost(&mail);
        }
    }

    fn lost(&mut self, mail: &[usize]) {
        let found = &self.diagram.mail[mail[0]];
        let mut line = self.lines(None);
        self.arrow(&mut line, mail[0], false, mail.len());
        let why = match found.end {
            End::Lost(_, why) => why.to_string(),
            _ => String::new(),
        };
        let from = self.diagram.processes[found.from];
        let to = mail
            .iter()
            .map(|&mail| self.diagram.name(self.diagram.mail[mail].to));
        let to = to.collect::<Vec<_>>().join(", ");
        let words = format!("{from} → {to}: {why}: {}", found.text);
        self.finish(line, &words);
    }

    /// Mail that its sender never sent begins with a question mark.
    fn forged(&mut self, mail: usize) {
        let mut line = self.lines(None);
        line.put(self.x(self.diagram.mail[mail].from), "?", None);
        self.finish(line, &sentences::forged(self.diagram, mail));
    }

    fn note(&mut self, text: &str) {
        let line = self.lines(None);
        self.finish(line, "");
        for text in words::wrap(text, self.style.width.saturating_sub(GUTTER + 2).min(96)) {
            let _ = writeln!(self.out, "    # {text}");
        }
        let line = self.lines(None);
        self.finish(line, "");
    }

    fn parted(&mut self, parting: &Parting) {
        self.cut.clone_from(&parting.cut);
        match parting.cut.is_empty() {
            true => self.across("all links work"),
            false => self.across(&format!("cut: {}", parting.text)),
        }
    }

    /// A line across the whole picture.
    fn across(&mut self, text: &str) {
        let mut line = Line { cells: Vec::new() };
        let end = self.x(self.diagram.processes.len().saturating_sub(1)) + 3;
        line.put(GUTTER, &"┄".repeat(end - GUTTER), None);
        line.put(GUTTER + 2, &format!(" {text} "), None);
        self.finish(line, "");
    }

    fn violated(&mut self, text: &str) {
        for text in words::wrap(&format!("VIOLATED: {text}"), self.style.width.min(100)) {
            let _ = writeln!(self.out, "  ! {text}");
        }
    }

    /// What has neither arrived nor been lost.
    fn under_way(&mut self) {
        let mut left: Vec<(String, Vec<String>)> = Vec::new();
        for mail in self
            .diagram
            .mail
            .iter()
            .filter(|mail| mail.end == End::UnderWay)
        {
            let from = self.diagram.processes[mail.from].to_string();
            sentences::group(
                &mut left,
                from,
                format!("{} to {}", mail.kind, self.diagram.name(mail.to)),
            );
        }
        for (from, mail) in left {
            let text = format!("still under way from {from}: {}", mail.join(", "));
            for text in words::wrap(&text, self.style.width.saturating_sub(GUTTER)) {
                let _ = writeln!(self.out, "    {text}");
            }
        }
    }
}

/// Which of so many colours an epoch has; epoch 0, in which nothing was decided, has the first.
pub(super) fn hue(epoch: u64, colours: usize) -> usize {
    match usize::try_from(epoch) {
        Ok(0) => 0,
        Ok(epoch) => 1 + (epoch - 1) % (colours - 1),
        Err(_) => 1,
    }
}
