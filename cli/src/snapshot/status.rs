//! `quorate snapshot status`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::Format;
use crate::ctl::output::table;
use crate::ctl::output::text::size;
use crate::failure;

/// Tell what is in a file, and verify all of it.
#[derive(Args)]
pub(super) struct Flags {
    /// The file.
    file: PathBuf,

    /// The format of the output.
    #[arg(
        short,
        long,
        value_enum,
        default_value = "simple",
        value_name = "FORMAT"
    )]
    write_out: Format,
}

/// What is told, with etcdutl's names.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    hash: u32,
    revision: i64,
    total_key: u64,
    total_size: u64,
    version: &'static str,
}

pub(super) fn run(flags: &Flags) -> Result<()> {
    let contents = super::inspect(&flags.file)?;
    let told = Told {
        hash: contents.hash,
        revision: contents.revision,
        total_key: contents.rows,
        total_size: std::fs::metadata(&flags.file)?.len(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let cells = [
        format!("{:x}", told.hash),
        told.revision.to_string(),
        told.total_key.to_string(),
        size(told.total_size.cast_signed()),
        told.version.to_owned(),
    ];
    let text = match flags.write_out {
        Format::Simple => format!("{}\n", cells.join(", ")),
        Format::Json => format!("{}\n", serde_json::to_string(&told)?),
        Format::Table => {
            let titles = ["HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE", "VERSION"];
            table::draw(&titles, &[cells.to_vec()])
        }
    };
    failure::print(text.as_bytes())
}
