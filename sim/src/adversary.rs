//! What may go wrong in a run: the models of checker and simulator as an input.
//!
//! A protocol claims a [`Model`] that it withstands, and a run is given one. A run may be milder than
//! the claim, since whatever is legal in a class is legal in every class above it; a run that is
//! harsher is refused, unless somebody wants to see what happens outside the model.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use quorate_core::{Choice, Faults, Instant, Links, Model, NodeId, Timing};

use crate::nearest::perhaps;
use crate::trace::{Loss, MailId, Trace, What};

/// What may go wrong in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Adversary {
    /// What processes, messages and clocks may do.
    pub model: Model,
    /// How many processes may be faulty; as many as [`Adversary::tolerable`] says if it is not said.
    pub faulty: Option<usize>,
    /// Within what time mail arrives and disks finish, where there is a bound.
    pub bound: Duration,
}

/// The words for what may happen to processes.
const FAULTS: [(&str, Faults); 8] = [
    ("fail-stop", Faults::FailStop),
    ("crash-stop", Faults::CrashStop),
    ("send-omission", Faults::SendOmission),
    ("receive-omission", Faults::ReceiveOmission),
    ("general-omission", Faults::GeneralOmission),
    ("crash-recovery", Faults::CrashRecovery),
    ("signed-byzantine", Faults::SignedByzantine),
    ("byzantine", Faults::Byzantine),
];

/// The words for what may be assumed about time.
const TIMINGS: [(&str, Timing); 4] = [
    ("lockstep", Timing::Lockstep),
    ("synchronous", Timing::Synchronous),
    ("partially-synchronous", Timing::PartiallySynchronous),
    ("asynchronous", Timing::Asynchronous),
];

/// The words for what may happen to messages; `reliable` and `fifo` say what may not.
const LINKS: [&str; 5] = ["reliable", "fifo", "lossy", "duplicating", "reordering"];

impl Adversary {
    /// The adversary that a protocol claims to withstand.
    #[must_use]
    pub fn of(model: Model) -> Adversary {
        Adversary {
            model,
            faulty: None,
            bound: Duration::from_millis(20),
        }
    }

    /// Reads an adversary from words: `crash-stop lossy fifo synchronous faulty=1 bound=20`. What is
    /// not said is as in `claimed`; as soon as anything is said of messages, only that may happen to
    /// them.
    ///
    /// # Errors
    /// The word that means nothing, with the one that was perhaps meant.
    pub fn parse<'a>(
        words: impl IntoIterator<Item = &'a str>,
        claimed: Model,
    ) -> Result<Adversary, String> {
        let mut adversary = Adversary::of(claimed);
        let mut links = None;
        for word in words {
            let number = |value: &str| {
                let number: Result<u32, _> = value.parse();
                number.map_err(|_| format!("not a number: {word}"))
            };
            let none = Links {
                lose: false,
                duplicate: false,
                reorder: false,
            };
            if let Some((_, faults)) = FAULTS.iter().find(|(name, _)| *name == word) {
                adversary.model.faults = *faults;
            } else if let Some((_, timing)) = TIMINGS.iter().find(|(name, _)| *name == word) {
                adversary.model.timing = *timing;
            } else if LINKS.contains(&word) {
                let links: &mut Links = links.get_or_insert(none);
                links.lose |= word == "lossy";
                links.duplicate |= word == "duplicating";
                links.reorder |= word == "reordering";
            } else if let Some(value) = word.strip_prefix("faulty=") {
                adversary.faulty = Some(number(value)? as usize);
            } else if let Some(value) = word.strip_prefix("bound=") {
                adversary.bound = Duration::from_millis(number(value)?.into());
            } else {
                let names = FAULTS.iter().map(|(name, _)| *name);
                let names = names.chain(TIMINGS.iter().map(|(name, _)| *name));
                let names = names.chain(LINKS).chain(["faulty=1", "bound=20"]);
                return Err(format!("no such adversary: {word}{}", perhaps(word, names)));
            }
        }
        adversary.model.links = links.unwrap_or(claimed.links);
        Ok(adversary)
    }

    /// Some adversary that is no harsher than the claim, often the claim itself.
    pub(crate) fn draw(claimed: Model, choice: &mut Choice) -> Adversary {
        let mut adversary = Adversary::of(claimed);
        let model = &mut adversary.model;
        if choice.choose(4) > 0 {
            return adversary;
        }
        let milder = FAULTS.map(|(_, faults)| faults);
        let milder = milder
            .into_iter()
            .filter(|faults| claimed.faults.admits(*faults));
        model.faults = pick(&milder.collect::<Vec<_>>(), choice);
        let milder = TIMINGS.map(|(_, timing)| timing);
        let milder = milder
            .into_iter()
            .filter(|timing| *timing <= claimed.timing);
        model.timing = pick(&milder.collect::<Vec<_>>(), choice);
        model.links.lose &= choice.choose(2) == 0;
        model.links.duplicate &= choice.choose(2) == 0;
        model.links.reorder &= choice.choose(2) == 0;
        adversary
    }

    /// Whether a protocol that claims to withstand `claimed` must withstand this.
    ///
    /// # Errors
    /// In what this is harsher.
    pub fn within(&self, claimed: Model) -> Result<(), String> {
        let run = self.model;
        let mut harsher = Vec::new();
        if !claimed.faults.admits(run.faults) {
            let (run, claimed) = (faults(run.faults), faults(claimed.faults));
            harsher.push(format!("{run} is more than {claimed}"));
        }
        let links = [
            ("loses", run.links.lose, claimed.links.lose),
            ("doubles", run.links.duplicate, claimed.links.duplicate),
            ("reorders", run.links.reorder, claimed.links.reorder),
        ];
        for (verb, run, claimed) in links {
            if run && !claimed {
                harsher.push(format!("the network {verb} mail"));
            }
        }
        if run.timing > claimed.timing {
            let (run, claimed) = (timing(run.timing), timing(claimed.timing));
            harsher.push(format!("{run} promises less than {claimed}"));
        }
        match harsher.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "outside the model that the protocol claims: {}",
                harsher.join("; ")
            )),
        }
    }

    /// How many of so many faulty processes any protocol could withstand: fewer than half, or fewer than
    /// a third where they may lie. In crash-recovery all may crash, since they come back.
    #[must_use]
    pub fn tolerable(&self, size: usize) -> usize {
        match self.model.faults {
            Faults::CrashRecovery => size,
            Faults::Byzantine | Faults::SignedByzantine => size.saturating_sub(1) / 3,
            _ => size.saturating_sub(1) / 2,
        }
    }

    /// Whether worlds of at most `size_max` processes can be like this.
    ///
    /// # Errors
    /// If there are more faults than processes, or more than anything could withstand and `beyond` is
    /// not allowed.
    pub fn possible(&self, size_max: usize, beyond: bool) -> Result<(), String> {
        let Some(faulty) = self.faulty else {
            return Ok(());
        };
        let tolerable = self.tolerable(size_max);
        if faulty > size_max {
            return Err(format!(
                "an impossible world: {faulty} faulty processes, but no cluster has more than {size_max}"
            ));
        }
        if faulty > tolerable && !beyond {
            return Err(format!(
                "outside the model: of {size_max} processes no more than {tolerable} may be faulty"
            ));
        }
        Ok(())
    }

    /// Whether a faulty process may lie.
    #[must_use]
    pub fn lies(&self) -> bool {
        self.model.faults.admits(Faults::SignedByzantine)
    }

    /// Whether a faulty process may fail to send.
    #[must_use]
    pub fn omits_sending(&self) -> bool {
        self.model.faults.admits(Faults::SendOmission)
    }

    /// Whether a faulty process may fail to receive.
    #[must_use]
    pub fn omits_receiving(&self) -> bool {
        self.model.faults.admits(Faults::ReceiveOmission)
    }

    /// Whether a process that stopped may start again.
    #[must_use]
    pub fn recovers(&self) -> bool {
        self.model.faults.admits(Faults::CrashRecovery)
    }

    /// Whether bounds on delays hold from the beginning.
    #[must_use]
    pub fn is_timely(&self) -> bool {
        self.model.timing <= Timing::Synchronous
    }

    /// Whether a run was legal, if only these processes were faulty.
    ///
    /// # Errors
    /// The first event that was not.
    pub fn judge(&self, trace: &Trace, faulty: &[NodeId]) -> Result<(), String> {
        let mut judge = Judge {
            adversary: self,
            faulty,
            sent: BTreeMap::new(),
            newest: BTreeMap::new(),
            lie: false,
        };
        trace.events.iter().try_for_each(|event| {
            let verdict = judge.event(event.at, &event.what);
            verdict.map_err(|reason| format!("{reason}: {:?}", event.what))
        })
    }
}

fn pick<T: Copy>(choices: &[T], choice: &mut Choice) -> T {
    let count = u32::try_from(choices.len()).expect("the choices are few");
    choices[choice.choose(count) as usize]
}

fn faults(faults: Faults) -> &'static str {
    let found = FAULTS.iter().find(|(_, one)| *one == faults);
    found.expect("all are listed").0
}

fn timing(timing: Timing) -> &'static str {
    let found = TIMINGS.iter().find(|(_, one)| *one == timing);
    found.expect("all are listed").0
}

impl fmt::Display for Adversary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let links = self.model.links;
        let lossy = if links.lose { "lossy" } else { "reliable" };
        let order = if links.reorder { "reordering" } else { "fifo" };
        let doubling = if links.duplicate { " duplicating" } else { "" };
        let (faults, timing) = (faults(self.model.faults), timing(self.model.timing));
        write!(f, "{faults} {lossy} {order}{doubling} {timing}")?;
        self.faulty
            .map_or(Ok(()), |faulty| write!(f, " faulty={faulty}"))?;
        write!(f, " bound={}", self.bound.as_millis())
    }
}

/// Looks at a run event by event.
struct Judge<'a> {
    adversary: &'a Adversary,
    faulty: &'a [NodeId],
    /// What is under way: from whom, to whom, since when.
    sent: BTreeMap<MailId, (NodeId, NodeId, Instant)>,
    /// On each link the newest mail that arrived.
    newest: BTreeMap<(NodeId, NodeId), MailId>,
    /// Whether the mail sent next is a lie.
    lie: bool,
}

impl Judge<'_> {
    fn event(&mut self, at: Instant, what: &What) -> Result<(), &'static str> {
        let adversary = self.adversary;
        let links = adversary.model.links;
        let legal = |legal: bool, reason: &'static str| legal.then_some(()).ok_or(reason);
        match *what {
            What::Started { node, incarnation } if incarnation > 1 => {
                let back = adversary.recovers() && self.may_fail(node);
                legal(back, "a process that stopped must not come back")
            }
            What::Crashed { node, .. } => legal(self.may_fail(node), "this process must not stop"),
            What::Sent { mail, from, to, .. } => {
                self.sent.insert(mail, (from, to, at));
                let own = !std::mem::take(&mut self.lie) || self.faulty.contains(&from);
                let signed = adversary.model.faults != Faults::Byzantine;
                legal(own || !signed, "nobody can sign for another")
            }
            What::Forged { .. } => {
                self.lie = true;
                legal(adversary.lies(), "no process lies")
            }
            What::Copied { mail, copy } => {
                if let Some(original) = self.sent.get(&mail).copied() {
                    self.sent.insert(copy, original);
                }
                legal(links.duplicate, "the network must not double mail")
            }
            What::Received { mail, .. } => self.received(at, mail),
            What::Lost { mail, why } => self.lost(mail, why),
            _ => Ok(()),
        }
    }

    fn may_fail(&self, node: NodeId) -> bool {
        self.adversary.model.faults == Faults::CrashRecovery || self.faulty.contains(&node)
    }

    fn received(&mut self, at: Instant, mail: MailId) -> Result<(), &'static str> {
        let Some((from, to, since)) = self.sent.remove(&mail) else {
            return Ok(());
        };
        let adversary = self.adversary;
        if adversary.is_timely() && at.since(since) > adversary.bound {
            return Err("mail takes longer than the bound");
        }
        let newest = self.newest.entry((from, to)).or_insert(mail);
        let overtaken = *newest > mail;
        *newest = (*newest).max(mail);
        match overtaken && !adversary.model.links.reorder {
            true => Err("mail must not be overtaken"),
            false => Ok(()),
        }
    }

    fn lost(&mut self, mail: MailId, why: Loss) -> Result<(), &'static str> {
        let Some((from, to, _)) = self.sent.remove(&mail) else {
            return Ok(());
        };
        let adversary = self.adversary;
        let omitted = (adversary.omits_sending() && self.faulty.contains(&from))
            || (adversary.omits_receiving() && self.faulty.contains(&to));
        match why {
            Loss::NobodyThere => Ok(()),
            Loss::Dropped | Loss::Cut if adversary.model.links.lose || omitted => Ok(()),
            Loss::Dropped | Loss::Cut => Err("the network must not lose mail"),
        }
    }
}
