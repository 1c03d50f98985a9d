//! What the machine should do, written as naively as possible: a copy of the whole state for every
//! revision.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::command::{
    Command, Compare, DeleteRange, KeyRange, Member, Op, Operand, Order, Put, Range, Relation,
    Rules, Target, Txn,
};
use crate::error::Error;
use crate::health::{Alarm, AlarmKind};
use crate::reply::{
    DeleteRangeReply, Event, KeyValue, LeaseStatus, OpReply, PutReply, RangeReply, Reply, Revision,
    TxnReply,
};

type Rows = BTreeMap<Bytes, KeyValue>;

#[derive(Clone, Debug)]
pub(super) struct Model {
    /// The rows as of each revision; the first two are empty.
    states: Vec<Rows>,
    /// The changes of each revision from 2 on.
    pub(super) history: Vec<Revision>,
    pub(super) compacted: i64,
    /// TTL and deadline of each lease.
    leases: BTreeMap<i64, (i64, i64)>,
    now_ms: i64,
    epoch: u64,
    base_ms: i64,
    pub(super) members: BTreeMap<u64, Member>,
    removed: BTreeSet<u64>,
    pub(super) alarms: BTreeSet<Alarm>,
}

fn has_put(txn: &Txn) -> bool {
    let mut ops = txn.success.iter().chain(&txn.failure);
    ops.any(|op| match op {
        Op::Put(_) => true,
        Op::Txn(txn) => has_put(txn),
        Op::Range(_) | Op::DeleteRange(_) => false,
    })
}

/// Whether a majority of those who would have a vote have a name, the way etcd counts.
fn check_voters<const N: usize>(
    members: &BTreeMap<u64, Member>,
    without: [u64; N],
    with: Option<&Member>,
    rules: &Rules,
) -> Result<(), Error> {
    let voters = members.values();
    let voters = voters.filter(|it| !it.is_learner && !without.contains(&it.id));
    let voters: Vec<_> = voters.chain(with).collect();
    let started = voters.iter().filter(|it| !it.name.is_empty()).count();
    let grows_from_one = with.is_some_and(|it| it.name.is_empty()) && voters.len() == 2;
    let changes = with.is_some() || N > 0;
    match !rules.strict || !changes || started > voters.len() / 2 || grows_from_one && started == 1
    {
        true => Ok(()),
        false => Err(Error::NotEnoughStarted),
    }
}

fn check_urls(members: &BTreeMap<u64, Member>) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for member in members.values() {
        let own: BTreeSet<_> = member.peer_urls.iter().collect();
        for url in own {
            if !seen.insert(url) {
                return Err(Error::PeerUrlExists);
            }
        }
    }
    Ok(())
}

impl Model {
    pub(super) fn new() -> Model {
        Model {
            states: vec![Rows::new(); 2],
            history: Vec::new(),
            compacted: -1,
            leases: BTreeMap::new(),
            now_ms: 0,
            epoch: 0,
            base_ms: 0,
            members: BTreeMap::new(),
            removed: BTreeSet::new(),
            alarms: BTreeSet::new(),
        }
    }

    pub(super) fn revision(&self) -> i64 {
        self.states.len() as i64 - 1
    }

    fn rows(&self) -> &Rows {
        self.states.last().expect("there is always a state")
    }

    /// Applies a command that is ordered at this position.
    pub(super) fn apply(&mut self, at: u64, command: &Command) -> Result<(i64, Reply), Error> {
        self.check_alarms(command)?;
        let reply = match command {
            Command::Put(put) => {
                if put.lease != 0 && !self.leases.contains_key(&put.lease) {
                    return Err(Error::LeaseNotFound);
                }
                self.txn_of(Op::Put(put.clone()))?
            }
            Command::DeleteRange(delete) => self.txn_of(Op::DeleteRange(delete.clone()))?,
            Command::Txn(txn) => Reply::Txn(self.txn(txn)?),
            Command::Compact { revision } => {
                if *revision <= self.compacted {
                    return Err(Error::Compacted {
                        compacted: self.compacted,
                    });
                }
                if *revision > self.revision() {
                    return Err(self.future());
                }
                self.compacted = *revision;
                Reply::Compact
            }
            Command::LeaseGrant { id, ttl } => {
                if self.leases.contains_key(id) {
                    return Err(Error::LeaseExists);
                }
                self.leases.insert(*id, (*ttl, self.now_ms + ttl * 1000));
                Reply::LeaseGrant { id: *id, ttl: *ttl }
            }
            Command::LeaseRevoke { id } => {
                if !self.leases.contains_key(id) {
                    return Err(Error::LeaseNotFound);
                }
                self.revoke(*id);
                Reply::LeaseRevoke
            }
            Command::LeaseKeepAlive { id } => {
                let now_ms = self.now_ms;
                let ttl = match self.leases.get_mut(id) {
                    Some((ttl, deadline_ms)) if *deadline_ms + 1000 > now_ms => {
                        *deadline_ms = now_ms + *ttl * 1000;
                        *ttl
                    }
                    _ => 0,
                };
                Reply::LeaseKeepAlive { ttl }
            }
            Command::Tick { epoch, elapsed_ms } => {
                self.tick(*epoch, *elapsed_ms as i64);
                Reply::Done
            }
            Command::Publish(member) => {
                if let Some(known) = self.members.get_mut(&member.id) {
                    known.name.clone_from(&member.name);
                    known.client_urls.clone_from(&member.client_urls);
                }
                Reply::Done
            }
            Command::MemberAdd { .. }
            | Command::MemberRemove { .. }
            | Command::MemberUpdate { .. }
            | Command::MemberPromote { .. } => {
                self.change_members(command)?;
                Reply::Members { version: at }
            }
            Command::Raise(alarm) => {
                self.alarms.insert(*alarm);
                Reply::Alarms(vec![*alarm])
            }
            Command::Disarm(wanted) => {
                let ends = |alarm: &Alarm| {
                    alarm.kind == wanted.kind && [0, alarm.member].contains(&wanted.member)
                };
                let ended = self.alarms.iter().copied().filter(ends).collect();
                self.alarms.retain(|alarm| !ends(alarm));
                Reply::Alarms(ended)
            }
            Command::Check { .. } | Command::Report(_) => {
                unreachable!("one machine has nothing to compare")
            }
        };
        Ok((self.revision(), reply))
    }

    fn check_alarms(&self, command: &Command) -> Result<(), Error> {
        let adds = match command {
            Command::Put(_) | Command::LeaseGrant { .. } => true,
            Command::Txn(txn) => has_put(txn),
            _ => false,
        };
        let is_full = self
            .alarms
            .iter()
            .any(|alarm| alarm.kind == AlarmKind::NoSpace);
        match adds && is_full {
            true => Err(Error::NoSpace),
            false => Ok(()),
        }
    }

    fn change_members(&mut self, command: &Command) -> Result<(), Error> {
        let mut after = self.members.clone();
        let known = |id: &u64| self.members.contains_key(id);
        match command {
            Command::MemberAdd { member, rules } => {
                check_voters(&after, [], Some(member).filter(|it| !it.is_learner), rules)?;
                if known(&member.id) || self.removed.contains(&member.id) {
                    return Err(Error::MemberExists);
                }
                after.insert(member.id, member.clone());
                check_urls(&after)?;
                let learners = after.values().filter(|it| it.is_learner).count();
                if member.is_learner && learners > rules.learners_max as usize {
                    return Err(Error::TooManyLearners);
                }
            }
            Command::MemberRemove { id, rules } => {
                if self.members.get(id).is_none_or(|it| !it.is_learner) {
                    check_voters(&after, [*id], None, rules)?;
                }
                after.remove(id).ok_or(Error::MemberNotFound)?;
                if after.values().all(|it| it.is_learner) {
                    return Err(Error::LastVoter);
                }
                self.removed.insert(*id);
            }
            Command::MemberUpdate { id, peer_urls } => {
                let member = after.get_mut(id).ok_or(Error::MemberNotFound)?;
                member.peer_urls.clone_from(peer_urls);
                check_urls(&after)?;
            }
            Command::MemberPromote { id, rules } => {
                let is_learner = after.get(id).ok_or(Error::MemberNotFound)?.is_learner;
                if is_learner {
                    // Nobody reports here.
                    return Err(Error::LearnerNotReady);
                }
                let started = Member {
                    name: "started".to_owned(),
                    ..Member::default()
                };
                check_voters(&after, [], Some(&started), rules)?;
                return Err(Error::NotLearner);
            }
            _ => unreachable!("not a change of members"),
        }
        self.members = after;
        self.alarms
            .retain(|alarm| alarm.member == 0 || self.members.contains_key(&alarm.member));
        Ok(())
    }

    fn future(&self) -> Error {
        Error::FutureRevision {
            current: self.revision(),
        }
    }

    fn tick(&mut self, epoch: u64, elapsed_ms: i64) {
        // Here everything is ordered in the first epoch; a tick of an earlier one does not count.
        if epoch < self.epoch.max(1) {
            return;
        }
        if epoch > self.epoch {
            (self.epoch, self.base_ms) = (epoch, self.now_ms);
        }
        self.now_ms = self.now_ms.max(self.base_ms + elapsed_ms);
        let mut due: Vec<(i64, i64)> = self
            .leases
            .iter()
            .filter(|(_, (_, deadline_ms))| *deadline_ms + 1000 <= self.now_ms)
            .map(|(id, (_, deadline_ms))| (*deadline_ms, *id))
            .collect();
        due.sort_unstable();
        for (_, id) in due {
            self.revoke(id);
        }
    }

    fn keys_of(&self, id: i64) -> Vec<Bytes> {
        let rows = self.rows().values();
        rows.filter(|kv| kv.lease == id)
            .map(|kv| kv.key.clone())
            .collect()
    }

    fn revoke(&mut self, id: i64) {
        let keys = self.keys_of(id);
        self.leases.remove(&id);
        let mut work = Work::new(self);
        for key in keys {
            work.delete(&key);
        }
        work.finish(self);
    }

    /// A single command is a transaction without conditions.
    fn txn_of(&mut self, op: Op) -> Result<Reply, Error> {
        let txn = Txn {
            success: vec![op],
            ..Txn::default()
        };
        let (_, reply) = self.txn(&txn)?.replies.remove(0);
        Ok(match reply {
            OpReply::Put(reply) => Reply::Put(reply),
            OpReply::DeleteRange(reply) => Reply::DeleteRange(reply),
            OpReply::Txn(reply) => Reply::Txn(reply),
            OpReply::Range(_) => panic!("a range is no command"),
        })
    }

    fn txn(&mut self, txn: &Txn) -> Result<TxnReply, Error> {
        let before = self.rows().clone();
        let mut ops = Vec::new();
        flatten(&before, txn, &mut ops);
        for op in &ops {
            if let Op::Put(put) = op {
                let keeps = put.ignore_value || put.ignore_lease;
                if keeps && !before.contains_key(&put.key) {
                    return Err(Error::KeyNotFound);
                }
                if put.lease != 0 && !self.leases.contains_key(&put.lease) {
                    return Err(Error::LeaseNotFound);
                }
            }
        }
        for op in &ops {
            if let Op::Range(range) = op {
                if range.revision > self.revision() {
                    return Err(self.future());
                }
                if range.revision < 0 || (range.revision > 0 && range.revision < self.compacted) {
                    return Err(Error::Compacted {
                        compacted: self.compacted,
                    });
                }
            }
        }
        let mut work = Work::new(self);
        let reply = work.run(self, &before, txn);
        work.finish(self);
        Ok(reply)
    }

    pub(super) fn range(&self, range: &Range) -> Result<RangeReply, Error> {
        let revision = match range.revision {
            ..=0 => self.revision(),
            revision => revision,
        };
        if revision > self.revision() {
            return Err(self.future());
        }
        if revision < self.compacted {
            return Err(Error::Compacted {
                compacted: self.compacted,
            });
        }
        Ok(range_of(&self.states[revision as usize], range))
    }

    /// All events of a range from a revision on.
    pub(super) fn events(&self, range: &KeyRange, from: i64) -> Vec<Revision> {
        let mut found = Vec::new();
        for revision in &self.history {
            let mut revision = revision.clone();
            revision
                .events
                .retain(|event| contains(range, &event.kv.key));
            if revision.revision == self.compacted {
                for event in &mut revision.events {
                    event.prev_kv = None;
                }
            }
            if revision.revision >= from && !revision.events.is_empty() {
                found.push(revision);
            }
        }
        found
    }

    pub(super) fn lease_ids(&self) -> Vec<i64> {
        self.leases.keys().copied().collect()
    }

    pub(super) fn lease(&self, id: i64) -> Option<LeaseStatus> {
        let (ttl, deadline_ms) = self.leases.get(&id)?;
        Some(LeaseStatus {
            id,
            granted_ttl: *ttl,
            remaining_ttl: (deadline_ms - self.now_ms).div_euclid(1000),
            keys: self.keys_of(id),
        })
    }

    /// How many rows and events are left when all compacted space is freed.
    pub(super) fn kept(&self) -> (u64, u64) {
        let kept = |revision: &&Revision| revision.revision >= self.compacted;
        let events = self.history.iter().filter(kept);
        let events = events.map(|revision| revision.events.len() as u64).sum();
        let oldest = usize::try_from(self.compacted).unwrap_or(0);
        let rows = self.states[oldest].values();
        let older = rows.filter(|kv| kv.mod_revision < self.compacted).count() as u64;
        (events + older, events)
    }
}

/// The operations of the branches that are taken, in order, without the nested transactions.
fn flatten<'a>(before: &Rows, txn: &'a Txn, ops: &mut Vec<&'a Op>) {
    for op in branch(before, txn).1 {
        match op {
            Op::Txn(nested) => flatten(before, nested, ops),
            op => ops.push(op),
        }
    }
}

fn branch<'a>(before: &Rows, txn: &'a Txn) -> (bool, &'a [Op]) {
    match txn.compares.iter().all(|compare| holds(before, compare)) {
        true => (true, &txn.success),
        false => (false, &txn.failure),
    }
}

fn contains(range: &KeyRange, key: &Bytes) -> bool {
    match &range.end[..] {
        [] => *key == range.key,
        [0] => *key >= range.key,
        _ => *key >= range.key && *key < range.end,
    }
}

fn holds(rows: &Rows, compare: &Compare) -> bool {
    let found: Vec<&KeyValue> = rows
        .values()
        .filter(|kv| contains(&compare.range, &kv.key))
        .collect();
    let none = KeyValue::default();
    if found.is_empty() {
        return !matches!(compare.operand, Operand::Value(_)) && relates(&none, compare);
    }
    found.into_iter().all(|kv| relates(kv, compare))
}

fn relates(kv: &KeyValue, compare: &Compare) -> bool {
    let order = match &compare.operand {
        Operand::Version(version) => kv.version.cmp(version),
        Operand::Create(revision) => kv.create_revision.cmp(revision),
        Operand::Mod(revision) => kv.mod_revision.cmp(revision),
        Operand::Value(value) => kv.value.cmp(value),
        Operand::Lease(lease) => kv.lease.cmp(lease),
    };
    match compare.relation {
        Relation::Equal => order.is_eq(),
        Relation::NotEqual => order.is_ne(),
        Relation::Greater => order.is_gt(),
        Relation::Less => order.is_lt(),
    }
}

fn range_of(rows: &Rows, range: &Range) -> RangeReply {
    let all = rows.values().filter(|kv| contains(&range.range, &kv.key));
    let mut kvs: Vec<KeyValue> = all.cloned().collect();
    let count = kvs.len() as i64;
    if range.count_only {
        return RangeReply {
            count,
            ..RangeReply::default()
        };
    }
    let within = |at: i64, min: i64, max: i64| (min == 0 || at >= min) && (max == 0 || at <= max);
    kvs.retain(|kv| {
        within(
            kv.mod_revision,
            range.min_mod_revision,
            range.max_mod_revision,
        ) && within(
            kv.create_revision,
            range.min_create_revision,
            range.max_create_revision,
        )
    });
    kvs.sort_by(|one, two| {
        let order = match range.target {
            Target::Key => one.key.cmp(&two.key),
            Target::Version => one.version.cmp(&two.version),
            Target::Create => one.create_revision.cmp(&two.create_revision),
            Target::Mod => one.mod_revision.cmp(&two.mod_revision),
            Target::Value => one.value.cmp(&two.value),
        };
        match range.order {
            Order::Descend => order.reverse(),
            Order::None | Order::Ascend => order,
        }
    });
    let limit = match range.limit {
        ..=0 => usize::MAX,
        limit => limit as usize,
    };
    let more = kvs.len() > limit;
    kvs.truncate(limit);
    if range.keys_only {
        for kv in &mut kvs {
            kv.value = Bytes::new();
        }
    }
    RangeReply { kvs, more, count }
}

/// A transaction at work.
struct Work {
    revision: i64,
    rows: Rows,
    events: Vec<Event>,
}

impl Work {
    fn new(model: &Model) -> Work {
        Work {
            revision: model.revision() + 1,
            rows: model.rows().clone(),
            events: Vec::new(),
        }
    }

    fn finish(self, model: &mut Model) {
        if !self.events.is_empty() {
            model.states.push(self.rows);
            model.history.push(Revision {
                revision: self.revision,
                events: self.events,
            });
        }
    }

    fn run(&mut self, model: &Model, before: &Rows, txn: &Txn) -> TxnReply {
        let (succeeded, ops) = branch(before, txn);
        let mut replies = Vec::new();
        for op in ops {
            let reply = match op {
                Op::Put(put) => OpReply::Put(self.put(put)),
                Op::DeleteRange(delete) => OpReply::DeleteRange(self.delete_range(delete)),
                Op::Range(range) if range.revision == 0 => {
                    OpReply::Range(range_of(&self.rows, range))
                }
                Op::Range(range) => {
                    OpReply::Range(range_of(&model.states[range.revision as usize], range))
                }
                Op::Txn(nested) => OpReply::Txn(self.run(model, before, nested)),
            };
            let changed = i64::from(!self.events.is_empty());
            replies.push((self.revision - 1 + changed, reply));
        }
        TxnReply { succeeded, replies }
    }

    fn put(&mut self, put: &Put) -> PutReply {
        let prev = self.rows.get(&put.key).cloned();
        let old = prev.clone().unwrap_or(KeyValue {
            create_revision: self.revision,
            ..KeyValue::default()
        });
        let kv = KeyValue {
            key: put.key.clone(),
            value: match put.ignore_value {
                true => old.value,
                false => put.value.clone(),
            },
            create_revision: old.create_revision,
            mod_revision: self.revision,
            version: old.version + 1,
            lease: match put.ignore_lease {
                true => old.lease,
                false => put.lease,
            },
        };
        self.rows.insert(put.key.clone(), kv.clone());
        self.events.push(Event {
            kv,
            deleted: false,
            prev_kv: prev.clone(),
        });
        PutReply {
            prev_kv: prev.filter(|_| put.prev_kv),
        }
    }

    fn delete_range(&mut self, delete: &DeleteRange) -> DeleteRangeReply {
        let found: Vec<KeyValue> = self
            .rows
            .values()
            .filter(|kv| contains(&delete.range, &kv.key))
            .cloned()
            .collect();
        for kv in &found {
            self.delete(&kv.key);
        }
        DeleteRangeReply {
            deleted: found.len() as i64,
            prev_kvs: if delete.prev_kv { found } else { Vec::new() },
        }
    }

    fn delete(&mut self, key: &Bytes) {
        let prev_kv = self.rows.remove(key);
        self.events.push(Event {
            kv: KeyValue {
                key: key.clone(),
                mod_revision: self.revision,
                ..KeyValue::default()
            },
            deleted: true,
            prev_kv,
        });
    }
}
