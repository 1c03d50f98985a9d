//! Carries out commands.

use std::time::Duration;

use quorate_core::{NodeId, Protocol, Reader, Wire};

use super::{World, spelled};
use crate::command::{Command, Fate, Selector, Who, no_such};
use crate::nearest::perhaps;
use crate::{Disk, Suite, Workload};

/// What makes no sense about a command, or else which promise was broken in the world.
pub type Done = Result<Result<(), String>, String>;

impl<P: Protocol> World<P>
where
    P::Problem: Workload,
{
    /// Carries out a command. `said` collects what it answers, which no trace contains.
    ///
    /// # Errors
    /// What makes no sense about it, in which case nothing has happened; or that there were more choices
    /// for a replica than it made.
    pub fn apply(&mut self, suite: &Suite<P>, command: &Command, said: &mut Vec<String>) -> Done {
        match command {
            Command::Cluster { .. } => return Err("a cluster is a world of its own".to_string()),
            Command::Quietly(command) => return self.apply(suite, command, &mut Vec::new()),
            Command::Choose { answers, command } => {
                return self.choosing(suite, answers, command, said);
            }
            Command::Restart(who) => return self.each(*who, false, |world, id| world.restart(id)),
            Command::Crash { who, keep } => {
                self.expect_quorum(*who)?;
                return self.each(*who, true, |world, id| {
                    world.crash(id, *keep);
                    Ok(())
                });
            }
            Command::Sync { who, count } => {
                let count = count.unwrap_or(usize::MAX);
                return self.each(*who, true, |world, id| world.sync(id, count));
            }
            Command::Show(who) => {
                return self.each(*who, true, |world, id| {
                    let replica = world.replica(id).expect("it is up");
                    said.push(format!("{id} {}", (suite.describe)(replica.protocol())));
                    Ok(())
                });
            }
            Command::Fire { node, timer } => {
                let timer = self.running(*node, timer)?;
                return Ok(self.fire(*node, timer));
            }
            Command::Mail { fate, mail } => return self.mail(*fate, mail),
            Command::Forge { from, to, bytes } => self.forge_checked(*from, *to, bytes)?,
            Command::Request {
                verb,
                node,
                arguments,
            } => return self.ask(verb, node, arguments),
            Command::Advance { us } => return Ok(self.advance(Duration::from_micros(*us))),
            Command::Settle => return Ok(self.settle_down()),
            Command::Progress(core) => {
                core.iter().try_for_each(|id| self.member(*id))?;
                return Ok(self.progress(core));
            }
            Command::Status => said.extend(self.members().map(|id| self.status_line(id))),
            Command::Partition(_) | Command::Cut { .. } | Command::Isolate(_) | Command::Heal => {
                self.links(command)?;
            }
            Command::Disk { .. }
            | Command::Flush(_)
            | Command::Delete { .. }
            | Command::Lose { .. }
            | Command::Damage { .. } => self.disks(suite, command)?,
        }
        Ok(Ok(()))
    }

    /// Carries out a command with what the replica is to choose.
    fn choosing(
        &mut self,
        suite: &Suite<P>,
        answers: &[u32],
        command: &Command,
        said: &mut Vec<String>,
    ) -> Done {
        self.dictated = Some(answers.iter().rev().copied().collect());
        let done = self.apply(suite, command, said);
        match self.dictated.take() {
            Some(left) if !left.is_empty() && done == Ok(Ok(())) => {
                let chosen = answers.len() - left.len();
                Err(format!("it chose {chosen} times only"))
            }
            _ => done,
        }
    }

    /// The words that mean one piece of the mail under way, as precise as needed.
    ///
    /// # Panics
    /// If there is no such mail.
    #[must_use]
    pub fn selector(&self, at: usize) -> Selector {
        let meant = &self.flying[at];
        let alike = self.flying[..at]
            .iter()
            .filter(|mail| (mail.from, mail.to, &mail.kind) == (meant.from, meant.to, &meant.kind));
        Selector {
            from: Some(meant.from),
            to: Some(meant.to),
            kind: Some(meant.kind.clone()),
            ordinal: Some(alike.count() + 1).filter(|ordinal| *ordinal > 1),
        }
    }

    fn links(&mut self, command: &Command) -> Result<(), String> {
        match command {
            Command::Cut { from, to } => {
                self.member(*from)?;
                self.member(*to)?;
                self.cut_one_way(*from, *to);
            }
            Command::Isolate(node) => {
                self.member(*node)?;
                let others: Vec<_> = self.members().filter(|other| other != node).collect();
                for other in others {
                    self.cut(*node, other);
                }
            }
            Command::Partition(sides) => {
                sides.iter().flatten().try_for_each(|id| self.member(*id))?;
                let mut named: Vec<NodeId> = sides.iter().flatten().copied().collect();
                named.sort_unstable();
                named.dedup();
                for (at, &one) in named.iter().enumerate() {
                    for &two in &named[at + 1..] {
                        let together = |side: &Vec<_>| side.contains(&one) && side.contains(&two);
                        if !sides.iter().any(together) {
                            self.cut(one, two);
                        }
                    }
                }
            }
            _ => self.heal(),
        }
        Ok(())
    }

    fn disks(&mut self, suite: &Suite<P>, command: &Command) -> Result<(), String> {
        match command {
            Command::Disk { node, words } => {
                self.expect_up(*node, false)?;
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let disk = Disk::prepared(&(suite.disk)(&words)?);
                self.replace_disk(*node, disk);
            }
            Command::Flush(node) => {
                self.member(*node)?;
                self.flush(*node);
            }
            Command::Delete { node, count } => {
                self.member(*node)?;
                self.disk(*node).delete(*count);
            }
            Command::Lose { node, count } => {
                self.expect_up(*node, false)?;
                self.disk(*node).lose(*count);
                self.counts.lost_frames += 1;
            }
            Command::Damage { node, frames } => {
                self.expect_up(*node, false)?;
                self.disk(*node).damage(frames)?;
                self.counts.damages += 1;
            }
            _ => unreachable!("the caller passes what is about disks"),
        }
        Ok(())
    }

    fn member(&self, id: NodeId) -> Result<(), String> {
        if self.machines.contains_key(&id) {
            return Ok(());
        }
        let members: Vec<_> = self.members().map(|id| id.to_string()).collect();
        Err(format!("there is no {id}, only {}", members.join(", ")))
    }

    /// Whether those who are left may be that few.
    fn expect_quorum(&self, stops: Who) -> Result<(), String> {
        let stops = |id| match stops {
            Who::All => true,
            Who::One(one) => one == id,
        };
        match self.may_crash(stops) {
            true => Ok(()),
            false => Err("no more than a minority may be away at once".to_string()),
        }
    }

    fn expect_up(&self, id: NodeId, up: bool) -> Result<(), String> {
        self.member(id)?;
        match self.replica(id).is_some() {
            is if is == up => Ok(()),
            true => Err(format!("{id} is up")),
            false => Err(format!("{id} is down")),
        }
    }

    /// Does something for one member, or for all that are up (or down).
    fn each(
        &mut self,
        who: Who,
        up: bool,
        mut f: impl FnMut(&mut World<P>, NodeId) -> Result<(), String>,
    ) -> Done {
        if let Who::One(id) = who {
            self.expect_up(id, up)?;
            return Ok(f(self, id));
        }
        for id in self.members().collect::<Vec<_>>() {
            if self.replica(id).is_some() == up
                && let Err(violation) = f(self, id)
            {
                return Ok(Err(violation));
            }
        }
        Ok(Ok(()))
    }

    fn running(&self, id: NodeId, word: &str) -> Result<P::Timer, String> {
        self.expect_up(id, true)?;
        let timers = self.replica(id).expect("it is up").timers();
        let mut running = timers.iter().map(|(timer, _)| timer);
        if let Some(timer) = running.find(|timer| spelled(timer) == word) {
            return Ok(timer);
        }
        let running: Vec<_> = timers.iter().map(|(timer, _)| spelled(&timer)).collect();
        let perhaps = perhaps(word, running.iter().map(String::as_str));
        let running = running.join(", ");
        Err(format!(
            "no timer {word} runs at {id}, only {running}{perhaps}"
        ))
    }

    fn mail(&mut self, fate: Fate, selector: &Selector) -> Done {
        [selector.from, selector.to]
            .into_iter()
            .flatten()
            .try_for_each(|id| self.member(id))?;
        let only_one = selector.from.is_some() && selector.to.is_some();
        let mut skip = selector.ordinal.map_or(0, |ordinal| ordinal - 1);
        // What follows from this mail is not meant by it, so only what is under way now counts.
        let mut unseen = self.flying.len();
        let mut at = 0;
        let mut found = false;
        while unseen > 0 && !(found && only_one) {
            unseen -= 1;
            let mail = &self.flying[at];
            let meant = selector.from.is_none_or(|from| mail.from == from)
                && selector.to.is_none_or(|to| mail.to == to)
                && selector.kind.as_ref().is_none_or(|kind| mail.kind == *kind);
            if !meant || skip > 0 {
                skip -= usize::from(meant);
                at += 1;
                continue;
            }
            found = true;
            match fate {
                Fate::Deliver => {
                    if let Err(violation) = self.deliver(at) {
                        return Ok(Err(violation));
                    }
                }
                Fate::Drop => self.drop_mail(at),
                Fate::Duplicate => {
                    self.duplicate(at);
                    at += 1;
                }
            }
        }
        match found {
            true => Ok(Ok(())),
            false => Err(self.no_such_mail(selector)),
        }
    }

    fn no_such_mail(&self, selector: &Selector) -> String {
        let mut there: Vec<String> = Vec::new();
        for mail in &self.flying {
            let line = format!("{} {} {}", mail.from, mail.to, mail.kind);
            if !there.contains(&line) {
                there.push(line);
            }
        }
        match there.is_empty() {
            true => format!("no such mail is under way: {selector}; there is none at all"),
            false => format!(
                "no such mail is under way: {selector}; there is {}",
                there.join(", ")
            ),
        }
    }

    fn forge_checked(&mut self, from: NodeId, to: NodeId, bytes: &[u8]) -> Result<(), String> {
        self.member(from)?;
        self.member(to)?;
        let block = std::sync::Arc::new(bytes.to_vec());
        let mut reader = Reader::new(&block);
        let message = P::Message::decode(&mut reader).and_then(|message| {
            reader.finish()?;
            Ok(message)
        });
        let message = message.map_err(|malformed| format!("not a message: {malformed}"))?;
        self.forge(from, to, &message);
        Ok(())
    }

    fn ask(&mut self, verb: &str, node: &str, arguments: &[String]) -> Done {
        let id = node
            .parse()
            .map_err(|error| format!("{} ({error}, found {node})", no_such(verb)))?;
        self.member(id)?;
        self.expect_up(id, true)?;
        let mut words = vec![verb];
        words.extend(arguments.iter().map(String::as_str));
        let request = P::Problem::parse(self.app(id), &words).ok_or_else(|| no_such(verb))??;
        Ok(self.request(id, request))
    }

    fn status_line(&self, id: NodeId) -> String {
        let Some(replica) = self.replica(id) else {
            return format!("{id} is down");
        };
        let status = replica.status();
        let leader = match status.leader {
            Some(leader) => format!("led by {leader}"),
            None => "without leader".to_string(),
        };
        format!(
            "{id} {} in epoch {} {leader}, head {}, decided {}, window {}",
            status.role,
            status.epoch,
            status.head,
            status.decided,
            replica.window()
        )
    }
}
