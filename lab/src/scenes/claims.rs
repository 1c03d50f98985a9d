//! What is claimed of a run: which promises worlds watch, and what must have happened at its end.

use crate::draw::words::fields;

/// The word with which a violation begins, and what is promised.
pub type Promise = (&'static str, &'static str);

/// What is claimed of a kind of run, and what else a stage must know.
#[derive(Clone, Copy, Default, Debug)]
pub struct Claims {
    /// What worlds watch.
    pub(super) watched: &'static [Promise],
    /// The same, of one protocol only.
    pub(super) also: &'static [Promise],
    /// What must have happened at the end, if that can be told.
    pub(super) end: Option<End>,
    /// What the protocol's paper calls an epoch.
    pub epoch: &'static str,
    /// The requests that are worth offering.
    pub asks: &'static [Ask],
}

/// A request that is worth offering to a person who explores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Its words without the process, as in a script. `*` stands for a value that was not used yet.
    pub words: &'static str,
    /// Whether it makes sense at every process, and not only at the one that leads.
    pub of_all: bool,
}

impl Ask {
    /// Its first word.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        self.words.split(' ').next().unwrap_or_default()
    }
}

/// A request for whoever leads.
const fn of_leader(words: &'static str) -> Ask {
    let of_all = false;
    Ask { words, of_all }
}

/// A request for everybody.
const fn of_all(words: &'static str) -> Ask {
    let of_all = true;
    Ask { words, of_all }
}

/// How a run should end.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Whether a request wants an answer.
    pub(super) wants: fn(request: &str) -> bool,
    /// Whether an output answers a request, both as a trace shows them, and whether it is the same
    /// process that was asked and that tells.
    pub(super) answers: fn(request: &str, output: &str, here: bool) -> bool,
    /// How far an output shows that its process has come, since all should come equally far.
    pub(super) progress: fn(output: &str) -> Option<u64>,
    /// An output that begins a state in which nobody should stay, and what that state is called. Any
    /// progress ends it.
    pub(super) stuck: Option<(&'static str, &'static str)>,
}

/// What is claimed of two armies.
pub(super) const TWO_ARMIES: Claims = Claims {
    watched: &[
        ("coordination", "both attack, or neither does"),
        ("validity", "nobody attacks unless it was proposed"),
    ],
    also: &[],
    end: None,
    epoch: "",
    asks: &[of_leader("propose")],
};

/// What total order promises.
const TOTAL_ORDER: &[Promise] = &[
    ("agreement", "at one position all deliver the same"),
    ("integrity", "nothing is delivered that nobody broadcast"),
    (
        "gap",
        "everybody delivers every position, once and in order",
    ),
    (
        "checkpoint",
        "only states that somebody really had are installed",
    ),
    (
        "read",
        "no read misses what was delivered before it was asked for",
    ),
];

impl Claims {
    /// What is claimed of a protocol of total order that promises `also` besides, and calls an epoch so.
    #[must_use]
    pub const fn total_order(also: &'static [Promise], epoch: &'static str) -> Claims {
        Claims {
            watched: TOTAL_ORDER,
            also,
            epoch,
            asks: const { &[of_leader("broadcast *"), of_leader("read")] },
            end: Some(End {
                wants,
                answers,
                progress,
                stuck: None,
            }),
        }
    }

    /// What is claimed of a protocol of consensus that promises `also` besides, and calls an epoch so.
    #[must_use]
    pub const fn consensus(also: &'static [Promise], epoch: &'static str) -> Claims {
        Claims {
            watched: CONSENSUS,
            also,
            epoch,
            asks: const { &[of_all("propose *")] },
            end: Some(End {
                wants: |request| request.starts_with("Propose"),
                answers: decides,
                progress: decided,
                stuck: None,
            }),
        }
    }

    /// What is claimed of a replicated service whose strategy promises `also` besides.
    #[must_use]
    pub const fn replicated(also: &'static [Promise], epoch: &'static str) -> Claims {
        Claims {
            watched: REPLICATED,
            also,
            epoch,
            asks: const { &[of_all("add 1"), of_all("read")] },
            end: Some(End {
                wants: |request| request.starts_with("Invoke"),
                answers: replies,
                progress: copied,
                stuck: None,
            }),
        }
    }

    /// What is claimed of a protocol of atomic commitment that promises `also` besides, and calls an
    /// epoch so.
    #[must_use]
    pub const fn atomic_commitment(also: &'static [Promise], epoch: &'static str) -> Claims {
        Claims {
            watched: ATOMIC_COMMITMENT,
            also,
            epoch,
            asks: const { &[of_all("vote yes"), of_all("vote no")] },
            end: Some(End {
                wants: |request| request.starts_with("Vote"),
                answers: decides,
                progress: decided,
                stuck: Some(("Blocked", "blocked")),
            }),
        }
    }
}

/// What a replicated service promises its clients, and its copies each other.
const REPLICATED: &[Promise] = &[
    (
        "linearizability",
        "clients are answered as if there were one copy",
    ),
    (
        "durability",
        "nobody takes over without what was acknowledged",
    ),
    (
        "convergence",
        "copies that made the same updates are in the same state",
    ),
    ("exactly once", "no call is served twice"),
    ("integrity", "nothing is served that nobody asked for"),
];

/// Whether an output answers a call: with the same name, where it was asked.
fn replies(request: &str, output: &str, here: bool) -> bool {
    let id = |text: &str| {
        let fields = fields(text)?.1;
        let mut found = fields.into_iter().filter(|(name, _)| name == "id");
        found.next().map(|(_, id)| id)
    };
    here && output.starts_with("Reply") && id(request) == id(output)
}

/// How many updates a copy contains.
fn copied(output: &str) -> Option<u64> {
    let (name, parts) = fields(output)?;
    let mut parts = parts.into_iter();
    match name.as_str() {
        "Updated" => {
            let (_, updates) = parts.find(|(name, _)| name == "updates")?;
            updates.parse().ok()
        }
        "Installed" => {
            let (_, ids) = parts.find(|(name, _)| name == "ids")?;
            let ids = ids.trim_matches(['[', ']']);
            let count = ids.split(',').filter(|id| !id.trim().is_empty()).count();
            u64::try_from(count).ok()
        }
        _ => None,
    }
}

/// What consensus promises.
const CONSENSUS: &[Promise] = &[
    ("agreement", "no two decide differently"),
    (
        "integrity",
        "everybody decides at most once, and what somebody proposed",
    ),
];

/// What atomic commitment promises.
const ATOMIC_COMMITMENT: &[Promise] = &[
    ("agreement", "all commit or all abort"),
    ("stability", "nobody decides twice"),
    ("validity", "commit is decided only if all voted yes"),
    (
        "non-triviality",
        "abort is decided only if somebody voted no, failed or was suspected",
    ),
];

/// Whether a process that was asked to take part decides.
fn decides(_: &str, output: &str, here: bool) -> bool {
    here && decided(output).is_some()
}

/// Whoever decides has come as far as it can.
fn decided(output: &str) -> Option<u64> {
    output.starts_with("Decide(").then_some(1)
}

/// Whether a request to total order wants an answer.
fn wants(request: &str) -> bool {
    request.starts_with("Broadcast") || request.starts_with("Read")
}

/// Whether an output of total order answers a request: a read is answered where it was asked, a
/// broadcast wherever it is delivered.
fn answers(request: &str, output: &str, here: bool) -> bool {
    let value = |fields: &[(String, String)], name: &str| {
        let mut found = fields.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.clone())
    };
    let (Some((asked, request)), Some((told, output))) = (fields(request), fields(output)) else {
        return false;
    };
    match (asked.as_str(), told.as_str()) {
        ("Broadcast", "Deliver") => value(&request, "0") == value(&output, "payload"),
        ("Read", "ReadReady") => here && value(&request, "id") == value(&output, "id"),
        _ => false,
    }
}

/// How far a process has come in the total order.
fn progress(output: &str) -> Option<u64> {
    let (name, parts) = fields(output)?;
    let parts = match name.as_str() {
        "Deliver" => parts,
        "Install" => fields(&parts.first()?.1)?.1,
        _ => return None,
    };
    let (_, position) = parts.into_iter().find(|(name, _)| name == "position")?;
    position.parse().ok()
}
