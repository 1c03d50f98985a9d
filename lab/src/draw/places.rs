//! Which moment stands in which row.

use super::diagram::{Diagram, Happening, Mark, Step};

/// Puts the moments into rows, as tightly as their causes allow.
pub(super) fn assign_rows(diagram: &mut Diagram) {
    let mut rows = Rows {
        next: vec![0; diagram.processes.len()],
        outside: 0,
        used: 0,
        delivered: false,
    };
    for at in 0..diagram.moments.len() {
        let row = match &diagram.moments[at].what {
            Happening::Step(step) => rows.step(diagram, step),
            Happening::Note(_) => {
                rows.barrier();
                rows.used
            }
            Happening::Forged(_) => {
                let row = rows.used;
                rows.used += 1;
                row
            }
            Happening::Parted(_) | Happening::Skipped | Happening::Violated(_) => {
                let row = rows.used;
                rows.used += 1;
                rows.barrier();
                row
            }
        };
        diagram.moments[at].row = row;
    }
    diagram.rows = rows.used;
}

struct Rows {
    /// The first row that is free, per process.
    next: Vec<usize>,
    /// The first row for what comes from outside.
    outside: usize,
    /// How many rows are in use.
    used: usize,
    /// Whether mail arrived since the last thing that came from outside.
    delivered: bool,
}

impl Rows {
    /// Nothing that comes later stands above what came before.
    fn barrier(&mut self) {
        self.outside = self.used;
        self.next.fill(self.used);
        self.delivered = false;
    }

    fn step(&mut self, diagram: &Diagram, step: &Step) -> usize {
        let mut row = self.next[step.process];
        for mark in &step.marks {
            if let Mark::Received(mail) = mark {
                let mail = &diagram.mail[*mail];
                let sent = mail.left.map(|moment| diagram.moments[moment].row + 1);
                row = row.max(sent.unwrap_or(0));
            }
        }
        // Timers, crashes and requests come when the author wants them: what he had already seen
        // stands above them. Those that he let happen together stand side by side.
        let caused = step.marks.first();
        match caused {
            Some(Mark::Received(_)) => self.delivered = true,
            Some(Mark::Synced(_)) => {}
            _ => {
                if self.delivered {
                    self.outside = self.used;
                    self.delivered = false;
                }
                row = row.max(self.outside);
                self.outside = row;
            }
        }
        self.next[step.process] = row + 1;
        self.used = self.used.max(row + 1);
        row
    }
}
