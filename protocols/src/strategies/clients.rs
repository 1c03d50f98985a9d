//! How clients get in, and when they are answered.

use alloc::vec::Vec;

use quorate_core::{Effects, NodeId};
use quorate_problems::replicated::{CallId, Operation, Outcome, Output};

use super::{Flaw, Masters, Message, Order, Reads, Reply, Role, Strategies};

/// A call that is under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Task {
    pub(super) operation: Operation,
    /// Who gets the answer: the client here, or another process.
    pub(super) client: NodeId,
    pub(super) stage: Stage,
}

/// How far it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Stage {
    /// Somebody else does it.
    Forwarded {
        /// Who.
        to: NodeId,
    },
    /// It waits for a lock or for its place in the order.
    Waiting,
    /// It is executed, and waits until others have everything through this number.
    Executed { number: u64, result: Outcome },
}

impl Strategies {
    /// A client here, or another process, asks for something.
    pub(super) fn serve(
        &mut self,
        id: CallId,
        operation: Operation,
        client: NodeId,
        fx: &mut Effects<Strategies>,
    ) {
        if self.role == Role::Joining {
            return; // It cannot know; the client asks again.
        }
        if let Some(task) = self.tasks.get_mut(&id) {
            task.client = client;
            match task.stage {
                // What was sent may be lost.
                Stage::Forwarded { to } => fx.send(to, Message::Asked { id, operation }),
                Stage::Waiting => self.line_up(id, operation, fx),
                Stage::Executed { .. } => {}
            }
            return;
        }
        if self.tasks.len() >= self.config.window {
            return; // The client asks again.
        }
        if self.role == Role::Proxy {
            let to = self.destination(operation);
            return self.forward(id, operation, client, to, fx);
        }
        if !self.config.machine.offers(operation) {
            return self.answer(id, client, Outcome::NotOffered, fx);
        }
        let single = self.config.masters == Masters::Single;
        if operation.is_read() {
            self.read(id, client, fx);
        } else if single && !self.is_master() {
            self.forward(id, operation, client, self.master(), fx);
        } else if let Some(&result) = self.made.get(&id) {
            // A client that asks again gets the answer that there was.
            let number = self.horizon();
            self.executed(id, operation, client, (number, result), fx);
        } else if single || self.config.order == Order::Free {
            self.execute_first(id, operation, client, fx);
        } else {
            let stage = Stage::Waiting;
            let task = Task {
                operation,
                client,
                stage,
            };
            self.tasks.insert(id, task);
            self.line_up(id, operation, fx);
        }
    }

    /// Updates of several masters wait for their place in the order, or for the lock.
    fn line_up(&mut self, id: CallId, operation: Operation, fx: &mut Effects<Strategies>) {
        match self.config.order {
            Order::Locks => fx.send(self.master(), Message::Wanted { id }),
            Order::Agreed if self.is_master() => self.execute(id, operation, self.me, fx),
            Order::Agreed => fx.send(self.master(), Message::Asked { id, operation }),
            Order::Free => {}
        }
    }

    fn read(&mut self, id: CallId, client: NodeId, fx: &mut Effects<Strategies>) {
        let operation = Operation::Read;
        let anywhere = self.config.reads == Reads::Any || !self.config.is_ordered();
        if !anywhere && !self.is_master() {
            return self.forward(id, operation, client, self.master(), fx);
        }
        let result = Outcome::Value(self.state.value);
        if anywhere || self.has(Flaw::EagerRead) {
            return self.answer(id, client, result, fx);
        }
        // What it shows must not vanish with this replica, so it waits like an update.
        self.executed(id, operation, client, (self.number, result), fx);
    }

    /// Whom a proxy asks.
    fn destination(&mut self, operation: Operation) -> NodeId {
        let ordered = self.config.is_ordered();
        let by_master = match operation.is_read() {
            true => ordered && self.config.reads == Reads::Master,
            false => self.config.masters == Masters::Single,
        };
        let count = self.alive.len();
        if by_master || count == 0 {
            return self.master();
        }
        self.turn += 1;
        let mut alive = self.alive.iter();
        let next = alive.nth(self.turn % count).copied();
        next.unwrap_or(self.master())
    }

    fn forward(
        &mut self,
        id: CallId,
        operation: Operation,
        client: NodeId,
        to: NodeId,
        fx: &mut Effects<Strategies>,
    ) {
        let stage = Stage::Forwarded { to };
        let task = Task {
            operation,
            client,
            stage,
        };
        self.tasks.insert(id, task);
        fx.send(to, Message::Asked { id, operation });
    }

    /// Another process asks.
    pub(super) fn on_asked(
        &mut self,
        from: NodeId,
        id: CallId,
        operation: Operation,
        fx: &mut Effects<Strategies>,
    ) {
        let orders = self.config.masters == Masters::Multi && self.config.order == Order::Agreed;
        let by_origin = orders && self.config.succession.contains(&from) && !operation.is_read();
        if by_origin && self.is_master() {
            if !self.made.contains_key(&id) {
                self.execute(id, operation, from, fx);
            }
            return; // Whoever asked is told like all others, and answers.
        }
        self.serve(id, operation, from, fx);
    }

    /// What was forwarded is done.
    pub(super) fn on_answered(
        &mut self,
        id: CallId,
        result: Outcome,
        fx: &mut Effects<Strategies>,
    ) {
        let task = self.tasks.get(&id);
        if let Some(client) = task.map(|task| task.client) {
            self.tasks.remove(&id);
            self.answer(id, client, result, fx);
        }
    }

    /// A call is executed; its client is answered as soon as the strategy allows.
    pub(super) fn executed(
        &mut self,
        id: CallId,
        operation: Operation,
        client: NodeId,
        (number, result): (u64, Outcome),
        fx: &mut Effects<Strategies>,
    ) {
        let stage = Stage::Executed { number, result };
        let task = Task {
            operation,
            client,
            stage,
        };
        self.tasks.insert(id, task);
        self.settle(fx);
    }

    /// Answers whatever may be answered by now.
    pub(super) fn settle(&mut self, fx: &mut Effects<Strategies>) {
        let due = |task: &Task| match task.stage {
            Stage::Executed { number, result } if self.is_due(number) => Some(result),
            Stage::Executed { .. } | Stage::Forwarded { .. } | Stage::Waiting => None,
        };
        let tasks = self.tasks.iter();
        let due: Vec<(CallId, Outcome)> = tasks
            .filter_map(|(id, task)| Some((*id, due(task)?)))
            .collect();
        for (id, result) in due {
            let Some(task) = self.tasks.remove(&id) else {
                continue;
            };
            self.answer(id, task.client, result, fx);
            let locked = self.config.masters == Masters::Multi && self.config.order == Order::Locks;
            if locked && !task.operation.is_read() {
                fx.send(self.master(), Message::Freed { id });
            }
        }
    }

    /// Whether enough replicas have everything through a number.
    fn is_due(&self, number: u64) -> bool {
        let has = |id: &NodeId| self.known.get(id).copied().unwrap_or(0) >= number;
        match self.config.reply {
            Reply::Asynchronous | Reply::Sent => !self.config.log || has(&self.me),
            Reply::Synchronous => self.alive.iter().all(has),
        }
    }

    fn answer(
        &mut self,
        id: CallId,
        client: NodeId,
        result: Outcome,
        fx: &mut Effects<Strategies>,
    ) {
        match client == self.me {
            true => fx.output(Output::Reply { id, result }),
            false => fx.send(client, Message::Answered { id, result }),
        }
    }

    /// Things have changed: everything that is under way begins again, where it belongs now.
    pub(super) fn begin_again(&mut self, fx: &mut Effects<Strategies>) {
        for (id, task) in core::mem::take(&mut self.tasks) {
            self.serve(id, task.operation, task.client, fx);
        }
    }
}
