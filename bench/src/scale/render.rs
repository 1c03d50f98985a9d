//! Points as tables and pictures.

use std::path::Path;

use anyhow::{Context, Result};

use super::{Metric, PLACE, Points, What};
use crate::document::replace;
use crate::plot::{Chart, Line, amount};
use crate::servers::System;
use crate::table::{Table, grouped};

/// A picture: what of what.
struct Picture {
    name: &'static str,
    what: What,
    title: &'static str,
    y: &'static str,
    /// The metrics that it shows and their names.
    lines: &'static [(Metric, &'static str)],
}

const PICTURES: &[Picture] = &[
    Picture {
        name: "keys-throughput",
        what: What::Keys,
        title: "Throughput as the store grows",
        y: "requests a second, 64 clients, one node",
        lines: &[(Metric::Puts, "puts"), (Metric::Gets, "gets")],
    },
    Picture {
        name: "keys-memory",
        what: What::Keys,
        title: "Memory as the store grows",
        y: "resident, MiB, values of 256 B, one node",
        lines: &[(Metric::Memory, "")],
    },
    Picture {
        name: "values-throughput",
        what: What::Values,
        title: "Puts as values grow",
        y: "puts a second, 64 clients, one node",
        lines: &[(Metric::Puts, "")],
    },
    Picture {
        name: "values-bytes",
        what: What::Values,
        title: "Bytes made durable as values grow",
        y: "MiB of values a second, 64 clients, one node",
        lines: &[(Metric::PutMib, "")],
    },
    Picture {
        name: "nodes-throughput",
        what: What::Nodes,
        title: "Throughput as nodes are added, all on one machine",
        y: "requests a second, 64 clients",
        lines: &[(Metric::Puts, "puts"), (Metric::Gets, "gets")],
    },
    Picture {
        name: "nodes-cpu",
        what: What::Nodes,
        title: "What a put costs as nodes are added",
        y: "µs of processor time for a put, all servers together",
        lines: &[(Metric::PutCpu, "")],
    },
    Picture {
        name: "watchers-events",
        what: What::Watchers,
        title: "Events as watchers of one prefix are added",
        y: "events delivered a second, 16 putting clients, one node",
        lines: &[(Metric::Events, "")],
    },
];

/// What the tables show of each thing that grows.
fn columns(what: What) -> &'static [(Metric, &'static str)] {
    use Metric::{EventP99, Events, Gets, Memory, PutCpu, PutMib, Puts};
    match what {
        What::Keys => &[
            (Puts, "puts/s"),
            (Gets, "gets/s"),
            (PutCpu, "CPU µs a put"),
            (Memory, "resident MiB"),
        ],
        What::Values => &[
            (Puts, "puts/s"),
            (PutMib, "MiB/s"),
            (Gets, "gets/s"),
            (PutCpu, "CPU µs a put"),
            (Memory, "resident MiB at most"),
        ],
        What::Nodes => &[
            (Puts, "puts/s"),
            (Gets, "gets/s"),
            (PutCpu, "CPU µs a put"),
            (Memory, "resident MiB"),
        ],
        What::Watchers => &[
            (Events, "events/s"),
            (EventP99, "p99 ms"),
            (Memory, "resident MiB at most"),
        ],
    }
}

/// What grows, and its unit.
fn axis(what: What) -> &'static str {
    match what {
        What::Keys => "keys",
        What::Values => "size of a value",
        What::Nodes => "nodes",
        What::Watchers => "watchers",
    }
}

/// A size in bytes.
fn bytes(value: f64) -> String {
    match value {
        size if size >= 1_048_576.0 => format!("{:.0} MiB", size / 1_048_576.0),
        size if size >= 1024.0 => format!("{:.0} KiB", size / 1024.0),
        size => format!("{size:.0} B"),
    }
}

fn label(what: What) -> fn(f64) -> String {
    match what {
        What::Values => bytes,
        What::Keys | What::Nodes | What::Watchers => amount,
    }
}

/// For a terminal.
pub(super) fn text(points: &Points) -> String {
    let tables = What::ALL.map(|what| table(points, what));
    let tables = tables.iter().filter(|table| !table.is_empty());
    tables.map(Table::text).collect::<Vec<_>>().join("\n")
}

/// Writes the tables to their place, and the pictures beside the document.
pub(super) fn write(document: &Path, points: &Points) -> Result<()> {
    let folder = document.with_extension("");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let loads = || points.points.iter().map(|point| point.load);
    let mut text = format!(
        "One round, load average {:.1} to {:.1}.\n",
        loads().fold(f64::INFINITY, f64::min),
        loads().fold(0.0, f64::max)
    );
    for what in What::ALL {
        let table = table(points, what);
        if table.is_empty() {
            continue;
        }
        text.push('\n');
        for picture in PICTURES.iter().filter(|picture| picture.what == what) {
            let Some(svg) = chart(points, picture).svg() else {
                continue;
            };
            let file = format!("{}.svg", picture.name);
            let path = folder.join(&file);
            std::fs::write(&path, svg)
                .with_context(|| format!("cannot write {}", path.display()))?;
            text.push_str(&format!("![{}]({name}/{file})\n", picture.title));
        }
        text.push_str(&format!("\n{}", table.markdown()));
    }
    let old = std::fs::read_to_string(document)?;
    std::fs::write(document, replace(&old, PLACE, &text)?)
        .with_context(|| format!("cannot write {}", document.display()))
}

fn chart(points: &Points, picture: &Picture) -> Chart {
    let mut lines = Vec::new();
    for system in [System::Quorate, System::Etcd] {
        for (metric, name) in picture.lines {
            let wanted = points.points.iter();
            let wanted =
                wanted.filter(|point| (point.what, point.system) == (picture.what, system));
            let line: Vec<(f64, f64)> = wanted
                .filter_map(|point| Some((point.at as f64, *point.values.get(metric)?)))
                .collect();
            if !line.is_empty() {
                lines.push(Line {
                    name: format!("{} {name}", system.name()).trim_end().to_owned(),
                    dashed: system == System::Etcd,
                    points: line,
                });
            }
        }
    }
    Chart {
        title: picture.title.to_owned(),
        x: axis(picture.what).to_owned(),
        x_log: picture.what != What::Nodes,
        x_label: label(picture.what),
        y: picture.y.to_owned(),
        lines,
    }
}

fn table(points: &Points, what: What) -> Table {
    let of = |system| {
        points
            .points
            .iter()
            .filter(move |point| (point.what, point.system) == (what, system))
    };
    let both = [System::Etcd, System::Quorate].into_iter();
    let systems: Vec<System> = both.filter(|&system| of(system).next().is_some()).collect();
    let mut head = vec![axis(what).to_owned()];
    for system in &systems {
        head.extend(
            columns(what)
                .iter()
                .map(|(_, name)| format!("{} {name}", system.name())),
        );
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let mut table = Table::new(&head);
    let mut places: Vec<u64> = systems
        .iter()
        .flat_map(|&system| of(system))
        .map(|point| point.at)
        .collect();
    places.sort_unstable();
    places.dedup();
    for at in places {
        let mut row = vec![match what {
            What::Values => bytes(at as f64),
            What::Keys | What::Nodes | What::Watchers => grouped(at as f64),
        }];
        for &system in &systems {
            let point = of(system).find(|point| point.at == at);
            row.extend(columns(what).iter().map(|(metric, _)| {
                let value = point.and_then(|point| point.values.get(metric));
                value.map_or_else(String::new, |&value| match value < 100.0 {
                    true => format!("{value:.1}"),
                    false => grouped(value),
                })
            }));
        }
        table.add(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::Point;
    use super::*;
    use crate::servers::keeper::Folder;

    fn points() -> Points {
        let mut points = Points::default();
        for (system, factor) in [(System::Etcd, 1.0), (System::Quorate, 3.0)] {
            for at in [64, 1_048_576] {
                points.add(Point {
                    what: What::Values,
                    at,
                    system,
                    values: [
                        (Metric::Puts, factor * 1e6 / at as f64),
                        (Metric::PutMib, 5.0),
                    ]
                    .into(),
                    load: 2.0,
                });
            }
        }
        points
    }

    #[test]
    fn a_table_has_a_row_for_each_point_and_both_systems() {
        let text = text(&points());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(
            lines[0].contains("etcd puts/s") && lines[0].contains("Quorate MiB/s"),
            "{text}"
        );
        assert!(
            lines[1].starts_with("64 B") && lines[1].contains("15,625"),
            "{text}"
        );
        assert!(lines[2].starts_with("1 MiB"), "{text}");
    }

    #[test]
    fn the_document_gets_tables_and_pictures() {
        let folder = Folder::new(&std::env::temp_dir(), "scale").expect("a place for files");
        let path = folder.path().join("doc.md");
        std::fs::write(&path, "<!-- scale -->\n<!-- end of scale -->\n").expect("it is written");
        write(&path, &points()).expect("there is a place");
        let text = std::fs::read_to_string(&path).expect("it was written");
        assert!(text.contains("(doc/values-throughput.svg)"), "{text}");
        assert!(
            !text.contains("keys-"),
            "nothing was measured of keys: {text}"
        );
        let svg = std::fs::read_to_string(folder.path().join("doc/values-bytes.svg"));
        assert!(svg.expect("it was drawn").contains("1 MiB"));
    }
}
