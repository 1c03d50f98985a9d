use super::Head;
use super::dice::Dice;
use super::*;
use crate::frame::*;
use crate::hpack::put_string;

const LIMITS: Limits = Limits {
    streams_max: 10,
    headers_bytes_max: 16 << 10,
    stream_window: 100_000,
    connection_window: 200_000,
    out_bytes_max: 64 << 10,
};

/// A client that talks to a server in memory.
struct Talk {
    server: Server<Head>,
    now: Instant,
}

type Said = Result<Vec<Event<Head>>, Fault>;

impl Talk {
    /// A connection whose greeting is over.
    fn new() -> Talk {
        let now = Instant::now();
        let server = Server::new(LIMITS, now);
        let mut talk = Talk { server, now };
        talk.say(PREFACE).expect("the preface");
        talk.frame(SETTINGS, 0, 0, &[]).expect("settings");
        talk.written();
        talk
    }

    fn say(&mut self, bytes: &[u8]) -> Said {
        let mut events = Vec::new();
        let mut input = BytesMut::from(bytes);
        self.server.receive(&mut input, self.now, &mut events)?;
        assert!(input.is_empty(), "only whole frames are said");
        Ok(events)
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Said {
        self.say(&frame(kind, flags, stream, payload))
    }

    fn ask(&mut self, stream: u32, ends: bool) -> Said {
        let flags = if ends { END_STREAM } else { 0 };
        self.frame(HEADERS, flags | END_HEADERS, stream, &request(&[]))
    }

    /// The frames that the server wrote: kind, flags, stream, length.
    fn written(&mut self) -> Vec<(u8, u8, u32, usize)> {
        let mut frames = Vec::new();
        loop {
            let out = self.server.out().split();
            let mut rest = &out[..];
            while let Some(head) = frame::Head::read(rest) {
                frames.push((head.kind, head.flags, head.stream, head.len));
                rest = &rest[HEAD_LEN + head.len..];
            }
            assert!(rest.is_empty(), "only whole frames are written");
            self.server.pump();
            if self.server.out().is_empty() {
                return frames;
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    put_head(&mut out, kind, flags, stream, payload.len());
    out.extend_from_slice(payload);
    out.to_vec()
}

/// A block without compression.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = BytesMut::new();
    for (name, value) in fields {
        out.put_u8(0);
        put_string(name.as_bytes(), &mut out);
        put_string(value.as_bytes(), &mut out);
    }
    out.to_vec()
}

fn request(more: &[(&str, &str)]) -> Vec<u8> {
    let first = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/a.B/C"),
    ];
    block(&[&first, more].concat())
}

fn fault_code(said: Said) -> Code {
    said.expect_err("it must end the connection").code
}

fn answer(talk: &mut Talk, stream: u32, body: &[u8]) {
    let fields: [(&[u8], &[u8]); 1] = [(b"content-type", b"application/grpc")];
    talk.server.head(stream, b"200", fields, false);
    talk.server
        .data(stream, Bytes::copy_from_slice(body), false);
    talk.server.trailers(stream, &[(b"grpc-status", b"0")]);
}

#[test]
fn a_call_from_its_head_to_its_trailers() {
    let mut talk = Talk::new();
    for (stream, sizes) in [(1, (32, 15)), (3, (2, 1)), (5, (2, 1))] {
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &request(&[]));
        bytes.extend(frame(DATA, END_STREAM | PADDED, stream, b"\x01question\0"));
        let events = talk.say(&bytes).expect("a request");
        let [
            Event::Request {
                stream: on,
                head,
                ends: false,
            },
            Event::Data {
                data, ends: true, ..
            },
        ] = &events[..]
        else {
            panic!("{events:?}");
        };
        assert_eq!(
            (*on, &head.path[..], &data[..]),
            (stream, &b"/a.B/C"[..], &b"question"[..])
        );
        answer(&mut talk, stream, b"answer");
        assert_eq!(
            talk.written(),
            [
                (HEADERS, END_HEADERS, stream, sizes.0),
                (DATA, 0, stream, 6),
                (HEADERS, END_HEADERS | END_STREAM, stream, sizes.1),
            ]
        );
    }
    assert_eq!(talk.server.streams(), 0);
    assert_eq!(talk.server.recent.blocks.len(), 1);
}

#[test]
fn bytes_may_come_one_by_one() {
    let now = Instant::now();
    let mut server = Server::<Head>::new(LIMITS, now);
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    let (one, two) = (request(&[]), request(&[("a", "b")]));
    bytes.extend(frame(HEADERS, 0, 1, &one[..10]));
    bytes.extend(frame(CONTINUATION, END_HEADERS, 1, &one[10..]));
    bytes.extend(frame(DATA, END_STREAM, 1, b"x"));
    bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 3, &two));
    let (mut input, mut events) = (BytesMut::new(), Vec::new());
    for byte in bytes {
        input.put_u8(byte);
        server
            .receive(&mut input, now, &mut events)
            .expect("well-formed");
    }
    assert!(input.is_empty());
    assert_eq!(events.len(), 3, "{events:?}");
}

#[test]
fn a_body_waits_for_its_windows() {
    let mut talk = Talk::new();
    talk.ask(1, true).expect("a request");
    talk.ask(3, true).expect("a request");
    let body = vec![7; 100_000];
    answer(&mut talk, 1, &body);
    answer(&mut talk, 3, b"small");
    let sent = |frames: Vec<(u8, u8, u32, usize)>| -> (usize, usize) {
        let of = |stream| {
            let mine = frames
                .iter()
                .filter(|frame| frame.0 == DATA && frame.2 == stream);
            mine.map(|frame| frame.3).sum()
        };
        (of(1), of(3))
    };
    assert_eq!(sent(talk.written()), (65_535, 0));
    assert_eq!(talk.server.queued(), 100_000 - 65_535 + 5);
    // The window of all is what the small one waits for.
    talk.frame(WINDOW_UPDATE, 0, 0, &50_000_u32.to_be_bytes())
        .expect("an update");
    assert_eq!(sent(talk.written()), (0, 5));
    assert!(!talk.server.has(3));
    talk.frame(WINDOW_UPDATE, 0, 1, &10_000_u32.to_be_bytes())
        .expect("an update");
    assert_eq!(sent(talk.written()), (10_000, 0));
    // A wider window for new streams is one for old streams too.
    let setting = [&SET_WINDOW.to_be_bytes()[..], &200_000_u32.to_be_bytes()].concat();
    talk.frame(SETTINGS, 0, 0, &setting).expect("settings");
    assert_eq!(sent(talk.written()), (100_000 - 75_535, 0));
    assert_eq!((talk.server.streams(), talk.server.queued()), (0, 0));
}

#[test]
fn the_output_does_not_grow_beyond_its_bound() {
    let mut talk = Talk::new();
    let wide = (WINDOW_MAX - 65_535).to_be_bytes();
    talk.frame(WINDOW_UPDATE, 0, 0, &wide).expect("an update");
    let setting = [&SET_WINDOW.to_be_bytes()[..], &WINDOW_MAX.to_be_bytes()].concat();
    talk.frame(SETTINGS, 0, 0, &setting).expect("settings");
    talk.written();
    for stream in [1, 3] {
        talk.ask(stream, true).expect("a request");
        talk.server.head(stream, b"200", [], false);
        talk.server
            .data(stream, Bytes::from(vec![0; 1 << 20]), true);
    }
    assert!(talk.server.out().len() < LIMITS.out_bytes_max + FRAME_MAX + HEAD_LEN);
    let frames = talk.written();
    let streams: Vec<u32> = frames.iter().skip(8).map(|frame| frame.2).collect();
    assert!(
        streams.windows(2).take(20).all(|two| two[0] != two[1]),
        "in turn"
    );
    let bytes: usize = frames
        .iter()
        .filter(|frame| frame.0 == DATA)
        .map(|frame| frame.3)
        .sum();
    assert_eq!(bytes, 2 << 20);
}

#[test]
fn what_is_not_consumed_holds_the_client_back() {
    let mut talk = Talk::new();
    talk.ask(1, false).expect("a request");
    let part = [0; 10_000];
    for _ in 0..10 {
        talk.frame(DATA, 0, 1, &part).expect("within the window");
    }
    let events = talk.frame(DATA, 0, 1, &part).expect("the stream ends");
    assert!(
        matches!(events[..], [Event::Reset { stream: 1 }]),
        "{events:?}"
    );
    // What came before is still held, and counts.
    talk.server.consumed(1, 100_000);
    assert_eq!(talk.written()[0], (RST_STREAM, 0, 1, 4));

    talk.ask(3, false).expect("a request");
    for _ in 0..50 {
        talk.frame(DATA, 0, 3, &part).expect("within the window");
        talk.server.consumed(3, part.len());
    }
    let updates = talk.written();
    assert!(updates.iter().all(|frame| frame.0 == WINDOW_UPDATE));
    assert!((8..=16).contains(&updates.len()), "{updates:?}");
}

#[test]
fn the_window_of_all_is_kept() {
    let mut talk = Talk::new();
    let part = [0; 10_000];
    let mut outcome = Ok(Vec::new());
    for stream in [1, 3, 5] {
        talk.ask(stream, false).expect("a request");
        for _ in 0..9 {
            outcome = talk.frame(DATA, 0, stream, &part);
            if outcome.is_err() {
                break;
            }
        }
    }
    assert_eq!(fault_code(outcome), Code::FLOW_CONTROL);
}

#[test]
fn requests_end_when_their_client_says_so() {
    let mut talk = Talk::new();
    talk.ask(1, false).expect("a request");
    let events = talk
        .frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])
        .expect("a reset");
    assert!(matches!(events[..], [Event::Reset { stream: 1 }]));
    // Too late, and nobody's fault.
    answer(&mut talk, 1, b"answer");
    talk.frame(DATA, END_STREAM, 1, b"rest").expect("the rest");
    assert_eq!(talk.written(), []);
    // We end it first: the rest is not wanted.
    talk.ask(3, false).expect("a request");
    answer(&mut talk, 3, b"answer");
    assert_eq!(talk.written().last(), Some(&(RST_STREAM, 0, 3, 4)));
    // Trailers end a request as data does.
    talk.ask(5, false).expect("a request");
    let trailers = block(&[("a", "b")]);
    let events = talk.frame(HEADERS, END_HEADERS | END_STREAM, 5, &trailers);
    let events = events.expect("trailers");
    assert!(matches!(
        events[..],
        [Event::Data {
            stream: 5,
            ends: true,
            ..
        }]
    ));
}

#[test]
fn too_many_streams_are_refused() {
    let mut talk = Talk::new();
    for stream in 0..12 {
        talk.ask(2 * stream + 1, true).expect("a request");
    }
    let refused: Vec<u32> = talk.written().iter().map(|frame| frame.2).collect();
    assert_eq!(refused, [21, 23]);
    answer(&mut talk, 1, b"answer");
    let events = talk.ask(25, true).expect("there is room again");
    assert_eq!(events.len(), 1);
}

#[test]
fn a_connection_that_closes_takes_nothing_new() {
    let mut talk = Talk::new();
    talk.ask(1, false).expect("a request");
    talk.server.go_away();
    talk.server.go_away();
    assert_eq!(talk.written(), [(GOAWAY, 0, 0, 8)]);
    assert!(talk.ask(3, false).expect("it is ignored").is_empty());
    assert!(
        talk.frame(DATA, END_STREAM, 3, b"x")
            .expect("it is ignored")
            .is_empty()
    );
    assert_eq!(
        talk.frame(DATA, END_STREAM, 1, b"x").expect("a body").len(),
        1
    );
    answer(&mut talk, 1, b"answer");
    assert_eq!(talk.written().len(), 3);
    assert_eq!(talk.server.streams(), 0);
}

#[test]
fn faults() {
    let headers = |stream| frame(HEADERS, END_HEADERS, stream, &request(&[]));
    let zero = [0; 4];
    let wide = WINDOW_MAX.to_be_bytes();
    let setting = |name: u16, value: u32| {
        let payload = [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
        frame(SETTINGS, 0, 0, &payload)
    };
    for (bytes, code) in [
        (frame(DATA, 0, 0, b"x"), Code::PROTOCOL),
        (frame(DATA, 0, 1, b"x"), Code::PROTOCOL),
        (frame(DATA, PADDED, 1, b"\x09"), Code::PROTOCOL),
        (headers(0), Code::PROTOCOL),
        (headers(2), Code::PROTOCOL),
        (
            frame(HEADERS, END_HEADERS | PADDED, 1, b"\x09"),
            Code::PROTOCOL,
        ),
        (
            frame(HEADERS, END_HEADERS | HAS_PRIORITY, 1, b"\x09"),
            Code::FRAME_SIZE,
        ),
        (
            frame(HEADERS, END_HEADERS, 1, b"\xff\xff"),
            Code::COMPRESSION,
        ),
        (frame(CONTINUATION, END_HEADERS, 1, b""), Code::PROTOCOL),
        (
            [frame(HEADERS, 0, 1, b""), frame(PING, 0, 0, &[0; 8])].concat(),
            Code::PROTOCOL,
        ),
        (
            [frame(HEADERS, 0, 1, b""), frame(CONTINUATION, 0, 3, b"")].concat(),
            Code::PROTOCOL,
        ),
        (frame(RST_STREAM, 0, 1, &zero), Code::PROTOCOL),
        (frame(RST_STREAM, 0, 0, &zero), Code::PROTOCOL),
        (frame(RST_STREAM, 0, 1, b"x"), Code::FRAME_SIZE),
        (frame(SETTINGS, 0, 1, b""), Code::PROTOCOL),
        (frame(SETTINGS, 0, 0, b"x"), Code::FRAME_SIZE),
        (frame(SETTINGS, ACK, 0, &[0; 6]), Code::FRAME_SIZE),
        (setting(SET_PUSH, 2), Code::PROTOCOL),
        (setting(SET_WINDOW, WINDOW_MAX + 1), Code::FLOW_CONTROL),
        (setting(SET_FRAME_MAX, 100), Code::PROTOCOL),
        (frame(PUSH_PROMISE, 0, 1, b""), Code::PROTOCOL),
        (frame(PING, 0, 1, &[0; 8]), Code::PROTOCOL),
        (frame(PING, 0, 0, &[0; 7]), Code::FRAME_SIZE),
        (frame(GOAWAY, 0, 1, &[0; 8]), Code::PROTOCOL),
        (frame(WINDOW_UPDATE, 0, 0, &zero), Code::FLOW_CONTROL),
        (frame(WINDOW_UPDATE, 0, 0, &wide), Code::FLOW_CONTROL),
        (frame(WINDOW_UPDATE, 0, 0, b"x"), Code::FRAME_SIZE),
        (frame(WINDOW_UPDATE, 0, 1, &wide), Code::PROTOCOL),
        (frame(PRIORITY, 0, 1, b""), Code::FRAME_SIZE),
        (vec![0xff; HEAD_LEN], Code::FRAME_SIZE),
    ] {
        assert_eq!(fault_code(Talk::new().say(&bytes)), code, "{bytes:x?}");
    }
    let mut server = Server::<Head>::new(LIMITS, Instant::now());
    let mut input = BytesMut::from(&b"GET / HTTP/1.1\r\n"[..]);
    let outcome = server.receive(&mut input, Instant::now(), &mut Vec::new());
    assert_eq!(outcome.expect_err("no preface").code, Code::PROTOCOL);
    let mut input = BytesMut::from(PREFACE);
    input.extend_from_slice(&frame(PING, 0, 0, &[0; 8]));
    let mut server = Server::<Head>::new(LIMITS, Instant::now());
    let outcome = server.receive(&mut input, Instant::now(), &mut Vec::new());
    assert_eq!(outcome.expect_err("no settings").code, Code::PROTOCOL);
}

#[test]
fn requests_that_are_malformed_are_refused_alone() {
    let mut talk = Talk::new();
    let mut stream = 1;
    for (block, is_large) in [
        (block(&[(":method", "GET")]), false),
        (request(&[("Upper", "case")]), false),
        (request(&[("content-length", "3")]), false),
        (
            request(&[("a", &"b".repeat(9_000)), ("c", &"d".repeat(9_000))]),
            true,
        ),
    ] {
        let first = block.len().min(10_000);
        let mut bytes = frame(HEADERS, END_STREAM, stream, &block[..first]);
        bytes.extend(frame(CONTINUATION, END_HEADERS, stream, &block[first..]));
        let events = talk.say(&bytes).expect("the connection goes on");
        assert!(events.is_empty());
        let kind = if is_large { HEADERS } else { RST_STREAM };
        assert_eq!(talk.written()[0].0, kind);
        assert_eq!(talk.server.streams(), 0);
        stream += 2;
    }
    // More or less than was said.
    for body in [&b"ab"[..], b"abcd"] {
        let head = request(&[("content-length", "3")]);
        talk.frame(HEADERS, END_HEADERS, stream, &head)
            .expect("a head");
        let events = talk.frame(DATA, END_STREAM, stream, body).expect("a body");
        assert!(matches!(events[..], [Event::Reset { .. }]), "{events:?}");
        stream += 2;
    }
    talk.written();
    talk.ask(stream, true).expect("a request");
    let events = talk
        .frame(WINDOW_UPDATE, 0, stream, &[0; 4])
        .expect("no update");
    assert!(matches!(events[..], [Event::Reset { .. }]), "{events:?}");
}

#[test]
fn floods_end_the_connection() {
    let empty = |kind, len| frame(kind, 0, 0, &vec![0; len]);
    let mut reset = 1;
    let mut rapid = || {
        reset += 2;
        let mut bytes = frame(HEADERS, END_HEADERS, reset, &request(&[]));
        bytes.extend(frame(RST_STREAM, 0, reset, &[0; 4]));
        bytes
    };
    let mut made = 1;
    // The client has us reset its streams (CVE-2025-8671).
    let mut make_reset = || {
        made += 2;
        let mut bytes = frame(HEADERS, END_HEADERS, made, &request(&[]));
        bytes.extend(frame(WINDOW_UPDATE, 0, made, &[0; 4]));
        bytes
    };
    let setting = [&SET_WINDOW.to_be_bytes()[..], &7_u32.to_be_bytes()].concat();
    let settings = setting.repeat(FRAME_MAX / 6);
    let floods: [&mut dyn FnMut() -> Vec<u8>; 6] = [
        &mut || frame(SETTINGS, 0, 0, &settings),
        &mut || empty(PING, 8),
        &mut || empty(SETTINGS, 0),
        &mut || empty(200, 0),
        &mut rapid,
        &mut make_reset,
    ];
    for flood in floods {
        let mut talk = Talk::new();
        let outcome = (0..20_000).map(|_| talk.say(&flood())).find(Result::is_err);
        assert_eq!(fault_code(outcome.expect("it ends")), Code::CALM);
    }
    let mut talk = Talk::new();
    talk.ask(1, false).expect("a request");
    let mut nothings = (0..20_000).map(|_| talk.frame(DATA, 0, 1, b""));
    let outcome = nothings.find(Result::is_err);
    assert_eq!(fault_code(outcome.expect("it ends")), Code::CALM);
    // Headers that do not end (CVE-2024-27316), with content and without.
    for part in [0, 16_000] {
        let mut talk = Talk::new();
        talk.frame(HEADERS, 0, 1, b"").expect("a beginning");
        let part = vec![0; part];
        let mut parts = (0..20).map(|_| talk.frame(CONTINUATION, 0, 1, &part));
        let outcome = parts.find(Result::is_err);
        assert_eq!(fault_code(outcome.expect("it ends")), Code::CALM);
    }
}

#[test]
fn pings_are_answered() {
    let mut talk = Talk::new();
    talk.frame(PING, 0, 0, b"12345678").expect("a ping");
    assert_eq!(talk.written(), [(PING, ACK, 0, 8)]);
    talk.server.ping();
    assert_eq!(talk.written(), [(PING, 0, 0, 8)]);
    talk.frame(PING, ACK, 0, &[0; 8]).expect("an answer");
    assert_eq!(talk.server.pongs(), 1);
}

/// A client with a closed window has answers wait, and gives them up again and again.
#[test]
fn streams_that_are_over_are_not_kept() {
    let mut talk = Talk::new();
    talk.ask(1, true).expect("a request");
    answer(&mut talk, 1, &[0; 70_000]);
    let mut outcome = Ok(Vec::new());
    for stream in 1..1_000 {
        talk.now += std::time::Duration::from_millis(10);
        talk.ask(2 * stream + 1, true).expect("a request");
        answer(&mut talk, 2 * stream + 1, b"answer");
        outcome = talk.frame(RST_STREAM, 0, 2 * stream + 1, &[0; 4]);
        talk.written();
    }
    outcome.expect("slowly enough");
    assert_eq!(talk.server.streams(), 1);
    assert!(talk.server.line.len() <= 4 * LIMITS.streams_max as usize);
}

/// Whatever comes, nothing panics, and what may grow has a bound.
#[test]
fn random_frames() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let mut talk = Talk::new();
        let mut stream = 1;
        for _ in 0..200 {
            let kind = dice.below(11) as u8;
            let mut flags = dice.below(256) as u8;
            let on = match dice.below(8) {
                0 => 0,
                1 => dice.below(20) as u32,
                2 | 3 => {
                    stream += 2;
                    stream
                }
                _ => stream,
            };
            let payload: Vec<u8> = match dice.below(4) {
                0 if kind == HEADERS => {
                    flags = END_HEADERS | (flags & END_STREAM);
                    request(&[])
                }
                1 => vec![0; dice.below(FRAME_MAX)],
                2 => vec![0; [4, 5, 6, 8][dice.below(4)]],
                _ => (0..dice.below(30)).map(|_| dice.below(256) as u8).collect(),
            };
            let Ok(events) = talk.frame(kind, flags, on, &payload) else {
                break;
            };
            for event in events {
                match event {
                    Event::Request { stream, .. } if dice.below(2) == 0 => {
                        let body = vec![0; dice.below(200_000)];
                        answer(&mut talk, stream, &body);
                    }
                    Event::Data { stream, data, .. } if dice.below(2) == 0 => {
                        talk.server.consumed(stream, data.len());
                    }
                    _ => {}
                }
            }
            assert!(talk.server.streams() <= LIMITS.streams_max as usize);
            let most = LIMITS.out_bytes_max + 4 * FRAME_MAX;
            assert!(talk.server.out().len() < most);
            if dice.below(3) == 0 {
                talk.written();
            }
        }
    }
}
