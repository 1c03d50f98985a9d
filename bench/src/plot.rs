//! Line charts as SVG.
//!
//! Both axes may be logarithmic. Colours follow the reader's light or dark theme, so that one file
//! suits both; no colour is the only sign that tells two lines apart: each has its own marker, and
//! those of etcd are dashed.

use std::fmt::Write;

/// The size of a chart.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
/// Where the lines are drawn.
const LEFT: f64 = 78.0;
const RIGHT: f64 = 618.0;
const TOP: f64 = 74.0;
const BOTTOM: f64 = 300.0;
/// A value axis covers more than this many times its least value by being logarithmic.
const LINEAR_MAX: f64 = 40.0;

/// The colours of one theme, as rules. Variables would be shorter, and not every reader of SVG knows them.
macro_rules! theme {
    ($paper:literal, $ink:literal, $grey:literal, $grid:literal, $a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            ".paper{fill:",
            $paper,
            "}text{fill:",
            $ink,
            "}.grey{fill:",
            $grey,
            "}.grid{stroke:",
            $grid,
            "}.axis{stroke:",
            $grey,
            "}.s0{stroke:",
            $a,
            "}.s1{stroke:",
            $b,
            "}.s2{stroke:",
            $c,
            "}.s3{stroke:",
            $d,
            "}.f0{fill:",
            $a,
            "}.f1{fill:",
            $b,
            "}.f2{fill:",
            $c,
            "}.f3{fill:",
            $d,
            "}"
        )
    };
}

const STYLE: &str = concat!(
    "text{font:12px 'Inter','Segoe UI','Helvetica Neue',Arial,'DejaVu Sans',sans-serif}",
    ".title{font-size:15px;font-weight:600}",
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}.dashed{stroke-dasharray:6 4}",
    theme!(
        "#ffffff", "#1f2328", "#59636e", "#d8dee4", "#2f6fde", "#d97706", "#8250df", "#0e8a92"
    ),
    "@media (prefers-color-scheme:dark){",
    theme!(
        "#0d1117", "#e6edf3", "#9198a1", "#30363d", "#6ea8ff", "#f0a23b", "#b78af7", "#3fc1c9"
    ),
    "}"
);

/// A chart.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What the horizontal axis shows, and its unit.
    pub(crate) x: String,
    /// Whether it is logarithmic.
    pub(crate) x_log: bool,
    /// How its values are written.
    pub(crate) x_label: fn(f64) -> String,
    /// What the vertical axis shows, and its unit.
    pub(crate) y: String,
    pub(crate) lines: Vec<Line>,
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) dashed: bool,
    pub(crate) points: Vec<(f64, f64)>,
}

/// An axis: from values to places.
struct Scale {
    log: bool,
    /// The least and the greatest value that it shows.
    ends: (f64, f64),
    /// Where those are.
    places: (f64, f64),
}

impl Scale {
    fn place(&self, value: f64) -> f64 {
        let at = |value: f64| {
            if self.log {
                value.max(f64::MIN_POSITIVE).log10()
            } else {
                value
            }
        };
        let (from, to) = (at(self.ends.0), at(self.ends.1));
        let share = if to > from {
            (at(value) - from) / (to - from)
        } else {
            0.5
        };
        self.places.0 + share * (self.places.1 - self.places.0)
    }
}

impl Chart {
    /// The chart as an SVG document; nothing if there is nothing to show.
    pub(crate) fn svg(&self) -> Option<String> {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        points().next()?;
        let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::NEG_INFINITY, f64::max);
        let xs = || points().map(|&(x, _)| x);
        let ys = || points().map(|&(_, y)| y);
        let x = Scale {
            log: self.x_log,
            ends: (least(&mut xs()), most(&mut xs())),
            places: (LEFT + 12.0, RIGHT - 12.0),
        };
        let (ends, log, ticks) = value_axis(least(&mut ys()), most(&mut ys()));
        let y = Scale {
            log,
            ends,
            places: (BOTTOM, TOP),
        };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\">\n<title>{}</title>\n<style>{STYLE}</style>\n",
            escaped(&self.title)
        );
        let mut put = |piece: String| {
            svg.push_str(&piece);
            svg.push('\n');
        };
        put(format!(
            "<rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>"
        ));
        put(text(16.0, 24.0, "start", "title", &self.title));
        let mut shown: Vec<f64> = xs().collect();
        shown.sort_by(f64::total_cmp);
        shown.dedup();
        self.axes((&x, &shown), (&y, &ticks), &mut put);
        self.legend(&mut put);
        for (number, line) in self.lines.iter().enumerate() {
            self.line(number, line, &x, &y, &mut put);
        }
        svg.push_str("</svg>\n");
        Some(svg)
    }

    /// Both axes: their scales and the values that are written beside them.
    fn axes(
        &self,
        (x, shown): (&Scale, &[f64]),
        (y, ticks): (&Scale, &[f64]),
        put: &mut impl FnMut(String),
    ) {
        for &tick in ticks {
            let at = y.place(tick);
            put(format!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>"
            ));
            put(text(LEFT - 8.0, at + 4.0, "end", "grey", &amount(tick)));
        }
        for &tick in shown {
            let at = x.place(tick);
            put(format!(
                "<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{BOTTOM}\" y2=\"{}\"/>",
                BOTTOM + 5.0
            ));
            put(text(
                at,
                BOTTOM + 20.0,
                "middle",
                "grey",
                &(self.x_label)(tick),
            ));
        }
        put(format!(
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{BOTTOM}\" y2=\"{BOTTOM}\"/>"
        ));
        put(text(
            f64::midpoint(LEFT, RIGHT),
            HEIGHT - 14.0,
            "middle",
            "grey",
            &self.x,
        ));
        let logarithmic = if y.log { ", logarithmic" } else { "" };
        put(text(
            16.0,
            44.0,
            "start",
            "grey",
            &format!("{}{logarithmic}", self.y),
        ));
    }

    /// The names of the lines, in a row.
    fn legend(&self, put: &mut impl FnMut(String)) {
        /// About how wide a letter is.
        const LETTER: f64 = 6.6;
        let mut at = LEFT;
        for (number, line) in self.lines.iter().enumerate() {
            let colour = number % 4;
            let dashed = if line.dashed { " dashed" } else { "" };
            put(format!(
                "<line class=\"line s{colour}{dashed}\" x1=\"{at:.1}\" x2=\"{:.1}\" y1=\"60\" y2=\"60\"/>",
                at + 24.0
            ));
            put(marker(number, at + 12.0, 60.0, ""));
            put(text(at + 30.0, 64.0, "start", "", &line.name));
            at += 52.0 + LETTER * line.name.chars().count() as f64;
        }
    }

    fn line(&self, number: usize, line: &Line, x: &Scale, y: &Scale, put: &mut impl FnMut(String)) {
        let mut path = String::new();
        for (at, &point) in line.points.iter().enumerate() {
            let verb = if at == 0 { 'M' } else { 'L' };
            // Writing to a string does not fail.
            let _ = write!(
                path,
                "{verb}{:.1} {:.1}",
                x.place(point.0),
                y.place(point.1)
            );
        }
        let dashed = if line.dashed { " dashed" } else { "" };
        put(format!(
            "<path class=\"line s{}{dashed}\" d=\"{path}\"/>",
            number % 4
        ));
        for &(at, value) in &line.points {
            let label = format!("{}, {}: {}", line.name, (self.x_label)(at), amount(value));
            put(marker(number, x.place(at), y.place(value), &label));
        }
    }
}

/// The ends of a value axis, whether it is logarithmic, and what is written beside it.
fn value_axis(least: f64, most: f64) -> ((f64, f64), bool, Vec<f64>) {
    if least > 0.0 && most / least > LINEAR_MAX {
        let (from, to) = (least.log10().floor() as i32, most.log10().ceil() as i32);
        let ticks: Vec<f64> = (from..=to).map(|power| 10_f64.powi(power)).collect();
        return ((10_f64.powi(from), 10_f64.powi(to)), true, ticks);
    }
    let most = if most > 0.0 { most } else { 1.0 };
    // Steps of 1, 2 or 5 times a power of ten, four to nine of them.
    let power = 10_f64.powf((most / 4.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = steps
        .into_iter()
        .find(|step| most / step <= 6.0)
        .unwrap_or(10.0 * power);
    let count = (most / step).ceil() as u32;
    let ticks = (0..=count).map(|tick| f64::from(tick) * step).collect();
    ((0.0, f64::from(count) * step), false, ticks)
}

/// A dot, square, diamond or triangle that says what it stands for when it is pointed at.
fn marker(number: usize, x: f64, y: f64, label: &str) -> String {
    let shape = match number % 4 {
        0 => format!("circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\""),
        1 => format!(
            "rect x=\"{:.1}\" y=\"{:.1}\" width=\"7\" height=\"7\"",
            x - 3.5,
            y - 3.5
        ),
        2 => format!("path d=\"M{x:.1} {:.1}l5 5l-5 5l-5 -5z\"", y - 5.0),
        _ => format!("path d=\"M{x:.1} {:.1}l5 9h-10z\"", y - 5.0),
    };
    let name = shape.split(' ').next().unwrap_or_default().to_owned();
    format!(
        "<{shape} class=\"f{}\"><title>{}</title></{name}>",
        number % 4,
        escaped(label)
    )
}

fn text(x: f64, y: f64, anchor: &str, class: &str, words: &str) -> String {
    let words = escaped(words);
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{words}</text>"
    )
}

fn escaped(words: &str) -> String {
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A number in few letters: 1,200 is 1.2 k.
pub(crate) fn amount(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        size if size >= 1e6 => (value / 1e6, " M"),
        size if size >= 1e3 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{scaled:.0}"),
        size if size >= 1.0 => format!("{scaled:.1}"),
        size if size >= 0.1 => format!("{scaled:.2}"),
        _ => format!("{scaled:.3}"),
    };
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => &digits,
    };
    format!("{digits}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: &[(f64, f64)]) -> Chart {
        Chart {
            title: "a < b".to_owned(),
            x: "keys".to_owned(),
            x_log: true,
            x_label: amount,
            y: "puts a second".to_owned(),
            lines: vec![Line {
                name: "Quorate".to_owned(),
                dashed: false,
                points: points.to_vec(),
            }],
        }
    }

    #[test]
    fn numbers_are_short() {
        let shown = [
            0.0,
            0.012,
            0.5,
            7.0,
            12.34,
            1_000.0,
            1_250.0,
            50_000.0,
            2_000_000.0,
        ]
        .map(amount);
        assert_eq!(
            shown,
            [
                "0", "0.012", "0.5", "7", "12.3", "1 k", "1.2 k", "50 k", "2 M"
            ]
        );
    }

    #[test]
    fn a_value_axis_has_round_numbers_and_covers_all() {
        let (ends, log, ticks) = value_axis(3.0, 47.0);
        assert_eq!((ends, log), ((0.0, 50.0), false));
        assert_eq!(ticks, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        let (ends, log, ticks) = value_axis(0.3, 4_000.0);
        assert_eq!((ends, log), ((0.1, 10_000.0), true));
        assert_eq!(ticks.len(), 6);
        for most in [0.0, 0.07, 1.0, 9.9, 123_456.0] {
            let (ends, _, ticks) = value_axis(0.0, most);
            assert!(
                ends.1 >= most && (2..=10).contains(&ticks.len()),
                "{most}: {ticks:?}"
            );
        }
    }

    #[test]
    fn points_lie_within_the_axes_and_in_order() {
        let scale = Scale {
            log: true,
            ends: (1.0, 10_000.0),
            places: (0.0, 400.0),
        };
        let places = [1.0, 10.0, 100.0, 10_000.0].map(|value| scale.place(value));
        assert_eq!(places, [0.0, 100.0, 200.0, 400.0]);
        let one = Scale {
            log: false,
            ends: (5.0, 5.0),
            places: (0.0, 10.0),
        };
        assert_eq!(one.place(5.0), 5.0);
    }

    #[test]
    fn a_chart_names_its_axes_and_escapes() {
        let svg = chart(&[(10.0, 1.0), (1000.0, 2.0)])
            .svg()
            .expect("two points");
        for part in [
            "a &lt; b",
            "keys",
            "puts a second",
            "Quorate",
            "prefers-color-scheme",
            "</svg>",
        ] {
            assert!(svg.contains(part), "{part} is missing");
        }
        assert_eq!(svg.matches("<path").count(), 1);
        assert_eq!(chart(&[]).svg(), None);
    }
}
