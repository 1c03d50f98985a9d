//! `quorate recover`: what to do when a majority of a cluster is gone for good.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::failure;
use crate::serve::{Survivor, survey};

/// Begin a new cluster with what one member has, when a majority of its cluster is gone for good.
///
/// The member must be stopped. What other members acknowledged and this one never received is lost, so use the
/// member that has the highest position of those that are left: run this on each without --yes to compare them.
/// All other members of the old cluster must never be started again; add new ones with `quorate ctl member add`.
#[derive(Args)]
pub(crate) struct Flags {
    /// Say that you know what this does.
    #[arg(long, required = true)]
    force_new_cluster: bool,

    /// The data directory of the member. The old one stays beside it as DIR.before-recovery.
    #[arg(long, default_value = "quorate.data", value_name = "DIR")]
    data_dir: PathBuf,

    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// Runs the command.
pub(crate) fn run(flags: &Flags) -> Result<()> {
    if !flags.force_new_cluster {
        return failure::usage("there is no other way to recover than --force-new-cluster");
    }
    let survivor = survey(&flags.data_dir)?;
    failure::print(report(&survivor).as_bytes())?;
    if !flags.yes && !is_confirmed()? {
        bail!("nothing was changed");
    }
    let name = survivor.me.name.clone();
    let protocol = survivor.protocol.name();
    let (cluster, old) = survivor.begin_anew()?;
    let text = format!(
        "\nbegan cluster {cluster:x}, whose only member is {name}. Start it as before, with the same --name, --data-dir, \
         URLs and --protocol {protocol} and with --initial-cluster-state existing; add others then with `quorate ctl \
         member add`.\nThe old data is in {}; remove it once all is well.\n",
        old.display()
    );
    failure::print(text.as_bytes())
}

/// What there is, and what may be lost.
fn report(survivor: &Survivor) -> String {
    let me = &survivor.me;
    let mut text = format!(
        "member {} ({:x}) of cluster {:x}, which agreed by {}\n\
         it has revision {} at position {}\n",
        me.name,
        me.id,
        survivor.cluster(),
        survivor.protocol.name(),
        survivor.revision(),
        survivor.held,
    );
    text += &match (survivor.log_is_whole, survivor.held - survivor.decided) {
        (false, _) => "its log is damaged, so only what was in its store is left\n".to_owned(),
        (true, 0) => format!(
            "all of that was decided; whatever was acknowledged behind position {} is lost\n",
            survivor.held
        ),
        (true, more) => format!(
            "what is behind position {} ({more} positions) may have been acknowledged or not, and is kept; whatever was \
             acknowledged behind position {} is lost\n",
            survivor.decided, survivor.held
        ),
    };
    if survivor.others.is_empty() {
        text += "there are no other members\n";
        return text;
    }
    text += "these members are given up, and must never be started again:\n";
    for other in &survivor.others {
        text += &format!(
            "  {} ({:x}) at {}\n",
            other.name,
            other.id,
            other.peer_urls.join(",")
        );
    }
    text
}

fn is_confirmed() -> Result<bool> {
    print!("Begin a new cluster with that? Type yes: ");
    io::stdout().flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == "yes")
}
