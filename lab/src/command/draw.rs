//! `draw`: a picture of any recorded run, or of a script.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use quorate_core::Protocol;
use quorate_problems::Workload;
use quorate_sim::Suite;

use super::paper::{Paper, pictures, print};
use crate::draw::{Diagram, Recording, html};
use crate::scenes::Claims;
use crate::scenes::json;
use crate::scenes::stage::{self, Work};
use crate::scenes::tell::tell;

/// Draw a run that was recorded with `run --json`, or any script.
#[derive(Args, Debug)]
pub(super) struct Draw {
    /// A JSON document (format `quorate-run`) or a script, for instance a golden one.
    file: PathBuf,
    /// The protocol that a script is for.
    #[arg(long, default_value = "raft")]
    protocol: String,
    #[command(flatten)]
    paper: Paper,
}

impl Draw {
    pub(super) fn run(self) -> Result<bool> {
        let name = self.file.display().to_string();
        let text = fs::read_to_string(&self.file).with_context(|| format!("reading {name}"))?;
        let (head, recordings) = match text.trim_start().starts_with('{') {
            true => json::read(&text).map_err(|reason| anyhow!("{name}: {reason}"))?,
            false => {
                let title = self.file.file_stem().unwrap_or_default();
                let title = title.to_string_lossy().into_owned();
                let played = stage::with(&self.protocol, Play(&text, &title))?;
                let recordings = played.map_err(|reason| anyhow!("{name}:{reason}"))?;
                let head = html::Head {
                    title,
                    ..html::Head::default()
                };
                (head, recordings)
            }
        };
        let diagrams: Vec<Diagram> = recordings.iter().map(Diagram::of).collect();
        self.paper.draw(&head, &diagrams)?;
        print(&pictures(&diagrams, self.paper.style()))?;
        Ok(true)
    }
}

struct Play<'a>(&'a str, &'a str);

impl Work for Play<'_> {
    type Answer = Result<Vec<Recording>, String>;

    fn with<P: Protocol>(self, suite: &Suite<P>, claims: &Claims) -> Self::Answer
    where
        P::Problem: Workload,
    {
        let Play(script, title) = self;
        let told = tell(suite, script, 1);
        let told = told.map_err(|wrong| format!("{}: {}", wrong.line, wrong.reason))?;
        let recordings = told.into_iter().map(|told| Recording {
            title: title.to_string(),
            epoch: claims.epoch.to_string(),
            ..told.recording
        });
        Ok(recordings.collect())
    }
}
