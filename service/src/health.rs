//! How the members are: alarms, and whether they agree. Part of the replicated state, so that every
//! replica draws the same conclusion at the same position.
//!
//! The leader's edge orders a [`Check`](crate::command::Command::Check) now and then. Whoever applies it
//! notes a digest of its own state at that very position and has it ordered too
//! ([`Report`]). Once a majority of those who vote reported the same, whoever reported another
//! has another state: it gets an alarm in the same step. What is compared costs nothing but a few small
//! commands, and no replica waits for another. (etcd compares hashes too, off by default; the post-mortem of
//! its version 3.5 says what that cost.)

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_core::Malformed;

use crate::codec::parts::{Input, put_count};
use crate::error::Error;
use crate::members::Members;

/// How many checks are kept: a report to an older one comes too late.
const CHECKS_MAX: usize = 4;

/// How many positions a member may always be behind without being called late.
const LAG_MAX: u64 = 64;

/// Something is wrong with a member.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Alarm {
    /// What.
    pub kind: AlarmKind,
    /// With whom; 0 if nobody can tell.
    pub member: u64,
}

/// What may be wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AlarmKind {
    /// The store has grown to its quota, or the disk is full. Nothing is added any more.
    NoSpace,
    /// The state is not that of the others.
    Corrupt,
}

impl AlarmKind {
    /// All of them.
    pub const ALL: [AlarmKind; 2] = [AlarmKind::NoSpace, AlarmKind::Corrupt];

    pub(crate) fn tag(self) -> u8 {
        match self {
            AlarmKind::NoSpace => 1,
            AlarmKind::Corrupt => 2,
        }
    }

    pub(crate) fn from_tag(input: &mut Input) -> Result<AlarmKind, Malformed> {
        match input.u8()? {
            1 => Ok(AlarmKind::NoSpace),
            2 => Ok(AlarmKind::Corrupt),
            _ => Err(input.malformed_before(1, "a kind of alarm")),
        }
    }
}

/// What a member says of itself after a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// Who says it.
    pub member: u64,
    /// Where the check is in the order.
    pub position: u64,
    /// The digest of the member's state right before it.
    pub digest: u64,
    /// How far the member had applied by the time of the report.
    pub applied: u64,
}

/// How the members are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Health {
    alarms: BTreeSet<Alarm>,
    /// The members of whom a comparison showed that they differ, and no later one that they agree again.
    differing: BTreeSet<u64>,
    /// How far each member had come when it last said so.
    applied: BTreeMap<u64, u64>,
    /// The last checks, oldest first.
    checks: VecDeque<Check>,
}

/// A place in the order, and what members said of their state there.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Check {
    position: u64,
    digests: BTreeMap<u64, u64>,
}

impl Health {
    /// The alarms, by kind and member.
    #[must_use]
    pub fn alarms(&self) -> &BTreeSet<Alarm> {
        &self.alarms
    }

    /// Whether any member has an alarm of this kind.
    #[must_use]
    pub fn has(&self, kind: AlarmKind) -> bool {
        self.alarms.iter().any(|alarm| alarm.kind == kind)
    }

    /// Whether this member's state must not be shown to anybody.
    #[must_use]
    pub fn is_corrupt(&self, member: u64) -> bool {
        [0, member].iter().any(|&member| {
            self.alarms.contains(&Alarm {
                kind: AlarmKind::Corrupt,
                member,
            })
        })
    }

    /// How far this member had come when it last said so.
    #[must_use]
    pub fn applied(&self, member: u64) -> u64 {
        self.applied.get(&member).copied().unwrap_or(0)
    }

    /// Whether someone waits for a check although nothing changes: a learner that is to show how far it
    /// has come, or a member that is to show that it agrees again.
    #[must_use]
    pub fn is_awaited(&self, members: &Members) -> bool {
        let has_reported = |id| {
            let last = self.checks.back();
            last.is_some_and(|check| check.digests.contains_key(&id))
        };
        let mut learners = members.list.iter().filter(|member| member.is_learner);
        !self.differing.is_empty() || learners.any(|learner| !has_reported(learner.id))
    }

    /// Raises an alarm; answers whether it is new.
    pub(crate) fn raise(&mut self, kind: AlarmKind, member: u64) -> bool {
        self.alarms.insert(Alarm { kind, member })
    }

    /// Ends alarms of a kind, of one member or, with 0, of all. Answers those that ended.
    pub(crate) fn disarm(&mut self, kind: AlarmKind, member: u64) -> Vec<Alarm> {
        let ends = |alarm: &Alarm| alarm.kind == kind && (member == 0 || alarm.member == member);
        let ended = self.alarms.iter().filter(|alarm| ends(alarm)).copied();
        let ended = ended.collect();
        self.alarms.retain(|alarm| !ends(alarm));
        if kind == AlarmKind::Corrupt {
            self.differing.retain(|&one| member != 0 && one != member);
        }
        ended
    }

    /// Everyone is to report what they have here.
    pub(crate) fn check(&mut self, position: u64) {
        if self.checks.len() >= CHECKS_MAX {
            self.checks.pop_front();
        }
        self.checks.push_back(Check {
            position,
            digests: BTreeMap::new(),
        });
    }

    /// A member reports. Answers the digest that a majority has at that check, if one is known.
    pub(crate) fn report(&mut self, report: Report, members: &Members) -> Option<u64> {
        members.get(report.member)?;
        let applied = self.applied.entry(report.member).or_default();
        *applied = report.applied.max(*applied);
        let mut checks = self.checks.iter_mut();
        let check = checks.find(|check| check.position == report.position)?;
        check.digests.insert(report.member, report.digest);
        let check = check.clone();
        self.judge(&check, members)
    }

    /// Compares what was reported at one check.
    fn judge(&mut self, check: &Check, members: &Members) -> Option<u64> {
        let voters = members.list.iter().filter(|member| !member.is_learner);
        let voters: Vec<u64> = voters.map(|member| member.id).collect();
        let digests: Vec<u64> = voters
            .iter()
            .filter_map(|id| check.digests.get(id).copied())
            .collect();
        let of_majority = digests.iter().find(|&digest| {
            let same = digests.iter().filter(|other| *other == digest);
            same.count() > voters.len() / 2
        });
        let Some(&of_majority) = of_majority else {
            if digests.len() == voters.len() {
                // They differ, and nobody can tell who is right.
                self.raise(AlarmKind::Corrupt, 0);
            }
            return None;
        };
        for (&member, &digest) in &check.digests {
            if digest != of_majority {
                self.differing.insert(member);
                self.raise(AlarmKind::Corrupt, member);
            } else if self.differing.remove(&member) {
                self.alarms.remove(&Alarm {
                    kind: AlarmKind::Corrupt,
                    member,
                });
            }
        }
        Some(of_majority)
    }

    /// A learner that is to get a vote must have nearly all that there is at this position, or the
    /// cluster may have to wait for it: nine tenths, as in etcd. What was ordered since it told how far it
    /// has come does not count as long as it is little.
    pub(crate) fn check_in_sync(&self, member: u64, position: u64) -> Result<(), Error> {
        let applied = self.applied(member);
        let lag = position.saturating_sub(applied);
        match applied > 0 && lag <= LAG_MAX.max(position / 10) {
            true => Ok(()),
            false => Err(Error::LearnerNotReady),
        }
    }

    /// Forgets those who are no members.
    pub(crate) fn keep(&mut self, members: &Members) {
        let is_member = |id: u64| members.get(id).is_some();
        self.alarms
            .retain(|alarm| alarm.member == 0 || is_member(alarm.member));
        self.differing.retain(|&id| is_member(id));
        self.applied.retain(|&id, _| is_member(id));
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_count(self.alarms.len(), out);
        for alarm in &self.alarms {
            out.push(alarm.kind.tag());
            out.extend_from_slice(&alarm.member.to_le_bytes());
        }
        put_count(self.differing.len(), out);
        for member in &self.differing {
            out.extend_from_slice(&member.to_le_bytes());
        }
        put_pairs(&self.applied, out);
        put_count(self.checks.len(), out);
        for check in &self.checks {
            out.extend_from_slice(&check.position.to_le_bytes());
            put_pairs(&check.digests, out);
        }
    }

    pub(crate) fn decode(input: &mut Input) -> Result<Health, Malformed> {
        let mut health = Health::default();
        for _ in 0..input.count(9)? {
            let kind = AlarmKind::from_tag(input)?;
            let member = input.u64()?;
            health.alarms.insert(Alarm { kind, member });
        }
        for _ in 0..input.count(8)? {
            health.differing.insert(input.u64()?);
        }
        health.applied = pairs(input)?;
        for _ in 0..input.count(12)? {
            health.checks.push_back(Check {
                position: input.u64()?,
                digests: pairs(input)?,
            });
        }
        Ok(health)
    }
}

fn put_pairs(pairs: &BTreeMap<u64, u64>, out: &mut Vec<u8>) {
    put_count(pairs.len(), out);
    for (key, value) in pairs {
        out.extend_from_slice(&key.to_le_bytes());
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn pairs(input: &mut Input) -> Result<BTreeMap<u64, u64>, Malformed> {
    let mut pairs = BTreeMap::new();
    for _ in 0..input.count(16)? {
        let key = input.u64()?;
        pairs.insert(key, input.u64()?);
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Member;

    fn members(voters: u64, learners: u64) -> Members {
        let member = |id| Member {
            id,
            is_learner: id > voters,
            ..Member::default()
        };
        Members::of((1..=voters + learners).map(member).collect())
    }

    fn report(member: u64, position: u64, digest: u64) -> Report {
        Report {
            member,
            position,
            digest,
            applied: position,
        }
    }

    fn corrupt(health: &Health) -> Vec<u64> {
        health.alarms.iter().map(|alarm| alarm.member).collect()
    }

    #[test]
    fn whoever_differs_from_a_majority_is_named_in_the_same_step() {
        let members = members(3, 1);
        let mut health = Health::default();
        health.check(10);
        assert_eq!(health.report(report(2, 10, 66), &members), None);
        assert_eq!(health.report(report(1, 10, 77), &members), None);
        assert_eq!(corrupt(&health), []);
        assert_eq!(health.report(report(3, 10, 77), &members), Some(77));
        assert_eq!(corrupt(&health), [2]);
        // A learner says nothing that counts, and is compared all the same.
        assert_eq!(health.report(report(4, 10, 65), &members), Some(77));
        assert_eq!(corrupt(&health), [2, 4]);
        assert!(health.is_corrupt(2) && !health.is_corrupt(1));
    }

    #[test]
    fn a_learner_does_not_make_a_majority() {
        let members = members(2, 1);
        let mut health = Health::default();
        health.check(10);
        health.report(report(3, 10, 77), &members);
        assert_eq!(health.report(report(1, 10, 77), &members), None);
        // The two who vote differ: nobody can tell who is right.
        assert_eq!(health.report(report(2, 10, 66), &members), None);
        assert_eq!(corrupt(&health), [0]);
        assert!(health.is_corrupt(1) && health.is_corrupt(2));
    }

    #[test]
    fn whoever_agrees_again_is_heard_again_and_what_a_person_raised_stays() {
        let members = members(3, 0);
        let mut health = Health::default();
        health.raise(AlarmKind::Corrupt, 1);
        health.check(10);
        for (member, digest) in [(1, 7), (2, 6), (3, 7)] {
            health.report(report(member, 10, digest), &members);
        }
        assert_eq!(corrupt(&health), [1, 2]);
        assert!(health.is_awaited(&members));
        health.check(20);
        for member in 1..=3 {
            health.report(report(member, 20, 9), &members);
        }
        assert_eq!(corrupt(&health), [1]);
        assert!(!health.is_awaited(&members));
        assert_eq!(health.disarm(AlarmKind::NoSpace, 0), []);
        assert_eq!(health.disarm(AlarmKind::Corrupt, 0).len(), 1);
    }

    #[test]
    fn late_reports_and_those_of_strangers_change_nothing() {
        let members = members(3, 0);
        let mut health = Health::default();
        for position in 1..=5 {
            health.check(position * 10);
        }
        for member in 1..=3 {
            assert_eq!(health.report(report(member, 10, member), &members), None);
        }
        assert_eq!(health.report(report(9, 50, 1), &members), None);
        assert_eq!((corrupt(&health), health.applied(9)), (vec![], 0));
    }

    #[test]
    fn a_learner_is_in_sync_with_nine_tenths() {
        let members = members(1, 1);
        let mut health = Health::default();
        assert!(health.is_awaited(&members));
        health.check(900);
        health.report(report(2, 900, 1), &members);
        assert!(!health.is_awaited(&members));
        assert_eq!(health.check_in_sync(2, 1000), Ok(()));
        assert_eq!(health.check_in_sync(2, 1003), Err(Error::LearnerNotReady));
        // Whoever never said anything has not come anywhere.
        assert_eq!(health.check_in_sync(1, 5), Err(Error::LearnerNotReady));
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let members = members(3, 1);
        let mut health = Health::default();
        health.raise(AlarmKind::NoSpace, 3);
        health.check(10);
        health.check(20);
        for member in 1..=4 {
            health.report(report(member, 20, member / 4), &members);
        }
        let mut out = Vec::new();
        health.encode(&mut out);
        let mut input = Input::new(out.into());
        assert_eq!(Health::decode(&mut input), Ok(health));
        assert_eq!(input.finish(), Ok(()));
    }
}
