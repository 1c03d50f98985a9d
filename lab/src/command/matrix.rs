//! `quorate lab matrix`: strategies of replication, measured.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use indicatif::ProgressBar;

use super::paper;
use crate::matrix;

/// Measures every strategy of replication: what is lost, how stale reads are, what an update costs.
///
/// Active or passive, synchronous or asynchronous, one master or several, clients at a replica or at a
/// proxy: each combination runs in simulation, under a clock in which every message takes one delay, or
/// is refused with its reason. Nothing in the table is known beforehand.
#[derive(Args, Debug)]
pub(super) struct Matrix {
    /// How many seeds each number is measured over.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Writes a page with bars into this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

impl Matrix {
    /// Measures, and answers whether primary and backup kept their promises and bounds.
    ///
    /// # Errors
    /// If the page cannot be written.
    pub(super) fn run(self) -> Result<bool> {
        // A page that cannot be written is better known before everything is measured.
        if let Some(file) = &self.html {
            std::fs::write(file, "").with_context(|| file.display().to_string())?;
        }
        let bar = match self.json {
            true => ProgressBar::hidden(),
            false => ProgressBar::new_spinner(),
        };
        bar.enable_steady_tick(Duration::from_millis(200));
        let matrix = matrix::Matrix::run(self.seeds, &|cell| bar.set_message(cell.to_string()));
        bar.finish_and_clear();
        if let Some(file) = &self.html {
            std::fs::write(file, matrix.html()).with_context(|| file.display().to_string())?;
        }
        match self.json {
            true => paper::print(&format!("{:#}\n", matrix.json()))?,
            false => paper::print(&matrix.text())?,
        }
        Ok(matrix.is_as_promised())
    }
}
