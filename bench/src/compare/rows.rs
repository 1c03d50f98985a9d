//! What is measured, and what it is aimed at.

use crate::servers::System;

/// Rows that share a cluster.
pub(super) struct Group {
    /// What `--rows` calls them.
    pub(super) name: &'static str,
    pub(super) work: Work,
    /// With how many members it makes sense.
    pub(super) members_min: usize,
    /// Whether it is run only when it is named.
    pub(super) heavy: bool,
}

/// How a group is measured.
pub(super) enum Work {
    /// One load after the other, after what is prepared.
    Loads {
        prepare: &'static [&'static str],
        rows: &'static [Row],
        /// Whether a server that only echoes can answer too.
        echo: bool,
    },
    /// Memory after so many keys.
    Memory { keys: u64 },
    /// From the death of the leader to the next put.
    Failover,
    /// From the start to the first answer, with so many keys.
    Restart { keys: u64 },
    /// What latency becomes while the store is busy with itself.
    Busy,
}

/// A load that is measured.
pub(super) struct Row {
    /// What the tables call it.
    pub(super) title: &'static str,
    pub(super) kind: Kind,
    pub(super) clients: u32,
    /// How many requests, or for a watch puts.
    pub(super) total: u64,
    /// The load and its own flags.
    words: &'static str,
}

/// What a row is about, for the goals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Put,
    Get,
    Other,
    Watch,
}

const fn row(
    title: &'static str,
    kind: Kind,
    clients: u32,
    total: u64,
    words: &'static str,
) -> Row {
    Row {
        title,
        kind,
        clients,
        total,
        words,
    }
}

/// Ten thousand keys, each with a value of 256 B.
const FILL: &str = "put --clients 64 --conns 8 --total 10000 --key-space-size 10000 --val-size 256 --sequential-keys";
const PUT: &str = "put --key-space-size 10000 --val-size 256";
const GET: &str = "get --key-space-size 10000";
const GET_S: &str = "get --key-space-size 10000 --consistency s";
const MIXED: &str = "mixed --key-space-size 10000 --val-size 256 --reads 75";
const SWAP: &str = "txn --key-space-size 10000 --val-size 256 --compare";

pub(super) const GROUPS: &[Group] = &[
    loads(
        "put",
        &[],
        true,
        &[
            row("put 256 B, 1 client", Kind::Put, 1, 5_000, PUT),
            row("put 256 B, 16 clients", Kind::Put, 16, 40_000, PUT),
            row("put 256 B, 64 clients", Kind::Put, 64, 80_000, PUT),
            row("put 256 B, 256 clients", Kind::Put, 256, 100_000, PUT),
            row("put 256 B, 1000 clients", Kind::Put, 1000, 100_000, PUT),
        ],
    ),
    loads(
        "get",
        &[FILL],
        true,
        &[
            row("linearizable get, 1 client", Kind::Get, 1, 10_000, GET),
            row("linearizable get, 64 clients", Kind::Get, 64, 150_000, GET),
            row(
                "linearizable get, 256 clients",
                Kind::Get,
                256,
                200_000,
                GET,
            ),
            row(
                "linearizable get, 1000 clients",
                Kind::Get,
                1000,
                200_000,
                GET,
            ),
            row("serializable get, 1 client", Kind::Get, 1, 10_000, GET_S),
            row(
                "serializable get, 64 clients",
                Kind::Get,
                64,
                150_000,
                GET_S,
            ),
            row(
                "serializable get, 256 clients",
                Kind::Get,
                256,
                200_000,
                GET_S,
            ),
            row(
                "serializable get, 1000 clients",
                Kind::Get,
                1000,
                200_000,
                GET_S,
            ),
        ],
    ),
    loads(
        "range",
        &[FILL],
        false,
        &[
            row(
                "range of 100, 1 client",
                Kind::Other,
                1,
                3_000,
                "get --key-space-size 10000 --range 100",
            ),
            row(
                "range of 100, 64 clients",
                Kind::Other,
                64,
                20_000,
                "get --key-space-size 10000 --range 100",
            ),
        ],
    ),
    loads(
        "mixed",
        &[FILL],
        false,
        &[
            row(
                "3 gets to 1 put, 64 clients",
                Kind::Other,
                64,
                100_000,
                MIXED,
            ),
            row(
                "3 gets to 1 put, 256 clients",
                Kind::Other,
                256,
                100_000,
                MIXED,
            ),
        ],
    ),
    loads(
        "txn",
        &[FILL],
        false,
        &[
            row("compare and swap, 1 client", Kind::Other, 1, 5_000, SWAP),
            row(
                "compare and swap, 64 clients",
                Kind::Other,
                64,
                60_000,
                SWAP,
            ),
        ],
    ),
    loads(
        "watch",
        &[],
        false,
        &[
            row(
                "watch: 1000 watchers of one prefix",
                Kind::Watch,
                16,
                2_000,
                "watch --streams 10 --watch-per-stream 100 --watched-key-total 1 --prefix",
            ),
            row(
                "watch: 100 watchers, each of its own prefix",
                Kind::Watch,
                64,
                40_000,
                "watch --streams 10 --watch-per-stream 10 --watched-key-total 100 --prefix",
            ),
        ],
    ),
    loads(
        "lease",
        &[],
        false,
        &[
            row(
                "lease grant, 64 clients",
                Kind::Other,
                64,
                30_000,
                "lease --op grant --ttl 600",
            ),
            row(
                "lease keep-alive, 64 clients",
                Kind::Other,
                64,
                60_000,
                "lease --op keep-alive --ttl 600",
            ),
        ],
    ),
    one("memory", Work::Memory { keys: 1_000_000 }, 1, false),
    one("failover", Work::Failover, 3, false),
    one("busy", Work::Busy, 1, false),
    one("restart", Work::Restart { keys: 5_000_000 }, 1, true),
];

const fn loads(
    name: &'static str,
    prepare: &'static [&'static str],
    echo: bool,
    rows: &'static [Row],
) -> Group {
    one(
        name,
        Work::Loads {
            prepare,
            rows,
            echo,
        },
        1,
        false,
    )
}

const fn one(name: &'static str, work: Work, members_min: usize, heavy: bool) -> Group {
    Group {
        name,
        work,
        members_min,
        heavy,
    }
}

impl Group {
    /// Who takes part, in the order of the turns.
    pub(super) fn systems(&self, members: usize, with_etcd: bool) -> Vec<System> {
        let mut systems = vec![System::Quorate];
        if with_etcd {
            systems.insert(0, System::Etcd);
        }
        if matches!(self.work, Work::Loads { echo: true, .. }) && members == 1 {
            systems.extend([System::TonicEcho, System::BareEcho]);
        }
        systems
    }
}

impl Row {
    /// What `quorate bench` would be told, without the endpoints; `part` of the full number of requests.
    pub(super) fn command(&self, part: u64) -> String {
        let total = (self.total / part).max(u64::from(self.clients));
        let connections = connections(self.clients);
        let flag = match self.kind {
            Kind::Watch => "--put-total",
            Kind::Put | Kind::Get | Kind::Other => "--total",
        };
        // Streams are spread over the connections too.
        let connections = match self.kind {
            Kind::Watch => 10,
            Kind::Put | Kind::Get | Kind::Other => connections,
        };
        let clients = self.clients;
        format!(
            "{} --clients {clients} --conns {connections} {flag} {total}",
            self.words
        )
    }
}

/// How many connections so many clients share.
fn connections(clients: u32) -> u32 {
    match clients {
        0..16 => 1,
        16..64 => 4,
        64..256 => 8,
        256..1000 => 16,
        _ => 50,
    }
}

/// All loads that are measured.
pub(super) fn all_rows() -> impl Iterator<Item = (&'static Group, &'static Row)> {
    GROUPS.iter().flat_map(|group| {
        let rows: &[Row] = match &group.work {
            Work::Loads { rows, .. } => rows,
            _ => &[],
        };
        rows.iter().map(move |row| (group, row))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::flags_of;
    use std::collections::BTreeSet;

    #[test]
    fn every_load_is_one_that_bench_understands() {
        for (group, row) in all_rows() {
            for part in [1, 20] {
                flags_of(&row.command(part), &["a:1".to_owned()])
                    .unwrap_or_else(|error| panic!("{}: {error}", row.title));
            }
            let Work::Loads { prepare, .. } = &group.work else {
                continue;
            };
            for line in *prepare {
                flags_of(line, &["a:1".to_owned()]).expect("it is understood too");
            }
        }
    }

    #[test]
    fn titles_and_names_are_told_apart() {
        let titles: BTreeSet<&str> = all_rows().map(|(_, row)| row.title).collect();
        assert_eq!(titles.len(), all_rows().count());
        let names: BTreeSet<&str> = GROUPS.iter().map(|group| group.name).collect();
        assert_eq!(names.len(), GROUPS.len());
    }

    #[test]
    fn systems_take_turns() {
        let group = |name| {
            let mut groups = GROUPS.iter();
            groups.find(|group| group.name == name).expect("it exists")
        };
        use System::{BareEcho, Etcd, Quorate, TonicEcho};
        assert_eq!(
            group("put").systems(1, true),
            [Etcd, Quorate, TonicEcho, BareEcho]
        );
        assert_eq!(group("put").systems(3, true), [Etcd, Quorate]);
        assert_eq!(group("watch").systems(1, false), [Quorate]);
    }
}
