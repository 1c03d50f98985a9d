//! Commands as bytes: what the edge broadcasts and the machine applies.
//!
//! A payload is one batch: who made it, and the commands that waited when there was room. Numbers
//! are little-endian and of fixed width, byte strings carry their length (u32) in front, flags say
//! what follows. Every accepted input is the encoding of exactly one batch, so equal batches are
//! equal bytes. Decoding copies no key and no value: they are slices of the payload. The bytes come
//! off a network and a disk, so decoding never panics, never allocates more than the input can
//! justify and does not recurse deeper than [`TXN_DEPTH_MAX`].

pub(crate) mod parts;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use quorate_core::{Malformed, NodeId, Payload};

use crate::command::{Command, DeleteRange, Member, Op, Put, Rules, Txn};
use crate::health::{Alarm, AlarmKind, Report};
use parts::{Input, put_bytes, put_count, put_text};

/// How deeply transactions may be nested. The API allows fewer operations than this, and each level
/// takes one.
pub const TXN_DEPTH_MAX: usize = 128;

/// The format of batches that this version writes and reads.
const VERSION: u8 = 1;
/// Version, origin, incarnation, sequence, count.
const HEADER_BYTES: usize = 1 + 8 + 8 + 8 + 4;
/// Where the header's count begins.
const COUNT_AT: usize = HEADER_BYTES - 4;

/// The commands of one payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// The replica whose edge made the batch.
    pub origin: NodeId,
    /// The incarnation of that replica.
    pub incarnation: u64,
    /// Which batch of that incarnation; larger than the one before.
    pub sequence: u64,
    /// The commands, in the order in which they are applied.
    pub commands: Vec<Command>,
}

/// Builds a payload command by command, so that the edge knows how large it has become.
#[derive(Debug)]
pub struct Packer {
    bytes: Vec<u8>,
    count: u32,
}

impl Packer {
    /// A batch without commands.
    #[must_use]
    pub fn new(origin: NodeId, incarnation: u64, sequence: u64) -> Packer {
        let mut bytes = Vec::with_capacity(1024);
        bytes.push(VERSION);
        bytes.extend_from_slice(&origin.0.to_le_bytes());
        bytes.extend_from_slice(&incarnation.to_le_bytes());
        bytes.extend_from_slice(&sequence.to_le_bytes());
        put_count(0, &mut bytes);
        Packer { bytes, count: 0 }
    }

    /// Adds a command.
    pub fn push(&mut self, command: &Command) {
        encode_command(command, &mut self.bytes);
        self.count += 1;
    }

    /// Adds a command that [`encode_command`] has encoded already, on the caller's own thread.
    pub fn push_encoded(&mut self, command: &[u8]) {
        self.bytes.extend_from_slice(command);
        self.count += 1;
    }

    /// How many commands it holds.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.count as usize
    }

    /// How many bytes the payload has by now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The payload, with its checksum.
    #[must_use]
    pub fn finish(mut self) -> Payload {
        self.bytes[COUNT_AT..HEADER_BYTES].copy_from_slice(&self.count.to_le_bytes());
        let checksum = crc32c::crc32c(&self.bytes);
        Payload::from_vec(self.bytes, checksum)
    }
}

/// A batch as a payload.
#[must_use]
pub fn encode(batch: &Batch) -> Payload {
    let mut packer = Packer::new(batch.origin, batch.incarnation, batch.sequence);
    for command in &batch.commands {
        packer.push(command);
    }
    packer.finish()
}

/// Reads a batch. The checksum has been verified by then; what is refused here was never encoded.
///
/// # Errors
/// If the bytes are not the encoding of a batch.
pub fn decode(payload: &Payload) -> Result<Batch, Malformed> {
    decode_bytes(Bytes::from_owner(payload.clone()))
}

/// Reads a batch from bytes that are shared already.
///
/// # Errors
/// If the bytes are not the encoding of a batch.
pub fn decode_bytes(bytes: Bytes) -> Result<Batch, Malformed> {
    let mut input = Input::new(bytes);
    if input.u8()? != VERSION {
        return Err(input.malformed_before(1, "a batch of format 1"));
    }
    let origin = NodeId(input.u64()?);
    let incarnation = input.u64()?;
    let sequence = input.u64()?;
    let count = input.count(COMMAND_BYTES_MIN)?;
    let mut commands = Vec::new();
    for _ in 0..count {
        commands.push(command(&mut input)?);
    }
    input.finish()?;
    Ok(Batch {
        origin,
        incarnation,
        sequence,
        commands,
    })
}

/// Who made a batch: origin, incarnation and sequence. None if the payload is no batch.
#[must_use]
pub fn label(payload: &Payload) -> Option<(NodeId, u64, u64)> {
    let header = payload.as_bytes().get(..HEADER_BYTES)?;
    let number = |at: usize| header[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    if header[0] != VERSION {
        return None;
    }
    Some((NodeId(number(1)?), number(9)?, number(17)?))
}

/// The commands of a batch under another label.
///
/// # Panics
/// If the payload is no batch.
#[must_use]
pub fn relabeled(payload: &Payload, origin: NodeId, incarnation: u64, sequence: u64) -> Payload {
    let bytes = payload.as_bytes();
    let count = bytes[COUNT_AT..HEADER_BYTES]
        .try_into()
        .expect("four bytes");
    let mut packer = Packer::new(origin, incarnation, sequence);
    packer.bytes.extend_from_slice(&bytes[HEADER_BYTES..]);
    packer.count = u32::from_le_bytes(count);
    packer.finish()
}

/// A tag and an id are the smallest command.
const COMMAND_BYTES_MIN: usize = 9;
/// A tag, flags and two empty byte strings are the smallest operation.
const OP_BYTES_MIN: usize = 10;

const PUT: u8 = 1;
const DELETE_RANGE: u8 = 2;
const TXN: u8 = 3;
const RANGE: u8 = 4;
const COMPACT: u8 = 5;
const LEASE_GRANT: u8 = 6;
const LEASE_REVOKE: u8 = 7;
const LEASE_KEEP_ALIVE: u8 = 8;
const TICK: u8 = 9;
const PUBLISH: u8 = 10;
const MEMBER_ADD: u8 = 11;
const MEMBER_REMOVE: u8 = 12;
const MEMBER_UPDATE: u8 = 13;
const MEMBER_PROMOTE: u8 = 14;
const CHECK: u8 = 15;
const REPORT: u8 = 16;
const RAISE: u8 = 17;
const DISARM: u8 = 18;

/// Appends one command's encoding.
pub fn encode_command(command: &Command, out: &mut Vec<u8>) {
    match command {
        Command::Put(put) => {
            out.push(PUT);
            encode_put(put, out);
        }
        Command::DeleteRange(delete) => {
            out.push(DELETE_RANGE);
            encode_delete(delete, out);
        }
        Command::Txn(txn) => {
            out.push(TXN);
            encode_txn(txn, out);
        }
        Command::Compact { revision } => {
            out.push(COMPACT);
            out.extend_from_slice(&revision.to_le_bytes());
        }
        Command::LeaseGrant { id, ttl } => {
            out.push(LEASE_GRANT);
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(&ttl.to_le_bytes());
        }
        Command::LeaseRevoke { id } => {
            out.push(LEASE_REVOKE);
            out.extend_from_slice(&id.to_le_bytes());
        }
        Command::LeaseKeepAlive { id } => {
            out.push(LEASE_KEEP_ALIVE);
            out.extend_from_slice(&id.to_le_bytes());
        }
        Command::Tick { epoch, elapsed_ms } => {
            out.push(TICK);
            out.extend_from_slice(&epoch.to_le_bytes());
            out.extend_from_slice(&elapsed_ms.to_le_bytes());
        }
        Command::Publish(member) => {
            out.push(PUBLISH);
            encode_member(member, out);
        }
        Command::MemberAdd { member, rules } => {
            out.push(MEMBER_ADD);
            encode_member(member, out);
            encode_rules(*rules, out);
        }
        Command::MemberRemove { id, rules } => {
            out.push(MEMBER_REMOVE);
            out.extend_from_slice(&id.to_le_bytes());
            encode_rules(*rules, out);
        }
        Command::MemberUpdate { id, peer_urls } => {
            out.push(MEMBER_UPDATE);
            out.extend_from_slice(&id.to_le_bytes());
            put_texts(peer_urls, out);
        }
        Command::MemberPromote { id, rules } => {
            out.push(MEMBER_PROMOTE);
            out.extend_from_slice(&id.to_le_bytes());
            encode_rules(*rules, out);
        }
        Command::Check { epoch } => {
            out.push(CHECK);
            out.extend_from_slice(&epoch.to_le_bytes());
        }
        Command::Report(report) => {
            out.push(REPORT);
            encode_report(report, out);
        }
        Command::Raise(alarm) => {
            out.push(RAISE);
            encode_alarm(*alarm, out);
        }
        Command::Disarm(alarm) => {
            out.push(DISARM);
            encode_alarm(*alarm, out);
        }
    }
}

fn command(input: &mut Input) -> Result<Command, Malformed> {
    Ok(match input.u8()? {
        PUT => Command::Put(put(input)?),
        DELETE_RANGE => Command::DeleteRange(delete(input)?),
        TXN => Command::Txn(txn(input, 1)?),
        COMPACT => Command::Compact {
            revision: input.i64()?,
        },
        LEASE_GRANT => Command::LeaseGrant {
            id: input.i64()?,
            ttl: input.i64()?,
        },
        LEASE_REVOKE => Command::LeaseRevoke { id: input.i64()? },
        LEASE_KEEP_ALIVE => Command::LeaseKeepAlive { id: input.i64()? },
        TICK => Command::Tick {
            epoch: input.u64()?,
            elapsed_ms: input.u64()?,
        },
        PUBLISH => Command::Publish(decode_member(input)?),
        MEMBER_ADD => Command::MemberAdd {
            member: decode_member(input)?,
            rules: rules(input)?,
        },
        MEMBER_REMOVE => Command::MemberRemove {
            id: input.u64()?,
            rules: rules(input)?,
        },
        MEMBER_UPDATE => Command::MemberUpdate {
            id: input.u64()?,
            peer_urls: input.texts()?,
        },
        MEMBER_PROMOTE => Command::MemberPromote {
            id: input.u64()?,
            rules: rules(input)?,
        },
        CHECK => Command::Check {
            epoch: input.u64()?,
        },
        REPORT => Command::Report(report(input)?),
        RAISE => Command::Raise(alarm(input)?),
        DISARM => Command::Disarm(alarm(input)?),
        _ => return Err(input.malformed_before(1, "the tag of a command")),
    })
}

fn encode_report(report: &Report, out: &mut Vec<u8>) {
    let Report {
        member,
        position,
        digest,
        applied,
    } = *report;
    for number in [member, position, digest, applied] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn report(input: &mut Input) -> Result<Report, Malformed> {
    Ok(Report {
        member: input.u64()?,
        position: input.u64()?,
        digest: input.u64()?,
        applied: input.u64()?,
    })
}

fn encode_alarm(alarm: Alarm, out: &mut Vec<u8>) {
    out.push(alarm.kind.tag());
    out.extend_from_slice(&alarm.member.to_le_bytes());
}

fn alarm(input: &mut Input) -> Result<Alarm, Malformed> {
    Ok(Alarm {
        kind: AlarmKind::from_tag(input)?,
        member: input.u64()?,
    })
}

fn encode_rules(rules: Rules, out: &mut Vec<u8>) {
    out.push(u8::from(rules.strict));
    out.extend_from_slice(&rules.learners_max.to_le_bytes());
}

fn rules(input: &mut Input) -> Result<Rules, Malformed> {
    Ok(Rules {
        strict: input.flags(1)? != 0,
        learners_max: input.u32()?,
    })
}

const HAS_LEASE: u8 = 1;
const PREV_KV: u8 = 2;
const IGNORE_VALUE: u8 = 4;
const IGNORE_LEASE: u8 = 8;

fn encode_put(put: &Put, out: &mut Vec<u8>) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.push(
        flag(put.lease != 0, HAS_LEASE)
            | flag(put.prev_kv, PREV_KV)
            | flag(put.ignore_value, IGNORE_VALUE)
            | flag(put.ignore_lease, IGNORE_LEASE),
    );
    put_bytes(&put.key, out);
    put_bytes(&put.value, out);
    if put.lease != 0 {
        out.extend_from_slice(&put.lease.to_le_bytes());
    }
}

fn put(input: &mut Input) -> Result<Put, Malformed> {
    let flags = input.flags(HAS_LEASE | PREV_KV | IGNORE_VALUE | IGNORE_LEASE)?;
    let key = input.bytes()?;
    let value = input.bytes()?;
    let lease = match flags & HAS_LEASE {
        0 => 0,
        _ => match input.i64()? {
            0 => return Err(input.malformed_before(8, "a lease that is not 0")),
            lease => lease,
        },
    };
    Ok(Put {
        key,
        value,
        lease,
        prev_kv: flags & PREV_KV != 0,
        ignore_value: flags & IGNORE_VALUE != 0,
        ignore_lease: flags & IGNORE_LEASE != 0,
    })
}

fn encode_delete(delete: &DeleteRange, out: &mut Vec<u8>) {
    out.push(if delete.prev_kv { PREV_KV } else { 0 });
    parts::put_key_range(&delete.range, out);
}

fn delete(input: &mut Input) -> Result<DeleteRange, Malformed> {
    let flags = input.flags(PREV_KV)?;
    Ok(DeleteRange {
        range: input.key_range()?,
        prev_kv: flags & PREV_KV != 0,
    })
}

fn encode_txn(txn: &Txn, out: &mut Vec<u8>) {
    put_count(txn.compares.len(), out);
    for compare in &txn.compares {
        parts::put_compare(compare, out);
    }
    for branch in [&txn.success, &txn.failure] {
        put_count(branch.len(), out);
        for op in branch {
            encode_op(op, out);
        }
    }
}

fn txn(input: &mut Input, depth: usize) -> Result<Txn, Malformed> {
    if depth > TXN_DEPTH_MAX {
        return Err(input.malformed_before(0, "transactions nested less deeply"));
    }
    let count = input.count(parts::COMPARE_BYTES_MIN)?;
    let mut compares = Vec::new();
    for _ in 0..count {
        compares.push(input.compare()?);
    }
    Ok(Txn {
        compares,
        success: branch(input, depth)?,
        failure: branch(input, depth)?,
    })
}

fn branch(input: &mut Input, depth: usize) -> Result<Vec<Op>, Malformed> {
    let count = input.count(OP_BYTES_MIN)?;
    let mut ops = Vec::new();
    for _ in 0..count {
        ops.push(match input.u8()? {
            PUT => Op::Put(put(input)?),
            DELETE_RANGE => Op::DeleteRange(delete(input)?),
            TXN => Op::Txn(txn(input, depth + 1)?),
            RANGE => Op::Range(input.range()?),
            _ => return Err(input.malformed_before(1, "the tag of an operation")),
        });
    }
    Ok(ops)
}

fn encode_op(op: &Op, out: &mut Vec<u8>) {
    match op {
        Op::Put(put) => {
            out.push(PUT);
            encode_put(put, out);
        }
        Op::DeleteRange(delete) => {
            out.push(DELETE_RANGE);
            encode_delete(delete, out);
        }
        Op::Txn(txn) => {
            out.push(TXN);
            encode_txn(txn, out);
        }
        Op::Range(range) => {
            out.push(RANGE);
            parts::put_range(range, out);
        }
    }
}

/// Appends a member's encoding; the store keeps members in the same form.
pub(crate) fn encode_member(member: &Member, out: &mut Vec<u8>) {
    out.extend_from_slice(&member.id.to_le_bytes());
    put_text(&member.name, out);
    put_texts(&member.peer_urls, out);
    put_texts(&member.client_urls, out);
    out.push(u8::from(member.is_learner));
}

fn put_texts(texts: &[String], out: &mut Vec<u8>) {
    put_count(texts.len(), out);
    for text in texts {
        put_text(text, out);
    }
}

pub(crate) fn decode_member(input: &mut Input) -> Result<Member, Malformed> {
    Ok(Member {
        id: input.u64()?,
        name: input.text()?,
        peer_urls: input.texts()?,
        client_urls: input.texts()?,
        is_learner: input.flags(1)? != 0,
    })
}
