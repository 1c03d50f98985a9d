//! Counterexamples that need a certain choice: the checker writes it into the script, the simulator's world
//! obeys.

#[path = "../../check/tests/models/gossip.rs"]
mod gossip;

use gossip::{Config, Gossip};
use quorate_check::Explorer;
use quorate_check::world::{Lenient, Limits, World};
use quorate_core::NodeId;
use quorate_sim::{Suite, script};

const SUITE: Suite<Gossip> = Suite {
    config: |members, _| Ok(config(members.to_vec())),
    invent: |_, _| String::new(),
    disk: |_| Err("nothing can be put on its disk".to_string()),
    describe: |gossip| format!("{gossip:?}"),
    watch: || Box::new(|_| Ok(())),
};

fn config(members: Vec<NodeId>) -> Config {
    Config {
        members,
        source: None,
        early: false,
        gives_up: false,
    }
}

#[test]
fn a_counterexample_says_what_was_chosen_and_can_be_run() {
    let members: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let limits = Limits {
        fires: 1,
        requests: vec!["broadcast x".to_string(), "broadcast y".to_string()],
        ..Limits::default()
    };
    let mut chosen = Vec::new();
    for symmetric in [false, true] {
        let mut world = World::new(
            &members,
            config(members.clone()),
            limits.clone(),
            Box::new(Lenient),
        )
        .expect("it is within the model");
        if symmetric {
            world = world.with_symmetry(gossip::symmetry());
        }
        for deep in [false, true] {
            let explorer = Explorer::new(&world).threads(1);
            let report = match deep {
                true => explorer.depth_first(),
                false => explorer.breadth_first(),
            };
            let (_, found) = report.counterexample().expect("nobody orders the two");
            let script = format!("cluster 3\n{}\n----\n", found.steps.join("\n"));
            let ran = script::run(&SUITE, &script).expect("a counterexample is a script");
            let violation = found.state.violation().expect("that is what was found");
            assert!(ran.ends_with(&format!("violated: {violation}\n")), "{ran}");
            let steps = found.steps.iter().cloned();
            chosen.extend(steps.filter(|step| step.starts_with("choose ")));
        }
    }
    // Whom a rumour is told: the first or the second of the others.
    assert!(
        chosen.iter().any(|step| step.contains(" fire ")),
        "{chosen:?}"
    );
}

#[test]
fn each_choice_leads_where_it_says() {
    let run = |chosen: &str| {
        let script =
            format!("cluster 3\nbroadcast n1 \"x\"\nsync n1\nchoose {chosen} fire n1 Tell\n----\n");
        script::run(&SUITE, &script)
    };
    for (chosen, told, other) in [("0", "n1 -> n2", "n1 -> n3"), ("1", "n1 -> n3", "n1 -> n2")] {
        let ran = run(chosen).expect("it chooses once");
        assert!(ran.contains(told) && !ran.contains(other), "{ran}");
    }
    let error = run("1,0").expect_err("it chooses only once");
    assert!(error.contains("it chose 1 times only"), "{error}");
}
