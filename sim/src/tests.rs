//! The runner and the disk, on a protocol that is just large enough.

use std::time::Duration;

use quorate_core::{
    Boot, Effects, Faults, Frame, Links, Malformed, Model, NodeId, Payload, Protocol, Reader,
    Status, Survival, Timing, Wire,
};
use quorate_node::{Frames, Written};
use quorate_problems::total_order::{Output, Request, TotalOrder};

use crate::adversary::Adversary;
use crate::random::{self, Hurt};
use crate::trace::What;
use crate::{Disk, Suite, script};

/// n1 decides the order and tells the others, who believe it. A promise is broken as soon as mail is
/// lost or overtaken, or n1 forgets.
struct Sequencer {
    me: NodeId,
    members: Vec<NodeId>,
    position: u64,
    /// Whether positions are skipped on purpose.
    faulty: bool,
}

#[derive(Clone, Debug)]
enum Told {
    Wanted(Payload),
    Ordered(Payload),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Bell {
    Tick,
}

impl Wire for Told {
    fn encode(&self, out: &mut Vec<u8>) {
        let (tag, payload) = match self {
            Told::Wanted(payload) => (0u8, payload),
            Told::Ordered(payload) => (1, payload),
        };
        tag.encode(out);
        payload.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Told, Malformed> {
        match bool::decode(input)? {
            false => Payload::decode(input).map(Told::Wanted),
            true => Payload::decode(input).map(Told::Ordered),
        }
    }
}

impl Protocol for Sequencer {
    type Problem = TotalOrder;
    type Config = (Vec<NodeId>, bool);
    type Message = Told;
    type Timer = Bell;
    type Record = Payload;

    const MODEL: Model = Model {
        faults: Faults::CrashStop,
        links: Links {
            lose: false,
            duplicate: false,
            reorder: false,
        },
        timing: Timing::Asynchronous,
    };

    fn open(config: &Self::Config, boot: Boot<'_, Self>, fx: &mut Effects<Self>) -> Self {
        let second = Duration::from_secs(1);
        fx.set_timer(Bell::Tick, second..second);
        Sequencer {
            me: boot.me,
            members: config.0.clone(),
            position: 0,
            faulty: config.1,
        }
    }

    fn on_request(&mut self, request: Request, fx: &mut Effects<Self>) {
        if let Request::Broadcast(payload) = request {
            fx.send(NodeId(1), Told::Wanted(payload));
        }
    }

    fn on_message(&mut self, _: NodeId, message: Told, fx: &mut Effects<Self>) {
        match message {
            Told::Wanted(payload) if self.me == NodeId(1) => {
                fx.persist(payload.clone());
                for &member in &self.members {
                    fx.send(member, Told::Ordered(payload.clone()));
                }
            }
            Told::Wanted(_) => {}
            Told::Ordered(payload) => {
                self.position += 1 + u64::from(self.faulty);
                fx.output(Output::Deliver {
                    position: self.position,
                    epoch: 0,
                    payload,
                });
            }
        }
    }

    fn on_timer(&mut self, _: Bell, _: &mut Effects<Self>) {}

    fn window(&self) -> usize {
        1
    }

    fn status(&self) -> Status {
        Status {
            role: "member",
            epoch: 0,
            leader: Some(NodeId(1)),
            head: self.position,
            decided: self.position,
            whole: true,
            repaired: 0,
        }
    }

    fn invariants(&self) {}
}

const SUITE: Suite<Sequencer> = Suite {
    config: |members, options| Ok((members.to_vec(), options.contains_key("faulty"))),
    invent: |_, _| String::new(),
    disk: |words| {
        Ok(words
            .iter()
            .map(|word| Payload::from_vec(word.as_bytes().to_vec(), 0))
            .collect())
    },
    describe: |replica| format!("at {}", replica.position),
    watch: || Box::new(|_| Ok(())),
};

#[test]
fn a_script_is_returned_with_its_trace() {
    let script = "\
# A comment, and an empty line.

cluster 2
broadcast n2 \"a b\"
deliver n2 n1 Wanted
----
what was here before

sync n1
deliver all
status
show n2
----

quietly broadcast n1 \"c\"
crash n1 keep 1
restart n1
fire n1 Tick
advance 1000
----
";
    let expected = "\
# A comment, and an empty line.

cluster 2
broadcast n2 \"a b\"
deliver n2 n1 Wanted
----
n2 -> n1: Wanted(\"a b\")
n1 writes 1: \"a b\"

sync n1
deliver all
status
show n2
----
n1 -> n2: Ordered(\"a b\")
n1: Deliver { position: 1, epoch: 0, payload: \"a b\" }
n2: Deliver { position: 1, epoch: 0, payload: \"a b\" }
n1 member in epoch 0 led by n1, head 1, decided 1, window 1
n2 member in epoch 0 led by n1, head 1, decided 1, window 1
n2 at 1

quietly broadcast n1 \"c\"
crash n1 keep 1
restart n1
fire n1 Tick
advance 1000
----
";
    let after = script::run(&SUITE, script).expect("the script makes sense");
    assert_eq!(after, expected);
}

#[test]
fn a_broken_promise_is_part_of_the_trace() {
    let script = "cluster 1 faulty=1\nbroadcast n1 \"a\"\nsync n1\n----\n";
    let after = script::run(&SUITE, script).expect("the script makes sense");
    let last = after.lines().last();
    assert_eq!(
        last,
        Some("violated: gap: n1 delivered position 2 where 1 was next")
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_its_line() {
    let refused = [
        ("status", "1: the first command is `cluster`"),
        ("cluster 3\nfly n1", "2: no such command: fly"),
        ("cluster 3\nfly", "2: no such command: fly"),
        ("cluster three", "1: not a number: three"),
        ("cluster 3 sideways", "1: not an option: sideways"),
        ("cluster 3\nsync n4", "2: there is no n4"),
        (
            "cluster 3\nsync four",
            "2: not a node: expected n1, n2, ..., found four",
        ),
        ("cluster 3\nrestart n1", "2: n1 is up"),
        ("cluster 3 down\nsync n1", "2: n1 is down"),
        ("cluster 3\nfire n1 Alarm", "2: no timer Alarm runs at n1"),
        ("cluster 3\ndeliver n1 n2", "2: no such mail is under way"),
        (
            "cluster 3\nbroadcast n1 x\ndrop n1 n1 Nothing",
            "3: no such mail",
        ),
        ("cluster 3\nbroadcast n1", "2: wrong arguments"),
        ("cluster 3\npartition n1 n2", "2: a partition has two sides"),
        ("cluster 3\n\n----", "2: `----` must follow"),
        ("cluster 3", "end: `----` must follow"),
    ];
    for (script, reason) in refused {
        let error = script::run(&SUITE, script).expect_err("it makes no sense");
        assert!(error.starts_with(reason), "{script:?}: {error}");
    }
}

/// Frames with one payload each, numbered from `first`.
fn frames(first: u64, keep_from: &[Option<u64>]) -> Frames {
    let mut frames = Frames::default();
    for (place, keep_from) in keep_from.iter().enumerate() {
        let start = frames.bytes.len();
        let number = first + place as u64;
        Payload::from_vec(number.to_string().into_bytes(), 0).encode(&mut frames.bytes);
        frames.written.push(Written {
            frame: Frame(number),
            range: start..frames.bytes.len(),
            keep_from: keep_from.map(Frame),
        });
    }
    frames
}

fn numbers(disk: &Disk) -> Vec<u64> {
    let records = disk.records::<Payload>();
    records.iter().map(|(frame, _)| frame.0).collect()
}

#[test]
fn a_crash_leaves_what_was_durable_and_a_prefix_of_the_rest() {
    let mut disk = Disk::default();
    assert_eq!(disk.survival(), Survival::Fresh);
    disk.write(&frames(1, &[None; 5]));
    assert_eq!((disk.sync(2), disk.pending()), (Frame(2), 3));
    disk.crash(1);
    assert_eq!((disk.durable(), disk.pending()), (Frame(3), 0));
    assert_eq!(numbers(&disk), [1, 2, 3]);
    disk.write(&frames(4, &[None]));
    disk.crash(0);
    assert_eq!(numbers(&disk), [1, 2, 3]);
    disk.lose(1);
    assert_eq!((disk.durable(), numbers(&disk)), (Frame(2), vec![1, 2]));
}

#[test]
fn frames_are_deleted_only_once_what_replaces_them_is_durable() {
    let mut disk = Disk::default();
    disk.write(&frames(1, &[None, None, None, Some(3)]));
    disk.sync(3);
    assert_eq!(disk.deletable(), 0);
    disk.sync(1);
    assert_eq!(disk.deletable(), 2);
    disk.delete(1);
    assert_eq!(numbers(&disk), [2, 3, 4]);
    disk.delete(9);
    assert_eq!(numbers(&disk), [3, 4]);
}

#[test]
fn a_trace_tells_what_scripts_leave_out() {
    let script = "cluster 2\nbroadcast n2 x\ndeliver n2 n1\nduplicate n2 n1\n----\n";
    let refused = script::play(&SUITE, script).expect_err("the mail has arrived");
    assert_eq!(
        refused,
        "4: no such mail is under way: n2 n1; there is none at all"
    );
    let script = "cluster 2\nbroadcast n2 x\nduplicate n2 n1\ndeliver n2 n1\nsync n1\ncut n1 n2\n\
        broadcast n1 y\ncrash n1\ndeliver n2 n1\nheal\n----\n";
    let play = script::play(&SUITE, script).expect("the script makes sense");
    let events = &play.worlds[0].trace.events;
    let told: Vec<String> = events
        .iter()
        .filter_map(|event| told(&event.what))
        .collect();
    assert_eq!(
        told,
        [
            "n1 starts",
            "n2 starts",
            "n2 asked",
            "sent 1",
            "copied 2",
            "received 1",
            "n1 wrote",
            "n1 holds for n1 until 1",
            "n1 holds for n2 until 1",
            "n1 synced",
            "sent 3",
            "n1 decided",
            "cut",
            "lost 3 cut off",
            "n1 asked",
            "n1 wrote",
            "n1 holds for n1 until 2",
            "n1 holds for n2 until 2",
            "n1 crashed",
            "lost 2 nobody there",
            "healed",
        ]
    );
}

/// A few words on an event; none on those that are of no concern here.
fn told(what: &What) -> Option<String> {
    Some(match what {
        What::Started { node, .. } => format!("{node} starts"),
        What::Crashed { node, .. } => format!("{node} crashed"),
        What::Requested { node, .. } => format!("{node} asked"),
        What::Held {
            node, to, until, ..
        } => format!("{node} holds for {to} until {}", until.0),
        What::Sent { mail, .. } => format!("sent {}", mail.0),
        What::Copied { copy, .. } => format!("copied {}", copy.0),
        What::Received { mail, .. } => format!("received {}", mail.0),
        What::Lost { mail, why } => format!("lost {} {why}", mail.0),
        What::Wrote { node, .. } => format!("{node} wrote"),
        What::Synced { node, .. } => format!("{node} synced"),
        What::Output {
            node,
            decision: true,
            ..
        } => format!("{node} decided"),
        What::Cut { .. } => "cut".to_string(),
        What::Healed => "healed".to_string(),
        _ => return None,
    })
}

#[test]
fn partitions_may_have_a_bridge() {
    let cut = |command: &str| {
        let script = format!("cluster 3\n{command}\n----\n");
        let play = script::play(&SUITE, &script).expect("the script makes sense");
        let events = play.worlds[0].trace.events.iter();
        let cuts = events.filter_map(|event| match event.what {
            What::Cut { from, to } => Some((from.0, to.0)),
            _ => None,
        });
        cuts.collect::<Vec<_>>()
    };
    assert_eq!(cut("partition n1 n2 | n2 n3"), [(1, 3), (3, 1)]);
    assert_eq!(
        cut("partition n1 | n2 n3"),
        [(1, 2), (2, 1), (1, 3), (3, 1)]
    );
    assert_eq!(cut("cut n1 n3"), [(1, 3)]);
    assert_eq!(cut("isolate n2"), [(2, 1), (1, 2), (2, 3), (3, 2)]);
}

#[test]
fn mail_is_chosen_by_kind_and_number() {
    let script = "cluster 2\nquietly broadcast n2 a\nquietly broadcast n2 b\nquietly broadcast n2 c\n\
        deliver n2 n1 Wanted 2\ndrop n2 n1 * 2\ndeliver n2 n1\n----\n";
    let text = script::run(&SUITE, script).expect("the script makes sense");
    let wrote: Vec<_> = text
        .lines()
        .filter(|line| line.contains("writes"))
        .collect();
    assert_eq!(wrote, ["n1 writes 1: \"b\"", "n1 writes 2: \"a\""]);
}

#[test]
fn a_message_can_be_forged_but_not_nonsense() {
    // `Ordered` with the payload "z", as the sequencer would encode it.
    let mut bytes = Vec::new();
    Told::Ordered(Payload::from_vec(b"z".to_vec(), 0)).encode(&mut bytes);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let script = format!("cluster 2\nforge n1 n2 {hex}\ndeliver n1 n2 Ordered\n----\n");
    let text = script::run(&SUITE, &script).expect("the script makes sense");
    let last = text.lines().last();
    assert_eq!(
        last,
        Some("violated: integrity: n2 delivered \"z\" at 1, which nobody broadcast")
    );
    let error = script::run(&SUITE, "cluster 2\nforge n1 n2 07\n----\n");
    let error = error.expect_err("nothing is encoded like this");
    assert!(error.starts_with("2: not a message"), "{error}");
}

#[test]
fn damage_is_noticed_until_it_is_needed_no_more() {
    let mut disk = Disk::default();
    disk.write(&frames(1, &[None; 3]));
    disk.sync(3);
    assert_eq!(disk.survival(), Survival::Intact);
    disk.damage(&[2]).expect("the frame is there");
    assert!(disk.damage(&[4]).is_err());
    assert_eq!(
        (disk.survival(), numbers(&disk)),
        (Survival::Damaged, vec![1, 3])
    );
    disk.write(&frames(4, &[Some(4)]));
    assert_eq!(disk.survival(), Survival::Damaged);
    disk.sync(1);
    assert_eq!(disk.survival(), Survival::Intact);
}

#[test]
fn a_failure_comes_out_as_a_small_script_that_shows_it() {
    let hurt = Hurt {
        options: "faulty=1".to_string(),
        ..unharmed()
    };
    let mut gaps = 0;
    for seed in 0..20 {
        let failure = random::run(&SUITE, seed, &hurt).expect_err("it skips positions");
        let text = script::run(&SUITE, &failure.script).expect("it is a script");
        assert_eq!(text, failure.script);
        let last = text.lines().last();
        assert_eq!(last, Some(format!("violated: {}", failure.reason).as_str()));
        if failure.reason.starts_with("gap: n1 delivered position 2") {
            gaps += 1;
            let asked = text.lines().filter(|line| line.starts_with("broadcast"));
            assert!(asked.count() <= 1 && text.lines().count() < 20, "{failure}");
        } else {
            // A seed in which nothing was delivered before everything had to be.
            assert!(failure.reason.starts_with("no progress"), "{failure}");
        }
    }
    assert!(gaps >= 15, "only {gaps} of 20 seeds came to the gap");
}

#[test]
fn a_seed_decides_everything() {
    for seed in 0..10 {
        let run = || random::run(&SUITE, seed, &Hurt::default());
        assert_eq!(run(), run());
    }
}

/// The sequencer keeps its promises as long as nobody fails.
fn unharmed() -> Hurt {
    let adversary = Adversary {
        faulty: Some(0),
        ..Adversary::of(Sequencer::MODEL)
    };
    Hurt {
        adversary: Some(adversary),
        ..Hurt::default()
    }
}

#[test]
fn outside_its_model_the_sequencer_is_caught_and_only_there() {
    let mut lossy = Adversary::of(Sequencer::MODEL);
    lossy.model.links.lose = true;
    let mut hurt = Hurt {
        adversary: Some(lossy),
        ..unharmed()
    };
    let refused = random::run(&SUITE, 1, &hurt).expect_err("it does not claim that");
    assert!(refused.reason.starts_with("outside the model"), "{refused}");
    hurt.outside_model = true;
    let caught = (0..50).find_map(|seed| random::run(&SUITE, seed, &hurt).err());
    let caught = caught.expect("lost mail is noticed");
    let gap = caught.reason.starts_with("gap") || caught.reason.starts_with("no progress");
    assert!(gap, "{caught}");
}
