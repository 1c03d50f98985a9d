//! The matrix as a page that needs nothing but itself.

use std::fmt::Write as _;

use super::report::{Matrix, Row, columns, kept, percent, short};

/// A number of a row that is drawn as a bar.
struct Bars {
    title: &'static str,
    note: &'static str,
    value: fn(&Row) -> f64,
    text: fn(&Row) -> String,
    is_good_long: bool,
}

const BARS: [Bars; 6] = [
    Bars {
        title: "Acknowledged updates lost",
        note: "when the master dies at the worst moment",
        value: |row| row.measured.lost_updates as f64,
        text: |row| in_words(row.measured.lost_updates, row.measured.lost_delays),
        is_good_long: false,
    },
    Bars {
        title: "Staleness of reads",
        note: "acknowledged updates that a read at any replica misses",
        value: |row| row.measured.stale_versions as f64,
        text: |row| in_words(row.measured.stale_versions, row.measured.stale_delays),
        is_good_long: false,
    },
    Bars {
        title: "Latency",
        note: "message delays from request to answer, median",
        value: |row| row.measured.latency,
        text: |row| short(row.measured.latency),
        is_good_long: false,
    },
    Bars {
        title: "Latency with one slow replica",
        note: "one replica five times as far as the others",
        value: |row| row.measured.latency_slow,
        text: |row| short(row.measured.latency_slow),
        is_good_long: false,
    },
    Bars {
        title: "Messages per update",
        note: "without signs of life",
        value: |row| row.measured.messages,
        text: |row| short(row.measured.messages),
        is_good_long: false,
    },
    Bars {
        title: "Answered in time around a crash",
        note: "of the master, within 8 delays",
        value: |row| row.measured.available_crash,
        text: |row| percent(row.measured.available_crash),
        is_good_long: true,
    },
];

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5d6b7a; --line: #d5dde5; --paper: #fff;
  --bar: #4472a8; --good: #3d8a5f; --bad: #b4472f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --soft: #9aa7b4; --line: #36424e;
  --paper: #12181e; --bar: #6b9bd1; --good: #63b98a; --bad: #e2795f; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .2rem; }
p.note { color: var(--soft); margin: 0 0 .6rem; }
.bars { display: grid; grid-template-columns: minmax(19rem, auto) 1fr; gap: .15rem .8rem; align-items: center; }
.bars .name { color: var(--soft); white-space: nowrap; }
.bar { display: flex; align-items: center; gap: .5rem; white-space: nowrap; }
.bar i { display: block; height: .8rem; min-width: 2px; border-radius: 2px; background: var(--bar); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; margin: .5rem 0; white-space: nowrap; }
th, td { text-align: left; padding: .25rem .7rem; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
td.broken { color: var(--bad); } td.kept { color: var(--good); }
dt { font-weight: 600; margin-top: .6rem; } dd { margin: 0 0 0 1rem; }
";

impl Matrix {
    /// A page with bars, the table, and what was refused.
    #[must_use]
    pub fn html(&self) -> String {
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>Strategies of replication, measured</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <h1>Strategies of replication, measured</h1>\n\
             <p>Three copies of a service; every message takes one delay. Each number was measured over \
             {} seed{}.</p>\n",
            self.seeds,
            if self.seeds == 1 { "" } else { "s" }
        );
        for bars in &BARS {
            self.bars(&mut out, bars);
        }
        self.table(&mut out);
        out.push_str("<h2>Not run, and why</h2>\n<dl>\n");
        for (cells, reason) in &self.refused {
            let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escape(cells), escape(reason));
        }
        out.push_str("</dl>\n");
        self.bounds(&mut out);
        out.push_str("</body>\n</html>\n");
        out
    }

    fn bars(&self, out: &mut String, bars: &Bars) {
        let finite = self
            .rows
            .iter()
            .map(bars.value)
            .filter(|value| value.is_finite());
        let longest = finite.fold(f64::MIN_POSITIVE, f64::max);
        let _ = write!(
            out,
            "<h2>{}</h2>\n<p class=\"note\">{}; {} is better</p>\n<div class=\"bars\">\n",
            bars.title,
            bars.note,
            if bars.is_good_long {
                "longer"
            } else {
                "shorter"
            }
        );
        for row in &self.rows {
            let share = ((bars.value)(row) / longest).clamp(0.0, 1.0) * 70.0;
            let name = row.cell.words().join(" · ");
            let _ = writeln!(
                out,
                "<span class=\"name\">{}</span><span class=\"bar\"><i style=\"width:{share:.1}%\"></i>{}</span>",
                escape(&name),
                escape(&(bars.text)(row))
            );
        }
        out.push_str("</div>\n");
    }

    fn table(&self, out: &mut String) {
        out.push_str("<h2>All of it</h2>\n<div class=\"scroll\"><table>\n<tr>");
        for head in super::report::HEAD {
            let _ = write!(out, "<th>{head}</th>");
        }
        out.push_str("</tr>\n");
        for row in &self.rows {
            out.push_str("<tr>");
            let cells = columns(row);
            for (at, cell) in cells.iter().enumerate() {
                let is_last = at + 1 == cells.len();
                let class = match (is_last, cell.chars().any(char::is_alphabetic)) {
                    (true, true) => " class=\"broken\"",
                    (true, false) => " class=\"kept\"",
                    (false, _) => "",
                };
                let _ = write!(out, "<td{class}>{}</td>", escape(cell));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</table></div>\n");
        let legend = super::report::LEGEND.trim();
        let _ = writeln!(out, "<pre>{}</pre>", escape(legend));
    }

    fn bounds(&self, out: &mut String) {
        out.push_str(
            "<h2>Primary and one backup against their bounds</h2>\n<table>\n<tr><th></th>\
             <th>without master, delays</th><th>bound</th><th>blocking, delays</th><th>bound</th>\
             <th>promises</th></tr>\n",
        );
        for failover in &self.failovers {
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{:.1}</td><td>{:.1}</td><td>{:.1}</td><td>{:.1}</td><td>{}</td></tr>",
                escape(failover.name),
                failover.without_master.0,
                failover.without_master.1,
                failover.blocking.0,
                failover.blocking.1,
                escape(&kept(&failover.broken))
            );
        }
        out.push_str(
            "</table>\n<h2>Replication in time and in space</h2>\n<table>\n<tr><th></th>\
             <th>answered in time</th><th>lost</th><th>promises</th></tr>\n",
        );
        for row in &self.time_or_space {
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(row.name),
                percent(row.available),
                row.lost,
                escape(&kept(&row.broken))
            );
        }
        out.push_str("</table>\n");
    }
}

/// How many, and how old the oldest is.
fn in_words(count: u64, age: f64) -> String {
    match count {
        0 => "none".to_string(),
        count => format!("{count}, up to {} delays old", short(age)),
    }
}

/// Text that cannot be taken for markup.
fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}
