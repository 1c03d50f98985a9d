//! Peers that come and go, and introductions, against a test that speaks their bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::super::handshake::{Answer, Hello, Stream};
use super::super::tests::{
    HELLO, NOWHERE, Running, accepted, answer_as, call, is_closed, list, read_frame, saved, start,
    wait_until,
};
use super::super::{PeerOptions, ask, frame};
use super::*;

fn hasty() -> PeerOptions {
    PeerOptions {
        retry: Duration::from_micros(100)..Duration::from_millis(2),
        ..PeerOptions::default()
    }
}

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// What somebody who calls as this member is answered.
fn answered(address: SocketAddr, from: u64) -> Answer {
    let hello = Hello {
        from: NodeId(from),
        ..HELLO
    };
    call(address, &hello.encode()).1.unwrap()
}

fn names(one: &Running) -> Vec<u64> {
    let peers = one.counters.read().peers;
    peers.iter().map(|peer| peer.peer.0).collect()
}

#[test]
fn who_is_new_is_called_and_gets_mail_and_who_is_gone_is_neither() {
    let (third, at_third) = listen();
    let mut one = start(NOWHERE, hasty());
    assert!(matches!(answered(one.address, 3), Answer::Unknown(_)));
    let mut two = accepted(one.address);
    one.peers.set(list(&[(3, &at_third)]));
    assert_eq!(names(&one), [3]);
    assert!(is_closed(&mut two), "who is no peer is hung up on");
    assert!(matches!(answered(one.address, 2), Answer::Unknown(_)));
    assert_eq!(answered(one.address, 3), Answer::Accepted);
    let mut three = answer_as(&third, 3, &Answer::Accepted);
    let counters = one.counters.clone();
    wait_until(|| counters.read().peers[0].connected);
    one.post_to(3, saved(1));
    assert_eq!(read_frame(&mut three), [saved(1)]);
    // The same list again changes nothing.
    one.peers.set(list(&[(3, &at_third)]));
    one.post_to(3, saved(2));
    assert_eq!(read_frame(&mut three), [saved(2)]);
    one.peers.set(PeerList::default());
    assert!(is_closed(&mut three));
    assert_eq!(names(&one), [0; 0]);
}

#[test]
fn a_peer_that_is_gone_leaves_nothing_behind() {
    let mut one = start(NOWHERE, hasty());
    let peer = Arc::downgrade(&one.peers.slots[0].peer);
    one.peers.set(PeerList::default());
    wait_until(|| peer.strong_count() == 0);
}

#[test]
fn who_was_removed_is_told_so_when_it_calls() {
    let mut one = start(NOWHERE, hasty());
    one.peers.set(PeerList {
        removed: BTreeSet::from([NodeId(2)]),
        ..PeerList::default()
    });
    let Answer::Removed(reason) = answered(one.address, 2) else {
        panic!("it was let in");
    };
    assert!(reason.contains("member 2 was removed"), "{reason}");
}

#[test]
fn who_is_told_that_it_was_removed_says_so_above() {
    let (second, at_second) = listen();
    let one = start(&at_second, hasty());
    drop(answer_as(
        &second,
        2,
        &Answer::Removed("long ago".to_owned()),
    ));
    let heard = one.heard.clone();
    wait_until(|| !heard.0.lock().unwrap().is_empty());
    assert_eq!(heard.0.lock().unwrap()[0], "n2: long ago");
}

#[test]
fn other_addresses_are_used_for_the_next_call_and_the_next_one_when_one_fails() {
    let (second, at_second) = listen();
    let mut one = start(NOWHERE, hasty());
    one.peers.set(PeerList {
        peers: vec![(NodeId(2), vec![NOWHERE.to_owned(), at_second.clone()])],
        ..PeerList::default()
    });
    let first = answer_as(&second, 2, &Answer::Accepted);
    let (elsewhere, at_elsewhere) = listen();
    one.peers.set(list(&[(2, &at_elsewhere)]));
    let counters = one.counters.clone();
    wait_until(|| counters.read().peers[0].connected);
    drop(first);
    answer_as(&elsewhere, 2, &Answer::Accepted);
}

#[test]
fn whoever_asks_is_told_who_the_cluster_is() {
    let one = start(NOWHERE, hasty());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let address = one.address.to_string();
    let told = runtime
        .block_on(ask(&address, Duration::from_secs(30)))
        .unwrap();
    assert_eq!(told, b"who we are");
    // Not if it takes this cluster for another.
    let hello = Hello {
        cluster: 8,
        from: NodeId(0),
        to: NodeId(0),
        stream: Stream::Asking,
        ..HELLO
    };
    let (_, answer) = call(one.address, &hello.encode());
    assert!(matches!(answer, Some(Answer::Refused(_))));
}

#[test]
fn a_peer_that_does_not_know_us_is_told_who_the_cluster_is() {
    let (second, at_second) = listen();
    let _one = start(&at_second, hasty());
    drop(answer_as(&second, 2, &Answer::Unknown("who?".to_owned())));
    let (mut telling, hello) = super::super::tests::take_call(&second);
    assert_eq!(hello.stream, Stream::Telling);
    telling.write_all(&Answer::Accepted.encode()).unwrap();
    let mut said = Vec::new();
    telling.read_to_end(&mut said).unwrap();
    assert_eq!(&said[frame::HEADER_BYTES..], b"who we are");
}

#[test]
fn what_a_stranger_says_of_the_cluster_is_heard_if_it_arrives_whole() {
    let one = start(NOWHERE, hasty());
    let hello = Hello {
        from: NodeId(9),
        stream: Stream::Telling,
        ..HELLO
    };
    let body = b"we are others now";
    let mut intact = frame::FrameHeader::of(body, 1).encode().to_vec();
    intact.extend_from_slice(body);
    let mut garbled = intact.clone();
    garbled[frame::HEADER_BYTES] ^= 1;
    let too_long = frame::FrameHeader {
        body_len: 2 << 20,
        count: 1,
        body_crc: 0,
    };
    for bytes in [garbled, too_long.encode().to_vec(), intact] {
        let (mut stream, answer) = call(one.address, &hello.encode());
        assert_eq!(answer, Some(Answer::Accepted));
        stream.write_all(&bytes).unwrap();
        assert!(is_closed(&mut stream));
    }
    assert_eq!(*one.heard.0.lock().unwrap(), ["we are others now"]);
}
