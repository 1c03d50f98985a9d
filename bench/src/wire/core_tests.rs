use quorate_http2::frame::PADDED;

use super::*;
use crate::keys::Dice;

/// A frame as a server would send it.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// Headers without compression.
fn headers(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for part in [name, value] {
            block.push(part.len() as u8);
            block.extend(part.as_bytes());
        }
    }
    block
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// A connection whose greeting is over.
fn greeted() -> Core {
    let mut core = Core::new("a:1");
    core.receive(&frame(SETTINGS, 0, 0, &[])).expect("settings");
    core.out.clear();
    core
}

fn open(core: &mut Core, keep: bool) -> u32 {
    match core.poll_open(Call::Put, keep, &context()) {
        Poll::Ready(Ok(stream)) => stream,
        other => panic!("{other:?}"),
    }
}

/// The frames that we wrote: kind, flags, stream, length.
fn written(core: &mut Core) -> Vec<(u8, u8, u32, usize)> {
    let mut out = core.out.split().freeze();
    let mut frames = Vec::new();
    while out.has_remaining() {
        let length = out.get_uint(3) as usize;
        frames.push((out.get_u8(), out.get_u8(), out.get_u32(), length));
        out.advance(length);
    }
    frames
}

#[test]
fn a_call_from_its_head_to_its_trailers() {
    let mut core = greeted();
    let stream = open(&mut core, false);
    core.send(stream, Bytes::from_static(b"request"), true);
    let frames = written(&mut core);
    assert!(
        matches!(frames[0], (HEADERS, END_HEADERS, 1, _)),
        "{frames:?}"
    );
    assert_eq!(frames[1..], [(DATA, END_STREAM, 1, 7)]);
    assert!(core.poll_ended(stream, &context()).is_pending());

    let mut answer = frame(HEADERS, END_HEADERS, 1, &headers(&[(":status", "200")]));
    answer.extend(frame(DATA, PADDED, 1, b"\x02answer\0\0"));
    let trailers = headers(&[("grpc-status", "0")]);
    answer.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers));
    // Byte by byte is how it may come.
    let mut buffer = Vec::new();
    for byte in answer {
        assert!(core.poll_ended(stream, &context()).is_pending());
        buffer.push(byte);
        let taken = core.receive(&buffer).expect("valid frames");
        buffer.drain(..taken);
    }
    assert_eq!(core.poll_ended(stream, &context()), Poll::Ready(Ok(())));
    assert!(core.exchanges.is_empty());
}

#[test]
fn a_refusal_is_told_in_the_servers_words() {
    let mut core = greeted();
    let stream = open(&mut core, false);
    let head = headers(&[
        ("grpc-status", "14"),
        ("grpc-message", "etcdserver: no%20leader"),
    ]);
    // In pieces, and with a priority that nobody asked for.
    let (first, second) = head.split_at(9);
    let first = [&[0; 5], first].concat();
    core.receive(&frame(HEADERS, END_STREAM | HAS_PRIORITY, 1, &first))
        .expect("valid");
    core.receive(&frame(CONTINUATION, END_HEADERS, 1, second))
        .expect("valid");
    let failure = Failure("Unavailable: etcdserver: no leader".to_owned());
    assert_eq!(
        core.poll_ended(stream, &context()),
        Poll::Ready(Err(failure))
    );
}

#[test]
fn a_reset_after_the_status_changes_nothing() {
    let mut core = greeted();
    let stream = open(&mut core, false);
    core.send(stream, vec![0; 100_000].into(), true);
    let refused = headers(&[("grpc-status", "8")]);
    core.receive(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &refused))
        .expect("valid");
    core.receive(&frame(RST_STREAM, 0, 1, &[0; 4]))
        .expect("valid");
    written(&mut core);
    core.receive(&frame(WINDOW_UPDATE, 0, 0, &9000_u32.to_be_bytes()))
        .expect("valid");
    assert_eq!(
        written(&mut core),
        [],
        "what is left of the request is not sent"
    );
    let failure = Failure("ResourceExhausted: ".to_owned());
    assert_eq!(
        core.poll_ended(stream, &context()),
        Poll::Ready(Err(failure))
    );
}

#[test]
fn messages_of_a_stream_are_put_together() {
    let mut core = greeted();
    let stream = open(&mut core, true);
    let mut data = b"\0\0\0\0\x03one\0\0\0\0\x00".to_vec();
    data.extend(b"\0\0\0\0\x05th");
    core.receive(&frame(DATA, 0, 1, &data)).expect("valid");
    let message = |core: &mut Core| core.poll_message(stream, &context());
    assert_eq!(
        message(&mut core),
        Poll::Ready(Ok(Bytes::from_static(b"one")))
    );
    assert_eq!(message(&mut core), Poll::Ready(Ok(Bytes::new())));
    assert!(message(&mut core).is_pending());
    core.receive(&frame(DATA, 0, 1, b"ree")).expect("valid");
    assert_eq!(
        message(&mut core),
        Poll::Ready(Ok(Bytes::from_static(b"three")))
    );
    core.receive(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 2]))
        .expect("valid");
    assert!(matches!(message(&mut core), Poll::Ready(Err(_))));
}

#[test]
fn no_more_is_sent_than_the_server_has_room_for() {
    let mut core = greeted();
    let one = open(&mut core, false);
    let two = open(&mut core, false);
    written(&mut core);
    core.send(one, vec![1; 60_000].into(), true);
    core.send(two, vec![2; 10_000].into(), true);
    let sent = |core: &mut Core| -> usize {
        let frames = written(core);
        assert!(
            frames.iter().all(|frame| frame.3 <= FRAME_MAX),
            "{frames:?}"
        );
        frames
            .iter()
            .filter(|frame| frame.0 == DATA)
            .map(|frame| frame.3)
            .sum()
    };
    assert_eq!(sent(&mut core), WINDOW_AT_FIRST as usize);
    core.receive(&frame(WINDOW_UPDATE, 0, 0, &1000_u32.to_be_bytes()))
        .expect("valid");
    assert_eq!(sent(&mut core), 1000);
    core.receive(&frame(WINDOW_UPDATE, 0, 0, &9000_u32.to_be_bytes()))
        .expect("valid");
    assert_eq!(sent(&mut core), 70_000 - WINDOW_AT_FIRST as usize - 1000);
    // A smaller window for each stream holds a third one back, and a larger one lets it go.
    let setting = |window: u32| [&SET_WINDOW.to_be_bytes()[..], &window.to_be_bytes()].concat();
    core.receive(&frame(SETTINGS, 0, 0, &setting(10)))
        .expect("valid");
    let three = open(&mut core, false);
    core.send(three, vec![3; 40].into(), true);
    assert_eq!(sent(&mut core), 10);
    core.receive(&frame(SETTINGS, 0, 0, &setting(100)))
        .expect("valid");
    assert_eq!(sent(&mut core), 30);
}

#[test]
fn no_more_streams_are_open_than_the_server_takes() {
    let mut core = greeted();
    let setting = [&SET_STREAMS_MAX.to_be_bytes()[..], &1_u32.to_be_bytes()].concat();
    core.receive(&frame(SETTINGS, 0, 0, &setting))
        .expect("valid");
    let stream = open(&mut core, false);
    assert!(core.poll_open(Call::Put, false, &context()).is_pending());
    core.cancel(stream);
    assert_eq!(open(&mut core, false), 3);
}

#[test]
fn what_the_server_asks_is_answered() {
    let mut core = Core::new("a:1");
    assert!(core.out.starts_with(PREFACE));
    assert!(core.poll_greeted(&context()).is_pending());
    core.out.clear();
    core.receive(&frame(SETTINGS, 0, 0, &[])).expect("valid");
    assert_eq!(core.poll_greeted(&context()), Poll::Ready(Ok(())));
    core.receive(&frame(PING, 0, 0, b"12345678"))
        .expect("valid");
    assert_eq!(
        written(&mut core),
        [(SETTINGS, ACK, 0, 0), (PING, ACK, 0, 8)]
    );
}

#[test]
fn the_end_of_a_connection_ends_its_calls() {
    let mut core = greeted();
    let stream = open(&mut core, false);
    let error = core
        .receive(&frame(GOAWAY, 0, 0, &[0; 8]))
        .expect_err("the end");
    core.die(&error);
    assert!(matches!(
        core.poll_ended(stream, &context()),
        Poll::Ready(Err(_))
    ));
    assert!(matches!(
        core.poll_open(Call::Put, false, &context()),
        Poll::Ready(Err(_))
    ));
    assert!(matches!(core.poll_write(&context()), Poll::Ready(None)));
}

#[test]
fn what_makes_no_sense_ends_the_connection() {
    for wrong in [
        frame(PING, 0, 0, b"short"),
        frame(WINDOW_UPDATE, 0, 0, b"1"),
        frame(CONTINUATION, 0, 1, b""),
        frame(HEADERS, END_HEADERS | PADDED, 1, &[200]),
        frame(HEADERS, END_HEADERS, 1, b"\x80"),
        frame(PUSH_PROMISE, 0, 1, b""),
        vec![0xff; HEAD_LEN],
    ] {
        assert!(greeted().receive(&wrong).is_err(), "{wrong:x?}");
    }
    let mut core = greeted();
    core.receive(&frame(HEADERS, 0, 1, b""))
        .expect("the beginning of a block");
    assert!(core.receive(&frame(DATA, 0, 1, b"")).is_err());
}

#[test]
fn any_input_is_taken_without_a_panic() {
    let mut dice = Dice::new(3);
    for _ in 0..20_000 {
        let mut core = greeted();
        let stream = open(&mut core, true);
        core.send(stream, Bytes::from_static(b"request"), true);
        let mut input = Vec::new();
        for _ in 0..dice.below(6) {
            let length = dice.below(20) as usize;
            let payload: Vec<u8> = (0..length).map(|_| dice.roll() as u8).collect();
            let (kind, flags) = (dice.below(11) as u8, dice.roll() as u8);
            input.extend(frame(kind, flags, dice.below(3) as u32, &payload));
        }
        if let Ok(taken) = core.receive(&input) {
            assert_eq!(taken, input.len());
        }
        let _ = core.poll_message(stream, &context());
    }
}
