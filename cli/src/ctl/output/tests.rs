use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use quorate_client::proto::{Event, Member, ResponseHeader, ResponseOp};

/// A place to print to that can be read.
#[derive(Clone, Default)]
struct Paper(Rc<RefCell<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Setting {
    terminal: bool,
    format: Option<Format>,
    hex: bool,
}

/// A pipe, and no wishes.
const PIPE: Setting = Setting {
    terminal: false,
    format: None,
    hex: false,
};
/// A terminal, and no wishes.
const TERMINAL: Setting = Setting {
    terminal: true,
    ..PIPE
};
const JSON: Setting = Setting {
    format: Some(Format::Json),
    ..PIPE
};
const FIELDS: Setting = Setting {
    format: Some(Format::Fields),
    ..PIPE
};
const HEX: Setting = Setting { hex: true, ..PIPE };

fn printed(setting: Setting, print: impl FnOnce(&mut Printer) -> Result<()>) -> String {
    let paper = Paper::default();
    let Setting {
        terminal,
        format,
        hex,
    } = setting;
    let mut printer = Printer::to(Box::new(paper.clone()), terminal, format, hex);
    print(&mut printer).expect("printing works");
    let bytes = paper.0.borrow().clone();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn header() -> Option<ResponseHeader> {
    Some(ResponseHeader {
        cluster_id: 7,
        member_id: u64::MAX,
        revision: 9,
        raft_term: 2,
    })
}

fn kv(key: &'static str, value: &'static [u8]) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: value.into(),
        create_revision: 2,
        mod_revision: 3,
        version: 4,
        lease: 0,
    }
}

fn range(kvs: Vec<KeyValue>) -> RangeResponse {
    RangeResponse {
        header: header(),
        count: kvs.len() as i64,
        kvs,
        ..Default::default()
    }
}

#[test]
fn simple_output_is_etcdctls() {
    let response = range(vec![kv("a", b"1"), kv("b", b"two\nlines")]);
    let all = printed(PIPE, |printer| printer.get(&response, Get::default()));
    assert_eq!(all, "a\n1\nb\ntwo\nlines\n");
    let values = Get {
        values_only: true,
        ..Get::default()
    };
    assert_eq!(
        printed(PIPE, |printer| printer.get(&response, values)),
        "1\ntwo\nlines\n"
    );
    let count = Get {
        count_only: true,
        ..Get::default()
    };
    assert_eq!(
        printed(TERMINAL, |printer| printer.get(&response, count)),
        "2\n"
    );
    let none = range(Vec::new());
    assert_eq!(
        printed(PIPE, |printer| printer.get(&none, Get::default())),
        ""
    );
    let hex = printed(HEX, |printer| printer.get(&response, values));
    assert_eq!(hex.lines().next(), Some("\\x31"));
}

#[test]
fn json_is_etcdctls() {
    let response = range(vec![kv("a", b"1")]);
    assert_eq!(
        printed(JSON, |printer| printer.get(&response, Get::default())),
        "{\"header\":{\"cluster_id\":7,\"member_id\":18446744073709551615,\"revision\":9,\"raft_term\":2},\
         \"kvs\":[{\"key\":\"YQ==\",\"create_revision\":2,\"mod_revision\":3,\"version\":4,\"value\":\"MQ==\"}],\
         \"count\":1}\n"
    );
    let put = PutResponse {
        header: header(),
        prev_kv: None,
    };
    let txn = TxnResponse {
        header: header(),
        succeeded: true,
        responses: vec![ResponseOp {
            response: Some(Response::ResponsePut(put)),
        }],
    };
    let text = printed(JSON, |printer| printer.txn(&txn));
    assert!(
        text.contains(
            "\"succeeded\":true,\"responses\":[{\"Response\":{\"response_put\":{\"header\""
        )
    );
    let watch = WatchResponse {
        header: header(),
        events: vec![Event {
            r#type: 1,
            kv: Some(kv("a", b"")),
            prev_kv: None,
        }],
        ..Default::default()
    };
    let text = printed(JSON, |printer| printer.watch(&watch));
    assert!(
        text.contains("\"Events\":[{\"type\":1,\"kv\":{\"key\":\"YQ==\""),
        "{text}"
    );
    assert!(
        text.ends_with("\"CompactRevision\":0,\"Canceled\":false,\"Created\":false}\n"),
        "{text}"
    );
    let time = LeaseTimeToLiveResponse {
        id: 16,
        ttl: 5,
        granted_ttl: 9,
        ..Default::default()
    };
    let text = printed(JSON, |printer| printer.lease_time(&time, true));
    assert_eq!(
        text,
        "{\"id\":16,\"ttl\":5,\"granted-ttl\":9,\"keys\":null}\n"
    );
}

#[test]
fn fields_are_quoted_as_go_does() {
    let response = range(vec![kv("a\"b", b"\x00\xff\n\t\x1b\\\xc3\xa9")]);
    let text = printed(FIELDS, |printer| printer.get(&response, Get::default()));
    assert!(text.contains("\"Key\" : \"a\\\"b\"\n"), "{text}");
    assert!(
        text.contains("\"Value\" : \"\\x00\\xff\\n\\t\\x1b\\\\é\"\n"),
        "{text}"
    );
    assert!(
        text.starts_with("\"ClusterID\" : 7\n\"MemberID\" : 18446744073709551615\n"),
        "{text}"
    );
    assert!(
        text.ends_with("\"More\" : false\n\"Count\" : 1\n"),
        "{text}"
    );
}

#[test]
fn a_terminal_shows_tables_and_is_not_steered_by_values() {
    let response = range(vec![
        kv("key", b"\x1b[2Jevil\n"),
        kv("b", "größe".as_bytes()),
    ]);
    let table = printed(TERMINAL, |printer| printer.get(&response, Get::default()));
    assert_eq!(
        table,
        "\
+-----+---------------+---------+---------+----------+-------+
| KEY | VALUE         | VERSION | CREATED | MODIFIED | LEASE |
+-----+---------------+---------+---------+----------+-------+
| key | \\x1b[2Jevil\\n |       4 |       2 |        3 |       |
| b   | größe         |       4 |       2 |        3 |       |
+-----+---------------+---------+---------+----------+-------+
"
    );
    let keys = Get {
        keys_only: true,
        ..Get::default()
    };
    let table = printed(TERMINAL, |printer| printer.get(&response, keys));
    assert!(
        !table.contains("VALUE") && table.contains("| key |"),
        "{table}"
    );
    let put = PutResponse {
        header: header(),
        prev_kv: Some(kv("k", b"\x1b]0;title\x07")),
    };
    assert_eq!(
        printed(TERMINAL, |printer| printer.put(&put)),
        "OK\nk\n\\x1b]0;title\\x07\n"
    );
    assert_eq!(
        printed(PIPE, |printer| printer.put(&put)),
        "OK\nk\n\x1b]0;title\x07\n"
    );
}

#[test]
fn leases_and_members_in_words() {
    let granted = LeaseGrantResponse {
        id: 0x1f,
        ttl: 30,
        ..Default::default()
    };
    let text = printed(TERMINAL, |printer| printer.lease_granted(&granted));
    assert_eq!(text, "lease 000000000000001f granted with TTL(30s)\n");
    let time = LeaseTimeToLiveResponse {
        id: -1,
        ttl: 5,
        granted_ttl: 30,
        keys: vec!["a".into(), "b".into()],
        ..Default::default()
    };
    let text = printed(PIPE, |printer| printer.lease_time(&time, true));
    assert_eq!(
        text,
        "lease ffffffffffffffff granted with TTL(30s), remaining(5s), attached keys([a b])\n"
    );
    let gone = LeaseTimeToLiveResponse {
        id: 1,
        ttl: -1,
        ..Default::default()
    };
    let text = printed(PIPE, |printer| printer.lease_time(&gone, false));
    assert_eq!(text, "lease 0000000000000001 already expired\n");
    let member = Member {
        id: 0x2e12,
        name: "n1".into(),
        peer_ur_ls: vec!["http://a:2380".into()],
        client_ur_ls: vec!["http://a:2379".into(), "http://b:2379".into()],
        is_learner: false,
    };
    let members = MemberListResponse {
        header: header(),
        members: vec![member],
    };
    let text = printed(PIPE, |printer| printer.members(&members));
    assert_eq!(
        text,
        "2e12, started, n1, http://a:2380, http://a:2379,http://b:2379, false\n"
    );
    let text = printed(JSON, |printer| printer.members(&members));
    assert!(text.contains("\"peerURLs\":[\"http://a:2380\"]"), "{text}");
}

#[test]
fn progress_and_events_of_a_watch() {
    let progress = WatchResponse {
        header: header(),
        ..Default::default()
    };
    assert_eq!(
        printed(PIPE, |printer| printer.watch(&progress)),
        "progress notify: 9\n"
    );
    let put = Event {
        r#type: 0,
        kv: Some(kv("a", b"2")),
        prev_kv: Some(kv("a", b"1")),
    };
    let delete = Event {
        r#type: 1,
        kv: Some(kv("a", b"")),
        prev_kv: None,
    };
    let events = WatchResponse {
        events: vec![put, delete],
        ..progress
    };
    let text = printed(PIPE, |printer| printer.watch(&events));
    assert_eq!(text, "PUT\na\n1\na\n2\nDELETE\na\n\n");
}

#[test]
fn sizes_are_said_in_powers_of_ten() {
    for (bytes, said) in [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (20_480, "20 kB"),
        (9_940, "9.9 kB"),
        (9_990, "10 kB"),
        (2_147_483_648, "2.1 GB"),
    ] {
        assert_eq!(size(bytes), said);
    }
}
