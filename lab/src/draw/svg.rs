//! A diagram as SVG: for a slide, a paper, or a page.
//!
//! Time runs downwards. The line of a process is thick where it leads and hollow where it would like
//! to; its colour is the epoch, and so is that of its mail. Bars beside a line are frames on their way
//! to the disk: mail that waits for one leaves at its end. A red cross ends what is lost.

mod arrows;
mod labels;
mod layout;
mod legend;
mod lives;
mod marks;
pub(super) mod writer;

use super::diagram::{Diagram, Happening};
use arrows::Arrow;
use labels::{Field, Place, Point};
use layout::Layout;
use writer::{Px, Writer};

/// Colours of epochs. The first is for epoch 0, in which nothing has been decided. None is red, which
/// is for what goes wrong, nor green, which is for decisions.
const EPOCHS: [&str; 7] = [
    "#7d8590", "#2f6fde", "#d97706", "#8250df", "#0e8a92", "#bf3989", "#7a6a00",
];
/// What goes wrong.
const RED: &str = "#d1242f";
/// Decisions.
const GREEN: &str = "#1a7f37";
/// Text.
const INK: &str = "#1f2328";
/// What matters less.
const GREY: &str = "#6e7781";
/// The disk.
const DISK: &str = "#b08850";

/// The font: whatever the reader has for interfaces.
const FONT: &str = "'Inter','Segoe UI','Helvetica Neue',Arial,'DejaVu Sans',sans-serif";

/// Draws a diagram.
#[must_use]
pub fn render(diagram: &Diagram) -> String {
    let layout = Layout::of(diagram);
    let mut picture = Picture {
        field: Field::new(
            Point {
                x: layout.margin,
                y: 4.0,
            },
            Point {
                x: layout.width - 4.0,
                y: layout.height - 4.0,
            },
        ),
        diagram,
        layout,
        paper: Writer::default(),
    };
    picture.draw();
    picture.paper.finish()
}

/// Draws several diagrams, one below the other.
#[must_use]
pub fn render_all(diagrams: &[Diagram]) -> String {
    if let [diagram] = diagrams {
        return render(diagram);
    }
    let sizes = diagrams.iter().map(Layout::of);
    let sizes: Vec<_> = sizes.map(|layout| (layout.width, layout.height)).collect();
    let width = sizes.iter().map(|(width, _)| *width).fold(0.0, f64::max);
    let height: f64 = sizes.iter().map(|(_, height)| height).sum();
    let mut paper = Writer::default();
    paper.open(
        "svg",
        &[
            ("xmlns", &"http://www.w3.org/2000/svg"),
            ("viewBox", &format!("0 0 {} {}", Px(width), Px(height))),
            ("width", &Px(width)),
            ("height", &Px(height)),
        ],
    );
    let mut y = 0.0;
    for (diagram, (_, height)) in diagrams.iter().zip(sizes) {
        paper.open("g", &[("transform", &format!("translate(0 {})", Px(y)))]);
        paper.raw(&render(diagram));
        paper.close();
        y += height;
    }
    paper.finish()
}

/// A picture under work.
struct Picture<'a> {
    diagram: &'a Diagram,
    layout: Layout,
    field: Field,
    paper: Writer,
}

impl Picture<'_> {
    fn draw(&mut self) {
        let (width, height) = (self.layout.width, self.layout.height);
        self.paper.open(
            "svg",
            &[
                ("xmlns", &"http://www.w3.org/2000/svg"),
                ("viewBox", &format!("0 0 {} {}", Px(width), Px(height))),
                ("width", &Px(width)),
                ("height", &Px(height)),
                ("font-family", &FONT),
                ("font-size", &12),
                ("fill", &INK),
            ],
        );
        self.paper.text("title", &[], &self.diagram.title);
        self.patterns();
        self.paper.element(
            "rect",
            &[
                ("width", &"100%"),
                ("height", &"100%"),
                ("fill", &"#ffffff"),
            ],
        );
        let arrows = arrows::all(self.diagram, &self.layout);
        self.keep_clear(&arrows);
        self.partings();
        self.lives();
        self.disks();
        self.arrows(&arrows);
        self.heads();
        self.moments();
        self.arrow_labels(&arrows);
        self.legend();
    }

    /// Hatching for what is cut off and for roles that are only hoped for.
    fn patterns(&mut self) {
        self.paper.open("defs", &[]);
        self.paper.open(
            "pattern",
            &[
                ("id", &"cut"),
                ("width", &7),
                ("height", &7),
                ("patternUnits", &"userSpaceOnUse"),
                ("patternTransform", &"rotate(45)"),
            ],
        );
        let line = "M0,0V7";
        self.paper.element(
            "path",
            &[
                ("d", &line),
                ("stroke", &RED),
                ("stroke-width", &2.4),
                ("opacity", &0.3),
            ],
        );
        self.paper.close();
        self.paper.close();
    }

    /// Tells the labels where lines and marks are.
    fn keep_clear(&mut self, arrows: &[Arrow]) {
        for process in 0..self.diagram.processes.len() {
            let x = self.layout.x[process];
            let from = Point {
                x,
                y: self.layout.top,
            };
            let to = Point {
                x,
                y: self.layout.bottom,
            };
            self.field.avoid(from, to, 25.0, None);
        }
        for arrow in arrows {
            self.field
                .avoid(arrow.from, arrow.to, 1.0, Some(arrow.mail));
            if arrow.head == arrows::Head::Lost {
                let Point { x, y } = arrow.to;
                self.field.take(Place::flat(x - 6.0, y - 6.0, 12.0, 12.0));
            }
        }
    }

    /// The names of the processes, above and, if the picture is high, below.
    fn heads(&mut self) {
        let (top, bottom) = (self.layout.top, self.layout.bottom);
        if !self.diagram.title.is_empty() {
            self.paper.text(
                "text",
                &[
                    ("x", &16),
                    ("y", &28),
                    ("font-size", &17),
                    ("font-weight", &600),
                ],
                &self.diagram.title,
            );
        }
        let mut rows = vec![top - 24.0];
        if bottom - top > 900.0 {
            rows.push(bottom + 2.0);
        }
        for y in rows {
            for (process, id) in self.diagram.processes.iter().enumerate() {
                let x = self.layout.x[process];
                self.paper.element(
                    "rect",
                    &[
                        ("x", &Px(x - 21.0)),
                        ("y", &Px(y)),
                        ("width", &42),
                        ("height", &22),
                        ("rx", &6),
                        ("fill", &"#f6f8fa"),
                        ("stroke", &"#57606a"),
                    ],
                );
                self.paper.text(
                    "text",
                    &[
                        ("x", &Px(x)),
                        ("y", &Px(y + 15.5)),
                        ("text-anchor", &"middle"),
                        ("font-weight", &600),
                    ],
                    &id.to_string(),
                );
            }
        }
    }

    /// Text with a white halo, so that what runs behind it does not harm it. The halo is a text of its
    /// own: not every program that shows slides can paint an outline behind its letters.
    fn label(&mut self, place: Place, style: &Style, text: &str) {
        let Place { middle, angle, .. } = place;
        let turn = format!(
            "rotate({} {} {})",
            Px(angle.to_degrees()),
            Px(middle.x),
            Px(middle.y)
        );
        let (x, y) = (Px(middle.x), Px(middle.y + style.size * 0.35));
        let mut shared: Vec<(&str, &dyn std::fmt::Display)> = vec![
            ("x", &x),
            ("y", &y),
            ("text-anchor", &"middle"),
            ("font-size", &style.size),
            ("font-weight", &style.weight),
        ];
        if angle.abs() > 0.001 {
            shared.push(("transform", &turn));
        }
        let mut halo = shared.clone();
        halo.extend([
            ("fill", &"#ffffff" as &dyn std::fmt::Display),
            ("stroke", &"#ffffff"),
            ("stroke-width", &3.2),
            ("stroke-linejoin", &"round"),
            ("aria-hidden", &"true"),
        ]);
        self.paper.text("text", &halo, text);
        shared.push(("fill", &style.colour));
        self.paper.text("text", &shared, text);
    }

    /// A free place beside a point: to the right if possible.
    fn beside(&mut self, point: Point, width: f64, height: f64, clear: f64) -> Place {
        let mut places = Vec::new();
        for (step, up) in [0.0, -0.8, 0.8, -1.4, 1.4].into_iter().enumerate() {
            let y = point.y - height / 2.0 + up * height;
            let cost = step as f64 * 12.0;
            places.push((Place::flat(point.x + clear, y, width, height), cost));
            let left = Place::flat(point.x - clear - width, y, width, height);
            places.push((left, cost + 6.0));
        }
        let chosen = self.field.choose(places, None);
        chosen.map_or(
            Place::flat(point.x + clear, point.y, width, height),
            |(place, _)| place,
        )
    }
}

/// How a label is written.
struct Style {
    size: f64,
    weight: u32,
    colour: &'static str,
}

/// The colour of an epoch.
fn colour(epoch: u64) -> &'static str {
    EPOCHS[super::text::hue(epoch, EPOCHS.len())]
}

/// About how wide a text is.
fn width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.59
}

/// Which epochs the picture shows, in order.
fn epochs(diagram: &Diagram) -> Vec<u64> {
    let mut epochs: Vec<u64> = Vec::new();
    let steps = diagram
        .moments
        .iter()
        .filter_map(|moment| match &moment.what {
            Happening::Step(step) => Some(step.after),
            _ => None,
        });
    for life in diagram.before.iter().copied().chain(steps) {
        if let super::Life::Up(status) = life {
            epochs.push(status.epoch);
        }
    }
    epochs.sort_unstable();
    epochs.dedup();
    epochs
}
