//! View changes (paper 4.2, 5.3): how the next primary finds the log that the view begins with.
//!
//! Whoever sends DoViewChange takes no part in earlier views any more. Of a quorum of such promises, the
//! log of the latest view in which anybody's status was normal, and of these the longest, has
//! everything that may have been committed: that is where the new view begins. Promises carry no logs
//! but their ends; the new primary fetches what it lacks (5.3).

use alloc::collections::BTreeMap;

use quorate_core::{Effects, NodeId};

use crate::log::{Content, Epoch as View, Index, Position};

use super::message::{Message, Record, Timer};
use super::primary::Primary;
use super::role::Role;
use super::{Crashes, Flaw, Viewstamped};

/// What a replica knows in status view-change.
#[derive(Clone, Default, Hash, Debug)]
pub(super) struct Change {
    /// Whether the view has begun already, without this replica: then it only needs the log.
    pub(super) begun: bool,
    /// The next primary: who has promised.
    promises: BTreeMap<NodeId, Promise>,
    /// The next primary: the log that the view begins with.
    pub(super) chosen: Option<Chosen>,
    /// Whether the next primary has been sent a checkpoint.
    pub(super) offered: bool,
}

#[derive(Clone, Copy, Hash, Debug)]
struct Promise {
    /// The log is of this view,
    normal: View,
    /// and ends here.
    last: Position,
    commit: Index,
    /// In which incarnation the sender had recovered last, when it promised.
    recovered: u64,
}

/// The log that a view begins with.
#[derive(Clone, Copy, Hash, Debug)]
pub(super) struct Chosen {
    /// Who has it.
    pub(super) node: NodeId,
    /// Which view it is of.
    pub(super) normal: View,
    /// Where it ends.
    pub(super) last: Position,
    /// How much of it is known to be committed.
    commit: Index,
}

impl Viewstamped {
    /// Enters a view that has not begun, and promises to take no part in any before it.
    pub(super) fn change_view(&mut self, view: View, fx: &mut Effects<Viewstamped>) {
        self.enter(view, fx);
        self.do_view_change(fx);
    }

    /// Enters a later view, without its log.
    pub(super) fn enter(&mut self, view: View, fx: &mut Effects<Viewstamped>) {
        assert!(view > self.view, "views never decrease");
        self.view = view;
        self.persist(Record::View(view), fx);
        self.suspicion.suspects = false;
        self.suspicion.wanted = self.suspicion.wanted.max(view);
        self.suspicion.support.retain(|_, wanted| *wanted > view);
        self.await_view(fx);
    }

    /// Waits for the view's log.
    pub(super) fn await_view(&mut self, fx: &mut Effects<Viewstamped>) {
        self.role = Role::Changing(Change::default());
        self.asked = false;
        for timer in [Timer::Heartbeat, Timer::CheckQuorum, Timer::Transfer] {
            fx.stop_timer(timer);
        }
        let timeout = self.config.view_timeout;
        fx.set_timer(Timer::Silence, timeout..timeout * 2);
        self.await_repeat(fx);
        self.tell_leader(fx);
    }

    /// Step 2, sent to the primary of the view, which may be this replica: its own promise is mail too.
    pub(super) fn do_view_change(&self, fx: &mut Effects<Viewstamped>) {
        if !self.is_voter() {
            return;
        }
        fx.send(
            self.replicas.primary(self.view),
            Message::DoViewChange {
                view: self.view,
                commit: self.commit,
                crashes: self.crashes.clone(),
                normal: self.normal,
                last: self.log.last(),
            },
        );
        self.leak(Flaw::ForgottenView, fx);
    }

    /// The next primary, step 3.
    pub(super) fn on_do_view_change(
        &mut self,
        from: NodeId,
        normal: View,
        last: Position,
        commit: Index,
        crashes: &Crashes,
        fx: &mut Effects<Viewstamped>,
    ) {
        if self.replicas.primary(self.view) != self.me {
            return;
        }
        match &mut self.role {
            // A view begins once: who has been its primary and has restarted waits for the next.
            Role::Changing(change) if self.normal < self.view => {
                let promise = Promise {
                    normal,
                    last,
                    commit,
                    recovered: crashes.of(from),
                };
                change.promises.insert(from, promise);
                self.learn(crashes, fx);
                self.maybe_choose(fx);
            }
            // It has missed the beginning.
            Role::Primary(_) if from != self.me => self.send_start_view(from, fx),
            Role::Changing(_)
            | Role::Primary(_)
            | Role::Starting
            | Role::Backup
            | Role::Recovering(_)
            | Role::Transitioning(_)
            | Role::Outside { .. } => {}
        }
    }

    /// A quorum has promised: "it selects as the new log the one contained in the message with the
    /// largest v'; if several messages have the same v' it selects the one among them with the
    /// largest n".
    fn maybe_choose(&mut self, fx: &mut Effects<Viewstamped>) {
        let any = self.has(Flaw::OldPromises);
        let by_length = self.has(Flaw::LongestLog);
        let Role::Changing(change) = &mut self.role else {
            return;
        };
        let crashes = &self.crashes;
        let counts = |id: NodeId, promise: &Promise| any || promise.recovered >= crashes.of(id);
        let promised = |id| change.promises.get(&id).is_some_and(|one| counts(id, one));
        if change.chosen.is_some() || !self.replicas.is_quorum(promised) {
            return;
        }
        let valid = change.promises.iter().filter(|(id, one)| counts(**id, one));
        let commit = valid.clone().map(|(_, one)| one.commit).max();
        let me = self.me;
        let best = valid.max_by_key(|(id, one)| {
            let normal = if by_length { View(0) } else { one.normal };
            (normal, one.last.index, **id == me)
        });
        let (&node, best) = best.expect("a quorum is not empty");
        change.chosen = Some(Chosen {
            node,
            normal: best.normal,
            last: best.last,
            commit: commit.unwrap_or_default(),
        });
        if self.log.matches(best.last) {
            self.start_view(fx);
        } else {
            self.ask_state(fx);
        }
    }

    /// The next primary, step 4: it has the log that it chose.
    pub(super) fn start_view(&mut self, fx: &mut Effects<Viewstamped>) {
        if let Role::Changing(Change {
            chosen: Some(chosen),
            ..
        }) = &self.role
        {
            let (last, commit) = (chosen.last.index, chosen.commit);
            self.cut(last);
            self.deliver_through(commit, fx);
        }
        self.mark_normal(fx);
        self.role = Role::Starting;
        fx.stop_timer(Timer::Silence);
        fx.stop_timer(Timer::Repeat);
        for id in self.epoch.members.iter() {
            self.send_start_view(id, fx);
        }
        self.tell_leader(fx);
    }

    /// Held, also to itself: nobody must hear of a view that its primary could begin once more.
    fn send_start_view(&self, to: NodeId, fx: &mut Effects<Viewstamped>) {
        fx.send(
            to,
            Message::StartView {
                view: self.view,
                last: self.log.last(),
                commit: self.commit,
            },
        );
    }

    /// Steps 4 and 5: the view begins.
    pub(super) fn on_start_view(
        &mut self,
        from: NodeId,
        last: Position,
        commit: Index,
        fx: &mut Effects<Viewstamped>,
    ) {
        match self.role {
            Role::Starting if from == self.me => self.become_primary(fx),
            Role::Changing(_) if from != self.me && self.log.matches(last) => {
                // A late one may be overtaken by a transfer of what was committed in the view since.
                self.become_backup(last.index.max(self.commit), fx);
                self.acknowledge(fx);
                self.deliver_through(commit, fx);
            }
            Role::Changing(_) | Role::Backup => {
                self.hear(from, fx);
            }
            Role::Starting
            | Role::Primary(_)
            | Role::Recovering(_)
            | Role::Transitioning(_)
            | Role::Outside { .. } => {}
        }
    }

    fn become_primary(&mut self, fx: &mut Effects<Viewstamped>) {
        assert_eq!(self.normal, self.view, "the log is that of the view");
        let (view, op) = (self.view, self.log.last().index);
        self.role = Role::Primary(Primary::new(&self.epoch.members, op));
        self.trust(fx);
        let (heartbeat, timeout) = (self.config.heartbeat, self.config.view_timeout);
        fx.set_timer(Timer::Heartbeat, heartbeat..heartbeat);
        fx.set_timer(Timer::CheckQuorum, timeout..timeout);
        fx.send(self.me, Message::PrepareOk { view, op });
        self.tell_leader(fx);
        if self.epoch.number() > 0 && op == self.epoch.start.index {
            // Once this is committed, a quorum of the epoch has what all epochs before have committed.
            self.append(Content::Noop, fx);
        }
    }

    /// Status normal: the log through `last` is the view's, and what was behind it here is not.
    pub(super) fn become_backup(&mut self, last: Index, fx: &mut Effects<Viewstamped>) {
        self.cut(last);
        self.mark_normal(fx);
        self.role = Role::Backup;
        self.asked = false;
        self.trust(fx);
        fx.stop_timer(Timer::Repeat);
        let timeout = self.config.view_timeout;
        fx.set_timer(Timer::Silence, timeout..timeout);
        self.tell_leader(fx);
    }

    fn mark_normal(&mut self, fx: &mut Effects<Viewstamped>) {
        self.normal = self.view;
        let (view, last) = (self.view, self.log.last().index);
        self.persist(Record::Normal { view, last }, fx);
    }

    /// Drops what is behind `last`. The record that follows says so too.
    pub(super) fn cut(&mut self, last: Index) {
        if last < self.log.last().index {
            assert!(last >= self.commit, "what is committed stays");
            self.log.truncate(last.next());
        }
    }

    /// Who recovered when, as far as somebody else knows.
    pub(super) fn learn(&mut self, crashes: &Crashes, fx: &mut Effects<Viewstamped>) {
        for (node, incarnation) in crashes.iter() {
            if self.crashes.learn(node, incarnation) {
                self.persist(Record::Recovered { node, incarnation }, fx);
            }
        }
    }
}
