//! The lines of the processes, their disks, and the times in which links are cut.

use std::collections::BTreeMap;

use quorate_core::Frame;

use super::super::diagram::{Happening, Life, Mark, Step};
use super::labels::{Place, Point};
use super::writer::Px;
use super::{DISK, Picture, RED, colour};

/// A frame on its way to the disk.
struct Writing {
    from: f64,
    text: String,
    lane: usize,
}

impl Picture<'_> {
    /// The steps of one process, each with its height.
    fn steps(&self, process: usize) -> Vec<(f64, Step)> {
        let moments = self.diagram.moments.iter();
        let steps = moments.filter_map(|moment| match &moment.what {
            Happening::Step(step) if step.process == process => {
                Some((self.layout.y[moment.row], step.clone()))
            }
            _ => None,
        });
        steps.collect()
    }

    /// The lines of the processes.
    pub(super) fn lives(&mut self) {
        for process in 0..self.diagram.processes.len() {
            let mut from = self.layout.top;
            let mut life = self.diagram.before[process];
            for (y, step) in self.steps(process) {
                if shown(life) != shown(step.after) {
                    self.life(process, life, from, y);
                    (from, life) = (y, step.after);
                }
            }
            self.life(process, life, from, self.layout.bottom);
        }
    }

    fn life(&mut self, process: usize, life: Life, from: f64, to: f64) {
        let x = self.layout.x[process];
        let Life::Up(status) = life else {
            self.line(x, from, to, "#c9d1d9", 1.2, "1 5");
            return;
        };
        let colour = colour(status.epoch);
        match status.role {
            "leader" | "primary" | "coordinator" => self.line(x, from, to, colour, 9.0, "none"),
            "candidate" | "pre-candidate" => {
                self.line(x, from, to, colour, 7.0, "none");
                self.line(x, from, to, "#ffffff", 4.0, "none");
            }
            _ => self.line(x, from, to, colour, 3.0, "none"),
        }
    }

    fn line(&mut self, x: f64, from: f64, to: f64, colour: &str, width: f64, dashes: &str) {
        self.paper.element(
            "line",
            &[
                ("x1", &Px(x)),
                ("y1", &Px(from)),
                ("x2", &Px(x)),
                ("y2", &Px(to)),
                ("stroke", &colour),
                ("stroke-width", &width),
                ("stroke-dasharray", &dashes),
            ],
        );
    }

    /// Bars beside the lines: from the writing of a frame until it is durable.
    pub(super) fn disks(&mut self) {
        for process in 0..self.diagram.processes.len() {
            let mut writing: BTreeMap<Frame, Writing> = BTreeMap::new();
            for (y, step) in self.steps(process) {
                for mark in &step.marks {
                    match mark {
                        Mark::Wrote(frame, text) => {
                            let taken = |lane: usize| writing.values().any(|w| w.lane == lane);
                            let lane = (0..writing.len()).find(|&lane| !taken(lane));
                            let lane = lane.unwrap_or(writing.len());
                            let text = text.clone();
                            let from = y;
                            writing.insert(*frame, Writing { from, text, lane });
                        }
                        Mark::Synced(frame) => {
                            let rest = writing.split_off(&frame.next());
                            for (frame, done) in std::mem::replace(&mut writing, rest) {
                                self.bar(process, frame, &done, y, true);
                            }
                        }
                        Mark::Crashed(_) => {
                            for (frame, lost) in std::mem::take(&mut writing) {
                                self.bar(process, frame, &lost, y, false);
                            }
                        }
                        _ => {}
                    }
                }
            }
            let bottom = self.layout.bottom;
            for (frame, open) in writing {
                self.bar(process, frame, &open, bottom, false);
            }
        }
    }

    fn bar(&mut self, process: usize, frame: Frame, writing: &Writing, to: f64, durable: bool) {
        let x = self.layout.x[process] + 8.0 + writing.lane as f64 * 6.0;
        let height = (to - writing.from - 4.0).max(6.0);
        self.paper.open("g", &[("class", &"disk")]);
        let fate = if durable { "" } else { " (not durable)" };
        let text = format!("frame {}{fate}: {}", frame.0, writing.text);
        self.paper.text("title", &[], &text);
        let fill = if durable { DISK } else { "#ffffff" };
        self.paper.element(
            "rect",
            &[
                ("x", &Px(x)),
                ("y", &Px(writing.from + 2.0)),
                ("width", &4),
                ("height", &Px(height)),
                ("rx", &1.5),
                ("fill", &fill),
                ("stroke", &DISK),
            ],
        );
        self.paper.close();
        self.field
            .take(Place::flat(x, writing.from + 2.0, 4.0, height));
    }

    /// Times in which links are cut: hatched between neighbours, and in words.
    pub(super) fn partings(&mut self) {
        let mut since = None;
        let moments = self.diagram.moments.clone();
        for moment in &moments {
            let Happening::Parted(parting) = &moment.what else {
                continue;
            };
            let y = self.layout.y[moment.row];
            if let Some((from, cut)) = since.take() {
                self.hatch(from, y, &cut);
            }
            self.across(y);
            if !parting.cut.is_empty() {
                since = Some((y, parting.cut.clone()));
            }
        }
        if let Some((from, cut)) = since {
            self.hatch(from, self.layout.bottom, &cut);
        }
    }

    fn hatch(&mut self, from: f64, to: f64, cut: &std::collections::BTreeSet<(usize, usize)>) {
        for left in 0..self.diagram.processes.len().saturating_sub(1) {
            let right = left + 1;
            if !cut.contains(&(left, right)) && !cut.contains(&(right, left)) {
                continue;
            }
            let middle = (self.layout.x[left] + self.layout.x[right]) / 2.0;
            self.paper.element(
                "rect",
                &[
                    ("x", &Px(middle - 13.0)),
                    ("y", &Px(from)),
                    ("width", &26),
                    ("height", &Px(to - from)),
                    ("fill", &"url(#cut)"),
                ],
            );
        }
    }

    /// A line across the picture.
    fn across(&mut self, y: f64) {
        let (first, last) = self.layout.span();
        let from = Point { x: first - 60.0, y };
        let to = Point { x: last + 30.0, y };
        self.paper.element(
            "line",
            &[
                ("x1", &Px(from.x)),
                ("y1", &Px(y)),
                ("x2", &Px(to.x)),
                ("y2", &Px(y)),
                ("stroke", &RED),
                ("stroke-dasharray", &"5 4"),
                ("opacity", &0.7),
            ],
        );
        self.field.avoid(from, to, 1.0, None);
    }
}

/// What decides how a line is drawn.
fn shown(life: Life) -> Option<(u64, &'static str)> {
    match life {
        Life::Up(status) => Some((status.epoch, status.role)),
        Life::Down => None,
    }
}
