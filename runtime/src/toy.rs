//! A protocol for tests: whatever is saved at one replica is written down by all, and its author
//! hears of each one that has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use quorate_core::{
    Boot, Checkpoint, Effects, Faults, Frame, Instant, Links, Malformed, Model, NodeId, Payload,
    Problem, Protocol, Reader, Status, Survival, Timing, Wire,
};
use quorate_node::Edge;

#[derive(Clone, Copy, Debug)]
pub(crate) struct ToyProblem;

impl Problem for ToyProblem {
    type Request = Request;
    type Output = Output;
}

#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// Have all peers write this down.
    Save(Payload),
    /// Forget all frames but the newest.
    Compact,
    /// Send a peer the application's state.
    SendState(NodeId),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    /// Started, with these texts on the disk.
    Opened {
        survival: Survival,
        incarnation: u64,
        texts: Vec<String>,
    },
    /// The text with this number is durable at a replica.
    Saved { number: u64, at: NodeId },
    /// A peer is alive.
    Beat { from: NodeId },
    /// A peer's state is here.
    State {
        from: NodeId,
        checkpoint: Checkpoint,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Message {
    Save { number: u64, text: Payload },
    Saved { number: u64 },
    Beat,
    State { checkpoint: Checkpoint },
}

impl Wire for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Message::Save { number, text } => {
                out.push(0);
                number.encode(out);
                text.encode(out);
            }
            Message::Saved { number } => {
                out.push(1);
                number.encode(out);
            }
            Message::Beat => out.push(2),
            Message::State { checkpoint } => {
                out.push(3);
                checkpoint.encode(out);
            }
        }
    }

    fn decode(input: &mut Reader<'_>) -> Result<Message, Malformed> {
        let malformed = input.malformed("a toy message");
        Ok(match u8::decode(input)? {
            0 => Message::Save {
                number: u64::decode(input)?,
                text: Payload::decode(input)?,
            },
            1 => Message::Saved {
                number: u64::decode(input)?,
            },
            2 => Message::Beat,
            3 => Message::State {
                checkpoint: Checkpoint::decode(input)?,
            },
            _ => return Err(malformed),
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct BeatTimer;

pub(crate) struct Toy {
    me: NodeId,
    peers: Vec<NodeId>,
    number: u64,
    last: Option<(Frame, Payload)>,
}

impl Toy {
    fn text(payload: &Payload) -> String {
        String::from_utf8_lossy(payload.as_bytes()).into_owned()
    }

    fn beat(&self, fx: &mut Effects<Toy>) {
        for peer in &self.peers {
            // Early: it promises nothing.
            fx.send_early(*peer, Message::Beat);
        }
        fx.set_timer(
            BeatTimer,
            Duration::from_millis(10)..Duration::from_millis(20),
        );
    }
}

impl Protocol for Toy {
    type Problem = ToyProblem;
    type Config = Vec<NodeId>;
    type Message = Message;
    type Timer = BeatTimer;
    type Record = Payload;

    const MODEL: Model = Model {
        faults: Faults::CrashRecovery,
        links: Links {
            lose: true,
            duplicate: true,
            reorder: true,
        },
        timing: Timing::Asynchronous,
    };

    fn open(config: &Vec<NodeId>, boot: Boot<'_, Toy>, fx: &mut Effects<Toy>) -> Toy {
        let records: Vec<(Frame, Payload)> = boot.records.collect();
        let me = boot.me;
        fx.output(Output::Opened {
            survival: boot.survival,
            incarnation: boot.incarnation,
            texts: records.iter().map(|record| Toy::text(&record.1)).collect(),
        });
        let toy = Toy {
            me,
            peers: config.iter().copied().filter(|peer| *peer != me).collect(),
            number: 0,
            last: records.into_iter().next_back(),
        };
        toy.beat(fx);
        toy
    }

    fn on_request(&mut self, request: Request, fx: &mut Effects<Toy>) {
        match request {
            Request::Save(text) => {
                self.number += 1;
                let number = self.number;
                self.last = Some((fx.frame(), text.clone()));
                fx.persist(text.clone());
                fx.send(self.me, Message::Saved { number });
                for peer in &self.peers {
                    // Early: the peers' word counts, not ours.
                    fx.send_early(
                        *peer,
                        Message::Save {
                            number,
                            text: text.clone(),
                        },
                    );
                }
            }
            Request::Compact => {
                if let Some((frame, _)) = &self.last {
                    fx.compact(*frame, []);
                }
            }
            Request::SendState(to) => fx.send(
                to,
                Message::State {
                    checkpoint: Checkpoint::default(),
                },
            ),
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message, fx: &mut Effects<Toy>) {
        match message {
            Message::Save { number, text } => {
                self.last = Some((fx.frame(), text.clone()));
                fx.persist(text);
                fx.send(from, Message::Saved { number });
            }
            Message::Saved { number } => fx.output(Output::Saved { number, at: from }),
            Message::Beat => fx.output(Output::Beat { from }),
            Message::State { checkpoint } => fx.output(Output::State { from, checkpoint }),
        }
    }

    fn on_timer(&mut self, _timer: BeatTimer, fx: &mut Effects<Toy>) {
        self.beat(fx);
    }

    fn window(&self) -> usize {
        16
    }

    fn status(&self) -> Status {
        Status {
            role: "toy",
            epoch: 0,
            leader: None,
            head: self.number,
            decided: 0,
            whole: true,
            repaired: 0,
        }
    }

    fn invariants(&self) {}

    fn attachment(message: &mut Message) -> Option<&mut Checkpoint> {
        match message {
            Message::State { checkpoint } => Some(checkpoint),
            Message::Save { .. } | Message::Saved { .. } | Message::Beat => None,
        }
    }
}

/// An edge that takes requests out of one channel and puts outputs, heartbeats only counted, into
/// another.
pub(crate) struct ToyEdge {
    pub(crate) requests: Receiver<Request>,
    pub(crate) outputs: Sender<Output>,
    pub(crate) beats: Arc<AtomicU64>,
}

impl Edge<Toy> for ToyEdge {
    fn next_request(&mut self, room: usize, _now: Instant) -> Option<Request> {
        assert!(room > 0, "a toy always has room");
        self.requests.try_recv().ok()
    }

    fn on_output(&mut self, output: Output, _now: Instant) {
        match output {
            Output::Beat { .. } => {
                self.beats.fetch_add(1, Ordering::Relaxed);
            }
            // The test may have heard enough.
            output => drop(self.outputs.send(output)),
        }
    }

    fn on_round(&mut self, status: Status, _now: Instant) {
        assert_eq!(status.role, "toy");
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }
}
