//! What a member finds in its data directory, and whether it can go on with that.

use std::io;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use quorate_core::{Checkpoint, NodeId, Survival};
use quorate_runtime::{Checkpoints, Directory, Receiving, Storage};
use quorate_service::machine::Machine;
use quorate_service::members::Members;
use quorate_service::store;
use tracing::{info, warn};

use super::flags::Flags;
use super::following::Known;
use super::origin::Origin;

/// How large a segment of the log is.
pub(super) const SEGMENT_BYTES: u64 = 64 << 20;
/// How many members there must be for one of them to be rebuilt by the others: one forgets, and a quorum of two
/// is left.
const MEMBERS_MIN: usize = 3;

/// What a member starts from.
pub(super) struct Opened {
    pub(super) me: NodeId,
    pub(super) directory: Directory,
    pub(super) storage: Storage,
    pub(super) machine: Machine,
    /// What the machine's state contains.
    pub(super) checkpoint: Checkpoint,
    pub(super) attachments: Attachments,
    pub(super) known: Arc<Known>,
    /// Those who have a vote, for a replica that knows nothing yet.
    pub(super) voters: Vec<NodeId>,
}

impl Opened {
    /// Opens the directory, or makes it the member's if it is new.
    ///
    /// # Errors
    /// If the member cannot go on with it; the error says what to do.
    pub(super) fn open(flags: &Flags, origin: &Origin) -> Result<Opened> {
        let identity = origin.identity();
        let me = identity.member;
        let directory = Directory::open(&flags.data_dir, identity)?;
        origin.keep(&directory)?;
        // The store first: who has a log and an identity must have one too, so that a store which is missing was
        // lost, even if the first start ended halfway because the disk was full.
        let (machine, checkpoint) = open_machine(flags, origin, !directory.is_new())?;
        let mut storage = Storage::open(directory.clone(), SEGMENT_BYTES)?;
        if storage.survival() == Survival::Fresh {
            machine.on_new_log()?;
        }
        let known = Known::new(me.0, origin.introduction.clone(), machine.views());
        let members = known.newest();
        if members.removed.contains(&me.0) {
            return Err(removed(flags, "its own list of members does not name it"));
        }
        let voters = voters(me, &members, machine.views().view().members());
        meet_damage(flags, storage.survival(), voters.len())?;
        if machine.is_rebuilding()? {
            storage.on_state_lost(machine.log_begins_later()?);
            meet_lost_store(flags, storage.survival(), voters.len())?;
        }
        info!(
            member = %me, cluster = format!("{:x}", identity.cluster),
            incarnation = storage.incarnation(), protocol = flags.protocol.name(),
            position = checkpoint.position, "opened {}", flags.data_dir.display()
        );
        Ok(Opened {
            me,
            directory,
            storage,
            attachments: Attachments(machine.checkpoints()),
            machine,
            checkpoint,
            known: Arc::new(known),
            voters,
        })
    }
}

/// Opens the store. `expected` says that there must be one.
fn open_machine(flags: &Flags, origin: &Origin, expected: bool) -> Result<(Machine, Checkpoint)> {
    let mut options = store::Options::new(flags.data_dir.join("store"));
    options.members = origin.introduction.founders.clone();
    options.layer_bytes = flags.layer_bytes;
    options.cache_bytes = flags.cache_bytes;
    options.layer_positions = flags.snapshot_count;
    options.expected = expected;
    Machine::open(options).context("the key-value store cannot be opened")
}

/// A member that may have forgotten promises asks the others what they were. That takes two others, who
/// must remember.
fn meet_damage(flags: &Flags, survival: Survival, members: usize) -> Result<()> {
    let folder = flags.data_dir.display();
    match survival {
        Survival::Fresh | Survival::Intact => {}
        Survival::Damaged if members >= MEMBERS_MIN => warn!(
            "the write-ahead log in {folder} is damaged: something that this member acknowledged cannot be read. \
             It asks the other members for what is missing, or, if it cannot tell where its log ended, for all of it, \
             and takes no part in elections until it has it. If it does not come to serve, see whether another member \
             is down or damaged too"
        ),
        Survival::Damaged => bail!(
            "the write-ahead log in {folder} is damaged: something that this member acknowledged cannot be read. \
             It stays as it is and this member does not start, since it may have forgotten a vote or \
             an entry, and there are too few others to learn them from. If the disk returned wrong bytes, mend that \
             and start again; otherwise restore the directory from a copy that was made while the member was stopped"
        ),
    }
    Ok(())
}

/// A member whose store was damaged or lost begins with an empty one. What its log does not have any more,
/// the others do.
fn meet_lost_store(flags: &Flags, survival: Survival, members: usize) -> Result<()> {
    let folder = flags.data_dir.join("store");
    let folder = folder.display();
    match survival {
        Survival::Fresh | Survival::Intact => warn!(
            "the store in {folder} was damaged or lost; it is rebuilt from the write-ahead log, which is complete"
        ),
        Survival::Damaged if members >= MEMBERS_MIN => warn!(
            "the store in {folder} was damaged or lost; it is rebuilt from the other members. This member takes \
             no part in elections until then"
        ),
        Survival::Damaged => bail!(
            "the store in {folder} was damaged or lost, the write-ahead log begins later, and there are too few \
             other members to rebuild it from. If it was damaged it is there as damaged.redb: if the disk returned \
             wrong bytes, mend that, give the file its name store.redb back, remove the file `rebuilding` beside \
             it, and start again; otherwise restore a snapshot with `quorate snapshot restore`"
        ),
    }
    Ok(())
}

/// Those who have a vote, as a replica that knows nothing yet should take them to be. Whoever joins is not one
/// of them, before the order itself has said so: it has nothing to vote with.
fn voters(me: NodeId, newest: &Members, applied: &Members) -> Vec<NodeId> {
    let voters = newest.membership().voters.into_iter();
    let has_vote = applied.membership().voters.contains(&me);
    voters.filter(|&id| id != me || has_vote).collect()
}

/// What a member says that was removed.
pub(super) fn removed(flags: &Flags, why: &str) -> anyhow::Error {
    let folder = flags.data_dir.display();
    let text = format!(
        "this member was removed from the cluster for good ({why}) and stops. Its data in {folder} is untouched and          of no more use to the cluster: to let this machine take part again, move that folder away, run `quorate ctl          member add` and start it with --initial-cluster-state existing"
    );
    crate::failure::Removed(text).into()
}

/// The store's checkpoints as the runtime's attachments.
pub(super) struct Attachments(store::Checkpoints);

impl Checkpoints for Attachments {
    fn open(&self) -> io::Result<(Checkpoint, Box<dyn io::Read + Send>)> {
        let (checkpoint, export) = self.0.open()?;
        Ok((checkpoint, Box::new(export)))
    }

    fn receive(&self, checkpoint: Checkpoint) -> io::Result<Box<dyn Receiving>> {
        Ok(Box::new(Arriving(self.0.receive(checkpoint)?)))
    }
}

struct Arriving(store::Import);

impl io::Write for Arriving {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Receiving for Arriving {
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::config::Config;
    use super::*;

    #[derive(Parser)]
    struct Serve {
        #[command(flatten)]
        flags: Flags,
    }

    #[test]
    fn a_first_start_that_cannot_make_the_store_leaves_nothing_that_looks_like_damage() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let data_dir = data.display().to_string();
        let flags = Serve::parse_from(["serve", "--data-dir", &data_dir]).flags;
        let origin = Origin::by_flags(&flags, &Config::from_flags(&flags).expect("usual flags"));
        std::fs::create_dir(&data).expect("a folder");
        let mut private = std::fs::metadata(&data).expect("it is there").permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut private, 0o700);
        std::fs::set_permissions(&data, private).expect("it is ours");
        // As when the disk is full: there can be no store.
        std::fs::write(data.join("store"), "in the way").expect("a file");
        assert!(Opened::open(&flags, &origin).is_err(), "it has no store");
        std::fs::remove_file(data.join("store")).expect("it is there");
        for survival in [Survival::Fresh, Survival::Fresh] {
            let opened = Opened::open(&flags, &origin).expect("it starts");
            let rebuilds = opened.machine.is_rebuilding().expect("the disk works");
            assert!(!rebuilds, "nothing was lost");
            assert_eq!(opened.storage.survival(), survival);
        }
    }
}
