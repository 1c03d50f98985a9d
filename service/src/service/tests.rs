//! The whole service over a total order as simple as can be: with real threads, and as three
//! replicas whose order loses, repeats and delays whatever it can.

mod cluster;
mod solo;

use bytes::Bytes;

use crate::command::{Command, KeyRange, Put, Range};
use crate::reply::KeyValue;
use crate::store::View;
use crate::watch::WatchCreate;

fn put(key: &str, value: &str, lease: i64) -> Command {
    Command::Put(Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        lease,
        ..Put::default()
    })
}

fn get(view: &View, key: &str) -> Option<KeyValue> {
    let range = Range {
        range: KeyRange {
            key: Bytes::copy_from_slice(key.as_bytes()),
            end: Bytes::new(),
        },
        ..Range::default()
    };
    view.range(&range).unwrap().kvs.pop()
}

fn everything() -> WatchCreate {
    WatchCreate {
        range: KeyRange {
            key: Bytes::new(),
            end: Bytes::from_static(b"\0"),
        },
        ..WatchCreate::default()
    }
}
