//! What `run` and `draw` share: where pictures go.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, ErrorKind, IsTerminal, Write as _, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::draw::{Diagram, html, svg, text};

/// Where pictures go, besides standard output.
#[derive(Args, Debug)]
pub(super) struct Paper {
    /// Draw the diagram into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write a page with story, verdicts and diagram into this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The width of the diagram in text, in columns: by default the terminal's, or `COLUMNS`, or 120.
    #[arg(long, value_parser = clap::value_parser!(u16).range(40..))]
    width: Option<u16>,
}

impl Paper {
    /// Draws what was asked for.
    pub(super) fn draw(&self, head: &html::Head, diagrams: &[Diagram]) -> Result<()> {
        if let Some(file) = &self.svg {
            write(file, &svg::render_all(diagrams))?;
        }
        if let Some(file) = &self.html {
            write(file, &html::render(head, diagrams))?;
        }
        Ok(())
    }

    /// How text is to look.
    pub(super) fn style(&self) -> text::Style {
        let style = style();
        text::Style {
            width: self.width.map_or(style.width, usize::from),
            ..style
        }
    }

    /// Refuses to draw anything but this.
    pub(super) fn refuse(&self, but: &str) -> Result<()> {
        if self.svg.is_some() || self.html.is_some() {
            bail!("--svg and --html draw {but}: name it");
        }
        Ok(())
    }
}

/// How text looks on this terminal, or in a pipe.
pub(super) fn style() -> text::Style {
    let wanted = std::env::var("COLUMNS").ok();
    let wanted = wanted.and_then(|text| text.parse().ok());
    let real = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let columns = wanted.or_else(real).filter(|&columns| columns >= 40);
    text::Style {
        width: columns.unwrap_or(120),
        colour: stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    }
}

/// All diagrams as text.
pub(super) fn pictures(diagrams: &[Diagram], style: text::Style) -> String {
    let mut out = String::new();
    for diagram in diagrams {
        if diagrams.len() > 1 {
            let _ = writeln!(out, "{}\n", diagram.title);
        }
        let _ = writeln!(out, "{}", text::render(diagram, style));
    }
    out
}

/// Prints. That nobody reads on, as behind `| head`, is no error.
pub(super) fn print(text: &str) -> Result<()> {
    match stdout()
        .write_all(text.as_bytes())
        .and_then(|()| stdout().flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("writing to standard output"),
    }
}

/// Whether an error says only that nobody reads on.
pub(super) fn nobody_reads(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}

fn write(file: &Path, text: &str) -> Result<()> {
    if file.is_dir() {
        bail!("{} is a folder; name a file", file.display());
    }
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}
