//! Whoever watches the whole run, and says which promise was broken.

use std::collections::BTreeMap;

use quorate_core::{NodeId, Protocol};
use quorate_problems::digest;
use quorate_problems::history::{History, Operation};
use quorate_problems::key_value;
use quorate_problems::linearizable::Verdict;
use quorate_problems::total_order::{Membership, Oracle, Output, Request, TotalOrder};
use quorate_service::command::KeyRange;
use quorate_service::error::Error;
use quorate_service::health::AlarmKind;
use quorate_service::reply::{KeyValue, Revision};
use quorate_service::store::View;
use quorate_service::watch::{Found, Item, Kind, WatchCreate, WatchStream};

use super::ClientHistory;
use super::aged::Told;
use super::glances::Glances;
use super::leases::Leases;
use super::machine::Heard;
use super::order::{self, Dated};
use super::session::{self, Action, Answer};
use crate::{Suite, Watch};

/// As many configurations as the search for linearization points may look at.
const CONFIGURATIONS_MAX: u64 = 10_000;

pub(super) struct Judge<P: Protocol> {
    oracle: Oracle,
    watch: Watch<P>,
    digests: digest::Oracle,
    /// A number for the events of each revision, once a watcher has seen all of it.
    revisions: Vec<Option<u64>>,
    /// All changes so far that were gathered, and the revision at which to go on; none if a state had
    /// forgotten what nobody gathered.
    changes: Vec<Revision>,
    gather_from: Option<i64>,
    /// The latest revision that anybody asked to compact at.
    compact_max: i64,
    pub(super) leases: Leases,
    pub(super) glances: Glances,
    pub(super) told: Told,
    /// The lists of members that states had, by version.
    lists: BTreeMap<u64, Membership>,
    /// The version that each machine showed last.
    shown: BTreeMap<NodeId, u64>,
    operations: Vec<Dated>,
    /// Those of them that certainly were not carried out.
    refused: Vec<bool>,
    /// The run so far, as one number.
    hash: u64,
}

/// What is wrong, in words.
pub(super) type Outcome = Result<(), String>;

/// Someone who watches everything at one machine, through restarts.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Watcher {
    /// All revisions through this one were seen whole.
    seen: i64,
    /// The revision that is being told, and its events so far.
    telling: Option<(i64, u64)>,
}

/// One more number in a chain.
pub(super) fn chain(hash: u64, number: u64) -> u64 {
    let mut z = (hash ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 31)
}

impl<P: Protocol<Problem = TotalOrder>> Judge<P> {
    pub(super) fn new(suite: &Suite<P>, rate_max: u64) -> Judge<P> {
        Judge {
            oracle: Oracle::default(),
            watch: (suite.watch)(),
            digests: digest::Oracle::default(),
            revisions: Vec::new(),
            changes: Vec::new(),
            gather_from: Some(1),
            compact_max: 0,
            leases: Leases::new(rate_max),
            glances: Glances::default(),
            told: Told::default(),
            lists: BTreeMap::new(),
            shown: BTreeMap::new(),
            operations: Vec::new(),
            refused: Vec::new(),
            hash: 0,
        }
    }

    /// Adds to the number that stands for the whole run.
    pub(super) fn note(&mut self, number: u64) {
        self.hash = chain(self.hash, number);
    }

    /// The number that stands for the whole run.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn on_open(&mut self, node: NodeId, position: u64) {
        let checkpoint = quorate_core::Checkpoint { position, epoch: 0 };
        self.oracle.on_open(node, checkpoint);
    }

    /// What passed between a replica and its edge.
    pub(super) fn on_heard(&mut self, node: NodeId, heard: &Heard) -> Outcome {
        match heard {
            Heard::Asked(Request::Broadcast(payload)) => {
                self.note(u64::from(payload.checksum()));
                self.oracle.on_broadcast(payload);
            }
            Heard::Asked(Request::Read { id }) => self.oracle.on_read(node, *id),
            Heard::Asked(Request::Reconfigure(members)) => self.oracle.on_reconfigure(members),
            Heard::Asked(Request::Compact(_) | Request::Transfer { .. }) => {}
            Heard::Told(output) => {
                let number = match output {
                    Output::Deliver { position, .. } => *position,
                    Output::ReadReady { position, .. } => position ^ (1 << 60),
                    Output::Install(checkpoint) => checkpoint.position ^ (1 << 61),
                    Output::Lead { epoch, .. } => epoch ^ (1 << 62),
                    Output::Members(members) => members.version ^ (1 << 63),
                };
                self.note(number ^ (node.0 << 50));
                let judged = self.oracle.on_output(node, output);
                judged.map_err(|violation| violation.to_string())?;
            }
        }
        Ok(())
    }

    /// What must hold of all replicas together.
    pub(super) fn on_replicas(&mut self, replicas: &[&P]) -> Outcome {
        for replica in replicas {
            replica.invariants();
        }
        (self.watch)(replicas)
    }

    /// A replica shows a state.
    pub(super) fn on_state(&mut self, node: NodeId, view: &View) -> Outcome {
        let (position, digest) = (view.position(), view.digest());
        let judged = self.digests.on_state(node, position, digest);
        judged.map_err(|diverged| format!("digest: {diverged}"))?;
        self.note(digest);
        let mut alarms = view.health().alarms().iter();
        if let Some(alarm) = alarms.find(|alarm| alarm.kind == AlarmKind::Corrupt) {
            return Err(format!("health: {node} has heard {alarm:?}"));
        }
        self.on_list(node, view)
    }

    /// A list of members is the same in every state that has its version.
    fn on_list(&mut self, node: NodeId, view: &View) -> Outcome {
        let version = view.members().version;
        if self.shown.insert(node, version) == Some(version) {
            return Ok(());
        }
        let list = view.members().membership();
        let known = self.lists.entry(version);
        let known = known.or_insert_with(|| list.clone());
        match *known == list {
            true => Ok(()),
            false => Err(format!("members: {node} lists {list}, another {known}")),
        }
    }

    /// The newest list of members that anybody has shown.
    pub(super) fn newest_list(&self) -> Membership {
        let newest = self.lists.last_key_value();
        newest.map(|(_, list)| list.clone()).unwrap_or_default()
    }

    /// The list that is in force, as far as anybody was told, and those that are newer.
    pub(super) fn lists_in_force(&self) -> Vec<Membership> {
        let in_force = self.oracle.members().map_or(0, |members| members.version);
        let newer = self.lists.range(in_force..);
        newer.map(|(_, list)| list.clone()).collect()
    }

    /// Whether the protocol says who takes part.
    pub(super) fn says_members(&self) -> bool {
        self.oracle.members().is_some()
    }

    /// Whether the newest list of members is in force.
    pub(super) fn follows(&self) -> bool {
        let in_force = self.oracle.members();
        in_force.is_none_or(|members| members.version == self.newest_list().version)
    }

    /// A client asks. Answers the number of the operation.
    pub(super) fn on_call(&mut self, process: u64, call: u64, input: Action) -> usize {
        let operation = Operation {
            process,
            call,
            input,
            returned: None,
        };
        self.operations.push((operation, None));
        self.refused.push(false);
        self.operations.len() - 1
    }

    /// What was asked.
    pub(super) fn action(&self, operation: usize) -> &Action {
        &self.operations[operation].0.input
    }

    /// A client is answered.
    pub(super) fn on_answer(&mut self, operation: usize, at: u64, answer: (Answer, i64)) {
        self.note(at ^ operation as u64);
        let (answer, revision) = answer;
        self.operations[operation].0.returned = Some((at, answer));
        self.operations[operation].1 = Some(revision);
    }

    /// Whether an operation was answered.
    pub(super) fn is_answered(&self, operation: usize) -> bool {
        self.operations[operation].0.returned.is_some()
    }

    /// A client learns that its operation certainly was not carried out.
    pub(super) fn on_refusal(&mut self, operation: usize) {
        self.note(!(operation as u64));
        self.refused[operation] = true;
    }

    /// The history of the clients must be one that a single machine could have produced, as the
    /// changes that a state remembers may show. Answers whether that was found out.
    pub(super) fn history(&mut self, view: Option<View>) -> Result<bool, String> {
        self.leave_out_refused();
        if let Some(view) = view {
            self.gather(&view);
        }
        order::exactly_once(&self.changes)?;
        self.leases.go_at_once(&self.changes)?;
        if self.gather_from.is_some() {
            self.glances.were_true(&self.changes)?;
        }
        if self.gather_from.is_some() && order::explains(&self.changes, &self.operations) {
            return Ok(true);
        }
        let history = self.clients();
        match key_value::check(&history, CONFIGURATIONS_MAX) {
            Verdict::Linearizable(_) => Ok(true),
            Verdict::GaveUp { .. } => Ok(false),
            Verdict::Violated(witness) => {
                let mut text = format!("linearizability: {witness}");
                for &number in witness.conflict.iter().chain(&witness.context) {
                    text += &format!("\n   {number}: {:?}", history.operations()[number]);
                }
                Err(text)
            }
        }
    }

    fn gather(&mut self, view: &View) {
        if let Some(from) = self.gather_from {
            self.gather_from = order::gather(view, from, &mut self.changes);
        }
    }

    /// Somebody wants to compact at a revision of a state. Answers whether that is of any use, and
    /// before it is forgotten takes note of all that changed.
    pub(super) fn may_compact(&mut self, view: &View, revision: i64) -> Option<i64> {
        self.gather(view);
        let useful = revision > self.compact_max.max(1);
        self.compact_max = self.compact_max.max(revision);
        useful.then_some(revision)
    }

    /// A compaction at a revision was acknowledged, and a state is as new as that: what is older is
    /// refused, the revision itself can be read, and has the value that it always had.
    pub(super) fn on_compacted(&mut self, view: &View, revision: i64) -> Outcome {
        let name = session::key_name(0);
        match view.range(&session::named(name.clone(), revision - 1)) {
            Err(Error::Compacted { compacted }) if compacted >= revision => {}
            // Its disk has failed, and it is about to end.
            Err(Error::Storage(_) | Error::Damaged(_)) => return Ok(()),
            other => {
                let older = revision - 1;
                return Err(format!(
                    "compaction: {older} is read although {revision} was compacted at: {other:?}"
                ));
            }
        }
        let events = self.changes.iter().rev();
        let events = events.skip_while(|change| change.revision > revision);
        let mut events = events.flat_map(|change| change.events.iter().rev());
        let last = events.find(|event| event.kv.key == name);
        let expected = last.filter(|event| !event.deleted);
        match view.range(&session::named(name.clone(), revision)) {
            Ok(found) => {
                let value = |kv: &KeyValue| kv.value.clone();
                let (found, expected) = (
                    found.kvs.first().map(value),
                    expected.map(|event| value(&event.kv)),
                );
                match found == expected || self.gather_from.is_none() {
                    true => Ok(()),
                    false => Err(format!(
                        "compaction: as of {revision} there was {expected:?} and now {found:?}"
                    )),
                }
            }
            // Somebody has compacted again.
            Err(Error::Compacted { compacted })
                if compacted > revision && compacted <= self.compact_max =>
            {
                Ok(())
            }
            Err(Error::Storage(_) | Error::Damaged(_)) => Ok(()),
            Err(error) => Err(format!("compaction: {revision} cannot be read: {error}")),
        }
    }

    /// What clients asked and were told, but for what certainly was not carried out.
    ///
    /// # Panics
    /// If a client did two things at once, which is a bug of this world.
    pub(super) fn clients(&mut self) -> ClientHistory {
        self.leave_out_refused();
        let operations = self.operations.iter().map(|(operation, _)| operation);
        History::from_operations(operations.cloned()).expect("a client does one thing at a time")
    }

    /// What was refused is no part of the history.
    fn leave_out_refused(&mut self) {
        let mut refused = std::mem::take(&mut self.refused).into_iter();
        self.operations.retain(|_| refused.next() != Some(true));
    }

    /// What a watcher is told: every revision once, whole, in order, and the same everywhere.
    pub(super) fn on_watch(
        &mut self,
        node: NodeId,
        watcher: &mut Watcher,
        stream: &WatchStream,
    ) -> Outcome {
        loop {
            match stream.try_next() {
                Found::Item(item) => match item.kind {
                    Kind::Canceled {
                        compact_revision: Some(revision),
                    } => {
                        let resumed = watcher.skip_to(revision, self.compact_max);
                        resumed.map(|()| watcher.watch(stream))
                    }
                    _ => self.on_item(watcher, &item),
                },
                Found::Busy => Ok(()),
                Found::Idle => return Ok(()),
                Found::Closed => Err("the stream ended".to_owned()),
            }
            .map_err(|reason| format!("watch at {node}: {reason}"))?;
        }
    }

    fn on_item(&mut self, watcher: &mut Watcher, item: &Item) -> Outcome {
        let (chunks, fragment) = match &item.kind {
            Kind::Created | Kind::Progress => return Ok(()),
            Kind::Events { chunks, fragment } => (chunks, *fragment),
            other => return Err(format!("it was told {other:?}")),
        };
        for event in chunks.as_slice() {
            let revision = event_revision(event).ok_or("an event that cannot be read")?;
            let number = u64::from(crc32c::crc32c(event));
            watcher.telling = match watcher.telling {
                Some((now, hash)) if now == revision => Some((now, chain(hash, number))),
                Some((now, _)) => {
                    self.seen(watcher)?;
                    in_order(now, revision)?;
                    Some((revision, number))
                }
                None => {
                    in_order(watcher.seen, revision)?;
                    Some((revision, number))
                }
            };
        }
        match fragment {
            true => Ok(()),
            false => self.seen(watcher),
        }
    }

    /// A watcher has seen the revision that was being told.
    fn seen(&mut self, watcher: &mut Watcher) -> Outcome {
        let Some((revision, hash)) = watcher.telling.take() else {
            return Ok(());
        };
        watcher.seen = revision;
        self.note(hash);
        let place = usize::try_from(revision).map_err(|_| "a negative revision")?;
        let known = *slot(&mut self.revisions, place).get_or_insert(hash);
        match known == hash {
            true => Ok(()),
            false => Err(format!("revision {revision} was told otherwise elsewhere")),
        }
    }
}

impl Watcher {
    /// Its machine starts again, and so does the telling of a revision.
    pub(super) fn start_again(&mut self) {
        self.telling = None;
    }

    /// What came before a compaction is not told any more.
    fn skip_to(&mut self, revision: i64, compact_max: i64) -> Outcome {
        if revision <= self.next() || revision > compact_max {
            return Err(format!(
                "at {} it was told that {revision} is compacted",
                self.next()
            ));
        }
        self.telling = None;
        self.seen = revision - 1;
        Ok(())
    }

    /// Asks for everything that it has not seen.
    pub(super) fn watch(&self, stream: &WatchStream) {
        stream.create(WatchCreate {
            range: KeyRange {
                key: bytes::Bytes::from_static(&[0]),
                end: bytes::Bytes::from_static(&[0]),
            },
            start_revision: self.next(),
            ..WatchCreate::default()
        });
    }

    /// Where to go on.
    pub(super) fn next(&self) -> i64 {
        self.seen + 1
    }

    /// Someone who has seen nothing; the first revision is the empty store's.
    pub(super) fn new() -> Watcher {
        Watcher {
            seen: 1,
            telling: None,
        }
    }
}

fn in_order(last: i64, revision: i64) -> Outcome {
    match revision == last + 1 {
        true => Ok(()),
        false => Err(format!("revision {revision} came after {last}")),
    }
}

fn slot(places: &mut Vec<Option<u64>>, at: usize) -> &mut Option<u64> {
    if places.len() <= at {
        places.resize(at + 1, None);
    }
    &mut places[at]
}

/// `kv.mod_revision` of an encoded `mvccpb.Event`.
fn event_revision(event: &[u8]) -> Option<i64> {
    let mut row = Proto(event).find(2)?;
    let Field::Bytes(row) = &mut row else {
        return None;
    };
    match Proto(row).find(3)? {
        Field::Number(revision) => Some(revision.cast_signed()),
        Field::Bytes(_) => None,
    }
}

/// Enough of protobuf's wire format to find a field.
struct Proto<'a>(&'a [u8]);

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Proto<'a> {
    fn find(mut self, wanted: u64) -> Option<Field<'a>> {
        loop {
            let tag = self.number()?;
            let field = match tag & 7 {
                0 => Field::Number(self.number()?),
                2 => {
                    let len = usize::try_from(self.number()?).ok()?;
                    let (bytes, rest) = self.0.split_at_checked(len)?;
                    self.0 = rest;
                    Field::Bytes(bytes)
                }
                _ => return None,
            };
            if tag >> 3 == wanted {
                return Some(field);
            }
        }
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
