//! HTTP/2 as nobody's library speaks it; and that calls which are answered the short way get the same
//! answers as those that go the long way.

use std::time::Duration;

use prost::Message;
use quorate_http2::frame::{
    DATA, END_STREAM, PING, RST_STREAM, SET_TABLE_SIZE, SET_WINDOW, WINDOW_UPDATE,
};

use super::harness::by_hand::{Answer, ByHand, frame, message};
use super::harness::*;

/// The kind of body that everyone sends, and one that nobody sends: it goes the long way.
const SHORT: &str = "application/grpc";
const LONG: &str = "application/grpc+long";
const RANGE: &str = "/etcdserverpb.KV/Range";
const PUT: &str = "/etcdserverpb.KV/Put";

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// A request for KV that may be fine, odd or damaged: its path and its message.
fn request(dice: &mut Dice) -> (&'static str, Vec<u8>) {
    let keys = ["", "a", "b", "bb", "c", "d"];
    let ends = ["", "", "", "b", "c", "\0"];
    let key = keys[dice.below(keys.len())];
    let end = ends[dice.below(ends.len())];
    let value = "v".repeat(dice.below(40));
    let flag = |dice: &mut Dice| dice.below(5) == 0;
    let (path, mut message) = match dice.below(5) {
        0 => (PUT, {
            let mut request = put(key, &value);
            request.prev_kv = flag(dice);
            request.ignore_value = flag(dice);
            request.ignore_lease = flag(dice);
            request.lease = i64::from(flag(dice)) * 77;
            request.encode_to_vec()
        }),
        1 => ("/etcdserverpb.KV/DeleteRange", {
            let mut request = delete(key, end);
            request.prev_kv = flag(dice);
            request.encode_to_vec()
        }),
        2 => {
            let ops = vec![op_put(key, &value), op_get("a"), op_delete("b", end)];
            let other = vec![op_get("c")];
            let request = match dice.below(3) {
                0 => txn(vec![], ops, other),
                1 => all(other),
                _ => all(vec![op_put(key, &value), op_put("d", "x")]),
            };
            ("/etcdserverpb.KV/Txn", request.encode_to_vec())
        }
        _ => (RANGE, {
            let mut request = get(key);
            request.range_end = end.into();
            request.serializable = flag(dice);
            request.count_only = flag(dice);
            request.keys_only = flag(dice);
            request.revision = [0, 0, 0, 3, 1_000_000][dice.below(5)];
            request.sort_order = [0, 0, 1, 2, 9][dice.below(5)];
            request.limit = dice.below(3) as i64;
            request.encode_to_vec()
        }),
    };
    match dice.below(8) {
        // A field that nobody knows; then something that is no protobuf, or not all of it.
        0 => message.extend([0x9a, 0x06, 3, 1, 2, 3]),
        1 if !message.is_empty() => {
            let at = dice.below(message.len());
            message[at] ^= 1 << dice.below(8);
        }
        2 => message.truncate(dice.below(message.len() + 1)),
        _ => {}
    }
    (path, message)
}

/// Two servers are asked the same, one the short way and one the long way.
#[tokio::test]
async fn the_short_way_and_the_long_way_give_the_same_answers() {
    let servers = [Server::start().await, Server::start().await];
    let mut dice = Dice(3);
    let mut short = ByHand::connect(&servers[0], &[]).await;
    let mut long = ByHand::connect(&servers[1], &[]).await;
    let mut answered = 0;
    for round in 0..600 {
        let (path, content) = request(&mut dice);
        let mut body = message(&content);
        match dice.below(30) {
            // It is said to be compressed; there is more, or less, than it says.
            0 => body[0] = 1,
            1 => body.push(7),
            2 => body.truncate(dice.below(body.len())),
            3 => body.extend(message(&content)),
            _ => {}
        }
        let stream = short.ask(path, SHORT, &body).await;
        let ours = short.answer(stream).await;
        let stream = long.ask(path, LONG, &body).await;
        let theirs = long.answer(stream).await;
        // The long way says when it answered.
        let said = |answer: &Answer| (answer.fields.clone(), answer.reset);
        assert_eq!(said(&ours), said(&theirs), "{round}: {path} {content:?}");
        assert_eq!(
            without_term(&ours),
            without_term(&theirs),
            "{round}: {path} {content:?}"
        );
        answered += u32::from(ours.fields["grpc-status"] == "0");
    }
    assert!(answered > 200, "{answered}");
    for server in servers {
        server.stop().await;
    }
}

/// The body; the two servers may have had different numbers of elections, so without the term.
fn without_term(answer: &Answer) -> Vec<u8> {
    // All answers have the header first: field 1, with the term as field 4, last.
    let body = &answer.body;
    let Some(&len) = body.get(6) else {
        return body.clone();
    };
    let (head, rest) = body.split_at((7 + usize::from(len)).min(body.len()));
    let header = quorate_etcd::proto::etcdserverpb::ResponseHeader::decode(&head[7..]).unwrap();
    let mut all = header.revision.to_be_bytes().to_vec();
    all.extend(rest);
    all
}

/// A body comes in pieces, an answer leaves in pieces, and a client has no table for headers.
#[tokio::test]
async fn small_pieces() {
    let server = Server::start().await;
    server.put("k", &"x".repeat(1000)).await;
    let mut hand = ByHand::connect(&server, &[(SET_WINDOW, 100), (SET_TABLE_SIZE, 0)]).await;
    for kind in [SHORT, LONG] {
        let stream = hand.open(RANGE, kind).await;
        let body = message(&get("k").encode_to_vec());
        for (at, byte) in body.iter().enumerate() {
            let flags = u8::from(at + 1 == body.len()) * END_STREAM;
            hand.frame(DATA, flags, stream, &[*byte]).await;
        }
        for _ in 0..20 {
            hand.frame(WINDOW_UPDATE, 0, stream, &100_u32.to_be_bytes())
                .await;
        }
        let answer = hand.answer(stream).await;
        assert_eq!(answer.fields["grpc-status"], "0");
        assert!(answer.body.len() > 1000, "{}", answer.body.len());
    }
    server.stop().await;
}

/// A client asks for much and reads nothing: others are served, and it gets everything in the end.
#[tokio::test]
async fn a_client_that_does_not_read() {
    let server = Server::start().await;
    server.put("k", &"x".repeat(1_000_000)).await;
    let mut hand = ByHand::connect(&server, &[(SET_WINDOW, (1 << 31) - 1)]).await;
    let wide = ((1_u32 << 31) - 1 - 65_535).to_be_bytes();
    hand.frame(WINDOW_UPDATE, 0, 0, &wide).await;
    let body = message(&get("k").encode_to_vec());
    let mut streams = Vec::new();
    for at in 0..30 {
        let kind = if at % 2 == 0 { SHORT } else { LONG };
        streams.push(hand.ask(RANGE, kind, &body).await);
    }
    for _ in 0..5 {
        server.put("other", "y").await;
    }
    for stream in streams {
        let answer = hand.answer(stream).await;
        assert_eq!(answer.fields["grpc-status"], "0");
        assert!(answer.body.len() > 1_000_000);
    }
    server.stop().await;
}

/// Calls are given up at any moment, and the connection serves on.
#[tokio::test]
async fn calls_that_are_given_up() {
    let server = Server::start().await;
    let mut hand = ByHand::connect(&server, &[]).await;
    let body = message(&put("k", "v").encode_to_vec());
    for at in 0..300 {
        let kind = if at % 2 == 0 { SHORT } else { LONG };
        let stream = match at % 3 {
            0 => hand.open(PUT, kind).await,
            _ => hand.ask(PUT, kind, &body).await,
        };
        hand.frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
            .await;
    }
    let stream = hand
        .ask(RANGE, SHORT, &message(&get("k").encode_to_vec()))
        .await;
    assert_eq!(hand.answer(stream).await.fields["grpc-status"], "0");
    server.stop().await;
}

#[tokio::test]
async fn a_flood_is_cut_off() {
    let server = Server::start().await;
    if server.is_real() {
        return; // It answers them all.
    }
    let mut hand = ByHand::connect(&server, &[]).await;
    let flood = frame(PING, 0, 0, &[0; 8]).repeat(20_000);
    // It may be cut off before all of it is said.
    let _ = tokio::io::AsyncWriteExt::write_all(&mut hand.socket, &flood).await;
    while hand.hear().await {}
    server.put("k", "still alive").await;
    server.stop().await;
}

/// A client that is quiet is asked whether it is there, and cut off if it does not say so.
#[tokio::test]
async fn quiet_clients_are_asked_whether_they_are_there() {
    let server = Server::start_with(Limits {
        keepalive: Some(Duration::from_millis(50)),
        ..Limits::default()
    })
    .await;
    if server.is_real() {
        return;
    }
    let mut hand = ByHand::connect(&server, &[]).await;
    while hand.pings < 3 {
        assert!(hand.hear().await, "it was there");
    }
    hand.answers_pings = false;
    while hand.hear().await {}
    server.stop().await;
}

/// When the server stops, it says so, and answers what it has taken.
#[tokio::test]
async fn a_stop_is_announced() {
    let server = Server::start().await;
    if server.is_real() {
        return;
    }
    let mut hand = ByHand::connect(&server, &[]).await;
    let stream = hand
        .ask(RANGE, SHORT, &message(&get("k").encode_to_vec()))
        .await;
    hand.answer(stream).await;
    server.stop().await;
    while hand.hear().await {}
    assert_eq!(hand.goaway, Some(0));
}
