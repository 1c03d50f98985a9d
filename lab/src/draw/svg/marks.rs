//! What happens at a process: timers, requests, crashes, new roles, decisions, mail that waits.

use super::super::diagram::{Happening, Life, Mark, Step};
use super::super::words;
use super::labels::{Place, Point};
use super::layout::NOTE_LINE;
use super::writer::Px;
use super::{DISK, GREEN, GREY, INK, Picture, RED, Style, colour, width};

/// In a picture with more mail there is no room to name what waits for the disk.
const HELD_NAMED_MAX: usize = 28;

impl Picture<'_> {
    /// Everything that is not a line or an arrow.
    pub(super) fn moments(&mut self) {
        self.notes();
        let moments = self.diagram.moments.clone();
        for moment in &moments {
            match &moment.what {
                Happening::Step(step) => self.step(self.layout.y[moment.row], step),
                Happening::Skipped => self.skipped(self.layout.y[moment.row]),
                Happening::Violated(text) => self.violated(self.layout.y[moment.row], text),
                Happening::Note(_) | Happening::Parted(_) | Happening::Forged(_) => {}
            }
        }
    }

    fn notes(&mut self) {
        for note in std::mem::take(&mut self.layout.notes) {
            let mut y = note.y + 10.0;
            let (colour, weight) = if note.alarm {
                (RED, 600)
            } else {
                ("#424a53", 400)
            };
            for line in &note.lines {
                self.paper.text(
                    "text",
                    &[
                        ("x", &14),
                        ("y", &Px(y)),
                        ("font-size", &12),
                        ("font-weight", &weight),
                        ("fill", &colour),
                    ],
                    line,
                );
                y += NOTE_LINE;
            }
        }
    }

    fn step(&mut self, y: f64, step: &Step) {
        let point = Point {
            x: self.layout.x[step.process],
            y,
        };
        let mut decided = Vec::new();
        for mark in &step.marks {
            match mark {
                Mark::Started(times) => self.started(point, *times),
                Mark::Crashed(kept) => self.crashed(point, *kept),
                Mark::Requested(text) => self.requested(point, text),
                Mark::Fired(timer) => self.fired(point, timer),
                Mark::Output(text, true) => decided.extend(words::output(text)),
                Mark::Output(text, false) => {
                    if let Some(text) = words::output(text) {
                        self.said(point, &text);
                    }
                }
                _ => {}
            }
        }
        if step.marks.contains(&Mark::Became) {
            self.became(point, step.after);
        }
        self.decided(point, &decided);
        self.waits(point, step);
    }

    /// A small sign on the line, which labels keep clear of.
    fn sign(&mut self, point: Point, path: &str, fill: &str, stroke: &str) {
        self.paper.element(
            "path",
            &[
                ("d", &path),
                ("fill", &fill),
                ("stroke", &stroke),
                ("stroke-width", &1.6),
                (
                    "transform",
                    &format!("translate({} {})", Px(point.x), Px(point.y)),
                ),
            ],
        );
        self.field
            .take(Place::flat(point.x - 6.0, point.y - 6.0, 12.0, 12.0));
    }

    fn words_beside(&mut self, point: Point, style: &Style, text: &str, clear: f64) {
        let place = self.beside(point, width(text, style.size), style.size + 1.0, clear);
        self.label(place, style, text);
    }

    fn started(&mut self, point: Point, times: u64) {
        self.sign(point, "M0,-6L6,5L-6,5Z", "#ffffff", INK);
        let text = if times == 1 { "start" } else { "restart" };
        let style = plain(10.5, INK);
        self.words_beside(point, &style, text, 10.0);
    }

    fn crashed(&mut self, point: Point, kept: usize) {
        self.sign(point, "M-6,-6L6,6M-6,6L6,-6", "none", RED);
        let text = match kept {
            0 => "crash".to_string(),
            1 => "crash, 1 frame survives".to_string(),
            kept => format!("crash, {kept} frames survive"),
        };
        let style = Style {
            size: 11.0,
            weight: 600,
            colour: RED,
        };
        self.words_beside(point, &style, &text, 10.0);
    }

    /// An arrow out of nowhere.
    fn requested(&mut self, point: Point, text: &str) {
        let text = words::request(text);
        self.sign(point, "M-24,0H-8M-8,0L-13,-4M-8,0L-13,4", "none", INK);
        self.field
            .take(Place::flat(point.x - 24.0, point.y - 3.0, 18.0, 6.0));
        let style = plain(10.5, INK);
        let width = width(&text, style.size);
        let places = [
            (
                Place::flat(point.x - 28.0 - width, point.y - 6.0, width, 11.0),
                0.0,
            ),
            (
                Place::flat(point.x - 9.0 - width, point.y - 16.0, width, 11.0),
                4.0,
            ),
            (
                Place::flat(point.x - 9.0 - width, point.y + 5.0, width, 11.0),
                8.0,
            ),
            (
                Place::flat(point.x + 12.0, point.y - 14.0, width, 11.0),
                16.0,
            ),
        ];
        if let Some((place, _)) = self.field.choose(places, None) {
            self.label(place, &style, &text);
        }
    }

    /// A clock.
    fn fired(&mut self, point: Point, timer: &str) {
        let path = "M-6,0A6,6 0 1 1 6,0A6,6 0 1 1 -6,0M0,-3.6V0L2.8,1.6";
        self.sign(point, path, "#ffffff", GREY);
        let style = plain(10.5, GREY);
        self.words_beside(point, &style, timer, 10.0);
    }

    fn said(&mut self, point: Point, text: &str) {
        self.sign(point, "M0,-5L5,0L0,5L-5,0Z", "#ffffff", GREEN);
        let style = plain(10.5, GREEN);
        self.words_beside(point, &style, text, 10.0);
    }

    /// A diamond, and what was decided.
    fn decided(&mut self, point: Point, decided: &[String]) {
        if let Some(text) = words::decisions(decided) {
            self.sign(point, "M0,-6L6,0L0,6L-6,0Z", GREEN, "#ffffff");
            let style = Style {
                size: 11.0,
                weight: 600,
                colour: GREEN,
            };
            self.words_beside(point, &style, &text, 10.0);
        }
    }

    /// A new role in a pill. That someone follows shows in the colour of his line.
    fn became(&mut self, point: Point, life: Life) {
        let Life::Up(status) = life else { return };
        let leads = matches!(status.role, "leader" | "primary" | "coordinator");
        if matches!(status.role, "" | "follower" | "backup") {
            return;
        }
        let text = words::role(&status);
        let size = 10.5;
        let (width, height) = (width(&text, size) + 10.0, 15.0);
        let place = self.beside(point, width, height, 12.0);
        let colour = colour(status.epoch);
        let (fill, ink) = if leads {
            (colour, "#ffffff")
        } else {
            ("#ffffff", colour)
        };
        self.paper.element(
            "rect",
            &[
                ("x", &Px(place.middle.x - width / 2.0)),
                ("y", &Px(place.middle.y - height / 2.0)),
                ("width", &Px(width)),
                ("height", &height),
                ("rx", &7.5),
                ("fill", &fill),
                ("stroke", &colour),
            ],
        );
        self.paper.text(
            "text",
            &[
                ("x", &Px(place.middle.x)),
                ("y", &Px(place.middle.y + 3.7)),
                ("text-anchor", &"middle"),
                ("font-size", &size),
                ("font-weight", &600),
                ("fill", &ink),
            ],
            &text,
        );
    }

    /// Mail to others that the disk holds back: it leaves where the bar ends.
    fn waits(&mut self, point: Point, step: &Step) {
        let mut kinds: Vec<(String, usize)> = Vec::new();
        for mark in &step.marks {
            let Mark::Held(_, mail) = mark else { continue };
            let mail = &self.diagram.mail[*mail];
            if mail.to == Some(step.process) {
                continue;
            }
            match kinds.iter_mut().find(|(kind, _)| *kind == mail.kind) {
                Some((_, count)) => *count += 1,
                None => kinds.push((mail.kind.clone(), 1)),
            }
        }
        if kinds.is_empty() {
            return;
        }
        self.paper.element(
            "circle",
            &[
                ("cx", &Px(point.x + 10.0)),
                ("cy", &Px(point.y + 2.0)),
                ("r", &3.2),
                ("fill", &"#ffffff"),
                ("stroke", &DISK),
                ("stroke-width", &1.4),
            ],
        );
        if self.diagram.mail.len() > HELD_NAMED_MAX {
            return;
        }
        let names = kinds.iter().map(|(kind, count)| match count {
            1 => kind.clone(),
            count => format!("{count} {kind}"),
        });
        let text = format!("held: {}", names.collect::<Vec<_>>().join(", "));
        let style = plain(9.5, DISK);
        let below = Point {
            y: point.y + 12.0,
            ..point
        };
        self.words_beside(below, &style, &text, 16.0);
    }

    /// A gap in all lines.
    fn skipped(&mut self, y: f64) {
        for x in self.layout.x.clone() {
            self.paper.element(
                "rect",
                &[
                    ("x", &Px(x - 8.0)),
                    ("y", &Px(y - 9.0)),
                    ("width", &16),
                    ("height", &18),
                    ("fill", &"#ffffff"),
                ],
            );
            for dot in [-5.0, 0.0, 5.0] {
                self.paper.element(
                    "circle",
                    &[
                        ("cx", &Px(x)),
                        ("cy", &Px(y + dot)),
                        ("r", &1.4),
                        ("fill", &GREY),
                    ],
                );
            }
        }
    }

    /// A red band across the picture.
    fn violated(&mut self, y: f64, text: &str) {
        let (first, last) = self.layout.span();
        let (from, wide) = (first - 60.0, last - first + 160.0);
        self.paper.element(
            "rect",
            &[
                ("x", &Px(from)),
                ("y", &Px(y - 11.0)),
                ("width", &Px(wide)),
                ("height", &22),
                ("rx", &5),
                ("fill", &"#ffebe9"),
                ("stroke", &RED),
            ],
        );
        let room = (wide / (11.0 * 0.59)) as usize;
        let style = Style {
            size: 11.0,
            weight: 600,
            colour: RED,
        };
        let text = words::clip(&format!("violated: {text}"), room);
        let place = Place::flat(from, y - 11.0, wide, 22.0);
        self.field.take(place);
        self.label(place, &style, &text);
    }
}

fn plain(size: f64, colour: &'static str) -> Style {
    Style {
        size,
        weight: 400,
        colour,
    }
}
