//! What the worlds must know of Multi-Paxos.

use std::time::Duration;

use quorate_check::world::{Judge, Watching};
use quorate_core::{Choice, NodeId, Payload};
use quorate_protocols::log::{Content, Entry, Epoch};
use quorate_protocols::multipaxos::{
    Ballot, Cast, Choices, Config, Flaw, MultiPaxos, Quorums, Record, Slot, Stability, Vote,
};
use quorate_quorums::Rule;
use quorate_sim::suite::{number, unknown_option};
use quorate_sim::{Options, Parsed, Suite, Watch};

use super::{Known, flaw, initial};
use crate::scenes::{Claims, Promise};

/// Multi-Paxos, as the lab knows it.
pub const KNOWN: Known<MultiPaxos> = Known {
    name: "multipaxos",
    suite: SUITE,
    // Of two ballots of one round the one of the higher node wins, so replicas are not alike.
    rename: None,
    judges: &[("choices", choices), ("stability", stability)],
    flaws: Flaw::EXHIBITS,
    claims: Claims::total_order(PAXOS, "ballot"),
};

/// What scripts and seeds need.
pub const SUITE: Suite<MultiPaxos> = Suite {
    config,
    invent,
    disk,
    describe: MultiPaxos::describe,
    watch,
};

/// What Paxos promises besides ("Paxos Made Simple", 2.2).
const PAXOS: &[Promise] = &[
    ("one choice", "in one slot one value is chosen"),
    (
        "one proposal",
        "in one ballot one value is proposed for a slot",
    ),
    ("P2b", "what is chosen is what every higher ballot proposes"),
    (
        "stability",
        "nobody begins a ballot while a quorum hears a leader",
    ),
];

/// What can be written behind `cluster 3` in a script.
const OPTIONS: &[&str] = &[
    "members",
    "window",
    "flight",
    "bytes",
    "message",
    "retention",
    "retry",
    "lease",
    "drift",
    "phase1",
    "phase2",
    "flaw",
];

fn config(nodes: &[NodeId], options: &Options<'_>) -> Parsed<Config> {
    let members = initial(nodes, options)?;
    let mut config = Config::new(members);
    let (mut phase1, mut phase2) = (Rule::Majority, Rule::Majority);
    let rule = |value: &str| value.parse::<Rule>().map_err(|error| error.to_string());
    for (&key, &value) in options {
        match key {
            "members" => {}
            "window" => config.window = number(key, value)?,
            "flight" => config.flight_entries_max = number(key, value)?,
            "bytes" => config.flight_bytes_max = number(key, value)?,
            "message" => config.message_bytes_max = number(key, value)?,
            "retention" => config.retention_bytes = number(key, value)?,
            "retry" => config.snapshot_retry = Duration::from_millis(number(key, value)?),
            "lease" => config.lease = Duration::from_millis(number(key, value)?),
            "drift" => config.drift_ppm = number(key, value)?,
            "phase1" => phase1 = rule(value)?,
            "phase2" => phase2 = rule(value)?,
            "flaw" => config.flaw = Some(flaw(Flaw::EXHIBITS, value)?),
            _ => return Err(unknown_option(key, OPTIONS)),
        }
    }
    let quorums = Quorums::new(members, phase1, phase2);
    config.quorums = quorums.map_err(|error| error.to_string())?;
    Ok(config)
}

/// Limits are where things go wrong, so most worlds have tight ones. Quorums are such that any majority
/// is one, since worlds demand progress of a majority.
fn invent(members: &[NodeId], choice: &mut Choice) -> String {
    let mut pick = |values: [u64; 4]| values[choice.choose(4) as usize];
    let mut words = format!(
        "retry={} window={} flight={} bytes={} message={} retention={}",
        pick([0, 300, 1000, 10_000]),
        pick([1, 3, 16, 64]),
        pick([1, 3, 16, 512]),
        pick([1, 200, 1000, 1 << 20]),
        pick([1, 150, 1000, 1 << 20]),
        pick([0, 0, 500, 1 << 20]),
    );
    words += match pick([0, 1, 2, 2]) {
        0 => " phase1=half",
        1 => " phase2=half",
        _ => "",
    };
    let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
    if choice.choose(2) == 0 {
        words += &format!(" members={}", 1 + choice.choose(count));
    }
    words
}

/// `promised=2.n3 vote=1:1.n1:a vote=3:1.n1:noop`: votes by slot, ballot and value.
fn disk(words: &[&str]) -> Parsed<Vec<Record>> {
    let mut promised = Ballot::default();
    let mut votes = Vec::new();
    for word in words {
        match word.split_once('=') {
            Some(("promised", value)) => promised = ballot(value)?,
            Some(("vote", value)) => votes.push(Record::Accepted(cast(value)?)),
            _ => return Err(format!("not part of a disk: {word}")),
        }
    }
    let promise = Record::Promised {
        ballot: promised,
        chosen: Slot(0),
    };
    Ok([promise].into_iter().chain(votes).collect())
}

fn ballot(text: &str) -> Parsed<Ballot> {
    let parts = text.split_once('.');
    let ballot = parts.and_then(|(round, node)| {
        let (round, node) = (round.parse().ok()?, node.parse().ok()?);
        Some(Ballot { round, node })
    });
    ballot.ok_or_else(|| format!("expected a ballot, 2.n1, found {text}"))
}

fn cast(text: &str) -> Parsed<Cast> {
    let wrong = || format!("expected a slot, a ballot and a value, 3:1.n2:x, found {text}");
    let mut parts = text.splitn(3, ':');
    let slot = parts.next().and_then(|slot| slot.parse().ok());
    let slot = Slot(slot.ok_or_else(wrong)?);
    let ballot = ballot(parts.next().ok_or_else(wrong)?)?;
    let content = match parts.next().ok_or_else(wrong)? {
        "noop" => Content::Noop,
        value => Content::Command(Payload::from_vec(value.as_bytes().to_vec(), 0)),
    };
    let epoch = Epoch(ballot.round);
    let entry = Entry { epoch, content };
    let vote = Vote { ballot, entry };
    Ok(Cast { slot, vote })
}

fn watch() -> Watch<MultiPaxos> {
    let (mut choices, mut stability) = (Choices::default(), Stability::default());
    Box::new(move |replicas| {
        choices.observe(replicas.iter().copied())?;
        stability.observe(replicas.iter().copied())
    })
}

fn choices() -> Box<dyn Judge<MultiPaxos>> {
    Box::new(Watching {
        memory: Choices::default(),
        observe: |choices, replicas| choices.observe(replicas.iter().copied()),
        renamed: |choices, _| choices.clone(),
    })
}

fn stability() -> Box<dyn Judge<MultiPaxos>> {
    Box::new(Watching {
        memory: Stability::default(),
        observe: |stability, replicas| stability.observe(replicas.iter().copied()),
        renamed: |stability, _| stability.clone(),
    })
}
