//! Transactions.
//!
//! First all comparisons, nested ones too, are made against the state before the transaction, which
//! decides the branches. Then the operations of those branches are checked against the same state.
//! Only then is anything changed, and operations see what earlier ones did.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::step::Step;
use super::{Machine, Outcome};
use crate::command::{Compare, Op, Operand, Put, Range, Relation, Txn};
use crate::error::Error;
use crate::reply::{OpReply, TxnReply};
use crate::store::range;
use crate::store::row::Stamp;
use crate::store::scan::Seen;

/// Which branches are taken, the outermost first, then those nested in the branch taken in order.
struct Path {
    taken: Vec<bool>,
    at: usize,
}

impl Path {
    fn next(&mut self) -> bool {
        self.at += 1;
        self.taken[self.at - 1]
    }

    /// The operations of the branch taken.
    fn branch<'a>(&mut self, txn: &'a Txn) -> (bool, &'a [Op]) {
        match self.next() {
            true => (true, &txn.success),
            false => (false, &txn.failure),
        }
    }
}

impl Machine {
    pub(super) fn txn(
        &mut self,
        txn: &Txn,
        wanted: bool,
        out: &mut Outcome,
    ) -> Result<TxnReply, Error> {
        let mut path = Path {
            taken: Vec::new(),
            at: 0,
        };
        let mut step = self.begin();
        self.decide(txn, &mut path.taken)?;
        self.check(txn, &mut path, &Machine::check_put)?;
        path.at = 0;
        self.check(txn, &mut path, &Machine::check_range)?;
        path.at = 0;
        let reply = self.run(txn, &mut path, wanted, &mut step)?;
        self.finish(step, out);
        Ok(reply)
    }

    fn decide(&self, txn: &Txn, taken: &mut Vec<bool>) -> Result<(), Error> {
        let mut holds = true;
        for compare in &txn.compares {
            holds = holds && self.holds(compare)?;
        }
        taken.push(holds);
        for op in if holds { &txn.success } else { &txn.failure } {
            if let Op::Txn(nested) = op {
                self.decide(nested, taken)?;
            }
        }
        Ok(())
    }

    /// Whether a comparison holds for every key in its range.
    fn holds(&self, compare: &Compare) -> Result<bool, Error> {
        let mut holds = true;
        let mut empty = true;
        self.scan_now(&compare.range, |seen| {
            empty = false;
            holds = relates(compare, order_of(&compare.operand, seen));
            match holds {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        if empty {
            return Ok(match &compare.operand {
                // There is no value, so nothing holds of it.
                Operand::Value(_) => false,
                Operand::Version(number)
                | Operand::Create(number)
                | Operand::Mod(number)
                | Operand::Lease(number) => relates(compare, 0.cmp(number)),
            });
        }
        Ok(holds)
    }

    /// Checks the operations of the branches taken, in order.
    fn check(
        &self,
        txn: &Txn,
        path: &mut Path,
        check_op: &impl Fn(&Machine, &Op) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (_, ops) = path.branch(txn);
        for op in ops {
            match op {
                Op::Txn(nested) => self.check(nested, path, check_op)?,
                op => check_op(self, op)?,
            }
        }
        Ok(())
    }

    fn check_put(&self, op: &Op) -> Result<(), Error> {
        let Op::Put(put) = op else { return Ok(()) };
        let keeps = put.ignore_value || put.ignore_lease;
        if keeps && self.current(&put.key)?.is_none() {
            return Err(Error::KeyNotFound);
        }
        if put.lease != 0 && !self.lease_exists(put.lease) {
            return Err(Error::LeaseNotFound);
        }
        Ok(())
    }

    /// Unlike outside of transactions, a negative revision is not the newest.
    fn check_range(&self, op: &Op) -> Result<(), Error> {
        let Op::Range(range) = op else { return Ok(()) };
        match range.revision {
            0 => Ok(()),
            revision if revision > self.meta.revision => Err(Error::FutureRevision {
                current: self.meta.revision,
            }),
            revision if revision < 0 || revision < self.meta.compacted => Err(Error::Compacted {
                compacted: self.meta.compacted,
            }),
            _ => Ok(()),
        }
    }

    fn run(
        &mut self,
        txn: &Txn,
        path: &mut Path,
        wanted: bool,
        step: &mut Step,
    ) -> Result<TxnReply, Error> {
        let (succeeded, ops) = path.branch(txn);
        let mut reply = TxnReply {
            succeeded,
            replies: Vec::with_capacity(ops.len()),
        };
        for op in ops {
            let op_reply = match op {
                Op::Put(put) => self.run_put(put, step)?,
                Op::DeleteRange(delete) => OpReply::DeleteRange(self.delete_in(delete, step)?),
                Op::Range(range) if wanted => self.run_range(range, step)?,
                Op::Range(_) => continue,
                Op::Txn(nested) => OpReply::Txn(self.run(nested, path, wanted, step)?),
            };
            reply.replies.push((step.revision(), op_reply));
        }
        Ok(reply)
    }

    fn run_put(&mut self, put: &Put, step: &mut Step) -> Result<OpReply, Error> {
        let prev = self.current(&put.key)?;
        Ok(OpReply::Put(self.put_over(put.clone(), prev, step)))
    }

    fn run_range(&self, range: &Range, step: &Step) -> Result<OpReply, Error> {
        let at = match range.revision {
            0 => step.now(),
            revision => Stamp::end_of(revision),
        };
        range::range(&self.layers, at, range).map(OpReply::Range)
    }
}

/// How a row compares with the operand.
fn order_of(operand: &Operand, seen: &Seen<'_>) -> Ordering {
    match operand {
        Operand::Version(version) => seen.version().cmp(version),
        Operand::Create(revision) => seen.create().cmp(revision),
        Operand::Mod(revision) => seen.modified().cmp(revision),
        Operand::Value(value) => seen.value().cmp(value),
        Operand::Lease(lease) => seen.lease().cmp(lease),
    }
}

fn relates(compare: &Compare, order: Ordering) -> bool {
    match compare.relation {
        Relation::Equal => order == Ordering::Equal,
        Relation::Greater => order == Ordering::Greater,
        Relation::Less => order == Ordering::Less,
        Relation::NotEqual => order != Ordering::Equal,
    }
}
