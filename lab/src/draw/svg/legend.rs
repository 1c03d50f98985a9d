//! What the signs mean: only those that the picture shows.

use super::super::diagram::{Diagram, End, Happening, Mark};
use super::writer::Px;
use super::{DISK, GREEN, GREY, INK, Picture, RED, colour, epochs, width};

/// One sign with its meaning.
struct Entry {
    path: &'static str,
    stroke: &'static str,
    fill: &'static str,
    thick: f64,
    text: String,
}

impl Entry {
    /// The room that it takes, with a gap behind it.
    fn width(&self) -> f64 {
        40.0 + width(&self.text, SIZE)
    }
}

/// The size of the text.
const SIZE: f64 = 11.0;
/// The distance between lines.
const LINE: f64 = 20.0;
/// Where lines begin.
const LEFT: f64 = 16.0;

/// How much higher a picture must be than one with a legend of a single line.
pub(super) fn more_height(diagram: &Diagram, picture_width: f64) -> f64 {
    let mut height = 0.0;
    let mut x = LEFT;
    for entry in entries(diagram) {
        if x > LEFT && x + entry.width() > picture_width {
            height += LINE;
            x = LEFT;
        }
        x += entry.width();
    }
    height
}

/// Everything that must be explained.
fn entries(diagram: &Diagram) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut explain = |wanted: bool, path, (stroke, fill, thick), text: &str| {
        if wanted {
            let text = text.to_string();
            entries.push(Entry {
                path,
                stroke,
                fill,
                thick,
                text,
            });
        }
    };
    // A protocol that has no epochs is in the same one all the time.
    for epoch in epochs(diagram).into_iter().filter(|&epoch| epoch > 0) {
        let text = format!("{} {epoch}", diagram.epoch);
        explain(true, "M0,0H14", (colour(epoch), "none", 4.0), &text);
    }
    let marked = |wanted: fn(&Mark) -> bool| {
        let mut moments = diagram.moments.iter();
        moments.any(|moment| match &moment.what {
            Happening::Step(step) => step.marks.iter().any(wanted),
            _ => false,
        })
    };
    let ended = |wanted: fn(&End) -> bool| diagram.mail.iter().any(|mail| wanted(&mail.end));
    explain(
        marked(|mark| matches!(mark, Mark::Wrote(..))),
        "M5,-6h4v12h-4Z",
        (DISK, DISK, 1.0),
        "frame on its way to the disk",
    );
    explain(
        marked(|mark| matches!(mark, Mark::Held(..))),
        "M3.8,0A3.2,3.2 0 1 1 10.2,0A3.2,3.2 0 1 1 3.8,0",
        (DISK, "#ffffff", 1.4),
        "mail waits for it",
    );
    explain(
        marked(|mark| matches!(mark, Mark::Output(_, true))),
        "M7,-6L13,0L7,6L1,0Z",
        (GREEN, GREEN, 1.0),
        "decision",
    );
    explain(
        marked(|mark| matches!(mark, Mark::Fired(_))),
        "M1,0A6,6 0 1 1 13,0A6,6 0 1 1 1,0M7,-3.6V0L9.8,1.6",
        (GREY, "none", 1.6),
        "timer",
    );
    explain(
        ended(|end| matches!(end, End::UnderWay)),
        "M0,0h1M4,0h1M8,0h1M12,0h1",
        (INK, "none", 1.6),
        "still under way",
    );
    explain(
        ended(|end| matches!(end, End::Lost(..))),
        "M2,-5L12,5M2,5L12,-5",
        (RED, "none", 2.2),
        "lost",
    );
    entries
}

impl Picture<'_> {
    pub(super) fn legend(&mut self) {
        let mut x = LEFT;
        let lines = more_height(self.diagram, self.layout.width);
        let mut y = self.layout.height - 18.0 - lines;
        for entry in entries(self.diagram) {
            if x > LEFT && x + entry.width() > self.layout.width {
                y += LINE;
                x = LEFT;
            }
            self.explain(x, y, &entry);
            x += entry.width();
        }
    }

    fn explain(&mut self, x: f64, y: f64, entry: &Entry) {
        self.paper.element(
            "path",
            &[
                ("d", &entry.path),
                ("stroke", &entry.stroke),
                ("fill", &entry.fill),
                ("stroke-width", &entry.thick),
                ("transform", &format!("translate({} {})", Px(x), Px(y))),
            ],
        );
        self.paper.text(
            "text",
            &[
                ("x", &Px(x + 20.0)),
                ("y", &Px(y + 4.0)),
                ("font-size", &SIZE),
                ("fill", &INK),
            ],
            &entry.text,
        );
    }
}
