//! A core of the cluster is healed, and must make progress.

use quorate_core::{Instant, NodeId, Protocol};
use quorate_problems::total_order::{Membership, TotalOrder};
use quorate_service::store::View;

use super::judge::Outcome;
use super::session::{Action, Client, Value};
use super::world::{MS, World};

/// How long a healed cluster may take until everything works again.
const CALM_MS: u64 = 120_000;

/// A key that only probers write.
const PROBED: u64 = 999_999;

impl<P: Protocol<Problem = TotalOrder>> World<P> {
    /// Heals a core and demands that it works: every member of it carries something out, all come to the
    /// same state, everything that was acknowledged is there, and the newest members are in force.
    pub(super) fn heal(&mut self) -> Outcome {
        self.quiet = true;
        self.want_nothing_more();
        let now = self.now();
        // Who has forgotten promises may need everybody to remember them.
        if self.machines.iter().any(|machine| machine.damaged) {
            self.settings.core = self.settings.members;
        }
        let core = self.core();
        self.network.heal(&core);
        self.leave_out(&core);
        // Whoever is heard, and has no room, keeps everybody from adding anything.
        self.machines
            .iter()
            .for_each(|machine| machine.disk.make_room());
        for &at in &core {
            self.resume(at);
            let machine = &mut self.machines[at];
            machine.disk.mend();
            machine.slow_disk = 0;
            machine.clock.set_rate(1_000_000, now);
            self.start(at)?;
            self.nudge(at);
        }
        // Those with damaged disks may all have forgotten promises. Spare machines have such disks too, and come to
        // be members, so they may be more than a minority.
        let outside: Vec<usize> = (0..self.machines.len())
            .filter(|&at| !core.contains(&at) || self.machines[at].damaged)
            .collect();
        if !self.can_do_without(&self.lists(), &outside) {
            self.summary.stuck = 1;
            return Ok(()); // Nobody can ask anything of what is left.
        }
        let deadline = Instant(now.0 + CALM_MS * MS);
        self.settle(deadline)?;
        let core = self.members_of(&core);
        let first = self.clients.len();
        for (number, &at) in core.iter().enumerate() {
            let mut client = Client::new((first + number) as u64, &self.settings);
            client.process = u64::MAX - number as u64;
            client.machine = at;
            self.clients.push(client);
        }
        // Each writes, and then reads every key: what was acknowledged must be there.
        self.probe(first, &core, deadline, |value| Action::Put(PROBED, value))?;
        for key in 0..self.settings.keys {
            self.probe(first, &core, deadline, |_| Action::Get(key))?;
        }
        while !self.is_calm(&core) {
            self.wait(50, deadline, "the healed core is not of one mind")?;
        }
        Ok(())
    }

    /// The machines that are healed: whoever takes part, or is about to, but for those whom the others can
    /// do without, the highest ids first, as many as the plan says.
    fn core(&self) -> Vec<usize> {
        let lists = self.lists();
        let takes_part = |id: NodeId| lists.iter().any(|list| list.contains(id));
        let machines = self.machines.iter().enumerate();
        let machines = machines.filter(|(_, machine)| takes_part(machine.id) && !machine.lost);
        let mut core: Vec<usize> = machines.map(|(at, _)| at).collect();
        let mut left_out = Vec::new();
        let spare = self.settings.members.saturating_sub(self.settings.core) as usize;
        for at in core.clone().into_iter().rev() {
            let without = [left_out.as_slice(), &[at]].concat();
            if left_out.len() < spare && self.can_do_without(&lists, &without) {
                left_out = without;
            }
        }
        core.retain(|at| !left_out.contains(at));
        core
    }

    /// Those of the core who are members now, and work.
    fn members_of(&self, core: &[usize]) -> Vec<usize> {
        let members = self.judge.newest_list();
        let works = |at: &&usize| {
            let machine = &self.machines[**at];
            machine.broken.is_none() && members.contains(machine.id)
        };
        core.iter().filter(works).copied().collect()
    }

    /// The newest list of members is in force.
    fn settle(&mut self, deadline: Instant) -> Outcome {
        while !self.has_changed() || !self.judge.follows() {
            self.wait(50, deadline, "the newest members are not in force")?;
        }
        Ok(())
    }

    fn wait(&mut self, ms: u64, deadline: Instant, what: &str) -> Outcome {
        if self.now() > deadline {
            return Err(format!("progress: {what}: {}", self.report()));
        }
        self.run_until(Instant(self.now().0 + ms * MS))
    }

    /// Those outside the core are down for good, or nothing gets through to them, or from them, or
    /// neither. A quorum's leader among them that only some of the core hear would be no fault of the
    /// core's. Who was removed may go on, and must do no harm.
    fn leave_out(&mut self, core: &[usize]) {
        let lists = self.lists();
        let takes_part = |id: NodeId| lists.iter().any(|list: &Membership| list.contains(id));
        for at in 0..self.machines.len() {
            let machine = &self.machines[at];
            if core.contains(&at) || machine.named.is_none() || machine.lost {
                continue;
            }
            if !takes_part(machine.id) && self.choice.choose(2) == 0 {
                continue;
            }
            let how = self.choice.choose(4);
            for &other in core {
                self.network.set_cut(other, at, how != 1);
                self.network.set_cut(at, other, how != 2);
            }
            if how == 0 {
                self.crash(at);
            }
        }
    }

    /// Every prober asks its machine, again and again until it is answered.
    fn probe(
        &mut self,
        first: usize,
        core: &[usize],
        deadline: Instant,
        action: impl Fn(Value) -> Action,
    ) -> Outcome {
        let mut asked: Vec<Option<usize>> = vec![None; core.len()];
        loop {
            let mut waits = false;
            for (place, &at) in core.iter().enumerate() {
                let done = asked[place].is_some_and(|operation| self.judge.is_answered(operation));
                if !done && self.clients[first + place].open.is_none() {
                    self.clients[first + place].machine = at;
                    let value = self.fresh_value();
                    asked[place] = Some(self.ask(first + place, action(value)));
                }
                waits |= !done;
            }
            if !waits {
                return Ok(());
            }
            self.wait(1, deadline, "the healed core answers nothing")?;
        }
    }

    /// Nothing is open, and all of the core are of one mind.
    fn is_calm(&self, core: &[usize]) -> bool {
        let views = core.iter().filter_map(|&at| self.process(at));
        let views: Vec<_> = views.map(|process| process.service.view()).collect();
        let calm = self.clients.iter().all(|client| client.open.is_none());
        let seen = core.iter().zip(&views).all(|(&at, view)| {
            let mut watchers = self.watchers[at].iter();
            watchers.all(|watcher| watcher.next() > view.revision())
        });
        let first = views.first().map(View::checkpoint);
        let alike = views.iter().all(|view| Some(view.checkpoint()) == first);
        // They all end, since nobody renews them any more.
        let leases = views.iter().any(|view| view.lease_count() > 0);
        calm && seen && !leases && views.len() == core.len() && alike
    }

    /// How everyone is.
    fn report(&self) -> String {
        let mut text = String::new();
        for machine in &self.machines {
            let state = match (&machine.process, &machine.broken) {
                (Some(process), _) => {
                    let applied = process.service.view().position();
                    let described = (self.describe)(process.node().protocol());
                    let lines = described.lines().map(|line| shortened(line.trim()));
                    let lines = lines.collect::<Vec<_>>().join("\n      ");
                    format!("{:?}, applied {applied}\n      {lines}", process.status())
                }
                (None, Some(reason)) => format!("broken: {reason}"),
                (None, None) if machine.lost => "lost".to_owned(),
                (None, None) => "down".to_owned(),
            };
            text += &format!("\n   {}: {state}", machine.id);
        }
        for list in self.lists() {
            text += &format!("\n   members: {list}");
        }
        text
    }
}

/// The beginning and the end of a line.
fn shortened(line: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    match chars.len() {
        ..=200 => line.to_owned(),
        len => {
            let (begin, end) = (chars[..120].iter(), chars[len - 60..].iter());
            format!(
                "{} ... {}",
                begin.collect::<String>(),
                end.collect::<String>()
            )
        }
    }
}
