//! What is left of a cluster in the data directory of one member, and a new cluster that begins with it.
//!
//! No state of the protocol survives: what the log holds is applied to the store, and the new cluster begins
//! with that store, a new log and an identity of its own, in a new directory that takes the old one's place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use quorate_core::{NodeId, Payload, Survival};
use quorate_problems::total_order::Output;
use quorate_runtime::{Clock, Directory, Identity, Storage, look_at};
use quorate_service::command::Member;
use quorate_service::introduction::Introduction;
use quorate_service::machine::{Machine, Outcome};
use quorate_service::members::Members;
use quorate_service::store;
use quorate_service::store::snapshot::{self, Restoring};
use xxhash_rust::xxh3::xxh3_64;

use super::Protocol;
use super::opened::SEGMENT_BYTES;
use super::origin::{self, Origin};
use super::protocol::{Served, Settings, With};

/// What is left, and whose it was.
pub(crate) struct Survivor {
    folder: PathBuf,
    identity: Identity,
    /// The protocol of the old cluster, and of the new one.
    pub(crate) protocol: Protocol,
    machine: Machine,
    /// The member, as the old cluster's list has it.
    pub(crate) me: Member,
    /// The others in that list.
    pub(crate) others: Vec<Member>,
    /// Whether the log can be read to its end.
    pub(crate) log_is_whole: bool,
    /// The last position of which it is certain, without the others, that it was decided.
    pub(crate) decided: u64,
    /// The last position that is left.
    pub(crate) held: u64,
    /// Locked as long as this lives.
    _directory: Directory,
}

/// Reads what is left. Nothing that the old cluster could miss is changed.
///
/// # Errors
/// If there is nothing to begin with; the error says why.
pub(crate) fn survey(folder: &Path) -> Result<Survivor> {
    finish_swap(folder)?;
    let identity = Directory::identity_at(folder)?;
    let identity =
        identity.with_context(|| format!("{} is no member's data directory", folder.display()))?;
    let origin = origin::read(folder, identity)?.with_context(|| {
        format!(
            "{} does not say which protocol its cluster had: start this member once with `quorate serve`, so that it \
             writes that down, and stop it again",
            folder.display()
        )
    })?;
    let name = &origin.introduction.protocol;
    let protocol = Protocol::from_str(name, false)
        .map_err(|_| anyhow::anyhow!("this program does not know the protocol {name}"))?;
    protocol.with(Survey {
        folder,
        identity,
        origin,
        protocol,
    })
}

struct Survey<'a> {
    folder: &'a Path,
    identity: Identity,
    origin: Origin,
    protocol: Protocol,
}

impl With for Survey<'_> {
    type Answer = Result<Survivor>;

    fn with<P: Served>(self) -> Result<Survivor> {
        let directory = Directory::open(self.folder, self.identity)?;
        let storage = Storage::open(directory.clone(), SEGMENT_BYTES)?;
        let mut options = store::Options::new(self.folder.join("store"));
        options.members = self.origin.introduction.founders.clone();
        options.expected = true;
        let (mut machine, checkpoint) =
            Machine::open(options).context("the key-value store cannot be opened")?;
        ensure!(
            !machine.is_rebuilding()?,
            "the key-value store in {} was damaged or lost, and only the other members had what is missing; recover \
             from another member, or from a snapshot with `quorate snapshot restore`",
            self.folder.display()
        );
        let voters = machine.views().view().members().membership().voters;
        let config = P::config(Settings {
            members: voters,
            heartbeat: Duration::from_millis(100),
            election_timeout: Duration::from_secs(1),
            retention_bytes: 0,
            lease_drift_ppm: None,
        });
        let log_is_whole = storage.survival() != Survival::Damaged;
        let decided = match log_is_whole {
            true => apply_log::<P>(&storage, &config, &mut machine)?,
            // What it may have forgotten cannot be told from what it holds.
            false => checkpoint.position,
        };
        machine.publish();
        let view = machine.views().view();
        let members = view.members();
        let id = self.identity.member.0;
        if members.removed.contains(&id) {
            bail!(
                "member {id:x} was removed from its cluster; recover from one that was a member to the end"
            );
        }
        let known = members
            .get(id)
            .or_else(|| self.origin.introduction.members.get(id));
        let me = known.cloned();
        let me = me.with_context(|| format!("nobody knows where member {id:x} is reached"))?;
        let others = members.list.iter().filter(|one| one.id != id);
        Ok(Survivor {
            folder: self.folder.to_owned(),
            identity: self.identity,
            protocol: self.protocol,
            others: others.cloned().collect(),
            held: view.position(),
            machine,
            me,
            log_is_whole,
            decided,
            _directory: directory,
        })
    }
}

/// Applies all that the log holds, in memory. Answers the last position that is known to be decided.
fn apply_log<P: Served>(
    storage: &Storage,
    config: &P::Config,
    machine: &mut Machine,
) -> Result<u64> {
    let checkpoint = machine.views().view().checkpoint();
    let mut node = look_at::<P>(storage, config, checkpoint, &Clock::start())?;
    let outputs: Vec<_> = node.take_outputs().collect();
    for output in outputs {
        match output {
            Output::Install(checkpoint) => machine.install(checkpoint)?,
            Output::Deliver {
                position,
                epoch,
                payload,
            } => apply(machine, position, epoch, &payload)?,
            Output::ReadReady { .. } | Output::Lead { .. } | Output::Members(_) => {}
        }
    }
    machine.publish();
    let decided = machine.views().view().position();
    for (position, epoch, payload) in P::held_after(node.protocol(), decided) {
        apply(machine, position, epoch, &payload)?;
    }
    Ok(decided)
}

fn apply(machine: &mut Machine, position: u64, epoch: u64, payload: &Payload) -> Result<()> {
    let mut outcome = Outcome::default();
    machine.apply(position, epoch, payload, false, &mut outcome)?;
    Ok(())
}

impl Survivor {
    /// The newest revision that is left.
    pub(crate) fn revision(&self) -> i64 {
        self.machine.views().view().revision()
    }

    /// The cluster that it was a member of.
    pub(crate) fn cluster(&self) -> u64 {
        self.identity.cluster
    }

    /// Begins a new cluster of this member alone. Answers its id, and where the old data is.
    ///
    /// # Errors
    /// If the disk fails.
    pub(crate) fn begin_anew(mut self) -> Result<(u64, PathBuf)> {
        let upkeep = self.machine.upkeep();
        let wanted = upkeep.ask();
        self.machine.publish();
        let flusher = self.machine.flusher();
        while upkeep.durable().position < wanted.position {
            flusher.run_once()?;
        }
        let cluster = new_id(self.identity);
        let me = Member {
            name: String::new(),
            client_urls: Vec::new(),
            is_learner: false,
            ..self.me.clone()
        };
        let origin = Origin {
            me: me.id,
            by_flags: false,
            introduction: Introduction {
                cluster,
                protocol: self.protocol.name(),
                founders: vec![me.clone()],
                members: Members::of(vec![me.clone()]),
            },
        };
        let next = beside(&self.folder, ".recovered");
        if next.exists() {
            // A recovery that did not come to its end.
            fs::remove_dir_all(&next)
                .with_context(|| format!("cannot remove {}", next.display()))?;
        }
        let identity = Identity {
            cluster,
            member: NodeId(me.id),
        };
        let directory = Directory::open(&next, identity)?;
        let restoring = Restoring {
            members: vec![me],
            revision_bump: 0,
            compacted: false,
            skip_hash: false,
        };
        snapshot::restore(upkeep.snapshot()?, next.join("store"), restoring)?;
        origin.keep(&directory)?;
        // Last of all, the directory becomes the member's.
        drop(Storage::open(directory, SEGMENT_BYTES)?);
        let folder = self.folder.clone();
        drop(self);
        let old = unused(&beside(&folder, ".before-recovery"));
        rename(&folder, &old)?;
        rename(&next, &folder)?;
        Ok((cluster, old))
    }
}

/// If the last recovery ended between its two renames, does the second.
fn finish_swap(folder: &Path) -> Result<()> {
    let next = beside(folder, ".recovered");
    if !folder.exists() && Directory::identity_at(&next)?.is_some() {
        rename(&next, folder)?;
    }
    Ok(())
}

/// An id that no cluster had before.
fn new_id(identity: Identity) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_nanos();
    let text = format!("{:x}\n{:x}\n{now}", identity.cluster, identity.member.0);
    xxh3_64(text.as_bytes()).max(1)
}

fn beside(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// This name, or one with a number behind it that nobody has.
fn unused(name: &Path) -> PathBuf {
    let mut numbers = 2..;
    let mut free = name.to_owned();
    while free.exists() {
        free = beside(name, &format!("-{}", numbers.next().unwrap_or(0)));
    }
    free
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    let renamed = fs::rename(from, to).and_then(|()| sync_above(to));
    renamed.with_context(|| format!("cannot give {} the name {}", from.display(), to.display()))
}

fn sync_above(path: &Path) -> io::Result<()> {
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    fs::File::open(above.unwrap_or(Path::new(".")))?.sync_all()
}
