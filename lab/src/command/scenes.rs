//! `list` and `run`: scenes, with pictures and verdicts.

use std::fs;
use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::json;

use crate::draw::{Diagram, html, svg, text};
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
    /// Draw the diagram into this file.
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    svg: Option<PathBuf>,
    /// Write a page with story, verdicts and diagram into this file.
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    html: Option<PathBuf>,
    /// Print a JSON document, with every event.
    #[arg(long)]
    json: bool,
    /// The width of the diagram in text, in columns; that of the terminal if it is one.
    #[arg(long)]
    width: Option<usize>,
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
            println!("{:#}", json!(list.collect::<Vec<_>>()));
            return Ok(true);
        }
        let width = all.iter().map(|scene| scene.name.len()).max().unwrap_or(0);
        for scene in &all {
            println!("{:width$}  {}", scene.name, scene.title);
        }
        Ok(true)
    }
}

impl Run {
    pub(super) fn run(self) -> Result<bool> {
        let Some(name) = &self.scene else {
            return self.run_all();
        };
        let scene = load(name)?;
        let outcome = play(&scene)?;
        let diagrams = outcome.diagrams();
        if let Some(file) = &self.svg {
            write(file, &svg::render_all(&diagrams))?;
        }
        if let Some(file) = &self.html {
            write(file, &html::render(&head(&scene, &outcome), &diagrams))?;
        }
        match self.json {
            true => println!("{:#}", scene_json::run(&scene, &outcome)),
            false => self.show(&scene, &outcome, &diagrams),
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
            println!(
                "{:width$}  {verdict}: {holds} properties hold{broken}",
                scene.name
            );
        }
        if self.json {
            println!("{:#}", json!(documents));
        }
        Ok(fine)
    }

    fn show(&self, scene: &Scene, outcome: &Outcome, diagrams: &[Diagram]) {
        let style = text::Style {
            width: self.width.unwrap_or_else(columns),
            colour: stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        println!("{}\n{}\n", scene.title, scene.source);
        for paragraph in &scene.story {
            for line in crate::draw::words::wrap(paragraph, style.width.min(100)) {
                println!("{line}");
            }
            println!();
        }
        for diagram in diagrams {
            if diagrams.len() > 1 {
                println!("{}\n", diagram.title);
            }
            println!("{}", text::render(diagram, style));
        }
        sheet(outcome);
    }
}

/// Prints the verdict sheet.
fn sheet(outcome: &Outcome) {
    let names = outcome.sheet.iter().map(|verdict| verdict.property.len());
    let width = names.max().unwrap_or(0);
    for verdict in &outcome.sheet {
        let surprise = match verdict.holds == verdict.expected {
            true => "",
            false => " (NOT EXPECTED)",
        };
        println!(
            "{:width$}  {:5}{surprise}  {}",
            verdict.property, verdict.holds, verdict.witness
        );
    }
    match outcome.is_as_expected() {
        true => println!("\nEvery verdict is as expected."),
        false => println!("\nNOT AS EXPECTED."),
    }
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

/// The columns of the terminal, if there is one.
pub(super) fn columns() -> usize {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok());
    columns.filter(|&columns| columns >= 40).unwrap_or(120)
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

fn write(file: &Path, text: &str) -> Result<()> {
    if file.is_dir() {
        bail!("{} is a folder; name a file", file.display());
    }
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}
