//! Starting, and coming back: a replica that missed updates must not just go on.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_core::{Boot, Effects, NodeId};
use quorate_problems::replicated::{Output, State};

use super::{Config, Content, Flaw, Lock, Message, Record, Role, Snapshot, Strategies, Timer};

impl Strategies {
    /// A process starts, for the first time or again.
    pub(super) fn start(
        config: &Config,
        boot: Boot<'_, Strategies>,
        fx: &mut Effects<Strategies>,
    ) -> Strategies {
        let me = boot.me;
        let is_proxy = config.proxy == Some(me);
        let mut process = Strategies {
            me,
            role: if is_proxy { Role::Proxy } else { Role::Replica },
            state: State::default(),
            stamp: (0, me),
            number: 0,
            own: 0,
            made: BTreeMap::new(),
            epoch: 1,
            alive: config.succession.iter().copied().collect::<BTreeSet<_>>(),
            known: BTreeMap::new(),
            tasks: BTreeMap::new(),
            unsent: VecDeque::new(),
            unacknowledged: VecDeque::new(),
            attempts: 0,
            lock: Lock::default(),
            // Clocks are set differently, since nobody sets them.
            clock: u32::try_from(me.0 % 1000).unwrap_or(0) * 100,
            turn: 0,
            executions: 0,
            config: config.clone(),
        };
        for (_, record) in boot.records {
            process.restore(record, fx);
        }
        if !process.made.is_empty() {
            process.say_installed(fx);
        }
        process.known.insert(me, process.number);
        for &peer in &config.succession {
            process.listen_to(peer, fx);
        }
        let was_away = boot.incarnation > 1 && config.succession.len() > 1;
        if was_away && !is_proxy && !process.has(Flaw::Resume) {
            process.role = Role::Joining;
            if !config.failover {
                process.ask_for_everything(fx);
            }
        }
        process.say_alive(fx);
        process
    }

    /// Replication in time: what was made before is made again, with the outcomes that it had then.
    fn restore(&mut self, record: Record, fx: &mut Effects<Strategies>) {
        match record {
            Record::Made {
                update,
                result,
                state,
            } => {
                let again = match update.content {
                    Content::Execute { operation, .. } if self.has(Flaw::Replay) => {
                        let chance = self.chance(operation, fx);
                        Some(self.state.execute(operation, chance))
                    }
                    Content::Execute { .. } | Content::Adopt { .. } => None,
                };
                if again.is_none() {
                    self.state = state;
                }
                self.number = update.number;
                self.made.insert(update.id, again.unwrap_or(result));
            }
            Record::Installed(snapshot) => self.adopt(snapshot),
        }
    }

    fn adopt(&mut self, snapshot: Snapshot) {
        self.number = snapshot.number;
        self.state = snapshot.state;
        self.stamp = snapshot.stamp;
        self.made = snapshot.made.into_iter().collect();
    }

    fn say_installed(&self, fx: &mut Effects<Strategies>) {
        fx.output(Output::Installed {
            ids: self.made.keys().copied().collect(),
            digest: self.state.digest(),
        });
    }

    /// This replica was away, or was thought to be: it must be told everything before it goes on.
    pub(super) fn join(&mut self, epoch: u64, fx: &mut Effects<Strategies>) {
        self.role = Role::Joining;
        self.epoch = epoch;
        self.lock = Lock::default();
        self.unsent.clear();
        self.unacknowledged.clear();
        fx.stop_timer(Timer::Propagate);
        fx.stop_timer(Timer::Resend);
        self.ask_for_everything(fx);
    }

    pub(super) fn ask_for_everything(&self, fx: &mut Effects<Strategies>) {
        for &to in &self.config.succession {
            if to != self.me {
                fx.send(to, Message::Joining);
            }
        }
    }

    /// There is a later master.
    pub(super) fn on_deposed(&mut self, epoch: u64, fx: &mut Effects<Strategies>) {
        if epoch > self.epoch && self.role == Role::Replica {
            self.join(epoch, fx);
        }
    }

    /// A replica is back.
    pub(super) fn on_joining(&mut self, from: NodeId, fx: &mut Effects<Strategies>) {
        if self.role != Role::Replica {
            return;
        }
        self.listen_to(from, fx);
        // Whatever it held or led before is over.
        self.alive.remove(&from);
        self.take_back(from, fx);
        self.maybe_take_over(fx);
        if self.is_master() || !self.config.is_ordered() {
            self.alive.insert(from);
            self.known.insert(from, 0);
            self.tell_everything(from, fx);
        }
    }

    pub(super) fn tell_everything(&self, to: NodeId, fx: &mut Effects<Strategies>) {
        let snapshot = Snapshot {
            number: self.number,
            state: self.state,
            stamp: self.stamp,
            made: self
                .made
                .iter()
                .map(|(id, result)| (*id, *result))
                .collect(),
        };
        let epoch = self.epoch;
        fx.send(to, Message::Everything { epoch, snapshot });
    }

    /// A master that took over, or one that this replica asked, tells everything.
    pub(super) fn on_everything(
        &mut self,
        from: NodeId,
        epoch: u64,
        snapshot: Snapshot,
        fx: &mut Effects<Strategies>,
    ) {
        let ordered = self.config.is_ordered();
        if self.role == Role::Proxy || (!ordered && self.role != Role::Joining) {
            return;
        }
        if ordered && epoch < self.epoch {
            let epoch = self.epoch;
            return fx.send(from, Message::Deposed { epoch });
        }
        let came_back = self.role == Role::Joining;
        self.role = Role::Replica;
        self.epoch = epoch;
        self.lock = Lock::default();
        self.known.clear();
        self.alive.insert(from);
        self.alive.insert(self.me);
        if came_back {
            self.alive = self.config.succession.iter().copied().collect();
            for &peer in &self.config.succession {
                self.listen_to(peer, fx);
            }
        }
        let same = snapshot.number == self.number
            && snapshot.state == self.state
            && snapshot
                .made
                .iter()
                .map(|made| &made.0)
                .eq(self.made.keys());
        if !same {
            if self.config.log {
                fx.persist(Record::Installed(snapshot.clone()));
            }
            self.adopt(snapshot);
            self.say_installed(fx);
        }
        let number = self.number;
        self.known.insert(self.me, self.horizon());
        fx.send(from, Message::Have { epoch, number });
        self.begin_again(fx);
    }
}
