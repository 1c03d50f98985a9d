//! Lines of `quorate bench`, carried out on clusters that were started for it.

use anyhow::{Result, bail};
use clap::Parser;

use crate::Flags;
use crate::load;
use crate::report::Report;
use crate::servers::Cluster;

/// A line of `quorate bench`.
#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

/// What a line of `quorate bench` means for these endpoints.
pub(crate) fn flags_of(words: &str, endpoints: &[String]) -> Result<Flags> {
    let endpoints = format!("--endpoints={}", endpoints.join(","));
    let words = ["bench"].into_iter().chain(words.split_whitespace());
    let line = Line::try_parse_from(words.chain([endpoints.as_str()]))?;
    Ok(line.flags)
}

/// Carries out a line of `quorate bench`; an error if any request fails.
pub(crate) fn bench(words: &str, cluster: &Cluster) -> Result<Report> {
    let flags = flags_of(words, &cluster.endpoints()?)?;
    let report = load::run(&flags)?;
    match report.complaints() {
        Some(complaints) => bail!("{complaints}"),
        None => Ok(report),
    }
}

/// A row on a cluster: its report, and what the servers used for it, in seconds of processor time.
pub(crate) fn measured(words: &str, cluster: &Cluster) -> Result<(Report, f64)> {
    let before = cluster.usage()?;
    let report = bench(words, cluster)?;
    Ok((report, cluster.usage()? - before))
}
