//! `list` and `run`: scenes, with pictures and verdicts.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use serde_json::json;

use super::paper::{Paper, pictures, print};
use crate::draw::{Diagram, html, text, words};
use crate::scenes::{self, Outcome, Scene, json as scene_json};

/// List the scenes.
#[derive(Args, Debug)]
pub(super) struct List {
    /// Print a JSON document.
    #[arg(long)]
    json: bool,
}

/// Play scenes: the story, a space-time diagram, and the verdict on every property.
#[derive(Args, Debug)]
pub(super) struct Run {
    /// The scene's name, as `list` shows it, or a file that holds a scene.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    scene: Option<String>,
    /// Play all scenes and print a line for each.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    paper: Paper,
    /// Print a JSON document, with every event.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(self) -> Result<bool> {
        let all: Vec<Scene> = all()?;
        if self.json {
            let list = all.iter().map(|scene| {
                json!({
                    "name": scene.name, "title": scene.title,
                    "source": scene.source, "protocol": scene.protocol,
                })
            });
            return print(&format!("{:#}\n", json!(list.collect::<Vec<_>>()))).map(|()| true);
        }
        let width = all.iter().map(|scene| scene.name.len()).max().unwrap_or(0);
        let lines = all
            .iter()
            .map(|scene| format!("{:width$}  {}\n", scene.name, scene.title));
        print(&lines.collect::<String>()).map(|()| true)
    }
}

impl Run {
    pub(super) fn run(self) -> Result<bool> {
        let Some(name) = &self.scene else {
            self.paper.refuse("one scene")?;
            return self.run_all();
        };
        let scene = load(name)?;
        let outcome = play(&scene)?;
        let diagrams = outcome.diagrams();
        self.paper.draw(&head(&scene, &outcome), &diagrams)?;
        match self.json {
            true => print(&format!("{:#}\n", scene_json::run(&scene, &outcome)))?,
            false => print(&shown(&scene, &outcome, &diagrams, self.paper.style()))?,
        }
        Ok(outcome.is_as_expected())
    }

    fn run_all(&self) -> Result<bool> {
        let (mut fine, mut documents) = (true, Vec::new());
        let all = all()?;
        let width = all.iter().map(|scene| scene.name.len()).max().unwrap_or(0);
        for scene in &all {
            let outcome = play(scene)?;
            fine &= outcome.is_as_expected();
            if self.json {
                documents.push(scene_json::run(scene, &outcome));
                continue;
            }
            let verdict = if outcome.is_as_expected() {
                "as expected"
            } else {
                "NOT AS EXPECTED"
            };
            let (mut holds, mut broken) = (0, Vec::new());
            for verdict in &outcome.sheet {
                match verdict.holds {
                    true => holds += 1,
                    false => broken.push(verdict.property.as_str()),
                }
            }
            let broken = match broken.is_empty() {
                true => String::new(),
                false => format!(", false: {}", broken.join(", ")),
            };
            let name = &scene.name;
            print(&format!(
                "{name:width$}  {verdict}; true: {holds}{broken}\n"
            ))?;
        }
        if self.json {
            print(&format!("{:#}\n", json!(documents)))?;
        }
        Ok(fine)
    }
}

/// Everything about a run, as text.
fn shown(scene: &Scene, outcome: &Outcome, diagrams: &[Diagram], style: text::Style) -> String {
    let mut out = format!("{}\n{}\n\n", scene.title, scene.source);
    for paragraph in &scene.story {
        for line in words::wrap(paragraph, style.width.min(100)) {
            let _ = writeln!(out, "{line}");
        }
        out.push('\n');
    }
    out.push_str(&pictures(diagrams, style));
    out.push_str(&sheet(outcome));
    out
}

/// The verdict sheet.
fn sheet(outcome: &Outcome) -> String {
    let mut out = String::new();
    let names = outcome.sheet.iter().map(|verdict| verdict.property.len());
    let width = names.max().unwrap_or(0);
    for verdict in &outcome.sheet {
        let surprise = match verdict.holds == verdict.expected {
            true => "",
            false => " (NOT EXPECTED)",
        };
        let _ = writeln!(
            out,
            "{:width$}  {:5}{surprise}  {}",
            verdict.property, verdict.holds, verdict.witness
        );
    }
    let verdict = match outcome.is_as_expected() {
        true => "Every verdict is as expected",
        false => "NOT AS EXPECTED",
    };
    let _ = writeln!(
        out,
        "\n{verdict}; asked after each of {} events.",
        outcome.events()
    );
    out
}

/// What stands above the pictures of a page.
fn head(scene: &Scene, outcome: &Outcome) -> html::Head {
    let rows = outcome.sheet.iter().map(|verdict| html::Row {
        property: verdict.property.clone(),
        holds: verdict.holds,
        expected: verdict.holds == verdict.expected,
        witness: verdict.witness.clone(),
    });
    html::Head {
        title: scene.title.clone(),
        source: scene.source.clone(),
        story: scene.story.clone(),
        verdicts: rows.collect(),
    }
}

fn all() -> Result<Vec<Scene>> {
    let all =
        scenes::names().map(|name| scenes::find(name).map_err(|unknown| anyhow!("{unknown}")));
    all.collect()
}

/// A scene by its name, or from a file.
fn load(name: &str) -> Result<Scene> {
    let file = Path::new(name);
    if !file.is_file() {
        return scenes::find(name).map_err(|unknown| {
            anyhow!("{unknown}; `list` shows all, and a file may be given instead")
        });
    }
    let text = fs::read_to_string(file).with_context(|| format!("reading {name}"))?;
    Scene::parse(name, &text).map_err(|wrong| anyhow!("{name}:{}: {}", wrong.line, wrong.reason))
}

fn play(scene: &Scene) -> Result<Outcome> {
    scenes::run(scene).map_err(|wrong| anyhow!("{}:{}: {}", scene.name, wrong.line, wrong.reason))
}
