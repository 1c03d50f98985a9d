//! A step is a transaction: what a node promises to every protocol, shown on the smallest one.

use std::time::Duration;

use quorate_core::{
    Boot, Choice, Effects, Faults, Frame, Instant, Links, Malformed, Model, NodeId, Problem,
    Protocol, Reader, Status, Timing, Wire,
};
use quorate_node::{Frames, Input, Node};

/// Remember a number and tell the other about it, once it is durable; hint at it before.
struct Teller {
    me: NodeId,
    other: NodeId,
    known: u64,
}

struct Telling;

impl Problem for Telling {
    type Request = u64;
    type Output = String;
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Message {
    Hint(u64),
    Known(u64),
}

impl Wire for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        let (Message::Hint(number) | Message::Known(number)) = self;
        matches!(self, Message::Known(_)).encode(out);
        number.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Message, Malformed> {
        let known = bool::decode(input)?;
        let number = u64::decode(input)?;
        Ok(match known {
            true => Message::Known(number),
            false => Message::Hint(number),
        })
    }
}

impl Protocol for Teller {
    type Problem = Telling;
    type Config = NodeId;
    type Message = Message;
    type Timer = u8;
    type Record = u64;

    const MODEL: Model = Model {
        faults: Faults::CrashRecovery,
        links: Links {
            lose: false,
            duplicate: false,
            reorder: false,
        },
        timing: Timing::Asynchronous,
    };

    fn open(other: &NodeId, boot: Boot<'_, Teller>, fx: &mut Effects<Teller>) -> Teller {
        let known = boot.records.map(|(_, number)| number).last().unwrap_or(0);
        fx.output(format!("starts with {known}"));
        Teller {
            me: boot.me,
            other: *other,
            known,
        }
    }

    fn on_request(&mut self, number: u64, fx: &mut Effects<Teller>) {
        self.known = number;
        fx.persist(number);
        fx.send(self.me, Message::Known(number));
        fx.send(self.other, Message::Known(number));
        // Early: a hint promises nothing.
        fx.send_early(self.other, Message::Hint(number));
        fx.set_timer(1, Duration::from_millis(10)..Duration::from_millis(20));
    }

    fn on_message(&mut self, from: NodeId, message: Message, fx: &mut Effects<Teller>) {
        fx.output(format!("{from} says {message:?}"));
    }

    fn on_timer(&mut self, timer: u8, fx: &mut Effects<Teller>) {
        fx.output(format!("timer {timer}"));
    }

    fn window(&self) -> usize {
        1
    }

    fn status(&self) -> Status {
        Status {
            role: "teller",
            epoch: 0,
            leader: None,
            head: self.known,
            decided: self.known,
            whole: true,
            repaired: 0,
        }
    }

    fn invariants(&self) {}
}

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

fn fresh() -> Node<Teller> {
    let mut node = Node::fresh(ONE, &TWO, Choice::Seeded(7), Instant(0));
    assert_eq!(outputs(&mut node), ["starts with 0"]);
    node
}

fn mail(node: &mut Node<Teller>) -> Vec<Message> {
    node.take_mail().map(|letter| letter.message).collect()
}

fn outputs(node: &mut Node<Teller>) -> Vec<String> {
    node.take_outputs().collect()
}

#[test]
fn early_mail_leaves_at_once_and_held_mail_waits_for_the_disk() {
    let mut node = fresh();
    node.step(Input::Request(5), Instant(0));
    assert_eq!(mail(&mut node), [Message::Hint(5)]);
    node.synced(Frame(1), Instant(1));
    assert_eq!(mail(&mut node), [Message::Known(5)]);
}

#[test]
fn mail_to_oneself_waits_too_and_comes_back_as_a_message() {
    let mut node = fresh();
    node.step(Input::Request(5), Instant(0));
    assert!(outputs(&mut node).is_empty());
    node.synced(Frame(1), Instant(1));
    assert_eq!(outputs(&mut node), ["n1 says Known(5)"]);
}

#[test]
fn one_step_is_one_frame_and_one_sync_covers_many() {
    let mut node = fresh();
    for number in [5, 6, 7] {
        node.step(Input::Request(number), Instant(0));
    }
    let mut frames = Frames::default();
    node.take_frames(&mut frames);
    let numbers: Vec<u64> = frames.written.iter().map(|one| one.frame.0).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(
        frames.bytes[frames.written[1].range.clone()],
        6u64.to_le_bytes()
    );
    mail(&mut node);
    node.synced(Frame(2), Instant(1));
    assert_eq!(mail(&mut node), [Message::Known(5), Message::Known(6)]);
}

#[test]
fn a_timer_runs_out_once_within_its_range() {
    let mut node = fresh();
    node.step(Input::Request(5), Instant(0));
    let deadline = node.next_deadline().expect("the timer runs");
    let (earliest, latest) = (Instant(10_000_000), Instant(20_000_000));
    assert!((earliest..=latest).contains(&deadline));
    node.expire(Instant(deadline.0 - 1));
    assert!(outputs(&mut node).is_empty());
    node.expire(deadline);
    node.expire(Instant(u64::MAX));
    assert_eq!(outputs(&mut node), ["timer 1"]);
    assert_eq!(node.next_deadline(), None);
}

#[test]
fn frames_go_on_behind_what_survived() {
    let boot = Boot {
        me: ONE,
        incarnation: 2,
        survival: quorate_core::Survival::Intact,
        records: Box::new([(Frame(8), 41), (Frame(9), 42)].into_iter()),
        checkpoint: quorate_core::Checkpoint::default(),
    };
    let mut node = Node::<Teller>::open(&TWO, boot, Frame(9), Choice::Seeded(7), Instant(0));
    assert_eq!(outputs(&mut node), ["starts with 42"]);
    node.step(Input::Request(43), Instant(0));
    let mut frames = Frames::default();
    node.take_frames(&mut frames);
    assert_eq!(frames.written[0].frame, Frame(10));
}
