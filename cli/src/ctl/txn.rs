//! `quorate ctl txn`.

use std::io::{BufRead, IsTerminal};

use anyhow::{Context as _, Result};
use clap::Args;

use super::Context;
use super::script::{Part, Script};

/// Compare, and do one thing or the other, all at once.
///
/// The transaction is read from standard input: lines with comparisons, an empty line, lines with what
/// to do if all of them hold, an empty line, lines with what to do if not, an empty line.
///
/// Comparisons: version("key") > "1", create("key") = "0", mod("key") < "7", value("key") != "x",
/// lease("key") = "0". What to do: get, put and del with their options.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Flags {
    /// Say which lines are expected, on standard error.
    #[arg(short, long)]
    interactive: bool,
}

pub(super) async fn run(flags: &Flags, context: &mut Context) -> Result<()> {
    let request = {
        let input = std::io::stdin().lock();
        let prompts = flags.interactive || input.is_terminal();
        read(input, |part| {
            if prompts {
                eprintln!("{}", prompt(part));
            }
        })?
        .finish()
    };
    let response = context.client.txn(request).await?;
    context.printer.txn(&response)
}

/// Reads lines until the transaction is complete or the input ends. `begin` hears of each part.
fn read(input: impl BufRead, mut begin: impl FnMut(Part)) -> Result<Script> {
    let mut script = Script::new();
    let mut begun = None;
    let mut lines = input.lines();
    while let Some(part) = script.part() {
        if begun != Some(part) {
            begin(part);
            begun = Some(part);
        }
        let Some(line) = lines.next() else {
            break;
        };
        let line = line.context("cannot read the transaction from standard input")?;
        script.line(&line)?;
    }
    Ok(script)
}

fn prompt(part: Part) -> &'static str {
    match part {
        Part::Compares => "compares:",
        Part::Success => "success requests (get, put, del):",
        Part::Failure => "failure requests (get, put, del):",
    }
}
