//! What the signs mean: only those that the picture shows.

use super::super::diagram::{End, Happening, Mark};
use super::writer::Px;
use super::{DISK, GREEN, GREY, INK, Picture, RED, colour, epochs, width};

impl Picture<'_> {
    pub(super) fn legend(&mut self) {
        let mut x = 16.0;
        let y = self.layout.height - 18.0;
        // A protocol that has no epochs is in the same one all the time.
        let epochs = epochs(self.diagram);
        for epoch in epochs.into_iter().filter(|&epoch| epoch > 0) {
            let text = format!("{} {epoch}", self.diagram.epoch);
            x = self.entry(x, y, "M0,0H14", (colour(epoch), "none", 4.0), &text);
        }
        let has = |wanted: fn(&Mark) -> bool| {
            let mut moments = self.diagram.moments.iter();
            moments.any(|moment| match &moment.what {
                Happening::Step(step) => step.marks.iter().any(wanted),
                _ => false,
            })
        };
        let (wrote, decided, fired) = (
            has(|mark| matches!(mark, Mark::Wrote(..))),
            has(|mark| matches!(mark, Mark::Output(_, true))),
            has(|mark| matches!(mark, Mark::Fired(_))),
        );
        let lost = |end: &End| matches!(end, End::Lost(..));
        let lost = self.diagram.mail.iter().any(|mail| lost(&mail.end));
        // A bar says what it is where there is room to say what waits for it.
        if wrote {
            let bar = "M5,-6h4v12h-4Z";
            x = self.entry(
                x,
                y,
                bar,
                (DISK, DISK, 1.0),
                "frame on its way to the disk, and mail that it holds",
            );
        }
        if decided {
            let diamond = "M7,-6L13,0L7,6L1,0Z";
            x = self.entry(x, y, diamond, (GREEN, GREEN, 1.0), "decision");
        }
        if fired {
            let clock = "M1,0A6,6 0 1 1 13,0A6,6 0 1 1 1,0M7,-3.6V0L9.8,1.6";
            x = self.entry(x, y, clock, (GREY, "none", 1.6), "timer");
        }
        let open = |end: &End| matches!(end, End::UnderWay);
        let open = self.diagram.mail.iter().any(|mail| open(&mail.end));
        if open {
            x = self.entry(
                x,
                y,
                "M0,0h1M4,0h1M8,0h1M12,0h1",
                (INK, "none", 1.6),
                "still under way",
            );
        }
        if lost {
            self.entry(x, y, "M2,-5L12,5M2,5L12,-5", (RED, "none", 2.2), "lost");
        }
    }

    /// One sign with its meaning; answers where the next begins.
    fn entry(&mut self, x: f64, y: f64, path: &str, look: (&str, &str, f64), text: &str) -> f64 {
        let (stroke, fill, thick) = look;
        self.paper.element(
            "path",
            &[
                ("d", &path),
                ("stroke", &stroke),
                ("fill", &fill),
                ("stroke-width", &thick),
                ("transform", &format!("translate({} {})", Px(x), Px(y))),
            ],
        );
        self.paper.text(
            "text",
            &[
                ("x", &Px(x + 20.0)),
                ("y", &Px(y + 4.0)),
                ("font-size", &11),
                ("fill", &INK),
            ],
            text,
        );
        x + 20.0 + width(text, 11.0) + 20.0
    }
}
