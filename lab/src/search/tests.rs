use super::*;
use crate::suites::raft::SUITE;

fn search(seeds: u64) -> Search {
    Search {
        seeds,
        threads: 2,
        ..Search::default()
    }
}

#[test]
fn seeds_are_summed_up() {
    let report = schedules(&SUITE, &Hurt::default(), &search(20), &|_| {});
    assert_eq!((report.seeds, report.failures.len()), (20, 0), "{report}");
    assert!(report.totals.operations > 0 && report.totals.faults["crashes"] > 0);
    let json = report.json();
    assert_eq!(json["seeds"], 20);
    assert_eq!(json["violations"], serde_json::json!([]));
    assert!(
        report
            .to_string()
            .contains("seeds       20 (0 to 19): no promise was broken")
    );
}

#[test]
fn the_first_violation_ends_a_search_unless_it_is_to_go_on() {
    let broken = |seed: u64| match seed % 10 {
        7 => Err(Failure {
            seed,
            reason: "agreement: broken".to_string(),
            script: "cluster 1\n----\n".to_string(),
        }),
        _ => Ok(Figures::default()),
    };
    let report = search(1000).run(&|_| {}, broken);
    assert_eq!(report.failures[0].seed, 7);
    assert!(report.seeds < 1000, "{report}");
    let search = Search {
        keep_going: true,
        ..search(1000)
    };
    let report = search.run(&|_| {}, broken);
    assert_eq!((report.seeds, report.failures.len()), (1000, 100));
    assert_eq!(report.json()["violations"][3]["seed"], 37);
}

#[test]
fn a_seed_that_gives_two_runs_is_a_violation() {
    let calls = AtomicU64::new(0);
    let search = Search {
        again_every: 1,
        ..search(1)
    };
    let report = search.run(&|_| {}, |_| {
        Ok(Figures {
            digest: calls.fetch_add(1, Ordering::Relaxed),
            ..Figures::default()
        })
    });
    assert!(
        report.failures[0].reason.starts_with("determinism"),
        "{report}"
    );
}
