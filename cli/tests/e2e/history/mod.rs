//! What clients did and saw, what the cluster says has happened, and whether both can be true.
//!
//! Revisions make linearizability easy to check: they are a total order that the server itself
//! vouches for. If every write has a revision of its own, every read shows exactly the state of the
//! revision it names, and no call names an older revision than one that was known before it began,
//! then the order of revisions (a write before the reads that saw it) is a linearization.

pub(crate) mod clients;
pub(crate) mod load;
pub(crate) mod oracle;
mod oracle_tests;
pub(crate) mod verdict;
pub(crate) mod watcher;

use std::collections::BTreeMap;
use std::time::Instant;

use etcd_client::{Event, EventType, KeyValue, WatchOptions};

use crate::harness::PATIENCE;
use crate::harness::client::{Client, revision};

/// A key's state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    /// Its value.
    pub(crate) value: String,
    /// The revision that last wrote it.
    pub(crate) modified: i64,
    /// The revision that created it.
    pub(crate) created: i64,
    /// How often it was written since it was created.
    pub(crate) version: i64,
}

/// All keys that exist, by name.
pub(crate) type State = BTreeMap<String, Row>;

/// What one revision did to one key: a row, or a deletion.
pub(crate) type Change = (String, Option<Row>);

/// What one revision did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Revision {
    /// Its number.
    pub(crate) number: i64,
    /// In the order of the transaction.
    pub(crate) changes: Vec<Change>,
}

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Writes one value, unlike any other, to each key, in one revision.
    Put { keys: Vec<String>, value: String },
    /// Deletes a key.
    Delete { key: String },
    /// Writes a value if the key was last written by that revision; 0 if it does not exist.
    /// Otherwise reads the key.
    Swap {
        key: String,
        expected: i64,
        value: String,
    },
    /// Reads one key, or all.
    Read { key: Option<String> },
    /// Reads one key, or all, of one member's perhaps old state.
    ReadStale { key: Option<String> },
}

/// What the client learned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// It was done, and made this revision.
    Changed { revision: i64 },
    /// Nothing was changed; this is what was there, as of this revision.
    Saw { revision: i64, rows: State },
    /// An error or silence: it may have been done, or may still be.
    Unknown,
}

/// One call of one client; all of it is shown when an oracle objects.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Who asked, and whom: `c0 at ENDPOINT`.
    pub(crate) who: String,
    /// When it was asked.
    pub(crate) begun: Instant,
    /// When it was answered, or given up.
    pub(crate) ended: Instant,
    /// What was asked.
    pub(crate) action: Action,
    /// What was answered.
    pub(crate) answer: Answer,
}

/// What one member says has happened to the keys that start with `prefix`, from the first revision up
/// to now.
pub(crate) async fn of_member(client: &mut Client, prefix: &str) -> Vec<Revision> {
    // A key right behind the prefix says where the history ends.
    let end = after(prefix);
    let done = client
        .put(end.as_str(), "", None)
        .await
        .expect("the member serves");
    let upto = revision(done.header());
    let options = WatchOptions::new()
        .with_range(format!("{end}\0"))
        .with_start_revision(1);
    let watch = client.watch(prefix, Some(options));
    let (_watcher, mut stream) = watch.await.expect("the member serves");
    let mut history: Vec<Revision> = Vec::new();
    while history.last().is_none_or(|revision| revision.number < upto) {
        let message = tokio::time::timeout(PATIENCE, stream.message());
        let message = message
            .await
            .expect("the history ends")
            .expect("the stream goes on");
        let message = message.expect("the stream goes on");
        assert!(
            !message.canceled(),
            "watch canceled: {}",
            message.cancel_reason()
        );
        history.extend(changes(message.events()));
    }
    for revision in &mut history {
        revision.changes.retain(|(key, _)| *key != end);
    }
    history.retain(|revision| !revision.changes.is_empty());
    history
}

/// The first key behind all those that start with `prefix`.
fn after(prefix: &str) -> String {
    let last = prefix.chars().next_back().expect("not empty");
    let next = char::from_u32(u32::from(last) + 1).expect("ASCII");
    format!("{}{next}", &prefix[..prefix.len() - last.len_utf8()])
}

/// The events of one response, by revision, as they came.
pub(crate) fn changes(events: &[Event]) -> Vec<Revision> {
    let mut revisions: Vec<Revision> = Vec::new();
    for event in events {
        let row = event.kv().expect("every event has a key");
        let number = row.mod_revision();
        let change = match event.event_type() {
            EventType::Put => change(row),
            EventType::Delete => (text(row.key()), None),
        };
        match revisions.last_mut() {
            Some(last) if last.number == number => last.changes.push(change),
            _ => revisions.push(Revision {
                number,
                changes: vec![change],
            }),
        }
    }
    revisions
}

/// The rows of an answer.
pub(crate) fn state(rows: &[KeyValue]) -> State {
    let changes = rows.iter().map(change);
    changes.filter_map(|(key, row)| Some((key, row?))).collect()
}

fn change(row: &KeyValue) -> Change {
    let key = text(row.key());
    let row = Row {
        value: text(row.value()),
        modified: row.mod_revision(),
        created: row.create_revision(),
        version: row.version(),
    };
    (key, Some(row))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
