//! A tiny protocol for tests of the checker: the first payload that a replica hears of is the one at
//! position 1, and whenever a timer says so it tells a peer of its choice.

use quorate_check::world::{Names, Symmetry};
use quorate_core::{
    Boot, Effects, Faults, Links, Malformed, Model, NodeId, Payload, Protocol, Reader, Status,
    Timing, Wire,
};
use quorate_problems::total_order::{Output, Request, TotalOrder};
use std::time::Duration;

#[derive(Clone, Hash, Debug)]
pub(crate) struct Config {
    pub(crate) members: Vec<NodeId>,
    /// Only this replica takes requests; without one everybody does.
    pub(crate) source: Option<NodeId>,
    /// A planted bug: rumours leave before the replica can no longer forget them.
    pub(crate) early: bool,
    /// Another: who has told somebody tells nobody else.
    pub(crate) gives_up: bool,
}

#[derive(Clone, Hash, Debug)]
pub(crate) struct Gossip {
    me: NodeId,
    config: Config,
    heard: Option<Payload>,
}

#[derive(Clone, Debug)]
pub(crate) struct Rumour(Payload);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Timer {
    Tell,
}

impl Wire for Rumour {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Rumour, Malformed> {
        Payload::decode(input).map(Rumour)
    }
}

impl Gossip {
    fn hear(&mut self, payload: Payload, fx: &mut Effects<Gossip>) {
        if self.heard.is_some() {
            return;
        }
        fx.persist(Rumour(payload.clone()));
        self.heard = Some(payload.clone());
        // Delivered once it is durable: it comes back as mail then.
        fx.send(self.me, Rumour(payload));
        fx.set_timer(Timer::Tell, Duration::ZERO..Duration::from_millis(5));
    }
}

impl Protocol for Gossip {
    type Problem = TotalOrder;
    type Config = Config;
    type Message = Rumour;
    type Timer = Timer;
    type Record = Rumour;

    const MODEL: Model = Model {
        faults: Faults::CrashRecovery,
        links: Links {
            lose: true,
            duplicate: false,
            reorder: true,
        },
        timing: Timing::Asynchronous,
    };

    fn open(config: &Config, boot: Boot<'_, Gossip>, fx: &mut Effects<Gossip>) -> Gossip {
        let mut gossip = Gossip {
            me: boot.me,
            config: config.clone(),
            heard: None,
        };
        let record = boot.records.map(|(_, record)| record).next();
        if let Some(Rumour(payload)) = record {
            fx.output(Output::Deliver {
                position: 1,
                epoch: 0,
                payload: payload.clone(),
            });
            gossip.heard = Some(payload);
            fx.set_timer(Timer::Tell, Duration::ZERO..Duration::from_millis(5));
        }
        gossip
    }

    fn on_request(&mut self, request: Request, fx: &mut Effects<Gossip>) {
        if let Request::Broadcast(payload) = request
            && self.config.source.is_none_or(|source| source == self.me)
        {
            self.hear(payload, fx);
        }
    }

    fn on_message(&mut self, from: NodeId, message: Rumour, fx: &mut Effects<Gossip>) {
        if from != self.me {
            self.hear(message.0, fx);
            return;
        }
        fx.output(Output::Deliver {
            position: 1,
            epoch: 0,
            payload: message.0,
        });
    }

    fn on_timer(&mut self, _: Timer, fx: &mut Effects<Gossip>) {
        let Some(payload) = self.heard.clone() else {
            return;
        };
        let peers = self.config.members.iter().filter(|&&id| id != self.me);
        let peers: Vec<NodeId> = peers.copied().collect();
        let chosen = peers[fx.choose(peers.len() as u32) as usize];
        match self.config.early {
            // Early: for no good reason. That is the bug.
            true => fx.send_early(chosen, Rumour(payload)),
            false => fx.send(chosen, Rumour(payload)),
        }
        if !self.config.gives_up {
            fx.set_timer(Timer::Tell, Duration::ZERO..Duration::from_millis(5));
        }
    }

    fn window(&self) -> usize {
        1
    }

    fn status(&self) -> Status {
        let decided = u64::from(self.heard.is_some());
        Status {
            role: "gossip",
            epoch: 0,
            // Whoever heard of something follows the source, or the first if anybody can be it.
            leader: self
                .heard
                .as_ref()
                .and(self.config.source.or(Some(NodeId(1)))),
            head: decided,
            decided,
            whole: true,
            repaired: 0,
        }
    }

    fn invariants(&self) {
        assert!(self.config.members.contains(&self.me), "only members run");
    }
}

/// Replicas differ only in their names, unless one is the source.
pub(crate) fn symmetry() -> Symmetry<Gossip> {
    Symmetry {
        replica,
        message: |message, _| message.clone(),
        record: |record, _| record.clone(),
    }
}

fn replica(gossip: &Gossip, names: &Names<'_>) -> Gossip {
    let mut renamed = gossip.clone();
    renamed.me = names(gossip.me);
    renamed.config.source = gossip.config.source.map(names);
    renamed
}
