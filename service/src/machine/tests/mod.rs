//! The machine, driven as the edge drives it.

mod checkpoint;
mod crash;
mod defragment;
mod disk;
mod flow;
mod health;
mod model;
mod random;
mod rules;
mod scrub;

use bytes::Bytes;
use quorate_core::NodeId;

use super::*;
use crate::codec::Batch;
use crate::command::{
    Command, Compare, DeleteRange, KeyRange, Op, Operand, Put, Range, Relation, Txn,
};
use crate::reply::{DeleteRangeReply, OpReply, RangeReply, TxnReply};
use crate::store::View;

/// A machine, the directory that it lives in, and what the edge would keep count of.
pub(super) struct Bench {
    pub(super) machine: Machine,
    _dir: Option<tempfile::TempDir>,
    pub(super) sequence: u64,
    /// What the last command brought.
    pub(super) out: Outcome,
    /// Whether everything goes to disk after each command.
    pub(super) flushes: bool,
}

impl Bench {
    pub(super) fn new() -> Bench {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (machine, checkpoint) = Machine::open(Options::new(dir.path())).expect("it opens");
        assert_eq!(checkpoint, Checkpoint::default());
        Bench {
            _dir: Some(dir),
            ..Bench::on(machine)
        }
    }

    /// A machine that somebody else has opened.
    pub(super) fn on(machine: Machine) -> Bench {
        Bench {
            machine,
            _dir: None,
            sequence: 0,
            out: Outcome::default(),
            flushes: false,
        }
    }

    /// Applies a command in a batch of its own, ordered in the first epoch, and publishes.
    pub(super) fn apply(&mut self, command: Command) -> Result<(i64, Reply), Error> {
        self.apply_in(1, command)
    }

    /// The same, ordered in an epoch.
    pub(super) fn apply_in(&mut self, epoch: u64, command: Command) -> Result<(i64, Reply), Error> {
        self.sequence += 1;
        let payload = codec::encode(&Batch {
            origin: NodeId(1),
            incarnation: 1,
            sequence: self.sequence,
            commands: vec![command],
        });
        let position = self.machine.meta.checkpoint.position + 1;
        self.machine
            .apply(position, epoch, &payload, true, &mut self.out)?;
        self.machine.publish();
        if self.flushes {
            self.settle();
        }
        self.out.replies.remove(0)
    }

    pub(super) fn view(&self) -> View {
        self.machine.views().view()
    }

    /// Everything in memory goes to disk and all space is freed.
    pub(super) fn settle(&mut self) {
        let flusher = self.machine.flusher();
        flusher.ask();
        self.machine.publish();
        while flusher.run_once().expect("the disk works") != crate::store::Worked::Nothing {}
    }

    pub(super) fn put(&mut self, key: &str, value: &str) -> i64 {
        self.apply(Command::Put(put(key, value))).expect("a put").0
    }

    pub(super) fn delete(&mut self, key: &str, end: &str) -> (i64, DeleteRangeReply) {
        let delete = DeleteRange {
            range: keys(key, end),
            prev_kv: true,
        };
        match self.apply(Command::DeleteRange(delete)) {
            Ok((revision, Reply::DeleteRange(reply))) => (revision, reply),
            other => panic!("a delete answered {other:?}"),
        }
    }

    pub(super) fn txn(
        &mut self,
        compares: Vec<Compare>,
        success: Vec<Op>,
        failure: Vec<Op>,
    ) -> Result<(i64, TxnReply), Error> {
        let txn = Txn {
            compares,
            success,
            failure,
        };
        match self.apply(Command::Txn(txn))? {
            (revision, Reply::Txn(reply)) => Ok((revision, reply)),
            other => panic!("a transaction answered {other:?}"),
        }
    }

    pub(super) fn compact(&mut self, revision: i64) -> Result<i64, Error> {
        Ok(self.apply(Command::Compact { revision })?.0)
    }

    pub(super) fn range(&self, range: Range) -> Result<RangeReply, Error> {
        self.view().range(&range)
    }

    /// Keys and values as of a revision.
    pub(super) fn pairs(&self, key: &str, end: &str, revision: i64) -> Vec<(String, String)> {
        let reply = self.range(at(key, end, revision)).expect("it can be read");
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let pairs = reply.kvs.iter();
        pairs.map(|kv| (text(&kv.key), text(&kv.value))).collect()
    }
}

pub(super) fn keys(key: &str, end: &str) -> KeyRange {
    KeyRange {
        key: Bytes::copy_from_slice(key.as_bytes()),
        end: Bytes::copy_from_slice(end.as_bytes()),
    }
}

pub(super) fn put(key: &str, value: &str) -> Put {
    Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        ..Put::default()
    }
}

pub(super) fn at(key: &str, end: &str, revision: i64) -> Range {
    Range {
        range: keys(key, end),
        revision,
        ..Range::default()
    }
}

pub(super) fn get(key: &str) -> Op {
    Op::Range(at(key, "", 0))
}

pub(super) fn compare(key: &str, end: &str, relation: Relation, operand: Operand) -> Compare {
    Compare {
        range: keys(key, end),
        relation,
        operand,
    }
}

/// The row that an operation of a transaction found.
pub(super) fn value_of(reply: &OpReply) -> Option<String> {
    match reply {
        OpReply::Range(range) => range
            .kvs
            .first()
            .map(|kv| String::from_utf8_lossy(&kv.value).into_owned()),
        other => panic!("a read answered {other:?}"),
    }
}
