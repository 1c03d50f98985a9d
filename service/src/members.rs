//! The list of members: who takes part, where they are reached, and what changes of it are allowed. It is
//! part of the replicated state; the protocol follows it ([`Request::Reconfigure`]).
//!
//! [`Request::Reconfigure`]: quorate_problems::total_order::Request::Reconfigure

use std::collections::BTreeSet;

use quorate_core::{Malformed, NodeId};
use quorate_problems::total_order::Membership;

use crate::codec::parts::{Input, put_count};
use crate::codec::{decode_member, encode_member};
use crate::command::{Member, Rules};
use crate::error::Error;

/// Who takes part.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Members {
    /// The position of the command that made this list; 0 is the list that the cluster started with.
    pub version: u64,
    /// The members, by id.
    pub list: Vec<Member>,
    /// The ids of those who were removed. They never come back.
    pub removed: BTreeSet<u64>,
}

impl Members {
    /// The list that a cluster starts with.
    #[must_use]
    pub fn of(mut list: Vec<Member>) -> Members {
        list.sort_by_key(|member| member.id);
        Members {
            list,
            ..Members::default()
        }
    }

    /// The member with this id.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Member> {
        self.list.iter().find(|member| member.id == id)
    }

    /// What the protocol is to bring into force.
    #[must_use]
    pub fn membership(&self) -> Membership {
        let with = |is_learner| {
            let members = self.list.iter();
            let members = members.filter(move |member| member.is_learner == is_learner);
            members.map(|member| NodeId(member.id))
        };
        Membership::new(self.version, with(false), with(true))
    }

    fn get_mut(&mut self, id: u64) -> Result<&mut Member, Error> {
        let member = self.list.iter_mut().find(|member| member.id == id);
        member.ok_or(Error::MemberNotFound)
    }

    /// A member says how clients reach it. One that was removed meanwhile is not heard.
    pub(crate) fn publish(&mut self, member: Member) {
        if let Ok(known) = self.get_mut(member.id) {
            known.name = member.name;
            known.client_urls = member.client_urls;
        }
    }

    /// How many have a vote, and how many of them have announced themselves, one of them left out.
    fn voters(&self, without: Option<u64>) -> (usize, usize) {
        let voters = self.list.iter().filter(|member| !member.is_learner);
        let voters = voters.filter(|member| Some(member.id) != without);
        voters.fold((0, 0), |(all, started), member| {
            (all + 1, started + usize::from(!member.name.is_empty()))
        })
    }

    /// Whether so many who have announced themselves can decide for all.
    fn check_started(all: usize, started: usize) -> Result<(), Error> {
        match started > all / 2 {
            true => Ok(()),
            false => Err(Error::NotEnoughStarted),
        }
    }

    /// Whether one more may take part. One who never comes must not keep the others from deciding;
    /// only a member that is alone may take that risk, or it would stay alone.
    ///
    /// # Errors
    /// [`Error::NotEnoughStarted`].
    pub fn may_add(&self, is_learner: bool, rules: Rules) -> Result<(), Error> {
        let (all, started) = self.voters(None);
        if !rules.strict || is_learner || (all, started) == (1, 1) {
            return Ok(());
        }
        Members::check_started(all + 1, started)
    }

    /// Whether the others can do without this one.
    ///
    /// # Errors
    /// [`Error::NotEnoughStarted`].
    pub fn may_remove(&self, id: u64, rules: Rules) -> Result<(), Error> {
        if !rules.strict || self.get(id).is_some_and(|member| member.is_learner) {
            return Ok(());
        }
        let (all, started) = self.voters(Some(id));
        Members::check_started(all, started)
    }

    fn may_promote(&self, rules: Rules) -> Result<(), Error> {
        let (all, started) = self.voters(None);
        match rules.strict {
            // The learner has shown that it runs.
            true => Members::check_started(all + 1, started + 1),
            false => Ok(()),
        }
    }

    pub(crate) fn add(&mut self, member: Member, rules: Rules) -> Result<(), Error> {
        self.may_add(member.is_learner, rules)?;
        if self.get(member.id).is_some() || self.removed.contains(&member.id) {
            return Err(Error::MemberExists);
        }
        self.check_urls(member.id, &member.peer_urls)?;
        let learners = self.list.iter().filter(|member| member.is_learner);
        if member.is_learner && learners.count() >= rules.learners_max as usize {
            return Err(Error::TooManyLearners);
        }
        self.list.push(member);
        self.list.sort_by_key(|member| member.id);
        Ok(())
    }

    pub(crate) fn remove(&mut self, id: u64, rules: Rules) -> Result<(), Error> {
        self.may_remove(id, rules)?;
        self.get_mut(id)?;
        if self.voters(Some(id)).0 == 0 {
            return Err(Error::LastVoter);
        }
        self.list.retain(|member| member.id != id);
        self.removed.insert(id);
        Ok(())
    }

    pub(crate) fn update(&mut self, id: u64, peer_urls: Vec<String>) -> Result<(), Error> {
        self.get_mut(id)?;
        self.check_urls(id, &peer_urls)?;
        self.get_mut(id)?.peer_urls = peer_urls;
        Ok(())
    }

    pub(crate) fn promote(
        &mut self,
        id: u64,
        rules: Rules,
        check_in_sync: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.get_mut(id)?.is_learner {
            check_in_sync()?;
        }
        self.may_promote(rules)?;
        match std::mem::take(&mut self.get_mut(id)?.is_learner) {
            true => Ok(()),
            false => Err(Error::NotLearner),
        }
    }

    fn check_urls(&self, id: u64, urls: &[String]) -> Result<(), Error> {
        let mut others = self.list.iter().filter(|member| member.id != id);
        match others.any(|member| member.peer_urls.iter().any(|url| urls.contains(url))) {
            true => Err(Error::PeerUrlExists),
            false => Ok(()),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.version.to_le_bytes());
        put_count(self.list.len(), out);
        for member in &self.list {
            encode_member(member, out);
        }
        put_count(self.removed.len(), out);
        for id in &self.removed {
            out.extend_from_slice(&id.to_le_bytes());
        }
    }

    pub(crate) fn decode(input: &mut Input) -> Result<Members, Malformed> {
        let version = input.u64()?;
        let mut list = Vec::new();
        for _ in 0..input.count(21)? {
            list.push(decode_member(input)?);
        }
        let mut removed = BTreeSet::new();
        for _ in 0..input.count(8)? {
            removed.insert(input.u64()?);
        }
        Ok(Members {
            version,
            list,
            removed,
        })
    }
}
