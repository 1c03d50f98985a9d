//! `quorate snapshot restore`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use quorate_service::store::snapshot::{self, Restoring};

use crate::failure;
use crate::serve::{Founding, found};

/// Make the data directory of one member of a new cluster. Each of its members needs one, made of the same
/// file with the same settings.
#[derive(Args)]
pub(super) struct Flags {
    /// The file.
    file: PathBuf,

    #[command(flatten)]
    founding: Founding,

    /// How far to go ahead of the snapshot's revision: further than the old cluster can have gone since, so that
    /// no revision is told twice.
    #[arg(
        long,
        default_value_t = 0,
        value_name = "COUNT",
        requires = "mark_compacted"
    )]
    bump_revision: u64,

    /// Count everything before the newest revision as compacted, so that those who watched the old cluster notice.
    #[arg(long)]
    mark_compacted: bool,

    /// Go without the hash at the end of the file: for a file that is not what `snapshot save` wrote.
    #[arg(long)]
    skip_hash_check: bool,
}

pub(super) fn run(flags: Flags) -> Result<()> {
    if flags.mark_compacted && flags.bump_revision == 0 {
        return failure::usage(
            "--mark-compacted goes with --bump-revision: what the old cluster told last is still to be read",
        );
    }
    let contents = found(&flags.founding, |store, members| {
        let restoring = Restoring {
            members,
            revision_bump: flags.bump_revision,
            compacted: flags.mark_compacted,
            skip_hash: flags.skip_hash_check,
        };
        let restored = snapshot::restore(super::open(&flags.file)?, store.to_owned(), restoring);
        restored.with_context(|| super::about(&flags.file))
    })?;
    let line = format!(
        "restored revision {} of {} into {}; start `quorate serve` there with the same --name, --initial-cluster, \
         --initial-cluster-token and --protocol\n",
        contents.revision,
        flags.file.display(),
        flags.founding.data_dir.display()
    );
    failure::print(line.as_bytes())
}
