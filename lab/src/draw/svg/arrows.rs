//! Mail: an arrow from where it left to where it arrived, with its name beside it.

use quorate_sim::trace::Loss;

use super::super::diagram::{Diagram, End, Happening, Life, Mark};
use super::labels::{Place, Point};
use super::layout::Layout;
use super::writer::Px;
use super::{Picture, RED, Style, colour, width};

/// A piece of mail as it is drawn.
pub(super) struct Arrow {
    /// Which mail.
    pub(super) mail: usize,
    pub(super) from: Point,
    pub(super) to: Point,
    pub(super) head: Head,
    /// The colour of the sender's epoch.
    pub(super) colour: &'static str,
    pub(super) copy: bool,
    /// Other mail that met the same end in the same place: one arrow stands for all.
    pub(super) like: Vec<usize>,
}

/// How an arrow ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    Arrived,
    Lost,
    /// Nobody knows yet.
    UnderWay,
}

/// How far from the middle of a line arrows begin and end.
const CLEAR: f64 = 6.0;

/// All mail that the picture shows.
pub(super) fn all(diagram: &Diagram, layout: &Layout) -> Vec<Arrow> {
    let mut arrows: Vec<Arrow> = Vec::new();
    for mail in 0..diagram.mail.len() {
        let Some(arrow) = arrow(diagram, layout, mail) else {
            continue;
        };
        // A broadcast that ends at a cut would be as many crosses on top of one another.
        let same = arrows.iter_mut().find(|other| {
            let (one, two) = (&diagram.mail[other.mail], &diagram.mail[mail]);
            let cut = |end| matches!(end, End::Lost(_, Loss::Cut));
            let same_end = (other.to.x - arrow.to.x).abs() < 1.0;
            cut(one.end) && cut(two.end) && same_end && one.left == two.left && one.kind == two.kind
        });
        match same {
            Some(same) => same.like.push(mail),
            None => arrows.push(arrow),
        }
    }
    arrows
}

fn arrow(diagram: &Diagram, layout: &Layout, number: usize) -> Option<Arrow> {
    let mail = &diagram.mail[number];
    let to = mail.to.filter(|&to| to != mail.from)?;
    let (from_row, from_y) = start(diagram, layout, number)?;
    let below = |row: usize| {
        let next = layout.y.get(row + 1).copied();
        next.unwrap_or(layout.bottom).min(layout.y[row] + 40.0)
    };
    let from_x = layout.x[mail.from];
    let target = Point {
        x: layout.x[to],
        y: below(from_row),
    };
    let part = |of: f64| Point {
        x: from_x + (target.x - from_x) * of,
        y: from_y + (target.y - from_y) * of,
    };
    let (to, head) = match mail.end {
        End::Received(moment) => {
            let y = layout.y[diagram.moments[moment].row];
            (Point { y, ..target }, Head::Arrived)
        }
        End::Lost(after, Loss::NobodyThere) => {
            let crashed = crash_before(diagram, to, after).map_or(0, |row| row + 1);
            let y = below(from_row.max(crashed).min(layout.y.len() - 1));
            (Point { y, ..target }, Head::Lost)
        }
        End::Lost(_, Loss::Dropped) => (part(0.62), Head::Lost),
        End::Lost(after, Loss::Cut) => (part(border(diagram, mail.from, to, after)), Head::Lost),
        End::UnderWay | End::Skipped => (part(0.4), Head::UnderWay),
        End::Held => return None,
    };
    let towards = (target.x - from_x).signum();
    let clear = if head == Head::Arrived { CLEAR } else { 0.0 };
    Some(Arrow {
        mail: number,
        from: Point {
            x: from_x + towards * CLEAR * 0.5,
            y: from_y,
        },
        to: Point {
            x: to.x - towards * clear,
            y: to.y,
        },
        head,
        colour: match mail.forged {
            true => RED,
            false => colour(epoch(diagram, number)),
        },
        copy: mail.copy || mail.forged,
        like: Vec::new(),
    })
}

/// The row and the height at which mail leaves. What was sent where the story is skipped comes from
/// there.
fn start(diagram: &Diagram, layout: &Layout, number: usize) -> Option<(usize, f64)> {
    let mail = &diagram.mail[number];
    if let Some(moment) = mail.left {
        let row = diagram.moments[moment].row;
        return Some((row, layout.y[row]));
    }
    let end = match mail.end {
        End::Received(moment) => moment,
        End::Lost(after, _) => after,
        End::UnderWay | End::Skipped | End::Held => return None,
    };
    let skipped = diagram.moments[..end]
        .iter()
        .rev()
        .find(|moment| moment.what == Happening::Skipped);
    let row = skipped.map_or(0, |moment| moment.row);
    Some((row, skipped.map_or(layout.top, |_| layout.y[row])))
}

/// The row of a process's last crash.
fn crash_before(diagram: &Diagram, process: usize, after: usize) -> Option<usize> {
    let moments = diagram.moments[..after].iter().rev();
    moments
        .filter_map(|moment| match &moment.what {
            Happening::Step(step) if step.process == process => Some((moment.row, &step.marks)),
            _ => None,
        })
        .find(|(_, marks)| matches!(marks.first(), Some(Mark::Crashed(_))))
        .map(|(row, _)| row)
}

/// How much of the way mail makes before it meets the cut.
fn border(diagram: &Diagram, from: usize, to: usize, after: usize) -> f64 {
    let cut = diagram.moments[..after.min(diagram.moments.len())]
        .iter()
        .rev()
        .find_map(|moment| match &moment.what {
            Happening::Parted(parting) => Some(&parting.cut),
            _ => None,
        });
    let steps = from.abs_diff(to);
    let neighbour = |step: usize| match to > from {
        true => (from + step, from + step + 1),
        false => (from - step, from - step - 1),
    };
    let met = (0..steps).find(|&step| cut.is_some_and(|cut| cut.contains(&neighbour(step))));
    met.map_or(0.62, |step| (step as f64 + 0.5) / steps as f64)
}

/// The epoch that the sender was in.
fn epoch(diagram: &Diagram, number: usize) -> u64 {
    let mail = &diagram.mail[number];
    let life = match mail.left.map(|moment| &diagram.moments[moment].what) {
        Some(Happening::Step(step)) => step.after,
        _ => diagram.before[mail.from],
    };
    match life {
        Life::Up(status) => status.epoch,
        Life::Down => 0,
    }
}

impl Picture<'_> {
    pub(super) fn arrows(&mut self, arrows: &[Arrow]) {
        for arrow in arrows {
            self.arrow(arrow);
        }
    }

    fn arrow(&mut self, arrow: &Arrow) {
        let mail = &self.diagram.mail[arrow.mail];
        self.paper.open(
            "g",
            &[
                ("class", &"mail"),
                ("data-mail", &arrow.mail),
                ("data-kind", &mail.kind),
            ],
        );
        let fate = match mail.end {
            End::Lost(_, why) => format!(" ({why})"),
            End::UnderWay => " (under way)".to_string(),
            _ => String::new(),
        };
        let from = self.diagram.name(Some(mail.from));
        let mut receivers = vec![self.diagram.name(mail.to)];
        let others = arrow.like.iter().map(|&like| self.diagram.mail[like].to);
        receivers.extend(others.map(|to| self.diagram.name(to)));
        let to = receivers.join(", ");
        self.paper
            .text("title", &[], &format!("{from} → {to}: {}{fate}", mail.text));
        let dashes = match (arrow.head, arrow.copy) {
            (Head::UnderWay, _) => "2 4",
            (_, true) => "6 3",
            _ => "none",
        };
        self.paper.element(
            "line",
            &[
                ("x1", &Px(arrow.from.x)),
                ("y1", &Px(arrow.from.y)),
                ("x2", &Px(arrow.to.x)),
                ("y2", &Px(arrow.to.y)),
                ("stroke", &arrow.colour),
                ("stroke-width", &1.5),
                ("stroke-dasharray", &dashes),
            ],
        );
        let angle = (arrow.to.y - arrow.from.y).atan2(arrow.to.x - arrow.from.x);
        let turn = format!(
            "translate({} {}) rotate({})",
            Px(arrow.to.x),
            Px(arrow.to.y),
            Px(angle.to_degrees())
        );
        match arrow.head {
            Head::Arrived => self.paper.element(
                "path",
                &[
                    ("d", &"M0,0L-9,-4L-7,0L-9,4Z"),
                    ("fill", &arrow.colour),
                    ("transform", &turn),
                ],
            ),
            Head::Lost => self.paper.element(
                "path",
                &[
                    ("d", &"M-5,-5L5,5M-5,5L5,-5"),
                    ("stroke", &RED),
                    ("stroke-width", &2.2),
                    ("transform", &turn),
                ],
            ),
            Head::UnderWay => {}
        }
        self.paper.close();
    }

    /// The names of all mail. Those with the least room to choose from come first.
    pub(super) fn arrow_labels(&mut self, arrows: &[Arrow]) {
        let mut order: Vec<&Arrow> = arrows.iter().collect();
        order.sort_by(|one, two| length(one).total_cmp(&length(two)));
        for arrow in order {
            self.arrow_label(arrow);
        }
    }

    fn arrow_label(&mut self, arrow: &Arrow) {
        /// What a detail may cost more than the name alone.
        const DETAIL_COST: f64 = 45.0;
        let mail = &self.diagram.mail[arrow.mail];
        let kind = match arrow.like.len() {
            0 if mail.forged => format!("forged {}", mail.kind),
            0 => mail.kind.clone(),
            more => format!("{} ×{}", mail.kind, more + 1),
        };
        let full = mail
            .detail
            .as_ref()
            .map(|detail| format!("{kind} {detail}"));
        let style = Style {
            size: 11.0,
            weight: 500,
            colour: arrow.colour,
        };
        let mut texts = vec![(kind, 0.0)];
        texts.extend(full.map(|full| (full, -DETAIL_COST)));
        let mut options = Vec::new();
        for (text, bonus) in &texts {
            for (place, cost) in self.places(arrow, width(text, style.size)) {
                options.push((place, cost + bonus));
            }
        }
        let Some((place, _)) = self.field.choose(options, Some(arrow.mail)) else {
            return;
        };
        let chosen = texts
            .iter()
            .find(|(text, _)| (width(text, style.size) - place.width).abs() < 0.01);
        if let Some((text, _)) = chosen {
            let text = text.clone();
            self.paper.open(
                "g",
                &[
                    ("class", &"name"),
                    ("data-mail", &arrow.mail),
                    ("data-kind", &mail.kind),
                ],
            );
            self.label(place, &style, &text);
            self.paper.close();
        }
    }

    /// Where the name of an arrow may stand: along it, above or below, anywhere between two lines.
    fn places(&self, arrow: &Arrow, width: f64) -> Vec<(Place, f64)> {
        /// How far from the arrow the middle of its name is.
        const AWAY: f64 = 8.0;
        let (dx, dy) = (arrow.to.x - arrow.from.x, arrow.to.y - arrow.from.y);
        let length = dx.hypot(dy).max(1.0);
        // Names are read from left to right, whichever way the mail goes.
        let angle = if dx < 0.0 {
            (-dy).atan2(-dx)
        } else {
            dy.atan2(dx)
        };
        let (sin, cos) = angle.sin_cos();
        let mut places = Vec::new();
        let half = width / 2.0 / length;
        let mut at = half.min(0.5);
        while at <= (1.0 - half).max(0.5) {
            for side in [-1.0, 1.0] {
                let middle = Point {
                    x: arrow.from.x + dx * at - side * sin * AWAY,
                    y: arrow.from.y + dy * at + side * cos * AWAY,
                };
                let place = Place {
                    middle,
                    width,
                    height: 11.0,
                    angle,
                };
                // Above is better than below, and the end is better than the beginning, where many leave.
                let cost = (1.0 - at) * 14.0 + if side > 0.0 { 5.0 } else { 0.0 };
                places.push((place, cost));
            }
            at += (8.0 / length).max(0.02);
        }
        places
    }
}

fn length(arrow: &Arrow) -> f64 {
    (arrow.to.x - arrow.from.x).hypot(arrow.to.y - arrow.from.y)
}
