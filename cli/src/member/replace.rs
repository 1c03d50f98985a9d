//! `quorate member replace`.
//!
//! The list of members itself says how far the work has come, so every step begins by reading it, and a run
//! that was interrupted goes on where it was. That is why the new member is always added before the old one is
//! removed: whichever step was the last, one of the two is there to tell.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use quorate_client::proto::{Member, MemberAddRequest, MemberListRequest, MemberUpdateRequest};
use quorate_client::{Client, Code, Error};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::ctl::Connection;
use crate::ctl::member::settings;
use crate::failure;

#[cfg(test)]
#[path = "replace_tests.rs"]
mod tests;

/// How long to wait before trying again.
const AGAIN: Duration = Duration::from_millis(500);
/// How often to tell what is being waited for.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// What a server says of a learner that has not caught up.
const NOT_IN_SYNC: &str = "in sync with leader";

/// Put a new member in the place of another one.
#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    /// The member to replace: its id, or its name.
    old: String,

    /// The new one as NAME=PEER_URL; if it has several URLs, NAME=URL,NAME=URL.
    new: String,

    /// How long the new member may take to be started and to catch up.
    #[arg(long, default_value = "10m", value_parser = crate::duration::parse, value_name = "TIME")]
    wait: Duration,
}

/// The new member, as the command line has it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct New {
    name: String,
    peer_urls: Vec<String>,
}

/// What comes next, by the list of members.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    /// The old one is lost, and the new one is to be reached where it was.
    MoveAside(u64),
    /// The new one is to become a learner, which changes no majority.
    Add,
    /// The new one is a learner, and to get a vote once it has caught up.
    Promote(u64),
    /// The old one can go: it is lost and counts against the others, or the new one has a vote.
    Remove(u64),
    /// Nothing is left to do.
    Done(u64),
}

/// Runs the command.
pub(super) async fn run(flags: &Flags, connection: &Connection, json: bool) -> Result<()> {
    let new = parse_new(&flags.new)?;
    let replacing = Replacing {
        client: connection.client()?,
        connection,
        old: &flags.old,
        new,
        json,
    };
    replacing.run(flags.wait).await
}

struct Replacing<'a> {
    client: Client,
    connection: &'a Connection,
    old: &'a str,
    new: New,
    json: bool,
}

impl Replacing<'_> {
    async fn run(&self, patience: Duration) -> Result<()> {
        let members = self.members().await?;
        let lost = self.check(&members).await?;
        let deadline = Instant::now() + patience;
        let mut told = None;
        loop {
            let members = self.members().await?;
            let outcome = match next(&members, self.old, &self.new, lost)? {
                Step::MoveAside(id) => self.move_aside(id).await,
                Step::Remove(id) => self.remove(id).await,
                Step::Add => self.add().await,
                Step::Promote(id) => self.promote(id).await,
                Step::Done(id) => {
                    let text = format!("done: {} ({id:x}) has taken the place", self.new.name);
                    self.tell(&text, json!({"step": "done", "member": hex(id)}));
                    return Ok(());
                }
            };
            let why = match outcome {
                Ok(()) => continue,
                Err(error) if may_pass(&error) => error.to_string(),
                Err(error) => return Err(error.into()),
            };
            ensure!(
                Instant::now() < deadline,
                "gave up after {patience:?}: {why}; run the same command again to go on"
            );
            if told.is_none_or(|at: Instant| at.elapsed() >= TELL_EVERY) {
                told = Some(Instant::now());
                self.tell_waiting(&members, &why).await;
            }
            sleep(AGAIN).await;
        }
    }

    async fn members(&self) -> Result<Vec<Member>> {
        let request = MemberListRequest { linearizable: true };
        let response = self.client.member_list(request).await;
        let response = response.context(
            "the cluster does not answer; without a majority of its members nobody can be replaced",
        )?;
        Ok(response.members)
    }

    /// Refuses early what cannot end well. Answers whether the old member is lost.
    async fn check(&self, members: &[Member]) -> Result<bool> {
        let old = find_old(members, self.old)?;
        let mut silent = Vec::new();
        for member in members.iter().filter(|member| !member.is_learner) {
            if self.status(member).await.is_none() {
                silent.push(member);
            }
        }
        let lost = old.is_some_and(|old| silent.iter().any(|member| member.id == old.id));
        let first = next(members, self.old, &self.new, lost)?;
        let others = silent
            .iter()
            .filter(|one| old.is_none_or(|old| old.id != one.id));
        let others: Vec<&str> = others.map(|one| one.name.as_str()).collect();
        if matches!(first, Step::Add | Step::MoveAside(_)) {
            ensure!(
                others.is_empty(),
                "{} of the members that stay do not answer: {}. Bring them back first, or the cluster may lose its \
                 majority on the way",
                others.len(),
                others.join(", ")
            );
            let learner = members.iter().find(|member| member.is_learner);
            if let Some(learner) = learner.filter(|one| old.is_none_or(|old| old.id != one.id)) {
                bail!(
                    "{} ({:x}) is a learner; promote or remove it first",
                    learner.name,
                    learner.id
                );
            }
        }
        Ok(lost)
    }

    /// The position that a member has applied, if it answers.
    async fn status(&self, member: &Member) -> Option<u64> {
        if member.client_ur_ls.is_empty() {
            return None;
        }
        let client = self
            .connection
            .client_of(member.client_ur_ls.clone())
            .ok()?;
        let status = client.status(0).await.ok()?;
        (status.leader != 0).then_some(status.raft_applied_index)
    }

    async fn add(&self) -> Result<(), Error> {
        let request = MemberAddRequest {
            peer_ur_ls: self.new.peer_urls.clone(),
            is_learner: true,
        };
        let response = match self.client.member_add(request).await {
            Ok(response) => response,
            // An answer may have been lost, and the list says more than this refusal.
            Err(error) if is_there_already(&error) => return self.expect_listed(error).await,
            Err(error) => return Err(error),
        };
        let added = response.member.unwrap_or_default();
        let settings = settings(&self.new.name, &added, &response.members);
        let text = format!(
            "added {} ({:x}) as a learner; start it now, with an empty data directory and\n\n{settings}",
            self.new.name, added.id
        );
        let settings: Vec<&str> = settings.lines().collect();
        self.tell(
            &text,
            json!({"step": "added", "member": hex(added.id), "settings": settings}),
        );
        Ok(())
    }

    /// The new member is in the list, or the refusal stands.
    async fn expect_listed(&self, refusal: Error) -> Result<(), Error> {
        let request = MemberListRequest { linearizable: true };
        let response = self.client.member_list(request).await?;
        match response.members.iter().any(|member| self.new.is(member)) {
            true => Ok(()),
            false => Err(refusal),
        }
    }

    async fn promote(&self, id: u64) -> Result<(), Error> {
        self.client.member_promote(id).await?;
        let text = format!("promoted {} ({id:x}): it has a vote", self.new.name);
        self.tell(&text, json!({"step": "promoted", "member": hex(id)}));
        Ok(())
    }

    /// Nobody has to reach a lost member any more, and two members must not have the same URL.
    async fn move_aside(&self, id: u64) -> Result<(), Error> {
        let request = MemberUpdateRequest {
            id,
            // A host that never is (RFC 2606, section 2).
            peer_ur_ls: vec![format!("http://lost-{id:x}.invalid:1")],
        };
        self.client.member_update(request).await?;
        let text = format!("{} ({id:x}) is lost; its URL is free", self.old);
        self.tell(&text, json!({"step": "moved", "member": hex(id)}));
        Ok(())
    }

    async fn remove(&self, id: u64) -> Result<(), Error> {
        self.client.member_remove(id).await?;
        let text = format!("removed {} ({id:x})", self.old);
        self.tell(&text, json!({"step": "removed", "member": hex(id)}));
        Ok(())
    }

    /// Says what is being waited for, with the positions that show how long it may take.
    async fn tell_waiting(&self, members: &[Member], why: &str) {
        let new = members.iter().find(|member| self.new.is(member));
        let leading = self.client.status(0).await.ok();
        let wanted = leading.map(|status| status.raft_index);
        let (text, applied) = match new {
            None => ("waiting".to_owned(), None),
            Some(new) if new.name.is_empty() => (
                format!("waiting for {} ({:x}) to be started", self.new.name, new.id),
                None,
            ),
            Some(new) => (
                format!("waiting for {} ({:x}) to catch up", new.name, new.id),
                self.status(new).await,
            ),
        };
        let text = match (applied, wanted) {
            (Some(applied), Some(wanted)) => format!("{text}: at {applied} of {wanted}"),
            _ => format!("{text} ({why})"),
        };
        self.tell(
            &text,
            json!({"step": "waiting", "applied": applied, "of": wanted, "why": why}),
        );
    }

    fn tell(&self, text: &str, event: Value) {
        let line = match self.json {
            true => event.to_string(),
            false => text.to_owned(),
        };
        // Whoever does not read how it goes still wants it done.
        let _ = failure::print(format!("{line}\n").as_bytes());
    }
}

impl New {
    fn shares_url(&self, member: &Member) -> bool {
        let mut urls = member.peer_ur_ls.iter();
        urls.any(|url| self.peer_urls.contains(url))
    }

    fn is(&self, member: &Member) -> bool {
        let mut urls = member.peer_ur_ls.clone();
        urls.sort();
        urls == self.peer_urls
    }
}

/// Whether it may be otherwise after a while: the learner catches up, the cluster finds a leader, or what was
/// not answered was done.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Server { code, message } => {
            *code == Code::Unavailable || message.contains(NOT_IN_SYNC)
        }
        Error::Connect { .. } | Error::Lost { .. } | Error::Timeout { .. } => true,
        Error::Endpoint(_) | Error::Compacted { .. } | Error::WatchCanceled(_) => false,
    }
}

/// Whether some member has a URL of the new one.
fn is_there_already(error: &Error) -> bool {
    matches!(error, Error::Server { message, .. } if message.contains("Peer URLs already exists"))
}

fn hex(id: u64) -> String {
    format!("{id:x}")
}

fn parse_new(text: &str) -> Result<New> {
    let mut new: Option<New> = None;
    for entry in text.split(',') {
        let Some((name, url)) = entry.split_once('=') else {
            return failure::usage(format!("{entry:?} is not of the form NAME=PEER_URL"));
        };
        let known = new.get_or_insert_with(|| New {
            name: name.to_owned(),
            peer_urls: Vec::new(),
        });
        if known.name != name {
            return failure::usage(format!(
                "{:?} and {name:?} are two names; replace one member at a time",
                known.name
            ));
        }
        known.peer_urls.push(url.to_owned());
    }
    let mut new = new.context("a member has a URL")?;
    new.peer_urls.sort();
    Ok(new)
}

/// The old member, by its id or its name, if it is still there.
fn find_old<'a>(members: &'a [Member], old: &str) -> Result<Option<&'a Member>> {
    let id = u64::from_str_radix(old, 16).ok();
    if let Some(found) = members.iter().find(|member| Some(member.id) == id) {
        return Ok(Some(found));
    }
    let mut found = members.iter().filter(|member| member.name == old);
    match (found.next(), found.next()) {
        (Some(one), Some(other)) => bail!(
            "two members have the name {old}: {:x} and {:x}; give the id",
            one.id,
            other.id
        ),
        (found, _) => Ok(found),
    }
}

/// What comes next. A lost member is removed as soon as the new one is listed: it counts against the others and
/// cannot help them.
fn next(members: &[Member], old: &str, new: &New, lost: bool) -> Result<Step> {
    let find_new = |old: Option<&Member>| {
        let mut others = members.iter();
        others
            .find(|member| new.is(member) && old.is_none_or(|old| old.id != member.id))
            .cloned()
    };
    let found = find_old(members, old)?;
    match (found, find_new(found)) {
        (Some(old), _) if new.shares_url(old) && !lost => bail!(
            "{} ({:x}) is reached at the URLs that the new member is to have, and it answers or is a learner; stop it \
             first, or give the new member other URLs",
            old.name,
            old.id
        ),
        (Some(old), None) if new.shares_url(old) => Ok(Step::MoveAside(old.id)),
        (Some(_), None) => Ok(Step::Add),
        (Some(old), Some(new)) if lost || !new.is_learner => Ok(Step::Remove(old.id)),
        (_, Some(new)) if new.is_learner => Ok(Step::Promote(new.id)),
        (_, Some(new)) => Ok(Step::Done(new.id)),
        (None, None) => bail!("there is no member {old}; `quorate ctl member list` shows them"),
    }
}
