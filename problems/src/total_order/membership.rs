//! Who takes part in the order.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use quorate_core::{NodeId, wire};

/// Who takes part. The application orders changes of its list of members like everything else, and asks for
/// the newest list; the protocol brings it into force by whatever steps are safe, so that asking twice, or
/// at several replicas, does no harm.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Membership {
    /// Which one it is: of two lists, the one with the larger version is newer. A cluster starts with
    /// version 0; the application takes the position of the command that made the list.
    pub version: u64,
    /// Those whose votes and disks count, in the order of their names; at least one.
    pub voters: Vec<NodeId>,
    /// Those who are told everything and count for nothing (Ongaro's thesis 2014, 4.2.1), in the order of
    /// their names; none of them a voter.
    pub learners: Vec<NodeId>,
}

wire!(struct Membership { version, voters, learners });

impl Membership {
    /// These replicas in the order of their names, each once; who is named as both is a voter.
    #[must_use]
    pub fn new(
        version: u64,
        voters: impl IntoIterator<Item = NodeId>,
        learners: impl IntoIterator<Item = NodeId>,
    ) -> Membership {
        let sorted = |mut ids: Vec<NodeId>| {
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let voters = sorted(voters.into_iter().collect());
        let learners = learners.into_iter().filter(|id| !voters.contains(id));
        let learners = sorted(learners.collect());
        Membership {
            version,
            voters,
            learners,
        }
    }

    /// Whether this replica takes part at all.
    #[must_use]
    pub fn contains(&self, id: NodeId) -> bool {
        self.voters.contains(&id) || self.learners.contains(&id)
    }

    /// Voters, then learners.
    pub fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.voters.iter().chain(&self.learners).copied()
    }

    /// The same with other names.
    #[must_use]
    pub fn renamed(&self, names: &dyn Fn(NodeId) -> NodeId) -> Membership {
        let renamed = |ids: &[NodeId]| ids.iter().map(|&id| names(id)).collect::<Vec<_>>();
        Membership::new(self.version, renamed(&self.voters), renamed(&self.learners))
    }
}

impl FromStr for Membership {
    type Err = String;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Membership, String> {
        let mut words = text.split_whitespace();
        let version = words.next().unwrap_or_default();
        let version = version.parse();
        let version = version.map_err(|_| format!("{text:?} does not begin with a version"))?;
        let (mut voters, mut learners, mut learning) = (Vec::new(), Vec::new(), false);
        for word in words {
            if word == "learning" {
                learning = true;
                continue;
            }
            let id = word
                .parse()
                .map_err(|error| format!("{error}, found {word}"))?;
            match learning {
                true => learners.push(id),
                false => voters.push(id),
            }
        }
        match voters.is_empty() {
            true => Err(format!("{text:?} names no voter")),
            false => Ok(Membership::new(version, voters, learners)),
        }
    }
}

/// `7 n1 n2 n3`, or `7 n1 n2 learning n4`: what scripts say.
impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.version)?;
        for voter in &self.voters {
            write!(f, " {voter}")?;
        }
        if !self.learners.is_empty() {
            write!(f, " learning")?;
        }
        for learner in &self.learners {
            write!(f, " {learner}")?;
        }
        Ok(())
    }
}
