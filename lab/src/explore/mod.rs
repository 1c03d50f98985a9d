//! A person drives: what can happen next, one step, a step back, and the path as a script.

mod dialog;
#[cfg(test)]
mod tests;

use quorate_core::{NodeId, Protocol};
use quorate_problems::Workload;
use quorate_sim::script::{self, Session};
use quorate_sim::trace::{MailId, What};
use quorate_sim::{Suite, World};

use crate::draw::Diagram;
use crate::scenes::Ask;
use crate::scenes::tell::tell;

pub use dialog::{Ended, dialog};

/// A world and the commands that led to it.
pub struct Explorer<'a, P: Protocol>
where
    P::Problem: Workload,
{
    suite: &'a Suite<P>,
    session: Session<'a, P>,
    path: Vec<String>,
    /// The requests that are offered.
    asks: &'a [Ask],
    title: String,
    epoch: String,
}

/// Something that can happen next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// What kind of thing it is.
    pub group: &'static str,
    /// The command that makes it happen.
    pub command: String,
    /// More about it.
    pub about: String,
}

impl<'a, P: Protocol> Explorer<'a, P>
where
    P::Problem: Workload,
{
    /// A world after these commands, the first of which is `cluster`. `asks` are the requests
    /// that are worth offering.
    ///
    /// # Errors
    /// The number of the command that makes no sense, counted from 1, and why.
    pub fn new(
        suite: &'a Suite<P>,
        commands: Vec<String>,
        asks: &'a [Ask],
    ) -> Result<Explorer<'a, P>, (usize, String)> {
        let mut explorer = Explorer {
            suite,
            session: Session::new(suite),
            path: Vec::new(),
            asks,
            title: String::new(),
            epoch: String::new(),
        };
        for (at, command) in commands.iter().enumerate() {
            explorer.take(command).map_err(|reason| (at + 1, reason))?;
        }
        Ok(explorer)
    }

    /// What pictures say about themselves.
    pub fn entitle(&mut self, title: &str, epoch: &str) {
        self.title = title.to_string();
        self.epoch = epoch.to_string();
    }

    /// Lets a command of a script happen, and answers what came of it.
    ///
    /// # Errors
    /// What makes no sense about it, in which case nothing has happened.
    pub fn take(&mut self, command: &str) -> Result<Vec<String>, String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let news = self.session.command(&words)?;
        self.path.push(words.join(" "));
        Ok(news)
    }

    /// Goes so many commands back. The first, which made the world, stays.
    ///
    /// # Errors
    /// If there are not so many.
    pub fn back(&mut self, steps: usize) -> Result<(), String> {
        let behind = self.path.len().saturating_sub(1);
        if steps > behind {
            return Err(format!("there are only {behind} steps to go back"));
        }
        self.path.truncate(self.path.len() - steps);
        // Nothing is decided by chance, so the same commands lead to the same world.
        let mut session = Session::new(self.suite);
        for command in &self.path {
            let words: Vec<&str> = command.split_whitespace().collect();
            session
                .command(&words)
                .expect("what happened once can happen again");
        }
        self.session = session;
        Ok(())
    }

    /// The promises that were broken on the way.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        self.session.violations()
    }

    /// The path as a script, with what it leaves: a golden script as it is.
    ///
    /// # Panics
    /// If the path is no script, which cannot be.
    #[must_use]
    pub fn script(&self) -> String {
        let commands = format!("{}\n----\n", self.path.join("\n"));
        script::run(self.suite, &commands).expect("what happened once can happen again")
    }

    /// The path as a picture.
    ///
    /// # Panics
    /// If the path is no script, which cannot be.
    #[must_use]
    pub fn diagram(&self) -> Diagram {
        let told = tell(self.suite, &self.path.join("\n"), 1);
        let mut told = told.expect("what happened once can happen again");
        let mut recording = told.pop().map(|told| told.recording).unwrap_or_default();
        recording.title.clone_from(&self.title);
        recording.epoch.clone_from(&self.epoch);
        Diagram::of(&recording)
    }

    /// Everything that can happen next, as far as it can be listed.
    #[must_use]
    pub fn choices(&self) -> Vec<Choice> {
        let Some(world) = self.session.world() else {
            return Vec::new();
        };
        let mut choices = mail(world);
        let members: Vec<NodeId> = world.members().collect();
        for &id in &members {
            let Some(replica) = world.replica(id) else {
                continue;
            };
            let frames = replica.gate().written().0 - replica.gate().synced().0;
            if frames > 0 {
                let about = match frames {
                    1 => "1 frame becomes durable".to_string(),
                    frames => format!("{frames} frames become durable"),
                };
                choices.push(choice("disks", format!("sync {id}"), about));
            }
        }
        for &id in &members {
            for (timer, _) in world
                .replica(id)
                .iter()
                .flat_map(|node| node.timers().iter())
            {
                let command = format!("fire {id} {timer:?}");
                choices.push(choice("timers", command, String::new()));
            }
        }
        choices.extend(self.requests(world));
        for &id in &members {
            let verb = if world.replica(id).is_some() {
                "crash"
            } else {
                "restart"
            };
            choices.push(choice("machines", format!("{verb} {id}"), String::new()));
        }
        choices
    }

    /// Requests, those that only a leader can do much about to whoever leads, or else to the first that
    /// is up.
    fn requests(&self, world: &World<P>) -> Vec<Choice> {
        let up: Vec<NodeId> = world
            .members()
            .filter(|&id| world.replica(id).is_some())
            .collect();
        let leads = |id: &&NodeId| {
            let replica = world.replica(**id);
            replica.is_some_and(|replica| replica.status().leader == Some(**id))
        };
        let leader = up.iter().find(leads).or(up.first());
        let mut choices = Vec::new();
        for ask in self.asks {
            let whom = match ask.of_all {
                true => up.as_slice(),
                false => leader.map_or(&[][..], std::slice::from_ref),
            };
            for (place, id) in whom.iter().enumerate() {
                let command = self.request(ask, *id, place);
                choices.push(choice("requests", command, String::new()));
            }
        }
        choices
    }

    /// A request in the words of a script. `place` tells it from what is offered at others.
    fn request(&self, ask: &Ask, whom: NodeId, place: usize) -> String {
        let (verb, rest) = ask.words.split_once(' ').unwrap_or((ask.words, ""));
        let mut asked = self.path.iter();
        let of_this_kind = |line: &&String| line.split(' ').next() == Some(verb);
        let count = asked.by_ref().filter(of_this_kind).count();
        let fresh = format!("\"{}\"", letter(count + place));
        let words = format!("{verb} {whom} {}", rest.replace('*', &fresh));
        words.trim_end().to_string()
    }
}

/// All mail under way, oldest first.
fn mail<P: Protocol>(world: &World<P>) -> Vec<Choice>
where
    P::Problem: Workload,
{
    let flying = world.flying().iter().enumerate();
    let choices = flying.map(|(at, mail)| {
        let command = format!("deliver {}", world.selector(at));
        choice("mail", command, text(world, mail.id))
    });
    choices.collect()
}

/// What a piece of mail says.
fn text<P: Protocol>(world: &World<P>, mail: MailId) -> String
where
    P::Problem: Workload,
{
    let mut wanted = mail;
    let events = world.trace().map_or(&[][..], |trace| &trace.events);
    for event in events.iter().rev() {
        match &event.what {
            What::Copied { mail, copy } if *copy == wanted => wanted = *mail,
            What::Sent { mail, text, .. } if *mail == wanted => return text.clone(),
            _ => {}
        }
    }
    String::new()
}

fn choice(group: &'static str, command: String, about: String) -> Choice {
    Choice {
        group,
        command,
        about,
    }
}

/// a, b, c and so on; then a1, b1.
fn letter(at: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(at % 26).expect("there are 26 letters"));
    match at / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}
