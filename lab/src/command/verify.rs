//! `quorate lab verify FILE`: a verdict on a history of any system.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use quorate_problems::linearizable::CONFIGURATIONS_MAX;

use super::paper;
use crate::history::{self, Claim};

/// Judges a history of any system: is there an order of its operations that explains all answers?
///
/// The format, JSON lines, is described in docs/histories.md. If there is no order, a smallest set of
/// operations is shown that contradict one another.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The history; `-` stands for standard input.
    file: PathBuf,
    /// What the system claims to be.
    #[arg(long = "as", value_enum, value_name = "CLAIM")]
    claim: Option<Claim>,
    /// Prints the moment at which each operation takes effect, too.
    #[arg(long)]
    points: bool,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
    /// Gives up after so many configurations of the search, in each independent part of the history.
    #[arg(long, value_name = "COUNT", default_value_t = CONFIGURATIONS_MAX)]
    configurations_max: u64,
}

impl Verify {
    /// Prints the verdict. Answers whether all is well.
    pub(super) fn run(self) -> Result<bool> {
        let is_input = self.file.as_os_str() == "-";
        let name = match is_input {
            true => "standard input".to_owned(),
            false => self.file.display().to_string(),
        };
        let content = if is_input {
            let mut content = String::new();
            std::io::stdin()
                .read_to_string(&mut content)
                .with_context(|| format!("reading {name}"))?;
            content
        } else {
            std::fs::read_to_string(&self.file).with_context(|| format!("reading {name}"))?
        };
        let imported = history::read(&content).map_err(|error| anyhow!("{name}, {error}"))?;
        let report = history::verify(&imported, self.claim, self.configurations_max)?;
        match self.json {
            true => paper::print(&format!("{}\n", report.json(self.points)))?,
            false => paper::print(&report.text(self.points))?,
        }
        Ok(report.holds() == Some(true))
    }
}
