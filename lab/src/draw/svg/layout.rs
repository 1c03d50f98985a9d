//! Where everything is.

use super::super::diagram::{Diagram, Happening, Mark};
use super::super::words;
use super::legend;

/// Positions in pixels.
pub(super) struct Layout {
    /// The line of each process.
    pub(super) x: Vec<f64>,
    /// The middle of each row.
    pub(super) y: Vec<f64>,
    /// Where lines begin.
    pub(super) top: f64,
    /// Where lines end.
    pub(super) bottom: f64,
    /// The size of the picture.
    pub(super) width: f64,
    /// The size of the picture.
    pub(super) height: f64,
    /// Where the margin with the remarks ends.
    pub(super) margin: f64,
    /// Remarks in the margin.
    pub(super) notes: Vec<Remark>,
}

/// A remark in the margin.
#[derive(Clone)]
pub(super) struct Remark {
    /// Its upper end.
    pub(super) y: f64,
    /// Its text.
    pub(super) lines: Vec<String>,
    /// Whether it tells of something that went wrong.
    pub(super) alarm: bool,
}

/// The distance between rows.
const ROW: f64 = 36.0;
/// The distance between rows if there are many.
const ROW_DENSE: f64 = 31.0;
/// So much mail makes a picture dense.
const DENSE: usize = 45;
/// The distance of a row that happens to the whole world.
const WORLD_ROW: f64 = 30.0;
/// The height of a line of a remark.
pub(super) const NOTE_LINE: f64 = 15.0;
/// How many characters a line of a remark has.
const NOTE_CHARS: usize = 31;
/// The width of the margin that holds remarks.
const NOTES_WIDTH: f64 = 216.0;

impl Layout {
    pub(super) fn of(diagram: &Diagram) -> Layout {
        let has_notes = diagram
            .moments
            .iter()
            .any(|moment| matches!(moment.what, Happening::Note(_) | Happening::Parted(_)));
        let margin = if has_notes { NOTES_WIDTH } else { 16.0 };
        let gap = gap(diagram);
        let first = margin + left(diagram);
        let mut x = Vec::new();
        let mut right = first;
        for _ in &diagram.processes {
            x.push(right);
            right += gap;
        }
        let top = if diagram.title.is_empty() { 44.0 } else { 76.0 };
        let mut layout = Layout {
            width: (right - gap + 118.0).max(620.0),
            margin,
            x,
            y: Vec::new(),
            top,
            bottom: top,
            height: 0.0,
            notes: Vec::new(),
        };
        layout.rows(diagram);
        layout
    }

    /// The first and the last line.
    pub(super) fn span(&self) -> (f64, f64) {
        let first = self.x.first().copied().unwrap_or(self.margin);
        (first, self.x.last().copied().unwrap_or(self.width))
    }

    fn rows(&mut self, diagram: &Diagram) {
        let row = if diagram.mail.len() > DENSE {
            ROW_DENSE
        } else {
            ROW
        };
        let mut heights = vec![row; diagram.rows];
        let mut notes = vec![Vec::new(); diagram.rows + 1];
        for moment in &diagram.moments {
            match &moment.what {
                Happening::Step(step) => {
                    let height = &mut heights[moment.row];
                    *height = height.max(row + extra(&step.marks));
                }
                Happening::Note(text) => {
                    notes[moment.row.min(diagram.rows)].push((text.clone(), false));
                }
                Happening::Parted(parting) => {
                    heights[moment.row] = WORLD_ROW;
                    let text = match parting.cut.is_empty() {
                        true => "all links work".to_string(),
                        false => format!("cut: {}", parting.text),
                    };
                    notes[moment.row].push((text, true));
                }
                Happening::Forged(_) => {}
                Happening::Skipped | Happening::Violated(_) => heights[moment.row] = WORLD_ROW,
            }
        }
        let mut y = self.top + 20.0;
        let mut note_bottom: f64 = self.top - 12.0;
        for (row, height) in heights.iter().enumerate() {
            y = self.put_notes(&notes[row], y, &mut note_bottom);
            self.y.push(y);
            y += height;
        }
        y = self.put_notes(&notes[diagram.rows], y, &mut note_bottom);
        self.bottom = y.max(note_bottom - 10.0);
        self.height = self.bottom + 64.0 + legend::more_height(diagram, self.width);
    }

    /// Puts remarks into the margin beside the row at `y`, which moves down if there is no room yet.
    fn put_notes(&mut self, notes: &[(String, bool)], mut y: f64, note_bottom: &mut f64) -> f64 {
        for (text, alarm) in notes {
            let lines = words::wrap(text, NOTE_CHARS);
            let start = (y - 12.0).max(*note_bottom);
            y = y.max(start + 12.0);
            let height = lines.len() as f64 * NOTE_LINE;
            *note_bottom = start + height + 12.0;
            self.notes.push(Remark {
                y: start,
                lines,
                alarm: *alarm,
            });
        }
        y
    }
}

/// Room to the left of the first process: for new roles, and for what is asked of it.
fn left(diagram: &Diagram) -> f64 {
    let requests = diagram.moments.iter().filter_map(|moment| {
        let Happening::Step(step) = &moment.what else {
            return None;
        };
        match step.marks.first() {
            Some(Mark::Requested(text)) if step.process == 0 => Some(words::request(text)),
            _ => None,
        }
    });
    let widths = requests.map(|text| super::width(&text, 10.5) + 34.0);
    widths.fold(96.0, f64::max)
}

/// The distance between two processes: enough for the names of most messages.
fn gap(diagram: &Diagram) -> f64 {
    let lengths = diagram.mail.iter().map(|mail| mail.kind.chars().count());
    let longest = lengths.max().unwrap_or(0) as f64;
    let wide = match diagram.processes.len() {
        0..=2 => 260.0,
        3 => 230.0,
        4 => 196.0,
        5 => 172.0,
        _ => 140.0,
    };
    (longest * 6.6 + 46.0).max(wide)
}

/// Room for what a step needs below its row: each further decision or mark.
fn extra(marks: &[Mark]) -> f64 {
    let shown = marks.iter().filter(|mark| {
        matches!(
            mark,
            Mark::Fired(_)
                | Mark::Requested(_)
                | Mark::Started(_)
                | Mark::Became
                | Mark::Output(..)
        )
    });
    match shown.count() {
        0..=2 => 0.0,
        _ => 10.0,
    }
}
