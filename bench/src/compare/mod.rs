//! `quorate-bench compare`: etcd and Quorate in turn, on the same machine in the same run.
//!
//! Every group of rows gets a cluster with fresh data, first etcd's, then Quorate's, then etcd's again:
//! A B A B. Ratios are taken within a round, since whatever disturbs a shared machine disturbs
//! neighbours alike.

mod acts;
mod disk;
mod goals;
mod machine;
mod render;
mod results;
mod rows;
mod run;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use self::results::Results;
use self::rows::{GROUPS, Group};
use crate::Usage;
use crate::servers::{ETCD_HOW, ETCD_VERSION, Programs, Setup, keeper, refuse_without_proc};

/// Measure Quorate beside etcd 3.5.1, in turn and with fresh data.
///
/// Prints medians and ratios, with the goal and whether it is met beside each ratio it is about. With no
/// etcd on the PATH nor named, Quorate is measured alone. Everything takes about 50 minutes with three
/// rounds of one node and three; --quick less than 5. The row "restart" is only run when it is named: it
/// puts 5 million keys, which takes 5 minutes for each node of etcd and 2 for each of Quorate.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Which rows, separated by commas: put, get, range, mixed, txn, watch, lease, memory, failover, busy,
    /// restart; or "all" for all of them. By default all but restart.
    #[arg(long, value_delimiter = ',', value_name = "ROWS")]
    rows: Vec<String>,

    /// How many members the clusters have, one after the other.
    #[arg(long, value_delimiter = ',', default_value = "1,3", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=7))]
    members: Vec<u8>,

    /// How often everything is measured.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// One round with a twentieth of the requests: to see that it works, not to quote.
    #[arg(long)]
    quick: bool,

    /// Where etcd is, if not on the PATH.
    #[arg(long, value_name = "PATH")]
    etcd: Option<PathBuf>,

    /// Leave etcd out, even if there is one.
    #[arg(long, conflicts_with = "etcd")]
    alone: bool,

    /// Where quorate is, if not beside this program or on the PATH.
    #[arg(long, value_name = "PATH")]
    quorate: Option<PathBuf>,

    /// Where the servers keep their data: on the disk that is to be measured. By default a folder for
    /// temporary files.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// From which port on the servers listen.
    #[arg(long, default_value_t = 23_000, value_name = "PORT")]
    port: u16,

    /// Print what was measured as JSON.
    #[arg(long, conflicts_with_all = ["markdown", "write"])]
    json: bool,

    /// Print tables for docs/performance.md.
    #[arg(long, conflicts_with = "write")]
    markdown: bool,

    /// Put the tables into a document, between the lines that mark their places.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,

    /// Keep what was measured in this file too, and show what earlier runs have kept there of rows that
    /// this one leaves out.
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,

    /// Measure nothing: show what --keep has.
    #[arg(long, requires = "keep")]
    show: bool,
}

impl Flags {
    /// With --quick, which part of the requests are made.
    fn part(&self) -> u64 {
        if self.quick { 20 } else { 1 }
    }

    fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }

    /// The groups that are wanted.
    fn groups(&self) -> Result<Vec<&'static Group>, Usage> {
        let names = || GROUPS.iter().map(|group| group.name);
        for name in &self.rows {
            if name != "all" && !names().any(|known| known == name) {
                let all: Vec<&str> = names().collect();
                return Err(Usage(format!(
                    "--rows {name}: there are no such rows, but {}, and all",
                    all.join(", ")
                )));
            }
        }
        let wanted = |group: &&Group| match self.rows.as_slice() {
            [] => !group.heavy,
            rows => rows.iter().any(|name| name == group.name || name == "all"),
        };
        let groups: Vec<&Group> = GROUPS.iter().filter(wanted).collect();
        let members_max = self.members.iter().max().copied().unwrap_or(1).into();
        if groups.iter().all(|group| group.members_min > members_max) {
            return Err(Usage(
                "--rows failover needs three members or more: raise --members".to_owned(),
            ));
        }
        Ok(groups)
    }
}

/// Does what the flags say and prints the outcome.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    let groups = flags.groups()?;
    // A document that cannot be written is better known before than after.
    if let Some(path) = &flags.write {
        render::check_document(path)?;
    }
    let kept = match &flags.keep {
        Some(path) => Results::read(path)?,
        None => Results::default(),
    };
    let mut failures = Vec::new();
    let results = match flags.show {
        true => kept,
        false => measure(flags, &groups, &kept, &mut failures)?,
    };
    if flags.json {
        println!("{}", serde_json::to_string_pretty(&results)?);
    } else if let Some(path) = &flags.write {
        render::write_document(path, &results)?;
    } else if flags.markdown {
        print!("{}", render::markdown(&results));
    } else {
        print!("{}", render::text(&results));
    }
    if failures.is_empty() {
        return Ok(());
    }
    bail!("{} rows failed:\n{}", failures.len(), failures.join("\n"))
}

/// Measures all groups. What there is is kept after each, so that who is interrupted loses one.
fn measure(
    flags: &Flags,
    groups: &[&'static Group],
    kept: &Results,
    failures: &mut Vec<String>,
) -> Result<Results> {
    refuse_without_proc()?;
    let mut programs = Programs::find(flags.etcd.as_deref(), flags.quorate.as_deref())?;
    if flags.alone {
        programs.etcd = None;
    }
    let (etcd, mut quorate) = programs.versions();
    if flags.quorate.is_none() {
        // Built with this bench, from what lies here.
        quorate += &machine::commit();
    }
    match &etcd {
        None if flags.alone => {}
        None => eprintln!("{ETCD_HOW}"),
        Some(version) if version != ETCD_VERSION => {
            eprintln!("this etcd is {version}; the goals are about {ETCD_VERSION}");
        }
        Some(_) => {}
    }
    let root = flags.dir.clone().unwrap_or_else(std::env::temp_dir);
    keeper::watch_for_signals()?;
    let about = machine::about(flags.rounds(), flags.quick, etcd.as_deref(), &quorate);
    let disk = disk::latencies(&root, flags.part())?;
    let setup = Setup {
        programs,
        root,
        port: flags.port,
    };
    let members = flags
        .members
        .iter()
        .map(|&members| members.into())
        .collect();
    let mut runner = run::Runner::new(setup, flags.rounds(), flags.part(), members);
    let mut results = kept.clone();
    for group in groups {
        runner.run(group, failures)?;
        let measured = Results {
            about: about.clone(),
            disk: disk.clone(),
            samples: runner.samples.clone(),
        };
        results = measured.put_over(kept.clone());
        if let Some(path) = &flags.keep {
            results.write(path)?;
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn parse(line: &str) -> Result<Flags, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.flags)
    }

    fn names(line: &str) -> Vec<&'static str> {
        let flags = parse(line).expect("valid flags");
        let groups = flags.groups().expect("valid rows");
        groups.iter().map(|group| group.name).collect()
    }

    #[test]
    fn rows_are_chosen_by_name() {
        assert_eq!(names("compare --rows put,get"), ["put", "get"]);
        assert!(!names("compare").contains(&"restart"));
        assert_eq!(names("compare --rows all").len(), GROUPS.len());
        assert_eq!(names("compare --rows restart"), ["restart"]);
    }

    #[test]
    fn rows_that_cannot_be_are_refused() {
        let refusal = |line: &str| {
            let flags = parse(line).expect("valid flags");
            flags.groups().err().expect("refused").to_string()
        };
        let text = refusal("compare --rows putt");
        assert!(text.contains("putt") && text.contains("lease"), "{text}");
        let text = refusal("compare --rows failover --members 1");
        assert!(text.contains("--members"), "{text}");
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        for line in [
            "compare --json --markdown",
            "compare --json --write file",
            "compare --show",
            "compare --alone --etcd etcd",
            "compare --members 0",
            "compare --members 9",
            "compare --rounds 0",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        let quick = parse("compare --quick --rounds 5").expect("valid flags");
        assert_eq!((quick.rounds(), quick.part()), (1, 20));
    }
}
