//! The switches, and which of their combinations make sense.
//!
//! The slides divide strategies by three questions (who executes, when the client is answered, who takes
//! operations) and by how clients get in. Not every combination is possible, and some are senseless:
//! [`Config::refusal`] says which, and why.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use quorate_core::{Faults, Links, Model, NodeId, Timing};
use quorate_problems::replicated::{Machine, Nondeterminism, Operation};

use super::Flaw;

/// Crash-stop, reliable channels in order, bounds on time: the model of the primary-backup approach.
pub(super) const MODEL: Model = Model {
    faults: Faults::CrashStop,
    links: Links {
        lose: false,
        duplicate: false,
        reorder: false,
    },
    timing: Timing::Synchronous,
};

/// Declares a switch: its values, each with its name and a sentence.
macro_rules! switch {
    ($(#[$doc:meta])* $switch:ident { $($value:ident = $name:literal: $what:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $switch {
            $(#[doc = $what] $value,)+
        }

        impl $switch {
            /// All values.
            pub const ALL: &'static [$switch] = &[$($switch::$value),+];

            /// Its name in scripts and on command lines.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($switch::$value => $name,)+
                }
            }
        }

        impl core::str::FromStr for $switch {
            type Err = ();

            /// Reads its name.
            fn from_str(name: &str) -> Result<$switch, ()> {
                let mut all = $switch::ALL.iter().copied();
                all.find(|value| value.name() == name).ok_or(())
            }
        }
    };
}

switch! {
    /// Who executes an update.
    Execution {
        Active = "active": "Every replica executes it.",
        Passive = "passive": "One replica executes it and ships the result.",
    }
}

switch! {
    /// When the client is answered.
    Reply {
        Asynchronous = "asynchronous": "At once; the others are told later.",
        Sent = "sent": "As soon as the others were sent the update: enough where nothing that was sent is lost.",
        Synchronous = "synchronous": "When all replicas have the update.",
    }
}

switch! {
    /// Who takes updates.
    Masters {
        Single = "single": "One replica, the master.",
        Multi = "multi": "Every replica.",
    }
}

switch! {
    /// What keeps several masters from contradicting one another.
    Order {
        Free = "none": "Nothing: each executes what it is asked, and the others follow in any order.",
        Locks = "locks": "A lock that goes round: whoever has it is the only master for a moment.",
        Agreed = "agreed": "A sequencer numbers all updates, and everybody makes them in that order.",
    }
}

switch! {
    /// How clients get in.
    Access {
        Replica = "replica": "Each client speaks to one replica.",
        Proxy = "proxy": "All speak to a coordinating proxy, a process of its own.",
    }
}

switch! {
    /// Who answers reads. The slides of 2019 let all replicas do so, those of 2021 the master alone.
    Reads {
        Master = "master": "The master.",
        Any = "any": "Whoever is asked.",
    }
}

switch! {
    /// What a replica that executes takes clock and lots from.
    Source {
        Local = "local": "From its own machine.",
        Shipped = "shipped": "From whoever executed first, which ships what it found with the operation.",
    }
}

/// A strategy, and what else a process must be told to start.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Config {
    /// The replicas, in the order in which they become master.
    pub succession: Vec<NodeId>,
    /// The proxy, if clients speak to one.
    pub proxy: Option<NodeId>,
    /// The service.
    pub machine: Machine,
    /// Who executes.
    pub execution: Execution,
    /// When the client is answered.
    pub reply: Reply,
    /// Who takes updates.
    pub masters: Masters,
    /// What several masters do about it.
    pub order: Order,
    /// Who answers reads.
    pub reads: Reads,
    /// Where executions find the time and lots.
    pub source: Source,
    /// How often an update is sent again before its receiver is given up; 0 on reliable channels.
    pub resends: u32,
    /// Whether crashes are looked for, and somebody takes over.
    pub failover: bool,
    /// Whether updates are written down, to be made again after a restart: replication in time.
    pub log: bool,
    /// Whether to go on although the replicas will differ.
    pub told: bool,
    /// How often a replica says that it is alive (the period of the primary-backup approach).
    pub heartbeat: Duration,
    /// How long a message takes at most: delta.
    pub delay: Duration,
    /// How long an asynchronous master collects updates before it tells the others.
    pub propagate: Duration,
    /// How many calls may be under way at one process.
    pub window: usize,
    /// A bug to have, in tests and in the lab.
    pub flaw: Option<Flaw>,
}

impl Config {
    /// Passive, synchronous, one master, no proxy: primary and backups.
    #[must_use]
    pub fn new(members: impl Into<Vec<NodeId>>) -> Config {
        Config {
            succession: members.into(),
            proxy: None,
            machine: Machine::Arithmetic,
            execution: Execution::Passive,
            reply: Reply::Synchronous,
            masters: Masters::Single,
            order: Order::Free,
            reads: Reads::Master,
            source: Source::Local,
            resends: 0,
            failover: true,
            log: false,
            told: false,
            heartbeat: Duration::from_millis(50),
            delay: Duration::from_millis(20),
            propagate: Duration::from_millis(50),
            window: 64,
            flaw: None,
        }
    }

    /// Makes the last member the proxy.
    #[must_use]
    pub fn with_proxy(mut self) -> Config {
        self.proxy = self.succession.pop();
        self
    }

    /// Whether updates have numbers that all agree on.
    pub(super) fn is_ordered(&self) -> bool {
        self.masters == Masters::Single || self.order != Order::Free
    }

    /// After how long a silence a replica is given up: a period and the delay of its message, and a
    /// millisecond, since what arrives in the last moment has arrived.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.heartbeat * (self.resends + 1) + self.delay + Duration::from_millis(1)
    }

    /// The longest time without a master after a crash: the last sign of life may be under way for
    /// `delay`, and the silence begins when it arrives.
    #[must_use]
    pub fn failover_bound(&self) -> Duration {
        self.delay + self.silence()
    }

    /// Why this is no strategy, if it is none.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        if self.succession.is_empty() {
            return Some(Refusal::NoReplica);
        }
        let single = self.masters == Masters::Single;
        if single && self.order != Order::Free {
            return Some(Refusal::OrderOfOne(self.order));
        }
        if self.resends > 0 && !(single && self.reply == Reply::Synchronous) {
            return Some(Refusal::NobodyResends);
        }
        let chance = self.machine.nondeterminism();
        let executes_apart = self.execution == Execution::Active && self.source == Source::Local;
        if let (true, Some(found), false) = (executes_apart, chance, self.told) {
            return Some(Refusal::Nondeterministic(self.machine, found));
        }
        match (single, self.order) {
            (true, _) => None,
            (false, Order::Free) => self.refusal_without_order(),
            (false, order) if self.reply != Reply::Synchronous => {
                Some(Refusal::AnswerBeforeOrder(order))
            }
            (false, Order::Agreed) if self.execution == Execution::Passive => {
                Some(Refusal::OrderOfResults)
            }
            (false, Order::Locks | Order::Agreed) => None,
        }
    }

    fn refusal_without_order(&self) -> Option<Refusal> {
        if self.log {
            return Some(Refusal::LogWithoutOrder);
        }
        if self.told {
            return None;
        }
        let found = match self.execution {
            Execution::Active => {
                let conflict = self.machine.in_conflict();
                conflict.map(|(one, two)| Refusal::Conflict(self.machine, one, two))
            }
            Execution::Passive => {
                let update = self.machine.builds_on();
                update.map(|update| Refusal::Overwrites(self.machine, update))
            }
        };
        let synchronous = self.reply != Reply::Asynchronous;
        found.or(synchronous.then_some(Refusal::InversionWithoutOrder))
    }
}

/// Why a combination is no strategy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// A proxy alone.
    NoReplica,
    /// One master and an order besides.
    OrderOfOne(Order),
    /// Resending where it is not built.
    NobodyResends,
    /// Every replica executes what depends on where it is executed.
    Nondeterministic(Machine, Nondeterminism),
    /// Answers before the order is known.
    AnswerBeforeOrder(Order),
    /// Results in an agreed order.
    OrderOfResults,
    /// Updates do not commute, and there is no order.
    Conflict(Machine, Operation, Operation),
    /// Results of concurrent executions overwrite one another.
    Overwrites(Machine, Operation),
    /// Waiting for all without an order buys nothing.
    InversionWithoutOrder,
    /// A log of what has no order.
    LogWithoutOrder,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoReplica => write!(f, "a proxy needs at least one replica behind it"),
            Refusal::OrderOfOne(order) => write!(
                f,
                "one master orders by itself: order={} is for masters=multi",
                order.name()
            ),
            Refusal::NobodyResends => write!(
                f,
                "resends are for masters=single reply=synchronous: nobody else waits for an acknowledgement"
            ),
            Refusal::Nondeterministic(machine, found) => write!(
                f,
                "every replica would execute, and {} is not deterministic: {found}; \
                source=shipped, execution=passive, or told=yes to see the replicas differ",
                machine.name()
            ),
            Refusal::AnswerBeforeOrder(order) => write!(
                f,
                "the answer would come before the network is asked, and order={} must ask it first; \
                reply=synchronous, or order=none",
                order.name()
            ),
            Refusal::OrderOfResults => write!(
                f,
                "who ships results must have those of all before it, so an agreed order is a lock: order=locks, \
                or execution=active"
            ),
            Refusal::Conflict(machine, one, two) => write!(
                f,
                "without an order replicas differ: on {} the order of {one:?} and {two:?} matters; \
                order=agreed, order=locks, machine=counter, or told=yes to see it",
                machine.name()
            ),
            Refusal::Overwrites(machine, update) => write!(
                f,
                "without an order the result of one master overwrites that of another, and on {} {update:?} builds on \
                what was before; order=locks, machine=register, or told=yes to see it",
                machine.name()
            ),
            Refusal::InversionWithoutOrder => write!(
                f,
                "waiting for all without an order costs a round trip and still lets two clients see two updates in \
                two orders; order=agreed, order=locks, reply=asynchronous, or told=yes to see it"
            ),
            Refusal::LogWithoutOrder => {
                write!(f, "a log is replayed in order, and order=none has none")
            }
        }
    }
}

impl Config {
    /// The strategy in words, without what is the same for all.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = Vec::from([
            self.execution.name(),
            self.reply.name(),
            self.masters.name(),
        ]);
        if self.masters == Masters::Multi {
            words.push(self.order.name());
        }
        words.push(if self.proxy.is_some() {
            "proxy"
        } else {
            "replica"
        });
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    /// The four questions of the slides, with the order that lets a cell run if any does.
    #[test]
    fn each_of_the_sixteen_cells_runs_or_is_refused_with_a_reason() {
        let mut refused = Vec::new();
        for &execution in Execution::ALL {
            for reply in [Reply::Synchronous, Reply::Asynchronous] {
                for &masters in Masters::ALL {
                    for &access in Access::ALL {
                        let mut config = Config::new((1..=4).map(NodeId).collect::<Vec<_>>());
                        (config.execution, config.reply) = (execution, reply);
                        config.masters = masters;
                        if access == Access::Proxy {
                            config = config.with_proxy();
                        }
                        let orders: &[Order] = match masters {
                            Masters::Single => &[Order::Free],
                            Masters::Multi => Order::ALL,
                        };
                        let reasons = orders.iter().map(|&order| {
                            config.order = order;
                            config.refusal()
                        });
                        if let Some(reasons) = reasons.collect::<Option<Vec<_>>>() {
                            assert!(reasons.iter().all(|reason| !reason.to_string().is_empty()));
                            refused.push(config.words());
                        }
                    }
                }
            }
        }
        // Arithmetic does not commute: what answers before the network is asked must be refused.
        let words = refused.join("; ");
        assert_eq!(
            words,
            "active asynchronous multi agreed replica; active asynchronous multi agreed proxy; \
            passive asynchronous multi agreed replica; passive asynchronous multi agreed proxy"
        );
    }

    #[test]
    fn a_commuting_machine_and_an_overwriting_one_let_these_cells_run() {
        let mut config = Config::new([NodeId(1), NodeId(2)]);
        (config.masters, config.reply) = (Masters::Multi, Reply::Asynchronous);
        (config.execution, config.machine) = (Execution::Active, Machine::Counter);
        assert_eq!(config.refusal(), None);
        (config.execution, config.machine) = (Execution::Passive, Machine::Register);
        assert_eq!(config.refusal(), None);
        config.machine = Machine::Counter;
        let refusal = config.refusal().map(|refusal| format!("{refusal}"));
        let refusal = refusal.expect("sums overwrite one another");
        assert!(refusal.contains("on counter Add(1) builds on what was before"));
        config.told = true;
        assert_eq!(config.refusal(), None);
    }

    #[test]
    fn active_replication_of_what_depends_on_chance_is_refused_with_the_command() {
        let mut config = Config::new([NodeId(1), NodeId(2)]);
        (config.execution, config.machine) = (Execution::Active, Machine::Lottery);
        let refusal = config.refusal().map(|refusal| refusal.to_string());
        let refusal = refusal.expect("lots differ");
        assert!(
            refusal.contains("Draw answered Value(3), and Value(8) when only the random source")
        );
        config.source = Source::Shipped;
        assert_eq!(config.refusal(), None, "what was found travels with it");
        (config.source, config.execution) = (Source::Local, Execution::Passive);
        assert_eq!(config.refusal(), None, "only one executes");
    }
}
