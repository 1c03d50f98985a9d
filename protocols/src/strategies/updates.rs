//! Updates: executed first somewhere, shipped, and made everywhere.

use quorate_core::{Effects, NodeId};
use quorate_problems::replicated::{CallId, Chance, Operation, Outcome, Output};

use super::clients::{Stage, Task};
use super::{
    Content, Execution, Flaw, Message, Record, Reply, Role, Source, Strategies, Timer, Update,
};

impl Strategies {
    /// Executes an update for a client, before anybody else does.
    pub(super) fn execute_first(
        &mut self,
        id: CallId,
        operation: Operation,
        client: NodeId,
        fx: &mut Effects<Strategies>,
    ) {
        let task = Task {
            operation,
            client,
            stage: Stage::Waiting,
        };
        self.tasks.insert(id, task);
        self.execute(id, operation, self.me, fx);
    }

    /// Executes an update as the next one, and tells the others. `origin` answers its client.
    pub(super) fn execute(
        &mut self,
        id: CallId,
        operation: Operation,
        origin: NodeId,
        fx: &mut Effects<Strategies>,
    ) {
        let chance = self.chance(operation, fx);
        let result = self.run(operation, chance);
        self.stamp = (self.stamp.0 + 1, self.me);
        self.own += 1;
        let content = match self.config.execution {
            Execution::Active => Content::Execute { operation, chance },
            Execution::Passive => Content::Adopt {
                state: self.state,
                result,
                stamp: self.stamp.0,
            },
        };
        let number = match self.config.is_ordered() {
            true => self.number + 1,
            false => self.own,
        };
        let update = Update {
            number,
            origin,
            id,
            content,
        };
        self.keep(&update, result, fx);
        match self.config.reply {
            Reply::Asynchronous => self.remember(update, fx),
            Reply::Sent | Reply::Synchronous => self.ship(update, fx),
        }
        self.own_task_executed(id, number, result, fx);
    }

    /// If a client waits here for that update, it is one step further.
    fn own_task_executed(
        &mut self,
        id: CallId,
        number: u64,
        result: Outcome,
        fx: &mut Effects<Strategies>,
    ) {
        if let Some(task) = self.tasks.get_mut(&id) {
            task.stage = Stage::Executed { number, result };
        }
        self.settle(fx);
    }

    fn run(&mut self, operation: Operation, chance: Chance) -> Outcome {
        self.executions += 1;
        self.state.execute(operation, chance)
    }

    /// What clock and lots give here, for operations that ask them.
    pub(super) fn chance(&mut self, operation: Operation, fx: &mut Effects<Strategies>) -> Chance {
        /// Few, since a checker tries them all.
        const LOTS: u32 = 6;
        match operation {
            Operation::Draw => Chance {
                clock: self.clock,
                lot: 1 + fx.choose(LOTS),
            },
            Operation::Stamp => Chance {
                clock: self.clock,
                lot: 0,
            },
            Operation::Read
            | Operation::Write(_)
            | Operation::Add(_)
            | Operation::Multiply(_)
            | Operation::Buy => Chance::default(),
        }
    }

    /// The local clock goes on. It counts what happens here, so no two agree.
    pub(super) fn tick(&mut self) {
        if self.config.machine.nondeterminism().is_some() {
            self.clock = self.clock.wrapping_add(1);
        }
    }

    /// The state contains an update: remembers it, writes it down, says so.
    fn keep(&mut self, update: &Update, result: Outcome, fx: &mut Effects<Strategies>) {
        self.number = match self.config.is_ordered() {
            true => update.number,
            false => self.number + 1,
        };
        self.made.insert(update.id, result);
        fx.output(Output::Updated {
            id: update.id,
            updates: self.made.len() as u64,
            digest: self.state.digest(),
        });
        let (me, epoch) = (self.me, self.epoch);
        let number = self.horizon();
        if self.config.log {
            let (update, state) = (update.clone(), self.state);
            fx.persist(Record::Made {
                update,
                result,
                state,
            });
            // Its own copy counts once it is on disk.
            fx.send(me, Message::Have { epoch, number });
        } else {
            self.known.insert(me, number);
        }
    }

    /// The number that whoever waits here waits for.
    pub(super) fn horizon(&self) -> u64 {
        match self.config.is_ordered() {
            true => self.number,
            false => self.own,
        }
    }

    /// The client was answered; the others are told later.
    fn remember(&mut self, update: Update, fx: &mut Effects<Strategies>) {
        if self.unsent.is_empty() {
            let after = self.config.propagate;
            fx.set_timer(Timer::Propagate, after..after);
        }
        self.unsent.push_back(update);
        if self.unsent.len() >= self.config.window {
            self.propagate(fx);
        }
    }

    /// The others are told of what was answered before.
    pub(super) fn propagate(&mut self, fx: &mut Effects<Strategies>) {
        for update in core::mem::take(&mut self.unsent) {
            self.ship(update, fx);
        }
    }

    fn ship(&mut self, update: Update, fx: &mut Effects<Strategies>) {
        let epoch = self.epoch;
        for &to in &self.config.succession {
            if to != self.me {
                let update = update.clone();
                fx.send(to, Message::Made { epoch, update });
            }
        }
        if self.config.resends > 0 {
            if self.unacknowledged.is_empty() {
                self.attempts = 0;
                self.wait_for_acknowledgements(fx);
            }
            self.unacknowledged.push_back(update);
        }
    }

    fn wait_for_acknowledgements(&mut self, fx: &mut Effects<Strategies>) {
        // There and back.
        let after = self.config.delay * 2 + core::time::Duration::from_millis(1);
        fx.set_timer(Timer::Resend, after..after);
    }

    /// A message that may be lost is sent again, a bounded number of times: whoever has not answered then
    /// is down, since the channel does not lose so many in a row.
    pub(super) fn resend(&mut self, fx: &mut Effects<Strategies>) {
        if !self.is_master() {
            return;
        }
        self.attempts += 1;
        let behind = |id: &&NodeId| self.known.get(*id).copied().unwrap_or(0) < self.number;
        let alive = self.alive.iter().filter(|id| **id != self.me);
        let lagging: alloc::vec::Vec<NodeId> = alive.filter(behind).copied().collect();
        for &to in &lagging {
            if self.attempts > self.config.resends {
                self.alive.remove(&to);
                continue;
            }
            let known = self.known.get(&to).copied().unwrap_or(0);
            let first = self.unacknowledged.front().map(|update| update.number);
            if first.is_none_or(|first| first > known + 1) {
                self.tell_everything(to, fx);
                continue;
            }
            for update in self.unacknowledged.iter().filter(|u| u.number > known) {
                let (epoch, update) = (self.epoch, update.clone());
                fx.send(to, Message::Made { epoch, update });
            }
        }
        self.forget_acknowledged(fx);
        self.settle(fx);
        if !lagging.is_empty() && self.attempts <= self.config.resends {
            self.wait_for_acknowledgements(fx);
        }
    }

    /// Another replica executed an update.
    pub(super) fn on_made(
        &mut self,
        from: NodeId,
        epoch: u64,
        update: &Update,
        fx: &mut Effects<Strategies>,
    ) {
        if self.role != Role::Replica {
            return;
        }
        let ordered = self.config.is_ordered();
        if ordered && epoch > self.epoch {
            return self.join(epoch, fx); // It missed that somebody took over.
        }
        if ordered && epoch < self.epoch && !self.has(Flaw::Unfenced) {
            // Fenced: whoever sends this was replaced, and its clients must not be told that it is done.
            let epoch = self.epoch;
            return fx.send(from, Message::Deposed { epoch });
        }
        if self.is_missing_some(update) {
            if self.config.resends == 0 {
                let epoch = self.epoch;
                self.join(epoch, fx);
            }
            return; // It will be sent again, in order.
        }
        let is_next = match ordered {
            true => update.number > self.number,
            false => !self.made.contains_key(&update.id),
        };
        if is_next {
            let result = self.make(update, fx);
            self.keep(update, result, fx);
            let task = self.tasks.get(&update.id);
            if task.is_some_and(|task| task.stage == Stage::Waiting) {
                self.own_task_executed(update.id, update.number, result, fx);
            }
        }
        // Whoever sends it has it.
        if ordered && epoch == self.epoch {
            self.on_have(from, epoch, update.number, fx);
        }
        self.acknowledge(from, epoch, update, fx);
    }

    /// Whether an update comes too early in the order.
    fn is_missing_some(&mut self, update: &Update) -> bool {
        let missing = self.config.is_ordered() && update.number > self.number + 1;
        if missing && self.has(Flaw::Resume) {
            self.number = update.number - 1;
            return false;
        }
        missing
    }

    /// Makes an update that another replica executed first.
    fn make(&mut self, update: &Update, fx: &mut Effects<Strategies>) -> Outcome {
        match update.content {
            Content::Execute { operation, chance } => {
                let chance = match self.config.source {
                    Source::Local => self.chance(operation, fx),
                    Source::Shipped => chance,
                };
                self.run(operation, chance)
            }
            Content::Adopt {
                state,
                result,
                stamp,
            } => {
                let stamp = (stamp, update.origin);
                // In an order the next is the latest; without one, the latest stamp wins.
                if self.config.is_ordered() || stamp > self.stamp {
                    (self.state, self.stamp) = (state, stamp);
                }
                result
            }
        }
    }

    /// Tells those who wait that the update is made.
    fn acknowledge(
        &mut self,
        from: NodeId,
        epoch: u64,
        update: &Update,
        fx: &mut Effects<Strategies>,
    ) {
        if self.config.reply != Reply::Synchronous {
            return; // Nobody waits.
        }
        if !self.config.is_ordered() {
            let number = update.number;
            return fx.send(from, Message::Have { epoch, number });
        }
        let number = self.number;
        let waiting = [from, update.origin, self.master()];
        for (at, &to) in waiting.iter().enumerate() {
            if to != self.me && !waiting[..at].contains(&to) {
                fx.send(to, Message::Have { epoch, number });
            }
        }
    }

    /// A replica has everything through a number.
    pub(super) fn on_have(
        &mut self,
        from: NodeId,
        epoch: u64,
        number: u64,
        fx: &mut Effects<Strategies>,
    ) {
        if self.config.is_ordered() && epoch != self.epoch {
            return; // Numbers of another epoch may be other updates.
        }
        let known = self.known.entry(from).or_default();
        *known = number.max(*known);
        self.forget_acknowledged(fx);
        self.settle(fx);
    }

    /// What all have need not be sent again.
    fn forget_acknowledged(&mut self, fx: &mut Effects<Strategies>) {
        let others = self.alive.iter().filter(|id| **id != self.me);
        let known = others.map(|id| self.known.get(id).copied().unwrap_or(0));
        let all = known.min().unwrap_or(self.number);
        let before = self.unacknowledged.len();
        self.unacknowledged.retain(|update| update.number > all);
        if before > 0 && self.unacknowledged.is_empty() && all >= self.number {
            fx.stop_timer(Timer::Resend);
        } else if self.unacknowledged.len() < before {
            self.attempts = 0;
        }
    }
}
