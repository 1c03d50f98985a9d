//! What the answers look like.
//!
//! The formats `simple`, `json` and `fields` are etcdctl's, byte for byte where it has them. A table is
//! drawn for whatever is a list; other answers are simple then.

mod fields;
mod json;
pub(crate) mod table;
pub(crate) mod text;

use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use quorate_client::proto::response_op::Response;
use quorate_client::proto::{
    CompactionResponse, DeleteRangeResponse, KeyValue, LeaseGrantResponse, LeaseKeepAliveResponse,
    LeaseLeasesResponse, LeaseRevokeResponse, LeaseTimeToLiveResponse, Member, MemberListResponse,
    PutResponse, RangeResponse, ResponseHeader, StatusResponse, TxnResponse, WatchResponse,
};

use super::Format;
use fields::Fields;
use json::Object;
use text::{Style, show, show_line, size};

/// Which parts of the answer to a `get` are wanted.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Get {
    pub(crate) values_only: bool,
    pub(crate) keys_only: bool,
    pub(crate) count_only: bool,
}

/// A change of the list of members, with the list after it.
pub(crate) struct MemberChange {
    pub(crate) header: Option<ResponseHeader>,
    pub(crate) done: Done,
    pub(crate) members: Vec<Member>,
}

/// What was done to whom.
pub(crate) enum Done {
    Added(Member),
    Removed(u64),
    Updated(u64),
    Promoted(u64),
}

/// Prints answers to standard output.
pub(crate) struct Printer {
    format: Option<Format>,
    terminal: bool,
    style: Style,
    out: Box<dyn Write>,
}

impl Printer {
    /// `format` is what was asked for, if anything was.
    pub(crate) fn new(format: Option<Format>, hex: bool) -> Printer {
        let terminal = io::stdout().is_terminal();
        Printer::to(Box::new(io::stdout().lock()), terminal, format, hex)
    }

    fn to(out: Box<dyn Write>, terminal: bool, format: Option<Format>, hex: bool) -> Printer {
        let style = match (hex, terminal) {
            (true, _) => Style::Hex,
            (false, true) => Style::Escaped,
            (false, false) => Style::Raw,
        };
        Printer {
            format,
            terminal,
            style,
            out,
        }
    }

    /// Whether nothing but simple output was asked for.
    pub(crate) fn may_be_simple(&self) -> bool {
        matches!(self.format, None | Some(Format::Simple))
    }

    /// The format for something that is a list.
    fn for_list(&self) -> Format {
        match self.format {
            Some(format) => format,
            None if self.terminal => Format::Table,
            None => Format::Simple,
        }
    }

    /// The format for something that is not.
    fn for_one(&self) -> Format {
        match self.format {
            Some(Format::Table) | None => Format::Simple,
            Some(format) => format,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()?;
        Ok(())
    }

    fn json(&mut self, object: &Object) -> Result<()> {
        let mut line = serde_json::to_vec(object)?;
        line.push(b'\n');
        self.write(&line)
    }

    fn fields(&mut self, fill: impl FnOnce(&mut Fields)) -> Result<()> {
        let mut fields = Fields::new(self.style);
        fill(&mut fields);
        self.write(fields.out.as_bytes())
    }

    fn line(&mut self, line: &str) -> Result<()> {
        self.write(format!("{line}\n").as_bytes())
    }

    /// The key and the value, a line each.
    fn push_pair(&self, lines: &mut Vec<u8>, kv: &KeyValue) {
        for part in [&kv.key, &kv.value] {
            lines.extend(show(part, self.style));
            lines.push(b'\n');
        }
    }

    fn table_of_pairs(&self, kvs: &[KeyValue], keys_only: bool) -> String {
        let titles = ["KEY", "VALUE", "VERSION", "CREATED", "MODIFIED", "LEASE"];
        let mut rows = Vec::new();
        for kv in kvs {
            let lease = match kv.lease {
                0 => String::new(),
                id => format!("{id:016x}"),
            };
            rows.push(vec![
                show_line(&kv.key, self.style),
                show_line(&kv.value, self.style),
                kv.version.to_string(),
                kv.create_revision.to_string(),
                kv.mod_revision.to_string(),
                lease,
            ]);
        }
        if keys_only {
            rows.iter_mut().for_each(|row| drop(row.remove(1)));
            return table::draw(&[&titles[..1], &titles[2..]].concat(), &rows);
        }
        table::draw(&titles, &rows)
    }

    pub(crate) fn get(&mut self, response: &RangeResponse, wanted: Get) -> Result<()> {
        let bare = wanted.values_only || wanted.count_only;
        match self.for_list() {
            Format::Json => self.json(&json::range(response)),
            Format::Fields => self.fields(|fields| fields.range(response)),
            Format::Table if !bare && !response.kvs.is_empty() => {
                let mut table = self.table_of_pairs(&response.kvs, wanted.keys_only);
                if response.more {
                    let rest = response.count - response.kvs.len() as i64;
                    table.push_str(&format!("{rest} more\n"));
                }
                self.write(table.as_bytes())
            }
            Format::Simple | Format::Table if wanted.count_only => {
                self.line(&response.count.to_string())
            }
            Format::Simple | Format::Table => {
                let mut lines = Vec::new();
                for kv in &response.kvs {
                    if wanted.values_only {
                        lines.extend(show(&kv.value, self.style));
                        lines.push(b'\n');
                    } else {
                        self.push_pair(&mut lines, kv);
                    }
                }
                self.write(&lines)
            }
        }
    }

    pub(crate) fn put(&mut self, response: &PutResponse) -> Result<()> {
        match self.for_one() {
            Format::Json => self.json(&json::put(response)),
            Format::Fields => self.fields(|fields| fields.put(response)),
            Format::Simple | Format::Table => {
                let mut lines = b"OK\n".to_vec();
                if let Some(kv) = &response.prev_kv {
                    self.push_pair(&mut lines, kv);
                }
                self.write(&lines)
            }
        }
    }

    pub(crate) fn del(&mut self, response: &DeleteRangeResponse) -> Result<()> {
        match self.for_list() {
            Format::Json => self.json(&json::delete(response)),
            Format::Fields => self.fields(|fields| fields.delete(response)),
            Format::Table if !response.prev_kvs.is_empty() => {
                let table = self.table_of_pairs(&response.prev_kvs, false);
                self.write(format!("{}\n{table}", response.deleted).as_bytes())
            }
            Format::Simple | Format::Table => {
                let mut lines = format!("{}\n", response.deleted).into_bytes();
                for kv in &response.prev_kvs {
                    self.push_pair(&mut lines, kv);
                }
                self.write(&lines)
            }
        }
    }

    pub(crate) fn txn(&mut self, response: &TxnResponse) -> Result<()> {
        match self.for_one() {
            Format::Json => self.json(&json::txn(response)),
            Format::Fields => self.fields(|fields| fields.txn(response)),
            Format::Simple | Format::Table => {
                let mut lines = Vec::new();
                self.push_txn(&mut lines, response);
                self.write(&lines)
            }
        }
    }

    fn push_txn(&self, lines: &mut Vec<u8>, response: &TxnResponse) {
        let outcome: &[u8] = match response.succeeded {
            true => b"SUCCESS\n",
            false => b"FAILURE\n",
        };
        lines.extend(outcome);
        for part in &response.responses {
            lines.push(b'\n');
            match &part.response {
                Some(Response::ResponseRange(one)) => {
                    one.kvs.iter().for_each(|kv| self.push_pair(lines, kv));
                }
                Some(Response::ResponsePut(one)) => {
                    lines.extend(b"OK\n");
                    one.prev_kv.iter().for_each(|kv| self.push_pair(lines, kv));
                }
                Some(Response::ResponseDeleteRange(one)) => {
                    lines.extend(format!("{}\n", one.deleted).into_bytes());
                    one.prev_kvs.iter().for_each(|kv| self.push_pair(lines, kv));
                }
                Some(Response::ResponseTxn(one)) => self.push_txn(lines, one),
                None => {}
            }
        }
    }

    pub(crate) fn compaction(
        &mut self,
        revision: i64,
        response: &CompactionResponse,
    ) -> Result<()> {
        match self.for_one() {
            Format::Json => self.json(&json::compaction(response)),
            Format::Fields => self.fields(|fields| fields.header(response.header.as_ref())),
            Format::Simple | Format::Table => self.line(&format!("compacted revision {revision}")),
        }
    }

    pub(crate) fn watch(&mut self, response: &WatchResponse) -> Result<()> {
        match self.for_one() {
            Format::Json => self.json(&json::watch(response)),
            Format::Fields => self.fields(|fields| fields.watch(response)),
            Format::Simple | Format::Table if response.events.is_empty() => {
                let revision = response.header.as_ref().map_or(0, |header| header.revision);
                self.line(&format!("progress notify: {revision}"))
            }
            Format::Simple | Format::Table => {
                let mut lines = Vec::new();
                for event in &response.events {
                    lines.extend(event.r#type().as_str_name().as_bytes());
                    lines.push(b'\n');
                    for kv in event.prev_kv.iter().chain(&event.kv) {
                        self.push_pair(&mut lines, kv);
                    }
                }
                self.write(&lines)
            }
        }
    }

    pub(crate) fn lease_granted(&mut self, response: &LeaseGrantResponse) -> Result<()> {
        match self.for_one() {
            Format::Json => self.json(&json::lease_granted(response)),
            Format::Fields => self.fields(|fields| fields.lease_granted(response)),
            Format::Simple | Format::Table => {
                let (id, ttl) = (response.id, response.ttl);
                self.line(&format!("lease {id:016x} granted with TTL({ttl}s)"))
            }
        }
    }

    pub(crate) fn lease_revoked(&mut self, id: i64, response: &LeaseRevokeResponse) -> Result<()> {
        match self.for_one() {
            Format::Json => self.json(&json::lease_revoked(response)),
            Format::Fields => self.fields(|fields| fields.header(response.header.as_ref())),
            Format::Simple | Format::Table => self.line(&format!("lease {id:016x} revoked")),
        }
    }

    pub(crate) fn lease_kept(&mut self, response: &LeaseKeepAliveResponse) -> Result<()> {
        match self.for_one() {
            Format::Json => self.json(&json::lease_kept(response)),
            Format::Fields => self.fields(|fields| fields.lease_kept(response)),
            Format::Simple | Format::Table => {
                let (id, ttl) = (response.id, response.ttl);
                self.line(&format!("lease {id:016x} keepalived with TTL({ttl})"))
            }
        }
    }

    pub(crate) fn lease_gone(&mut self, id: i64) -> Result<()> {
        self.line(&format!("lease {id:016x} expired or revoked."))
    }

    pub(crate) fn lease_time(
        &mut self,
        response: &LeaseTimeToLiveResponse,
        with_keys: bool,
    ) -> Result<()> {
        match self.for_one() {
            Format::Json => self.json(&json::lease_time(response)),
            Format::Fields => self.fields(|fields| fields.lease_time(response)),
            Format::Simple | Format::Table if response.ttl < 0 => {
                self.line(&format!("lease {:016x} already expired", response.id))
            }
            Format::Simple | Format::Table => {
                let mut line = format!(
                    "lease {:016x} granted with TTL({}s), remaining({}s)",
                    response.id, response.granted_ttl, response.ttl
                )
                .into_bytes();
                if with_keys {
                    let keys = response.keys.iter().map(|key| show(key, self.style));
                    let keys: Vec<Vec<u8>> = keys.collect();
                    line.extend(b", attached keys([");
                    line.extend(keys.join(&b' '));
                    line.extend(b"])");
                }
                line.push(b'\n');
                self.write(&line)
            }
        }
    }

    pub(crate) fn leases(&mut self, response: &LeaseLeasesResponse) -> Result<()> {
        let ids = response
            .leases
            .iter()
            .map(|lease| format!("{:016x}", lease.id));
        match self.for_list() {
            Format::Json => self.json(&json::leases(response)),
            Format::Fields => self.fields(|fields| fields.leases(response)),
            Format::Table => {
                let rows: Vec<_> = ids.map(|id| vec![id]).collect();
                let table = table::draw(&["LEASE"], &rows);
                self.write(table.as_bytes())
            }
            Format::Simple => {
                let mut lines = format!("found {} leases\n", response.leases.len());
                ids.for_each(|id| lines.extend([id.as_str(), "\n"]));
                self.write(lines.as_bytes())
            }
        }
    }

    pub(crate) fn members(&mut self, response: &MemberListResponse) -> Result<()> {
        let titles = [
            "ID",
            "STATUS",
            "NAME",
            "PEER ADDRS",
            "CLIENT ADDRS",
            "IS LEARNER",
        ];
        let mut rows = Vec::new();
        for member in &response.members {
            // A member takes its name when it starts for the first time.
            let state = match member.name.is_empty() {
                true => "unstarted",
                false => "started",
            };
            rows.push(vec![
                format!("{:x}", member.id),
                state.to_owned(),
                member.name.clone(),
                member.peer_ur_ls.join(","),
                member.client_ur_ls.join(","),
                member.is_learner.to_string(),
            ]);
        }
        match self.for_list() {
            Format::Json => self.json(&json::members(response)),
            Format::Fields => {
                let header = response.header.as_ref();
                self.fields(|fields| fields.members(header, &response.members))
            }
            Format::Table => self.write(table::draw(&titles, &rows).as_bytes()),
            Format::Simple => self.write(joined(&rows).as_bytes()),
        }
    }

    pub(crate) fn member_change(&mut self, change: &MemberChange) -> Result<()> {
        let cluster = change.header.as_ref().map_or(0, |header| header.cluster_id);
        match self.for_one() {
            Format::Json => self.json(&json::member_change(change)),
            Format::Fields => {
                let header = change.header.as_ref();
                self.fields(|fields| fields.members(header, &change.members))
            }
            Format::Simple | Format::Table => {
                let (id, what) = match &change.done {
                    Done::Added(member) if member.is_learner => (member.id, "added as learner to"),
                    Done::Added(member) => (member.id, "added to"),
                    Done::Removed(id) => (*id, "removed from"),
                    Done::Updated(id) => (*id, "updated in"),
                    Done::Promoted(id) => (*id, "promoted in"),
                };
                self.line(&format!("Member {id:16x} {what} cluster {cluster:16x}"))
            }
        }
    }

    /// Lines as they are, where nothing but simple output was asked for.
    pub(crate) fn simple_lines(&mut self, lines: &str) -> Result<()> {
        match self.for_one() {
            Format::Simple => self.write(lines.as_bytes()),
            Format::Json | Format::Fields | Format::Table => Ok(()),
        }
    }

    pub(crate) fn status(&mut self, answers: &[(String, StatusResponse)]) -> Result<()> {
        let titles = [
            "ENDPOINT",
            "ID",
            "VERSION",
            "DB SIZE",
            "IS LEADER",
            "IS LEARNER",
            "RAFT TERM",
            "RAFT INDEX",
            "RAFT APPLIED INDEX",
            "ERRORS",
        ];
        let mut rows = Vec::new();
        for (endpoint, status) in answers {
            let id = status.header.as_ref().map_or(0, |header| header.member_id);
            rows.push(vec![
                endpoint.clone(),
                format!("{id:x}"),
                status.version.clone(),
                size(status.db_size),
                (status.leader == id).to_string(),
                status.is_learner.to_string(),
                status.raft_term.to_string(),
                status.raft_index.to_string(),
                status.raft_applied_index.to_string(),
                status.errors.join(", "),
            ]);
        }
        match self.for_list() {
            Format::Json => {
                let all = answers
                    .iter()
                    .map(|(endpoint, status)| json::status(endpoint, status));
                let mut line = serde_json::to_vec(&all.collect::<Vec<_>>())?;
                line.push(b'\n');
                self.write(&line)
            }
            Format::Fields => self.fields(|fields| {
                for (endpoint, status) in answers {
                    fields.status(endpoint, status);
                }
            }),
            Format::Table => self.write(table::draw(&titles, &rows).as_bytes()),
            Format::Simple => self.write(joined(&rows).as_bytes()),
        }
    }
}

/// A line for each row, its cells separated by commas.
fn joined(rows: &[Vec<String>]) -> String {
    rows.iter().map(|row| row.join(", ") + "\n").collect()
}

#[cfg(test)]
mod tests;
