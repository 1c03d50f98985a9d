//! Adversaries, on a protocol that promises nothing, so that every run goes to its end.

use std::time::Duration;

use quorate_core::{
    Boot, Effects, Faults, Links, Malformed, Model, NodeId, Protocol, Reader, Status, Timing, Wire,
};
use quorate_problems::total_order::{Request, TotalOrder};

use super::driver::Driver;
use super::{Hurt, run};
use crate::adversary::Adversary;
use crate::trace::Trace;
use crate::{Suite, script};

/// Tells everybody how often it was asked, writes down what it hears, and never decides anything.
struct Chatter {
    me: NodeId,
    members: Vec<NodeId>,
    said: u32,
}

#[derive(Clone, PartialEq, Debug)]
struct Chat(u32);

impl Wire for Chat {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Chat, Malformed> {
        u32::decode(input).map(Chat)
    }
}

impl Protocol for Chatter {
    type Problem = TotalOrder;
    type Config = Vec<NodeId>;
    type Message = Chat;
    type Timer = u8;
    type Record = Chat;

    const MODEL: Model = EVERYTHING;

    fn open(config: &Vec<NodeId>, boot: Boot<'_, Self>, fx: &mut Effects<Self>) -> Self {
        fx.set_timer(0, Duration::from_millis(50)..Duration::from_millis(100));
        Chatter {
            me: boot.me,
            members: config.clone(),
            said: 0,
        }
    }

    fn on_request(&mut self, _: Request, fx: &mut Effects<Self>) {
        self.said += 1;
        for &member in &self.members {
            fx.send(member, Chat(self.said));
        }
    }

    fn on_message(&mut self, from: NodeId, message: Chat, fx: &mut Effects<Self>) {
        fx.persist(message.clone());
        if message.0 % 4 == 1 && from != self.me {
            fx.send(from, Chat(message.0 + 1));
        }
    }

    fn on_timer(&mut self, _: u8, fx: &mut Effects<Self>) {
        fx.set_timer(0, Duration::from_millis(50)..Duration::from_millis(100));
    }

    fn window(&self) -> usize {
        1
    }

    fn status(&self) -> Status {
        Status {
            role: "chatter",
            epoch: 0,
            leader: None,
            head: 0,
            decided: 0,
            whole: true,
            repaired: 0,
        }
    }

    fn invariants(&self) {}
}

const SUITE: Suite<Chatter> = Suite {
    config: |members, _| Ok(members.to_vec()),
    invent: |_, _| String::new(),
    disk: |_| Ok(Vec::new()),
    describe: |chatter| chatter.said.to_string(),
    watch: || Box::new(|_| Ok(())),
};

const EVERYTHING: Model = Model {
    faults: Faults::Byzantine,
    links: Links {
        lose: true,
        duplicate: true,
        reorder: true,
    },
    timing: Timing::Asynchronous,
};

const FAULTS: [Faults; 8] = [
    Faults::FailStop,
    Faults::CrashStop,
    Faults::SendOmission,
    Faults::ReceiveOmission,
    Faults::GeneralOmission,
    Faults::CrashRecovery,
    Faults::SignedByzantine,
    Faults::Byzantine,
];

const TIMINGS: [Timing; 4] = [
    Timing::Lockstep,
    Timing::Synchronous,
    Timing::PartiallySynchronous,
    Timing::Asynchronous,
];

/// An adversary that is reliable, in order and asynchronous, but for its processes.
fn only(faults: Faults) -> Adversary {
    let model = Model {
        faults,
        links: Links {
            lose: false,
            duplicate: false,
            reorder: false,
        },
        timing: Timing::Asynchronous,
    };
    Adversary::of(model)
}

/// What happens to a cluster that this adversary hurts, and who was faulty.
fn hurt(adversary: Adversary, seed: u64) -> (Trace, Vec<NodeId>) {
    let hurt = Hurt {
        adversary: Some(adversary),
        ..Hurt::default()
    };
    let mut driver = Driver::new(&SUITE, seed, &hurt).expect("the words make sense");
    driver.world.start_trace();
    driver.hurt().expect("nothing was promised");
    let faulty = match adversary.model.faults {
        // Whoever comes back may stop, so all may have.
        Faults::CrashRecovery => driver.members.clone(),
        _ => driver.faulty.clone(),
    };
    (driver.world.take_trace(), faulty)
}

#[test]
fn a_run_legal_in_a_class_is_legal_in_every_class_above_it() {
    const SEEDS: u64 = 25;
    for one in FAULTS {
        let runs: Vec<_> = (0..SEEDS).map(|seed| hurt(only(one), seed)).collect();
        for two in FAULTS {
            let verdicts = runs
                .iter()
                .map(|(trace, faulty)| only(two).judge(trace, faulty));
            let illegal: Vec<_> = verdicts.filter_map(Result::err).collect();
            // Nothing is announced here, so a stop with an announcement looks like one without.
            let alike = (one, two) == (Faults::CrashStop, Faults::FailStop);
            match two.admits(one) || alike {
                true => assert_eq!(illegal, [""; 0], "{one:?} under {two:?}"),
                false => assert!(!illegal.is_empty(), "{one:?} is never harsher than {two:?}"),
            }
        }
    }
}

#[test]
fn links_and_clocks_do_what_they_may_and_no_more() {
    for number in 0..32 {
        let links = Links {
            lose: number & 1 > 0,
            duplicate: number & 2 > 0,
            reorder: number & 4 > 0,
        };
        let timing = TIMINGS[number / 8];
        let with = |links: Links, timing: Timing| {
            let mut adversary = only(Faults::CrashRecovery);
            adversary.model.links = links;
            adversary.model.timing = timing;
            adversary
        };
        let adversary = with(links, timing);
        let runs: Vec<_> = (0..12).map(|seed| hurt(adversary, seed).0).collect();
        for trace in &runs {
            assert_eq!(adversary.judge(trace, &[]), Ok(()), "{adversary}");
        }
        let milder = [
            (
                links.lose,
                Links {
                    lose: false,
                    ..links
                },
                timing,
            ),
            (
                links.duplicate,
                Links {
                    duplicate: false,
                    ..links
                },
                timing,
            ),
            // In lockstep everything arrives in the order in which it was sent.
            (
                links.reorder && number >= 8,
                Links {
                    reorder: false,
                    ..links
                },
                timing,
            ),
            (timing > Timing::Synchronous, links, Timing::Synchronous),
        ];
        for (harsher, links, timing) in milder {
            let milder = with(links, timing);
            let illegal = runs.iter().any(|trace| milder.judge(trace, &[]).is_err());
            assert!(
                illegal || !harsher,
                "{adversary} is never harsher than {milder}"
            );
        }
    }
}

#[test]
fn a_seed_decides_everything_and_others_decide_otherwise() {
    let digest = |seed| {
        let hurt = Hurt::default();
        let mut driver = Driver::new(&SUITE, seed, &hurt).expect("the words make sense");
        driver.hurt().expect("nothing was promised");
        driver.summary().digest
    };
    let mut digests: Vec<u64> = (0..20).map(digest).collect();
    assert_eq!(digests, (0..20).map(digest).collect::<Vec<_>>());
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 20);
}

#[test]
fn from_the_stabilisation_on_bounds_hold() {
    let mut adversary = only(Faults::CrashRecovery);
    adversary.model.timing = Timing::PartiallySynchronous;
    let mut late = 0;
    for seed in 0..20 {
        let hurt = Hurt {
            adversary: Some(adversary),
            ..Hurt::default()
        };
        let mut driver = Driver::new(&SUITE, seed, &hurt).expect("the words make sense");
        driver.stable_from = 200;
        driver.world.start_trace();
        driver.hurt().expect("nothing was promised");
        let trace = driver.world.take_trace();
        let synchronous = Adversary {
            model: Model {
                timing: Timing::Synchronous,
                ..adversary.model
            },
            ..adversary
        };
        late += u32::from(synchronous.judge(&trace, &[]).is_err());
        let healed = |event: &crate::trace::Event| event.what == crate::trace::What::Healed;
        let stable = trace
            .events
            .iter()
            .position(healed)
            .expect("links are healed then");
        let after = Trace {
            events: trace.events[stable..].to_vec(),
        };
        assert_eq!(synchronous.judge(&after, &[]), Ok(()));
    }
    assert!(late > 0, "before it they never hold");
}

#[test]
fn an_adversary_is_read_as_it_is_written() {
    for text in [
        "crash-stop reliable fifo lockstep bound=20",
        "byzantine lossy reordering duplicating asynchronous faulty=1 bound=5",
        "send-omission lossy fifo synchronous bound=20",
    ] {
        let adversary = Adversary::parse(text.split(' '), EVERYTHING);
        assert_eq!(adversary.expect(text).to_string(), text);
    }
    let unsaid = Adversary::parse(["crash-stop"], EVERYTHING).expect("it makes sense");
    assert_eq!(unsaid.model.links, EVERYTHING.links);
    let error = Adversary::parse(["crash-strop"], EVERYTHING).expect_err("a slip");
    assert_eq!(error, "no such adversary: crash-strop; perhaps crash-stop");
}

#[test]
fn what_a_protocol_does_not_claim_to_withstand_is_refused() {
    let claimed = only(Faults::CrashStop).model;
    assert_eq!(only(Faults::FailStop).within(claimed), Ok(()));
    let mut harsh = only(Faults::CrashRecovery);
    harsh.model.links.lose = true;
    assert_eq!(
        harsh.within(claimed),
        Err(
            "outside the model that the protocol claims: crash-recovery is more than crash-stop; \
            the network loses mail"
                .to_string()
        )
    );
    let mut late = only(Faults::CrashStop);
    late.model.timing = Timing::Asynchronous;
    let claimed = Model {
        timing: Timing::Synchronous,
        ..claimed
    };
    let error = late.within(claimed).expect_err("it is harsher");
    assert!(
        error.ends_with("asynchronous promises less than synchronous"),
        "{error}"
    );
}

#[test]
fn where_nothing_is_decided_no_progress_is_made_and_a_script_says_so() {
    let failure = run(&SUITE, 1, &Hurt::default()).expect_err("it decides nothing");
    assert!(failure.reason.starts_with("no progress"), "{failure}");
    let text = script::run(&SUITE, &failure.script).expect("it is a script");
    assert_eq!(text, failure.script);
    let commands = failure.script.lines().take_while(|line| *line != "----");
    let commands: Vec<_> = commands.skip(1).collect();
    assert_eq!(commands, ["cluster 1", "progress"]);
}

#[test]
fn more_faults_than_processes_are_impossible_and_half_are_too_many() {
    let mut crashes = only(Faults::CrashStop);
    for (faulty, beyond, said) in [
        (2, false, ""),
        (3, false, "outside the model: of 5 processes no more than 2"),
        (3, true, ""),
        (6, true, "an impossible world: 6 faulty processes"),
    ] {
        crashes.faulty = Some(faulty);
        let error = crashes.possible(5, beyond).err().unwrap_or_default();
        assert!(
            error.starts_with(said) && error.is_empty() == said.is_empty(),
            "{error}"
        );
    }
}
