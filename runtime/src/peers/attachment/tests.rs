//! Attachments against a test that speaks their bytes.

use std::net::TcpListener;

use quorate_core::NodeId;

use super::super::frame::FrameError;
use super::super::handshake::{HELLO_BYTES, Hello};
use super::super::tests::{HELLO, NOWHERE, Running, call, start_with};
use super::super::{Checkpoints, Receiving};
use super::*;
use crate::toy::Message;

/// What was received, and whether it was finished.
type Received = Vec<(Vec<u8>, bool)>;

#[derive(Clone, Default)]
struct Store(Arc<Mutex<Received>>);

struct Sink {
    store: Store,
    index: usize,
}

const CHECKPOINT: Checkpoint = Checkpoint {
    position: 12,
    epoch: 3,
};

impl Checkpoints for Store {
    fn open(&self) -> io::Result<(Checkpoint, Box<dyn Read + Send>)> {
        Ok((CHECKPOINT, Box::new(&b"the newest state"[..])))
    }

    fn receive(&self, checkpoint: Checkpoint) -> io::Result<Box<dyn Receiving>> {
        if checkpoint != CHECKPOINT {
            return Err(io::Error::other("no room for it"));
        }
        let mut received = guard(&self.0);
        received.push((Vec::new(), false));
        Ok(Box::new(Sink {
            store: self.clone(),
            index: received.len() - 1,
        }))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        guard(&self.store.0)[self.index].0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Receiving for Sink {
    fn finish(self: Box<Self>) -> io::Result<()> {
        guard(&self.store.0)[self.index].1 = true;
        Ok(())
    }
}

fn receiving() -> (Running, Store) {
    let store = Store::default();
    let checkpoints = Arc::new(store.clone());
    let running = start_with(NOWHERE, PeerOptions::default(), checkpoints);
    (running, store)
}

fn accepted(one: &Running) -> TcpStream {
    let hello = Hello {
        stream: Stream::Attachment,
        ..HELLO
    };
    let (stream, answer) = call(one.address, &hello.encode());
    assert_eq!(answer, Some(Answer::Accepted));
    stream
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

fn state(checkpoint: Checkpoint) -> Vec<u8> {
    encoded(&Message::State { checkpoint })
}

/// Sends the pieces and answers what the receiver says to them.
fn refusal(one: &Running, pieces: &[(u32, &[u8])]) -> String {
    let mut stream = accepted(one);
    for (kind, body) in pieces {
        // It may have hung up already; what it said is there to be read all the same.
        let _ = write_frame(&mut stream, *kind, body);
    }
    expect_acceptance(&mut stream).unwrap_err().to_string()
}

#[test]
fn what_arrives_whole_is_finished_delivered_and_acknowledged() {
    let (one, store) = receiving();
    let mut stream = accepted(&one);
    write_frame(&mut stream, MESSAGE, &state(CHECKPOINT)).unwrap();
    write_frame(&mut stream, PIECE, b"one ").unwrap();
    write_frame(&mut stream, PIECE, b"two").unwrap();
    write_frame(&mut stream, END, &7u64.to_le_bytes()).unwrap();
    expect_acceptance(&mut stream).unwrap();
    assert_eq!(*guard(&store.0), [(b"one two".to_vec(), true)]);
    let expected = Message::State {
        checkpoint: CHECKPOINT,
    };
    assert_eq!(one.messages(1), [expected]);
}

#[test]
fn what_does_not_arrive_whole_is_not_delivered() {
    let (one, store) = receiving();
    let good = state(CHECKPOINT);
    let eight = 8u64.to_le_bytes();
    let missing = refusal(
        &one,
        &[(MESSAGE, &good), (PIECE, b"1234567"), (END, &eight)],
    );
    assert!(
        missing.contains("pieces of a checkpoint are missing"),
        "{missing}"
    );
    let no_room = refusal(&one, &[(MESSAGE, &state(Checkpoint::default()))]);
    assert!(no_room.contains("no room for it"), "{no_room}");
    let nameless = refusal(&one, &[(MESSAGE, &encoded(&Message::Beat))]);
    assert!(nameless.contains("names no checkpoint"), "{nameless}");
    let misplaced = refusal(&one, &[(PIECE, b"12345678")]);
    assert!(misplaced.contains("out of place"), "{misplaced}");
    let misplaced = refusal(&one, &[(MESSAGE, &good), (MESSAGE, &good)]);
    assert!(misplaced.contains("out of place"), "{misplaced}");
    let senseless = refusal(&one, &[(MESSAGE, b"\x63")]);
    assert!(senseless.contains("a toy message"), "{senseless}");
    let too_long = vec![0; PIECE_BYTES_MAX as usize + 1];
    let too_long = refusal(&one, &[(MESSAGE, &good), (PIECE, &too_long)]);
    let expected = FrameError::TooLong(PIECE_BYTES_MAX + 1).to_string();
    assert!(too_long.contains(&expected), "{too_long}");
    assert!(guard(&store.0).iter().all(|received| !received.1));
    assert!(one.events.is_empty());
}

#[test]
fn a_damaged_piece_and_an_early_end_are_not_delivered() {
    let (one, store) = receiving();
    let mut damaged = accepted(&one);
    write_frame(&mut damaged, MESSAGE, &state(CHECKPOINT)).unwrap();
    let header = FrameHeader::of(b"what was meant", PIECE).encode();
    damaged.write_all(&header).unwrap();
    damaged.write_all(b"what was meanT").unwrap();
    let said = expect_acceptance(&mut damaged).unwrap_err().to_string();
    assert!(said.contains("is damaged"), "{said}");
    let mut short = accepted(&one);
    write_frame(&mut short, MESSAGE, &state(CHECKPOINT)).unwrap();
    short.write_all(&header).unwrap();
    short.shutdown(Shutdown::Write).unwrap();
    assert!(expect_acceptance(&mut short).is_err());
    assert!(guard(&store.0).iter().all(|received| !received.1));
    assert!(one.events.is_empty());
}

#[test]
fn a_newer_attachment_takes_the_place_of_one_under_way() {
    let (one, store) = receiving();
    let mut older = accepted(&one);
    write_frame(&mut older, MESSAGE, &state(CHECKPOINT)).unwrap();
    write_frame(&mut older, PIECE, b"stuck").unwrap();
    while guard(&store.0).is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut newer = accepted(&one);
    assert!(expect_acceptance(&mut older).is_err());
    write_frame(&mut newer, MESSAGE, &state(CHECKPOINT)).unwrap();
    write_frame(&mut newer, END, &0u64.to_le_bytes()).unwrap();
    expect_acceptance(&mut newer).unwrap();
    let finished: Vec<bool> = guard(&store.0).iter().map(|received| received.1).collect();
    assert_eq!(finished, [false, true]);
    assert_eq!(one.messages(1).len(), 1);
}

#[test]
fn one_attachment_at_a_time_is_sent_and_it_names_the_newest_checkpoint() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let store = Arc::new(Store::default());
    let mut one = start_with(&address, PeerOptions::default(), store);
    let asked = Message::State {
        checkpoint: Checkpoint::default(),
    };
    one.post(asked.clone());
    let mut stream = loop {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; HELLO_BYTES];
        stream.read_exact(&mut hello).unwrap();
        // Its call for mail is of no interest here.
        if Hello::decode(&hello).unwrap().stream == Stream::Attachment {
            break stream;
        }
    };
    let dropped = one.dropped();
    one.post(asked.clone());
    assert_eq!(one.dropped(), dropped + 1, "one is under way");
    stream.write_all(&Answer::Accepted.encode()).unwrap();
    let mut body = Vec::new();
    let mut frames = Vec::new();
    while frames.last().is_none_or(|(kind, _)| *kind != END) {
        let kind = read_frame(&mut stream, PIECE_BYTES_MAX, &mut body).unwrap();
        frames.push((kind, body.clone()));
    }
    let text = b"the newest state";
    let expected = [
        (MESSAGE, state(CHECKPOINT)),
        (PIECE, text.to_vec()),
        (END, (text.len() as u64).to_le_bytes().to_vec()),
    ];
    assert_eq!(frames, expected);
    stream.write_all(&Answer::Accepted.encode()).unwrap();
    while one.counters.read().peers[0].attachments_sent == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    // Now there is room for the next.
    let dropped = one.dropped();
    one.post(asked);
    assert_eq!(one.dropped(), dropped);
    assert_eq!(one.counters.read().peers[0].peer, NodeId(2));
}
