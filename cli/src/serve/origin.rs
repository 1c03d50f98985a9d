//! Whose data a directory holds and where its cluster came from: from the flags of a new cluster, from the
//! members of an existing one, or from what the directory says since.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use quorate_core::NodeId;
use quorate_runtime::{Directory, Identity, ask};
use quorate_service::command::Member;
use quorate_service::introduction::Introduction;
use quorate_service::members::Members;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::config::{Config, address, sorted};
use super::flags::{ClusterState, Flags};

/// The file in the data directory that says where its cluster came from.
const FILE: &str = "cluster";
const MAGIC: [u8; 8] = *b"QUORCLUS";
const VERSION: u32 = 1;
/// Magic, version and checksum.
const HEADER_BYTES: usize = 16;
/// How long a member that is asked may take to answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// How long to go on asking before giving up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to go on asking when those who answer do not name this member: they may have to hear of it.
const LISTED_PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before asking again.
const ASK_AGAIN: Duration = Duration::from_millis(300);

/// Where a member's cluster came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Origin {
    /// This member.
    pub(crate) me: u64,
    /// Whether the flags of a new cluster gave the ids, so that they may be compared with the flags.
    pub(crate) by_flags: bool,
    /// The cluster, as it was when this member came to it.
    pub(crate) introduction: Introduction,
}

impl Origin {
    /// Finds out who this member is.
    ///
    /// # Errors
    /// If that cannot be found out; the error says what to do.
    pub(super) async fn find(flags: &Flags, config: &Config) -> Result<Origin> {
        let identity = Directory::identity_at(&flags.data_dir)?;
        let by_flags = Origin::by_flags(flags, config);
        let is_new = flags.initial_cluster_state == ClusterState::New;
        match identity {
            None if is_new => Ok(by_flags),
            None => join(flags, config).await,
            Some(identity) => match read(&flags.data_dir, identity)? {
                // It will be compared with the directory's identity.
                Some(origin) if origin.by_flags && is_new => Ok(Origin {
                    introduction: by_flags.introduction,
                    ..by_flags
                }),
                Some(origin) => origin.checked(flags),
                None => Ok(by_flags),
            },
        }
    }

    /// As the flags of a new cluster have it.
    pub(super) fn by_flags(flags: &Flags, config: &Config) -> Origin {
        Origin {
            me: config.me.id,
            by_flags: true,
            introduction: Introduction {
                cluster: config.cluster_id,
                protocol: flags.protocol.name(),
                founders: config.members.clone(),
                members: Members::of(config.members.clone()),
            },
        }
    }

    /// Whose directory this is, or becomes.
    pub(super) fn identity(&self) -> Identity {
        Identity {
            cluster: self.introduction.cluster,
            member: NodeId(self.me),
        }
    }

    /// A protocol is for good.
    fn checked(self, flags: &Flags) -> Result<Origin> {
        let (ours, theirs) = (flags.protocol.name(), &self.introduction.protocol);
        ensure!(
            ours == *theirs,
            "cluster {:x} agrees by {theirs}, and --protocol says {ours}; start this member with --protocol {theirs}",
            self.introduction.cluster
        );
        Ok(self)
    }

    /// Writes it down, durably, if that was not done before.
    ///
    /// # Errors
    /// If writing failed.
    pub(crate) fn keep(&self, directory: &Directory) -> Result<()> {
        if directory.is_new() || !directory.path().join(FILE).exists() {
            directory.keep(FILE, &self.encode())?;
        }
        Ok(())
    }

    /// The bytes of the file.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.me.to_le_bytes());
        bytes.push(u8::from(self.by_flags));
        bytes.extend_from_slice(&self.introduction.encode());
        let crc = checksum(&bytes);
        bytes[12..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Origin> {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
        let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| header[at + i]));
        if header[..8] != MAGIC || number(8) != VERSION || number(12) != checksum(bytes) {
            return None;
        }
        let (me, rest) = rest.split_first_chunk::<8>()?;
        let (by_flags, rest) = rest.split_first()?;
        Some(Origin {
            me: u64::from_le_bytes(*me),
            by_flags: *by_flags != 0,
            introduction: Introduction::decode(rest).ok()?,
        })
    }
}

/// Over everything but the place where it stands.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[HEADER_BYTES..])
}

/// What a directory says of its cluster; nothing if it is older than that.
///
/// # Errors
/// If it cannot be read, or is not this member's.
pub(crate) fn read(folder: &Path, identity: Identity) -> Result<Option<Origin>> {
    let path = folder.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
    };
    let origin = Origin::decode(&bytes).filter(|origin| origin.identity() == identity);
    let origin = origin.with_context(|| {
        format!(
            "the file {} is damaged: restore it from a backup, or remove this member, and add it again with an \
             empty data directory",
            path.display()
        )
    })?;
    Ok(Some(origin))
}

/// Why asking came to nothing so far.
enum Missing {
    /// Nobody answered.
    Nobody(String),
    /// Whoever answered does not name this member.
    NotListed(Introduction),
}

/// Asks the members that the flags list who the cluster is, until one of them names this member.
async fn join(flags: &Flags, config: &Config) -> Result<Origin> {
    let mut callees = Vec::new();
    for member in config.members.iter().filter(|one| one.id != config.me.id) {
        for url in &member.peer_urls {
            callees.push(address("initial-cluster", url)?);
        }
    }
    ensure!(
        !callees.is_empty(),
        "--initial-cluster-state existing: --initial-cluster lists only this member; list the others too, as \
         `member add` prints it"
    );
    info!("asking {} who the cluster is", callees.join(", "));
    let begun = Instant::now();
    loop {
        let missing = match ask_each(&callees, config).await? {
            Ok(origin) => return origin.checked(flags),
            Err(missing) => missing,
        };
        match missing {
            Missing::NotListed(introduction) if begun.elapsed() >= LISTED_PATIENCE => bail!(
                "no member of cluster {:x} is reached at {}: run `quorate ctl member add {} --peer-urls={}` first, \
                 and start this member then",
                introduction.cluster,
                config.me.peer_urls.join(","),
                config.me.name,
                config.me.peer_urls.join(","),
            ),
            Missing::Nobody(why) if begun.elapsed() >= PATIENCE => bail!(
                "none of the members that --initial-cluster lists says who the cluster is ({why}); see whether they \
                 run and whether their peer URLs are right"
            ),
            Missing::NotListed(_) | Missing::Nobody(_) => sleep(ASK_AGAIN).await,
        }
    }
}

/// Asks each once. They must not belong to different clusters.
async fn ask_each(callees: &[String], config: &Config) -> Result<Result<Origin, Missing>> {
    let mut newest: Option<(Introduction, &String)> = None;
    let mut why = String::new();
    for callee in callees {
        let told = ask(callee, ANSWER_PATIENCE).await;
        let told = told.map_err(|error| error.to_string());
        let introduction = match told
            .and_then(|told| Introduction::decode(&told).map_err(|error| error.to_string()))
        {
            Ok(introduction) => introduction,
            Err(error) => {
                why = format!("{callee}: {error}");
                continue;
            }
        };
        if let Some((other, first)) = &newest {
            ensure!(
                other.cluster == introduction.cluster,
                "--initial-cluster lists members of different clusters: {first} is one of {:x}, {callee} of {:x}",
                other.cluster,
                introduction.cluster
            );
            if other.members.version >= introduction.members.version {
                continue;
            }
        }
        newest = Some((introduction, callee));
    }
    let Some((introduction, _)) = newest else {
        return Ok(Err(Missing::Nobody(why)));
    };
    recognize(introduction, config)
}

/// Finds this member in the cluster's list, by its peer URLs.
fn recognize(introduction: Introduction, config: &Config) -> Result<Result<Origin, Missing>> {
    let urls = sorted(&config.me.peer_urls);
    let mut list = introduction.members.list.iter();
    let Some(me) = list.find(|member| sorted(&member.peer_urls) == urls) else {
        return Ok(Err(Missing::NotListed(introduction)));
    };
    // Whoever votes twice under one name may help two leaders to one term.
    ensure!(
        me.name.is_empty(),
        "the member that is reached at {} ({:x}, {:?}) has been started before, and this data directory is not the \
         one that it had. If that one is lost, run `quorate member replace {:x} {}={}`, or `quorate ctl member remove \
         {:x}` and then `member add`; what a member has forgotten must not be taken for what it never said",
        urls.join(","),
        me.id,
        me.name,
        me.id,
        config.me.name,
        urls.join(","),
        me.id,
    );
    let unknown = config.members.iter().filter(|listed| {
        let of_list = |member: &Member| sorted(&member.peer_urls) == sorted(&listed.peer_urls);
        !introduction.members.list.iter().any(of_list)
    });
    for listed in unknown {
        warn!(
            "--initial-cluster lists {} at {}, and no member of the cluster is reached there",
            listed.name,
            listed.peer_urls.join(",")
        );
    }
    info!(
        cluster = format!("{:x}", introduction.cluster),
        member = format!("{:x}", me.id),
        members = introduction.members.list.len(),
        "found the cluster"
    );
    Ok(Ok(Origin {
        me: me.id,
        by_flags: false,
        introduction,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_read_again_and_no_changed_byte_goes_unnoticed() {
        let member = Member {
            id: 5,
            peer_urls: vec!["http://a:1".to_owned()],
            ..Member::default()
        };
        let origin = Origin {
            me: 5,
            by_flags: true,
            introduction: Introduction {
                cluster: 7,
                protocol: "raft".to_owned(),
                founders: vec![member.clone()],
                members: Members::of(vec![member]),
            },
        };
        let bytes = origin.encode();
        assert_eq!(Origin::decode(&bytes), Some(origin));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(Origin::decode(&changed), None);
            assert_eq!(Origin::decode(&bytes[..at]), None);
        }
    }
}
