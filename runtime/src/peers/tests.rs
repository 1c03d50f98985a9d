//! Peers against a test that speaks their bytes, and against each other.

use std::io::{Read, Write};
use std::net::TcpStream;

use crossbeam_channel::{Receiver, unbounded};
use quorate_core::{Payload, Wire};

use super::frame::FrameHeader;
use super::handshake::{ANSWER_BYTES, Answer, HELLO_BYTES, Hello, Stream};
use super::*;
use crate::toy::{Message, Toy};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Running {
    pub(super) peers: Peers<Toy>,
    pub(super) events: Receiver<Event<Toy>>,
    pub(super) counters: Arc<Counters>,
    pub(super) address: SocketAddr,
    pub(super) heard: Arc<Heard>,
    failures: Receiver<String>,
    _runtime: tokio::runtime::Runtime,
}

/// What was heard from peers; what is told is always the same.
#[derive(Default)]
pub(super) struct Heard(pub(super) Mutex<Vec<String>>);

impl Introductions for Heard {
    fn tell(&self) -> io::Result<Vec<u8>> {
        Ok(b"who we are".to_vec())
    }

    fn hear(&self, told: &[u8]) {
        let told = String::from_utf8(told.to_vec()).unwrap();
        self.0.lock().unwrap().push(told);
    }

    fn on_removed(&self, by: NodeId, reason: &str) {
        self.0.lock().unwrap().push(format!("{by}: {reason}"));
    }
}

pub(super) fn list(peers: &[(u64, &str)]) -> PeerList {
    let peers = peers.iter();
    PeerList::of(peers.map(|(id, address)| (NodeId(*id), (*address).to_owned())))
}

impl Drop for Running {
    fn drop(&mut self) {
        self.peers.stop();
        assert!(self.failures.is_empty());
    }
}

/// Member 1 of cluster 7, whose only peer is member 2 at this address.
pub(super) fn start(two: &str, options: PeerOptions) -> Running {
    start_with(two, options, Arc::new(NoCheckpoints))
}

pub(super) fn start_with(
    two: &str,
    options: PeerOptions,
    checkpoints: Arc<dyn Checkpoints>,
) -> Running {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, events) = unbounded();
    let (failed, failures) = unbounded();
    let counters = Arc::new(Counters::new(crate::Clock::start()));
    let heard = Arc::new(Heard::default());
    let start = Start {
        myself: Myself {
            cluster: 7,
            me: NodeId(1),
            incarnation: 5,
        },
        list: list(&[(2, two)]),
        listeners: vec![listener],
        options,
        events: sender,
        counters: counters.clone(),
        checkpoints,
        introductions: heard.clone(),
        fail_stop: FailStop::with(move |reason| failed.send(reason.to_owned()).unwrap()),
        seed: 1,
    };
    let peers = Peers::start(start, runtime.handle()).unwrap();
    Running {
        peers,
        events,
        counters,
        address,
        heard,
        failures,
        _runtime: runtime,
    }
}

/// Nobody listens there.
pub(super) const NOWHERE: &str = "127.0.0.1:1";

fn listening() -> Running {
    start(NOWHERE, PeerOptions::default())
}

pub(super) const HELLO: Hello = Hello {
    cluster: 7,
    from: NodeId(2),
    to: NodeId(1),
    incarnation: 1,
    stream: Stream::Mail,
};

/// Calls with these first bytes and reads the answer, nothing if there is none.
pub(super) fn call(address: SocketAddr, hello: &[u8]) -> (TcpStream, Option<Answer>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = vec![0; ANSWER_BYTES];
    if stream.write_all(hello).is_err() || stream.read_exact(&mut answer).is_err() {
        return (stream, None);
    }
    let len = Answer::text_len(answer.first_chunk().unwrap()).unwrap();
    answer.resize(ANSWER_BYTES + len, 0);
    stream.read_exact(&mut answer[ANSWER_BYTES..]).unwrap();
    let answer = Answer::decode(&answer).unwrap();
    (stream, Some(answer))
}

pub(super) fn accepted(address: SocketAddr) -> TcpStream {
    let (stream, answer) = call(address, &HELLO.encode());
    assert_eq!(answer, Some(Answer::Accepted));
    stream
}

pub(super) fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

fn refusal(address: SocketAddr, hello: &[u8]) -> String {
    let (mut stream, answer) = call(address, hello);
    assert!(is_closed(&mut stream));
    match answer {
        Some(Answer::Refused(reason) | Answer::Unknown(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

fn framed(messages: &[Message]) -> Vec<u8> {
    let mut body = Vec::new();
    for message in messages {
        message.encode(&mut body);
    }
    let count = u32::try_from(messages.len()).unwrap();
    let mut bytes = FrameHeader::of(&body, count).encode().to_vec();
    bytes.extend_from_slice(&body);
    bytes
}

pub(super) fn saved(number: u64) -> Message {
    Message::Saved { number }
}

fn save(number: u64, bytes: usize) -> Message {
    let bytes = vec![number as u8; bytes];
    let checksum = crc32c::crc32c(&bytes);
    Message::Save {
        number,
        text: Payload::from_vec(bytes, checksum),
    }
}

impl Running {
    /// Waits for so many messages, all from member 2.
    pub(super) fn messages(&self, count: usize) -> Vec<Message> {
        let mut arrived = Vec::new();
        while arrived.len() < count {
            match self.events.recv_timeout(PATIENCE).unwrap() {
                Event::Mail { from, messages, .. } => {
                    assert_eq!(from, NodeId(2));
                    arrived.extend(messages);
                }
                _ => panic!("only mail arrives here"),
            }
        }
        arrived
    }

    pub(super) fn post(&mut self, message: Message) {
        self.post_to(2, message);
    }

    pub(super) fn post_to(&mut self, to: u64, message: Message) {
        let to = NodeId(to);
        self.peers.post(Letter { to, message });
        self.peers.hand_over();
    }

    pub(super) fn dropped(&self) -> u64 {
        self.counters.read().peers[0].messages_dropped
    }
}

#[test]
fn a_caller_of_another_cluster_is_refused() {
    let one = listening();
    let hello = Hello {
        cluster: 8,
        ..HELLO
    };
    let reason = refusal(one.address, &hello.encode());
    assert!(
        reason.contains("this is cluster 7, the caller's is 8"),
        "{reason}"
    );
}

#[test]
fn a_caller_who_wants_somebody_else_is_refused() {
    let one = listening();
    let hello = Hello {
        to: NodeId(3),
        ..HELLO
    };
    let reason = refusal(one.address, &hello.encode());
    assert!(
        reason.contains("this is member 1, the caller wants 3"),
        "{reason}"
    );
}

#[test]
fn a_caller_whom_nobody_knows_is_refused() {
    let one = listening();
    let hello = Hello {
        from: NodeId(0xbad),
        ..HELLO
    };
    let reason = refusal(one.address, &hello.encode());
    assert!(reason.contains("member bad is not one"), "{reason}");
}

#[test]
fn a_caller_of_another_version_is_refused() {
    let one = listening();
    let mut hello = HELLO.encode();
    hello[8] = 2;
    let reason = refusal(one.address, &hello);
    assert!(reason.contains("speaks version 2"), "{reason}");
}

#[test]
fn a_garbled_hello_is_refused_and_a_stranger_is_hung_up_on() {
    let one = listening();
    let mut hello = HELLO.encode();
    hello[20] ^= 1;
    assert!(refusal(one.address, &hello).contains("garbled"));
    let stranger = [b'G'; HELLO_BYTES];
    let (mut stream, answer) = call(one.address, &stranger);
    assert_eq!(answer, None);
    assert!(is_closed(&mut stream));
    assert!(one.events.is_empty());
}

#[test]
fn a_caller_who_says_too_little_is_hung_up_on() {
    let hasty = PeerOptions {
        handshake_timeout: Duration::from_millis(20),
        ..PeerOptions::default()
    };
    let one = start(NOWHERE, hasty);
    let (mut stream, answer) = call(one.address, &HELLO.encode()[..10]);
    assert_eq!(answer, None);
    assert!(is_closed(&mut stream));
}

#[test]
fn callers_beyond_the_bound_are_turned_away_until_others_are_done() {
    let narrow = PeerOptions {
        handshakes_max: 1,
        ..PeerOptions::default()
    };
    let one = start(NOWHERE, narrow);
    let silent = TcpStream::connect(one.address).unwrap();
    // The silent one holds the only place, so this one is hung up on.
    let mut second = TcpStream::connect(one.address).unwrap();
    assert!(is_closed(&mut second));
    drop(silent);
    // Sooner or later its place is free.
    while call(one.address, &HELLO.encode()).1 != Some(Answer::Accepted) {}
}

#[test]
fn mail_arrives_in_order_however_it_is_cut() {
    let one = listening();
    let mut stream = accepted(one.address);
    let messages: Vec<Message> = (0..20).map(|number| save(number, 100)).collect();
    let mut bytes = Vec::new();
    for pair in messages.chunks(2) {
        bytes.extend(framed(pair));
    }
    for piece in bytes.chunks(37) {
        stream.write_all(piece).unwrap();
    }
    assert_eq!(one.messages(20), messages);
    // A frame much larger than what is read at once.
    let large = save(21, 3_000_000);
    stream
        .write_all(&framed(std::slice::from_ref(&large)))
        .unwrap();
    stream.write_all(&framed(&[saved(22)])).unwrap();
    assert_eq!(one.messages(2), [large, saved(22)]);
}

#[test]
fn a_damaged_or_boundless_or_senseless_frame_ends_the_connection() {
    let one = listening();
    let intact = framed(&[saved(1)]);
    let mut damaged_header = intact.clone();
    damaged_header[0] ^= 1;
    let mut damaged_body = intact.clone();
    damaged_body[20] ^= 1;
    let mut too_many = FrameHeader::of(&[2], 2).encode().to_vec();
    too_many.push(2);
    let boundless = FrameHeader {
        body_len: u32::MAX,
        count: 1,
        body_crc: 0,
    };
    let boundless = boundless.encode().to_vec();
    let mut senseless = FrameHeader::of(&[99], 1).encode().to_vec();
    senseless.push(99);
    for bad in [damaged_header, damaged_body, too_many, boundless, senseless] {
        let mut stream = accepted(one.address);
        stream.write_all(&intact).unwrap();
        assert_eq!(one.messages(1), [saved(1)]);
        stream.write_all(&bad).unwrap();
        assert!(is_closed(&mut stream));
        assert!(one.events.is_empty());
    }
}

#[test]
fn a_newer_connection_of_a_peer_takes_the_place_of_the_older() {
    let one = listening();
    let mut older = accepted(one.address);
    let mut newer = accepted(one.address);
    assert!(is_closed(&mut older));
    newer.write_all(&framed(&[saved(3)])).unwrap();
    assert_eq!(one.messages(1), [saved(3)]);
}

/// Takes a call and reads the hello.
pub(super) fn take_call(listener: &TcpListener) -> (TcpStream, Hello) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut hello = [0; HELLO_BYTES];
    stream.read_exact(&mut hello).unwrap();
    (stream, Hello::decode(&hello).unwrap())
}

/// Plays a member: takes the call and answers.
pub(super) fn answer_as(listener: &TcpListener, me: u64, answer: &Answer) -> TcpStream {
    let (mut stream, hello) = take_call(listener);
    let expected = Hello {
        cluster: 7,
        from: NodeId(1),
        to: NodeId(me),
        incarnation: 5,
        stream: Stream::Mail,
    };
    assert_eq!(hello, expected);
    stream.write_all(&answer.encode()).unwrap();
    stream
}

/// Plays member 2.
fn answer(listener: &TcpListener, answer: &Answer) -> TcpStream {
    answer_as(listener, 2, answer)
}

/// Reads one frame of mail.
pub(super) fn read_frame(stream: &mut TcpStream) -> Vec<Message> {
    let mut bytes = vec![0; frame::HEADER_BYTES];
    stream.read_exact(&mut bytes).unwrap();
    let header = FrameHeader::decode(bytes.first_chunk().unwrap(), u32::MAX).unwrap();
    bytes.resize(frame::HEADER_BYTES + header.body_len as usize, 0);
    stream
        .read_exact(&mut bytes[frame::HEADER_BYTES..])
        .unwrap();
    frame::decode_frames(&Arc::new(bytes), u32::MAX).unwrap()
}

pub(super) fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_peer_is_called_again_after_a_refusal_and_after_a_broken_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let hasty = PeerOptions {
        retry: Duration::from_micros(100)..Duration::from_millis(2),
        ..PeerOptions::default()
    };
    let mut one = start(&address, hasty);
    let refused = answer(&listener, &Answer::Refused("not today".to_owned()));
    drop(refused);
    let first = answer(&listener, &Answer::Accepted);
    drop(first);
    let mut second = answer(&listener, &Answer::Accepted);
    let counters = one.counters.clone();
    wait_until(|| counters.read().peers[0].connected);
    one.post(saved(4));
    one.post(saved(5));
    let mut arrived = read_frame(&mut second);
    while arrived.len() < 2 {
        arrived.extend(read_frame(&mut second));
    }
    assert_eq!(arrived, [saved(4), saved(5)]);
}

#[test]
fn mail_for_a_peer_that_does_not_read_is_bounded_and_what_was_taken_arrives() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let bounded = PeerOptions {
        queue_bytes_max: 1 << 20,
        ..PeerOptions::default()
    };
    let mut one = start(&address, bounded);
    let mut two = answer(&listener, &Answer::Accepted);
    let counters = one.counters.clone();
    wait_until(|| counters.read().peers[0].connected);
    let mut posted = 0;
    // What the sockets hold is the operating system's matter; then the queue fills.
    while one.dropped() < 3 {
        one.post(save(posted, 100_000));
        posted += 1;
    }
    let taken = posted - one.dropped();
    let mut arrived = Vec::new();
    while (arrived.len() as u64) < taken {
        arrived.extend(read_frame(&mut two));
    }
    let numbers: Vec<u64> = arrived
        .iter()
        .map(|message| match message {
            Message::Save { number, .. } => *number,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(numbers.is_sorted());
}

#[test]
fn mail_for_an_unreachable_or_unknown_peer_is_dropped() {
    let mut one = listening();
    let counters = one.counters.clone();
    while counters.read().peers[0].messages_dropped == 0 {
        one.post(saved(1));
    }
    one.peers.post(Letter {
        to: NodeId(77),
        message: saved(1),
    });
}

#[test]
fn an_outbox_packs_bounds_and_forgets() {
    let outbox = Outbox::new(1_000_000, 600_000);
    assert!(!outbox.post(&saved(1)), "nobody is there");
    outbox.open();
    for number in 0..4 {
        assert!(outbox.post(&save(number, 200_000)));
    }
    assert!(
        !outbox.post(&save(5, 700_000)),
        "longer than a frame may be"
    );
    assert!(
        !outbox.post(&save(6, 300_000)),
        "more than the queue may hold"
    );
    assert!(outbox.post(&saved(7)), "a small one still has room");
    let frames = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(outbox.take());
    let mut all = Vec::new();
    let lengths: Vec<usize> = frames
        .into_iter()
        .map(|frame| {
            let bytes = frame.finish();
            let len = bytes.len();
            all.extend(frame::decode_frames::<Message>(&Arc::new(bytes), u32::MAX).unwrap());
            len
        })
        .collect();
    assert_eq!(all.len(), 5);
    assert_eq!(lengths.len(), 3, "two large ones each: {lengths:?}");
    assert!(outbox.post(&saved(8)));
    assert_eq!(outbox.close(), 1);
    assert!(!outbox.post(&saved(9)));
}

#[test]
fn a_handshake_survives_encoding_and_a_long_reason_is_cut() {
    let streams = [
        Stream::Mail,
        Stream::Attachment,
        Stream::Asking,
        Stream::Telling,
    ];
    for stream in streams {
        let hello = Hello { stream, ..HELLO };
        assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
    }
    for answer in [Answer::Refused, Answer::Removed, Answer::Unknown] {
        let answer = answer("weil Fünf gerade ist".to_owned());
        assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
    }
    let long = Answer::Refused("ü".repeat(400)).encode();
    assert_eq!(Answer::decode(&long), Ok(Answer::Refused("ü".repeat(256))));
}
