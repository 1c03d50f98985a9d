//! The lines in which etcdctl takes a transaction: comparisons, then what to do if they hold, then
//! what to do if they do not, each part ended by an empty line.
//!
//! ```text
//! mod("key") > "0"
//! value("key") = "old"
//!
//! put key "new value"
//! get key --rev=3
//!
//! get key
//!
//! ```

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use anyhow::{Result, anyhow};
use clap::{Parser, Subcommand};
use quorate_client::proto::compare::{CompareResult, CompareTarget, TargetUnion};
use quorate_client::proto::request_op::Request;
use quorate_client::proto::{Compare, RequestOp, TxnRequest};

use super::{del, get, put};
use crate::failure::{Usage, usage};

/// The parts of a transaction, in the order in which they are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Compares,
    Success,
    Failure,
}

/// A transaction, line by line.
#[derive(Debug)]
pub(crate) struct Script {
    part: Option<Part>,
    request: TxnRequest,
}

impl Script {
    pub(crate) fn new() -> Script {
        Script {
            part: Some(Part::Compares),
            request: TxnRequest::default(),
        }
    }

    /// What the next line is about; `None` once everything was said.
    pub(crate) fn part(&self) -> Option<Part> {
        self.part
    }

    /// Takes a line.
    pub(crate) fn line(&mut self, line: &str) -> Result<()> {
        let line = line.trim();
        if line.is_empty() {
            self.part = match self.part {
                Some(Part::Compares) => Some(Part::Success),
                Some(Part::Success) => Some(Part::Failure),
                Some(Part::Failure) | None => None,
            };
            return Ok(());
        }
        match self.part {
            Some(Part::Compares) => self.request.compare.push(compare(line)?),
            Some(Part::Success) => self.request.success.push(operation(line)?),
            Some(Part::Failure) => self.request.failure.push(operation(line)?),
            None => {}
        }
        Ok(())
    }

    /// The transaction that the lines make.
    pub(crate) fn finish(self) -> TxnRequest {
        self.request
    }
}

/// Reads `target("key") operator "value"`.
fn compare(line: &str) -> Result<Compare> {
    let wrong = || {
        let text = format!(
            "{line:?} is no comparison: write it like mod(\"key\") > \"0\", with version, create, mod, \
             value or lease before the key, and =, !=, < or > after it"
        );
        anyhow!(Usage(text))
    };
    let (target, rest) = line.split_once('(').ok_or_else(wrong)?;
    let (key, rest) = word(rest, ")").ok_or_else(wrong)?;
    let rest = rest
        .trim_start()
        .strip_prefix(')')
        .ok_or_else(wrong)?
        .trim_start();
    let end = rest.find(|c: char| !"=!<>".contains(c)).ok_or_else(wrong)?;
    let result = match &rest[..end] {
        "=" => CompareResult::Equal,
        "!=" => CompareResult::NotEqual,
        "<" => CompareResult::Less,
        ">" => CompareResult::Greater,
        _ => return Err(wrong()),
    };
    let (value, rest) = word(rest[end..].trim_start(), " ").ok_or_else(wrong)?;
    if !rest.trim().is_empty() {
        return Err(wrong());
    }
    let number = |radix| {
        let text = std::str::from_utf8(&value).unwrap_or_default();
        i64::from_str_radix(text, radix).map_err(|_| {
            let base = if radix == 16 {
                "hexadecimal"
            } else {
                "decimal"
            };
            anyhow!(Usage(format!(
                "{line:?} compares with something that is no {base} number"
            )))
        })
    };
    let (target, union) = match target.trim() {
        "ver" | "version" => (CompareTarget::Version, TargetUnion::Version(number(10)?)),
        "c" | "create" => (
            CompareTarget::Create,
            TargetUnion::CreateRevision(number(10)?),
        ),
        "m" | "mod" => (CompareTarget::Mod, TargetUnion::ModRevision(number(10)?)),
        "val" | "value" => (CompareTarget::Value, TargetUnion::Value(value.into())),
        "lease" => (CompareTarget::Lease, TargetUnion::Lease(number(16)?)),
        _ => return Err(wrong()),
    };
    Ok(Compare {
        result: result.into(),
        target: target.into(),
        key: key.into(),
        range_end: Default::default(),
        target_union: Some(union),
    })
}

/// One line of what to do.
#[derive(Parser)]
#[command(
    no_binary_name = true,
    disable_help_flag = true,
    disable_help_subcommand = true
)]
struct Line {
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Subcommand)]
enum Operation {
    Get(get::Flags),
    Put(put::Flags),
    Del(del::Flags),
}

/// Reads `get ...`, `put ...` or `del ...`, with the options that these commands have.
fn operation(line: &str) -> Result<RequestOp> {
    let words = words(line)?;
    let parsed = Line::try_parse_from(words).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        let reason = first.trim_start_matches("error: ");
        anyhow!(Usage(format!("{line:?} is no get, put or del: {reason}")))
    })?;
    let request = match parsed.operation {
        Operation::Get(flags) => Request::RequestRange(flags.into_request()?),
        Operation::Del(flags) => Request::RequestDeleteRange(flags.into_request()?),
        Operation::Put(flags) => {
            let request = flags.into_request(|| usage(format!("{line:?} has no value")))?;
            Request::RequestPut(request)
        }
    };
    Ok(RequestOp {
        request: Some(request),
    })
}

/// Splits a line into words, of which some may be quoted.
fn words(line: &str) -> Result<Vec<OsString>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let Some((word, after)) = word(rest, " \t") else {
            return usage(format!(
                "{line:?} has a quote that is not closed, or a wrong escape"
            ));
        };
        words.push(OsString::from_vec(word));
        rest = after.trim_start();
    }
    Ok(words)
}

/// Takes one word off the front of a line: quoted, or up to one of `ends`. `None` if it is malformed.
fn word<'a>(line: &'a str, ends: &str) -> Option<(Vec<u8>, &'a str)> {
    let line = line.trim_start();
    match line.chars().next()? {
        '"' => unquote(&line[1..]),
        raw @ ('`' | '\'') => {
            let (word, rest) = line[1..].split_once(raw)?;
            Some((word.into(), rest))
        }
        _ => {
            let end = line.find(|c| ends.contains(c)).unwrap_or(line.len());
            Some((line[..end].into(), &line[end..]))
        }
    }
}

/// Reads up to the closing quote, with the escapes of Go and C.
fn unquote(text: &str) -> Option<(Vec<u8>, &str)> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        let at = rest.find(['"', '\\'])?;
        out.extend_from_slice(&rest.as_bytes()[..at]);
        if rest.as_bytes()[at] == b'"' {
            return Some((out, &rest[at + 1..]));
        }
        let kind = rest[at + 1..].chars().next()?;
        let after = &rest[at + 1 + kind.len_utf8()..];
        let (digits, radix) = match kind {
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => (3, 8),
            _ => (0, 0),
        };
        if digits == 0 {
            out.push(match kind {
                'n' => b'\n',
                't' => b'\t',
                'r' => b'\r',
                'a' => 7,
                'b' => 8,
                'f' => 12,
                'v' => 11,
                '"' | '\'' | '\\' => kind as u8,
                _ => return None,
            });
            rest = after;
            continue;
        }
        // An octal number has no letter in front of it.
        let numeral = if radix == 8 { &rest[at + 1..] } else { after };
        let number = u32::from_str_radix(numeral.get(..digits)?, radix).ok()?;
        match kind {
            'u' | 'U' => {
                let character = char::from_u32(number)?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => out.push(u8::try_from(number).ok()?),
        }
        rest = &numeral[digits..];
    }
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
