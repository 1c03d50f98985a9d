//! Ways in which a disk can fail, besides losing power.

use std::io;
use std::str::FromStr;

use super::{Inode, SECTOR_BYTES, SimDisk, State, lock};

/// Which files are meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Area {
    /// Those of the write-ahead log.
    Log,
    /// Those of the store.
    Store,
}

/// What goes wrong once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskFault {
    /// The next sync fails, and what it should have made durable is lost if the power fails.
    FailSync,
    /// The next write is reported to be done, and is not.
    LoseWrite,
    /// The next write goes to another sector.
    MisplaceWrite,
    /// The next read answers what is in another sector.
    MisplaceRead,
}

impl Area {
    /// Both.
    pub const ALL: [Area; 2] = [Area::Log, Area::Store];

    /// Its name in a plan.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Area::Log => "log",
            Area::Store => "store",
        }
    }
}

impl FromStr for Area {
    type Err = String;

    fn from_str(text: &str) -> Result<Area, String> {
        let found = Area::ALL.into_iter().find(|area| area.name() == text);
        found.ok_or_else(|| format!("expected log or store, found {text}"))
    }
}

impl DiskFault {
    /// All of them.
    pub const ALL: [DiskFault; 4] = [
        DiskFault::FailSync,
        DiskFault::LoseWrite,
        DiskFault::MisplaceWrite,
        DiskFault::MisplaceRead,
    ];

    /// Whether it damages what is stored.
    #[must_use]
    pub fn damages(self) -> bool {
        self != DiskFault::FailSync
    }

    /// Its name in a plan.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DiskFault::FailSync => "fail-sync",
            DiskFault::LoseWrite => "lose-write",
            DiskFault::MisplaceWrite => "misplace-write",
            DiskFault::MisplaceRead => "misplace-read",
        }
    }
}

impl SimDisk {
    /// Lets something go wrong, once, when it next can.
    pub fn arm(&self, area: Area, fault: DiskFault) {
        lock(&self.state).armed.push((area, fault));
    }

    /// Whether something that was armed has not gone wrong yet.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        !lock(&self.state).armed.is_empty()
    }

    /// Nothing goes wrong any more, and there is space.
    pub fn mend(&self) {
        let mut state = lock(&self.state);
        state.armed.clear();
        state.capacity = u64::MAX;
    }

    /// From now on the disk is full: files cannot grow by more than so many bytes together.
    pub fn fill(&self, bytes_left: u64) {
        let mut state = lock(&self.state);
        state.capacity = state.used() + bytes_left;
    }

    /// Whatever filled it is gone.
    pub fn make_room(&self) {
        lock(&self.state).capacity = u64::MAX;
    }

    /// How many bytes files may still grow by, together.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        let state = lock(&self.state);
        match state.capacity {
            u64::MAX => u64::MAX,
            capacity => capacity.saturating_sub(state.used()),
        }
    }

    /// One bit rots, somewhere in an area where something durable is. Answers where, if anywhere.
    pub fn rot(&self, area: Area) -> Option<(String, usize)> {
        let mut state = lock(&self.state);
        let State {
            log, store, choice, ..
        } = &mut *state;
        let files: Vec<(&String, &Inode)> = match area {
            Area::Log => log.inodes().collect(),
            Area::Store => store.iter().collect(),
        };
        let count = u32::try_from(files.len()).ok().filter(|&count| count > 0)?;
        let (name, inode) = files[choice.choose(count) as usize];
        let mut content = lock(inode);
        let at = content.used(choice)?;
        let bit = choice.choose(8) as u8;
        content.flip(at, bit);
        Some((name.clone(), at))
    }
}

impl State {
    /// Whether this goes wrong now.
    pub(super) fn goes_wrong(&mut self, area: Area, fault: DiskFault) -> bool {
        let found = self.armed.iter().position(|armed| *armed == (area, fault));
        if let Some(at) = found {
            self.armed.remove(at);
        }
        found.is_some()
    }

    /// Fails because it was told to.
    pub(super) fn fail(&mut self, kind: io::ErrorKind) -> io::Error {
        self.failed = true;
        kind.into()
    }

    fn used(&self) -> u64 {
        let log = self.log.inodes().map(|(_, inode)| inode);
        let files = log.chain(self.store.values());
        files.map(|inode| lock(inode).len() as u64).sum()
    }

    /// Whether there is space for a file to grow from one length to another.
    pub(super) fn has_room(&self, from: usize, to: usize) -> bool {
        self.capacity == u64::MAX || self.used() + (to.saturating_sub(from)) as u64 <= self.capacity
    }

    /// Another place in a file of this length, whole sectors away.
    pub(super) fn elsewhere(&mut self, at: u64, len: usize) -> u64 {
        let sectors = u32::try_from(len / SECTOR_BYTES).unwrap_or(u32::MAX).max(1);
        let sector = u64::from(self.choice.choose(sectors));
        sector * SECTOR_BYTES as u64 + at % SECTOR_BYTES as u64
    }
}
