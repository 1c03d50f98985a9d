//! A data directory for a member of a new cluster that begins with a snapshot.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser};
use quorate_runtime::{Directory, Storage};
use quorate_service::command::Member;

use super::Protocol;
use super::config::Config;
use super::flags::Flags;
use super::opened::SEGMENT_BYTES;
use super::origin::Origin;

/// Who the member is: what `quorate serve` will be told, too.
#[derive(Args, Clone, Debug)]
pub(crate) struct Founding {
    /// The member's name; `--initial-cluster` must list it.
    #[arg(long, default_value = "default")]
    pub(crate) name: String,

    /// Where the member will keep its data; it must not exist, or be empty.
    #[arg(long, default_value = "quorate.data", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,

    /// All members as NAME=PEER_URL, separated by commas; by default this one alone.
    #[arg(long, value_name = "MEMBERS")]
    pub(crate) initial_cluster: Option<String>,

    /// Tells clusters with equal members apart: if the old one may still be there, choose another.
    #[arg(long, default_value = "etcd-cluster", value_name = "TOKEN")]
    pub(crate) initial_cluster_token: String,

    /// Where the other members reach this one.
    #[arg(long, default_value = "http://127.0.0.1:2380", value_name = "URLS")]
    pub(crate) initial_advertise_peer_urls: String,

    /// How the new cluster agrees on an order; it need not be as the old one did.
    #[arg(long, default_value = "raft", value_enum, value_name = "PROTOCOL")]
    pub(crate) protocol: Protocol,
}

/// The flags of `quorate serve`, for those that are not given here.
#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    flags: Flags,
}

impl Founding {
    fn flags(&self) -> Flags {
        let serve = Serve::parse_from(["serve"]);
        Flags {
            name: self.name.clone(),
            data_dir: self.data_dir.clone(),
            initial_cluster: self.initial_cluster.clone(),
            initial_cluster_token: self.initial_cluster_token.clone(),
            initial_advertise_peer_urls: self.initial_advertise_peer_urls.clone(),
            protocol: self.protocol,
            ..serve.flags
        }
    }
}

/// Makes the directory. `make` makes its store, for these members. If that fails nothing is left.
pub(crate) fn found<T>(
    founding: &Founding,
    make: impl FnOnce(&Path, Vec<Member>) -> Result<T>,
) -> Result<T> {
    let flags = founding.flags();
    let config = Config::from_flags(&flags)?;
    let folder = &founding.data_dir;
    let empty = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", folder.display()));
        }
    };
    ensure!(
        empty,
        "the data directory {} is not empty; choose another --data-dir, or move it away",
        folder.display()
    );
    let origin = Origin::by_flags(&flags, &config);
    let made = (|| {
        let directory = Directory::open(folder, origin.identity())?;
        let made = make(&folder.join("store"), config.members.clone())?;
        origin.keep(&directory)?;
        // Last of all, the directory becomes the member's.
        Storage::open(directory, SEGMENT_BYTES)?;
        Ok(made)
    })();
    if made.is_err() {
        // There was nothing in it before.
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    made
}
