//! What every protocol's tests in the simulated worlds do.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use quorate_check::world::Checkable;
use quorate_lab::suites::Known;
use quorate_sim::random::{self, Hurt, Summary};
use quorate_sim::script::{self, Session};

/// Where a protocol keeps its scripts.
fn folder(protocol: &str, below: &str) -> PathBuf {
    let source = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    source
        .join(protocol.replace('-', "_"))
        .join("scripts")
        .join(below)
}

/// Runs the protocol's golden scripts.
pub(crate) fn scripts<P: Checkable>(known: &Known<P>) {
    if let Err(differences) = script::run_folder(&known.suite, folder(known.name, "")) {
        panic!("{differences}");
    }
}

/// Runs these seeds, none of which may break a promise; `SEEDS=1000..2000` in the environment says
/// which others. What each came to.
pub(crate) fn schedules<P: Checkable>(known: &Known<P>, count: u64, hurt: &Hurt) -> Vec<Summary> {
    let mut seeds = 0..count;
    if let Ok(text) = std::env::var("SEEDS") {
        let (from, to) = text.split_once("..").expect("SEEDS=from..to");
        seeds = from.parse().expect("a number")..to.parse().expect("a number");
    }
    let runs = seeds.map(|seed| random::run(&known.suite, seed, hurt));
    let runs = runs.map(|run| run.unwrap_or_else(|failure| panic!("{failure}")));
    runs.collect()
}

/// Schedules like these break a promise, and the report is a regression test: a script that shows the
/// same again.
pub(crate) fn caught<P: Checkable>(known: &Known<P>, seeds: u64, hurt: &Hurt) {
    let mut runs = (0..seeds).map(|seed| random::run(&known.suite, seed, hurt));
    let failure = runs.find_map(Result::err);
    let failure = failure.expect("nobody noticed that the run left the model");
    let again = script::run(&known.suite, &failure.script).expect("it is a script");
    assert_eq!(again, failure.script);
    let shown = format!("violated: {}", failure.reason);
    assert_eq!(again.lines().last(), Some(shown.as_str()));
}

/// Every flaw has a script of its name that shows it; without the flaw the same schedule keeps all
/// promises. What searches found is kept in these scripts.
pub(crate) fn museum<P: Checkable>(known: &Known<P>) {
    let folder = folder(known.name, "museum");
    if let Err(differences) = script::run_folder(&known.suite, &folder) {
        panic!("{differences}");
    }
    for name in known.flaws.iter().map(|exhibit| exhibit.name) {
        let file = folder.join(name).with_extension("txt");
        let text = fs::read_to_string(&file).expect("every flaw has a script of its name");
        assert!(text.contains(&format!("flaw={name}")), "{name}");
        let violated = text.lines().filter(|line| line.starts_with("violated"));
        assert_eq!(violated.count(), 1, "{name}");
        let violations = without_the_flaw(known, &text);
        assert!(violations.is_empty(), "{}: {violations:?}", file.display());
    }
}

/// Plays a script without its flaw, and then asks for progress: of everybody, unless a comment says
/// `# Progress is demanded of n1 n2.` What is violated.
fn without_the_flaw<P: Checkable>(known: &Known<P>, text: &str) -> BTreeSet<String> {
    let mut session = Session::new(&known.suite);
    let mut trace = false;
    for line in text.lines() {
        trace = line == "----" || (trace && !line.is_empty());
        if trace || line.starts_with('#') {
            continue;
        }
        let words = line.split_whitespace();
        let words: Vec<_> = words.filter(|word| !word.starts_with("flaw=")).collect();
        if !words.is_empty() {
            // Mail that only the flaw would have sent is not there.
            let _ = session.command(&words);
        }
    }
    let said = text
        .lines()
        .find_map(|line| line.strip_prefix("# Progress is demanded of "));
    let core = said.unwrap_or_default().trim_end_matches('.');
    let words: Vec<_> = ["progress"]
        .into_iter()
        .chain(core.split_whitespace())
        .collect();
    session.command(&words).expect("it is a command");
    session.violations().iter().cloned().collect()
}

/// The first few hundred seeds find this flaw; `docs/testing.md` has the numbers of all.
pub(crate) fn found<P: Checkable>(known: &Known<P>, flaw: &str, seeds: u64) {
    found_with(known, &format!("flaw={flaw}"), seeds);
}

/// The same with any options that make a protocol promise less.
pub(crate) fn found_with<P: Checkable>(known: &Known<P>, options: &str, seeds: u64) {
    let hurt = Hurt {
        options: options.to_string(),
        shrink: false,
        ..Hurt::default()
    };
    let mut runs = (0..seeds).map(|seed| random::run(&known.suite, seed, &hurt));
    assert!(runs.any(|run| run.is_err()), "{options} was not found");
}
