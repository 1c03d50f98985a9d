use super::*;
use crate::proto::etcdserverpb::WatchResponse;
use crate::proto::mvccpb::{Event, KeyValue};
use bytes::Bytes;
use prost::Message;

fn event(n: i64) -> Event {
    Event {
        r#type: (n % 2) as i32,
        kv: Some(KeyValue {
            key: Bytes::from(format!("key {n}")),
            value: Bytes::from(vec![7; (n * 50) as usize]),
            mod_revision: n,
            ..Default::default()
        }),
        prev_kv: (n > 1).then(KeyValue::default),
    }
}

/// What the generated type reads from the frame, after comparing lengths and re-encoded bytes.
fn decode(frame: &Frame) -> WatchResponse {
    let mut out = Vec::new();
    frame.encode(&mut out);
    assert_eq!(out.len(), frame.encoded_len());
    let decoded = WatchResponse::decode(&out[..]).unwrap();
    assert_eq!(
        decoded.encode_to_vec(),
        out,
        "byte for byte what prost writes"
    );
    decoded
}

#[test]
fn a_frame_is_a_watch_response() {
    let header = ResponseHeader {
        cluster_id: u64::MAX,
        member_id: 1,
        revision: 5,
        raft_term: 300,
    };
    let events: Vec<Event> = (1..=3).map(event).collect();
    let frame = Frame {
        header,
        watch_id: -1,
        created: true,
        canceled: true,
        compact_revision: 4,
        cancel_reason: "why",
        fragment: true,
        events: Chunks::Many(events.iter().map(|e| e.encode_to_vec().into()).collect()),
    };
    let expected = WatchResponse {
        header: Some(header),
        watch_id: -1,
        created: true,
        canceled: true,
        compact_revision: 4,
        cancel_reason: "why".into(),
        fragment: true,
        events,
    };
    assert_eq!(decode(&frame), expected);
}

#[test]
fn an_empty_frame_has_a_header() {
    let expected = WatchResponse {
        header: Some(ResponseHeader::default()),
        ..Default::default()
    };
    assert_eq!(decode(&Frame::default()), expected);
}

#[test]
fn every_length_of_event_is_right() {
    for len in [0, 1, 127, 128, 16_383, 16_384, 70_000] {
        let value = Bytes::from(vec![1; len]);
        let event = Event {
            kv: Some(KeyValue {
                value,
                ..Default::default()
            }),
            ..Default::default()
        };
        let bytes = Bytes::from(event.encode_to_vec());
        let frame = Frame {
            events: Chunks::One(bytes),
            ..Default::default()
        };
        assert_eq!(decode(&frame).events, [event]);
    }
}
