//! Whether every quorum of one system meets every quorum of another.

use alloc::vec::Vec;
use core::fmt;

use quorate_core::NodeId;

use crate::{Rule, System};

/// Of how many members all subsets are looked at, at most: a million of them.
pub const ENUMERABLE_MAX: usize = 20;

/// Why two systems were not shown to meet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Apart {
    /// They do not: these two quorums have no member in common. Each is minimal.
    Miss {
        /// A quorum of the first system.
        first: Vec<NodeId>,
        /// A quorum of the second system.
        second: Vec<NodeId>,
    },
    /// They are about different members, of whom this one is missing in one of them.
    Members(NodeId),
    /// No rule decides it, and there are too many members to look at every subset.
    Unknown(TooLarge),
}

/// A system of more than [`ENUMERABLE_MAX`] members: its number of subsets is out of reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLarge {
    /// How many members there are.
    pub members: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.members;
        write!(
            f,
            "{count} members have too many subsets, at most {ENUMERABLE_MAX} can be tried"
        )
    }
}

impl core::error::Error for TooLarge {}

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Apart::Miss { first, second } => {
                write!(f, "{first:?} and {second:?} have no member in common")
            }
            Apart::Members(id) => write!(f, "{id} is a member of one system only"),
            Apart::Unknown(too_large) => write!(f, "whether quorums meet is unknown: {too_large}"),
        }
    }
}

impl core::error::Error for Apart {}

/// Every quorum of `first` shares a member with every quorum of `second`. Flexible Paxos asks no more
/// than this of its two phases (Howard, Malkhi and Spiegelman 2016).
///
/// # Errors
/// Two quorums that miss each other, or the reason why nobody can tell.
pub fn intersect(first: &System, second: &System) -> Result<(), Apart> {
    let ids = first.members().iter().chain(second.members());
    let known = |id: &NodeId| first.members().contains(id) && second.members().contains(id);
    if let Some(&stranger) = ids.clone().find(|id| !known(id)) {
        return Err(Apart::Members(stranger));
    }
    if meet_by_rule(first, second) {
        return Ok(());
    }
    if let (Some(one), Some(two)) = (first.count(), second.count()) {
        // Too few for an overlap: the first so many and the last so many.
        let ids = first.members();
        return Err(Apart::Miss {
            first: ids[..one].to_vec(),
            second: ids[ids.len() - two..].to_vec(),
        });
    }
    let ids = first.members();
    let subsets = subsets(ids).map_err(Apart::Unknown)?;
    // Rules are monotone, so two quorums miss each other exactly if some set and all others do.
    for set in subsets {
        let within = |id| set.contains(ids, id);
        if first.is_quorum(within) && second.is_quorum(|id| !within(id)) {
            return Err(Apart::Miss {
                first: minimised(first, within),
                second: minimised(second, |id| !within(id)),
            });
        }
    }
    Ok(())
}

/// Whether the rules alone say that quorums meet. If they do not, they may meet all the same.
fn meet_by_rule(first: &System, second: &System) -> bool {
    let size = first.members().len();
    if let (Some(one), Some(two)) = (first.count(), second.count()) {
        return one + two > size;
    }
    match (first.rule(), second.rule()) {
        (Rule::Weighted { weights: one, .. }, Rule::Weighted { weights: two, .. }) => {
            let all: u64 = one.values().sum();
            // Together more votes than there are, so one vote is in both.
            one == two && u128::from(first.enough()) + u128::from(second.enough()) > all.into()
        }
        (
            Rule::Grid { columns: one, .. },
            Rule::Grid { columns: two, .. } | Rule::GridRead { columns: two, .. },
        )
        | (Rule::GridRead { columns: one, .. }, Rule::Grid { columns: two, .. }) => {
            // One has a full line where the other has a member.
            one == two && first.members() == second.members()
        }
        _ => false,
    }
}

/// Drops members of a quorum for as long as it remains one.
fn minimised(system: &System, within: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
    let members = system.members().iter().copied();
    let mut quorum: Vec<NodeId> = members.filter(|&id| within(id)).collect();
    for id in quorum.clone() {
        if system.is_quorum(|other| other != id && quorum.contains(&other)) {
            quorum.retain(|other| *other != id);
        }
    }
    quorum
}

/// One subset of a list of members: bit by bit.
#[derive(Clone, Copy)]
struct Subset(u32);

impl Subset {
    fn contains(self, members: &[NodeId], id: NodeId) -> bool {
        let place = members.iter().position(|&member| member == id);
        place.is_some_and(|place| self.0 >> place & 1 == 1)
    }
}

fn subsets(members: &[NodeId]) -> Result<impl Iterator<Item = Subset> + use<>, TooLarge> {
    let members = members.len();
    match members <= ENUMERABLE_MAX {
        true => Ok((0..1u32 << members).map(Subset)),
        false => Err(TooLarge { members }),
    }
}

impl System {
    /// The minimal quorums: those that are none without any one of their members.
    ///
    /// # Errors
    /// If there are too many members to look at every subset.
    pub fn minimal_quorums(&self) -> Result<Vec<Vec<NodeId>>, TooLarge> {
        let ids = self.members();
        let minimal = subsets(ids)?.filter(|set| {
            let within = |id| set.contains(ids, id);
            let spare = |&gone: &NodeId| self.is_quorum(|id| id != gone && within(id));
            self.is_quorum(within) && !ids.iter().filter(|&&id| within(id)).any(spare)
        });
        let members = |set: Subset| {
            ids.iter()
                .copied()
                .filter(|&id| set.contains(ids, id))
                .collect()
        };
        Ok(minimal.map(members).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn system(rule: &str, count: u64) -> System {
        let members: Vec<NodeId> = (1..=count).map(NodeId).collect();
        let rule = rule.parse().expect("a rule");
        System::new(rule, &members).unwrap_or_else(|error| panic!("{error}"))
    }

    fn meet(one: &str, two: &str, count: u64) -> Result<(), Apart> {
        intersect(&system(one, count), &system(two, count))
    }

    fn ids(ids: &[u64]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn rules_that_meet() {
        for (one, two, count) in [
            ("majority", "majority", 5),
            ("threshold:1", "threshold:4", 4),
            ("threshold:2", "threshold:4", 5),
            ("half", "majority", 4),
            ("half", "half", 5),
            ("grid:5x5", "grid:5x5", 25),
            ("grid:5x5", "grid-read:5x5", 25),
            ("grid-read:5x5", "grid:5x5", 25),
            ("weighted:n1=2,n2=1,n3=1", "weighted:n1=2,n2=1,n3=1", 3),
            ("sets:n1+n2,n3+n4", "sets:n1+n3,n1+n4,n2+n3,n2+n4", 4),
            // Only looking at every subset shows these.
            (
                "weighted:n1=2,n2=2,n3=2,enough=3",
                "weighted:n1=2,n2=2,n3=2,enough=3",
                3,
            ),
            ("majority", "grid:2x2", 4),
        ] {
            assert_eq!(meet(one, two, count), Ok(()), "{one} {two}");
        }
    }

    #[test]
    fn rules_that_miss_each_other_and_the_two_quorums_that_do() {
        for (one, two, count, first, second) in [
            ("threshold:2", "threshold:2", 4, &[1, 2][..], &[3, 4][..]),
            ("half", "half", 4, &[1, 2], &[3, 4]),
            ("majority", "threshold:1", 3, &[1, 2], &[3]),
            ("grid-read:2x3", "grid-read:2x3", 6, &[1, 4], &[3, 6]),
            ("sets:n1+n2,n3", "majority", 3, &[3], &[1, 2]),
            ("sets:n1", "sets:n2", 3, &[1], &[2]),
        ] {
            let Err(Apart::Miss {
                first: a,
                second: b,
            }) = meet(one, two, count)
            else {
                panic!("{one} and {two} miss each other");
            };
            let (first, second) = (ids(first), ids(second));
            assert!(a.iter().all(|id| !b.contains(id)), "{a:?} {b:?}");
            assert!(system(one, count).is_quorum(|id| a.contains(&id)));
            assert!(system(two, count).is_quorum(|id| b.contains(&id)));
            assert_eq!(
                (a.len(), b.len()),
                (first.len(), second.len()),
                "{a:?} {b:?}"
            );
        }
    }

    /// The rules say the same as looking at every pair of minimal quorums.
    #[test]
    fn the_answer_is_the_definition() {
        let rules = [
            "majority",
            "threshold:1",
            "threshold:3",
            "threshold:4",
            "threshold:6",
            "grid:2x3",
            "grid:3x2",
            "grid-read:2x3",
            "grid-read:3x2",
            "weighted:n1=3,n2=1,n3=1,n4=1,n5=0,n6=1",
            "sets:n1+n2,n3+n4+n5",
        ];
        for one in rules {
            for two in rules {
                let quorums = |rule| system(rule, 6).minimal_quorums().expect("it is small");
                let (a, b) = (quorums(one), quorums(two));
                let meets = |a: &Vec<NodeId>, b: &Vec<NodeId>| a.iter().any(|id| b.contains(id));
                let all = a.iter().all(|a| b.iter().all(|b| meets(a, b)));
                assert_eq!(meet(one, two, 6).is_ok(), all, "{one} {two}");
            }
        }
    }

    #[test]
    fn minimal_quorums() {
        let minimal = |rule| system(rule, 4).minimal_quorums().expect("it is small");
        assert_eq!(minimal("threshold:1").len(), 4);
        assert_eq!(minimal("majority").len(), 4);
        let grid = vec![ids(&[3, 4]), ids(&[1, 2, 3]), ids(&[1, 2, 4])];
        let mut found = minimal("grid:2x2");
        found.sort_by_key(Vec::len);
        assert_eq!(found, grid);
        assert_eq!(minimal("sets:n1,n1+n2"), [ids(&[1])]);
    }

    #[test]
    fn what_is_too_large_or_about_others_is_refused() {
        let unknown = meet("sets:n1+n2", "majority", 30).expect_err("too large");
        assert!(unknown.to_string().contains("30 members"), "{unknown}");
        assert!(system("majority", 21).minimal_quorums().is_err());
        let other = intersect(&system("majority", 3), &system("majority", 4));
        assert_eq!(other, Err(Apart::Members(NodeId(4))));
    }
}
