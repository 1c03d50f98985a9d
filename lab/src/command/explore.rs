//! `explore`: a person decides what happens next.

use std::fs;
use std::io::{IsTerminal, stdin, stdout};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use quorate_core::Protocol;
use quorate_problems::Workload;
use quorate_sim::Suite;

use super::paper::{nobody_reads, style};
use crate::explore::{Ended, Explorer, dialog};
use crate::scenes::Claims;
use crate::scenes::stage::{self, Work};

/// Drive a small world: pick what happens next, step back, save the path as a script.
#[derive(Args, Debug)]
pub(super) struct Explore {
    /// The protocol.
    protocol: String,
    /// How many replicas.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=15))]
    nodes: u64,
    /// Options of the protocol, as behind `cluster 3` in a script: `window=2 flaw=figure-8`.
    #[arg(long, value_name = "OPTION", num_args = 1..)]
    with: Vec<String>,
    /// A script to begin with.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["nodes", "with"])]
    script: Option<PathBuf>,
}

impl Explore {
    pub(super) fn run(self) -> Result<bool> {
        let (name, commands) = match &self.script {
            Some(file) => {
                let text = fs::read_to_string(file)
                    .with_context(|| format!("reading {}", file.display()))?;
                (file.display().to_string(), commands(&text))
            }
            None => {
                let mut words = vec!["cluster".to_string(), self.nodes.to_string()];
                words.extend(self.with.iter().cloned());
                let name = "the options".to_string();
                (name, vec![(1, words.join(" "))])
            }
        };
        let protocol = self.protocol.clone();
        stage::with(&protocol, Talk { name, commands })?
    }
}

/// The commands of a script, each with its line: no comments, no traces.
fn commands(text: &str) -> Vec<(usize, String)> {
    let mut commands = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line == "----" {
            let _ = lines.find(|(_, line)| line.is_empty());
        } else if !line.is_empty() && !line.starts_with('#') {
            commands.push((number + 1, line.to_string()));
        }
    }
    commands
}

struct Talk {
    name: String,
    commands: Vec<(usize, String)>,
}

impl Work for Talk {
    type Answer = Result<bool>;

    fn with<P: Protocol>(self, suite: &Suite<P>, claims: &Claims) -> Result<bool>
    where
        P::Problem: Workload,
    {
        let (lines, commands): (Vec<_>, Vec<_>) = self.commands.into_iter().unzip();
        let explorer = Explorer::new(suite, commands, claims.asks);
        let mut explorer = explorer.map_err(|(at, reason)| {
            let line = lines.get(at - 1).copied().unwrap_or(at);
            anyhow!("{}:{line}: {reason}", self.name)
        })?;
        explorer.entitle("Explored", claims.epoch);
        let terminal = stdin().is_terminal();
        let said = dialog(
            &mut explorer,
            stdin().lock(),
            stdout().lock(),
            terminal,
            style(),
        );
        match said {
            Err(error) if nobody_reads(&error) => Ok(true),
            Err(error) => Err(error.into()),
            Ok(Ended::Well(fine)) => Ok(fine),
            Ok(Ended::Badly(line, reason)) => bail!("input:{line}: {reason}"),
        }
    }
}
