//! One replica with real threads, over an order that is a counter.

use std::sync::Mutex;
use std::thread::JoinHandle;

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use quorate_core::{Checkpoint, Instant, Payload};
use quorate_problems::total_order::{Output, Request};
use tempfile::TempDir;

use super::super::*;
use super::{everything, get, put};
use crate::applier::Workers;
use crate::edge::callers::{Answer, Answers};
use crate::reply::Reply;
use crate::store;
use crate::watch::Kind;

const ME: NodeId = NodeId(1);

enum Event {
    Wake,
    /// Hand this to the edge.
    Tell(Output),
    Stop,
}

/// A service with its threads.
struct Solo {
    service: Service,
    events: Sender<Event>,
    replica: Option<JoinHandle<()>>,
    workers: Option<Workers>,
    fatal: Receiver<Error>,
    compacted: Arc<Mutex<Vec<Checkpoint>>>,
    dir: Arc<TempDir>,
}

impl Solo {
    fn start(change: impl FnOnce(&mut ServiceOptions)) -> Solo {
        Solo::start_in(Arc::new(tempfile::tempdir().unwrap()), 1, change)
    }

    fn start_in(
        dir: Arc<TempDir>,
        incarnation: u64,
        change: impl FnOnce(&mut ServiceOptions),
    ) -> Solo {
        let mut store = store::Options::new(dir.path());
        store.layer_bytes = 64 << 10;
        let (machine, checkpoint) = Machine::open(store).unwrap();
        let mut options = ServiceOptions::new(ME, incarnation, Duration::from_secs(1));
        change(&mut options);
        let (events, arrived) = crossbeam_channel::unbounded();
        let wake = events.clone();
        let assembly = assemble(options, machine, move || {
            let _ = wake.send(Event::Wake);
        });
        let compacted = Arc::new(Mutex::new(Vec::new()));
        let batcher = assembly.batcher;
        let told = compacted.clone();
        let replica = std::thread::spawn(move || replica(batcher, &arrived, checkpoint, &told));
        let (failed, fatal) = crossbeam_channel::unbounded();
        let workers = Workers::start(assembly.applier, assembly.flushing, move |error| {
            let _ = failed.send(error);
        });
        Solo {
            service: assembly.service,
            events,
            replica: Some(replica),
            workers: Some(workers.unwrap()),
            fatal,
            compacted,
            dir,
        }
    }

    fn tell(&self, output: Output) {
        self.events.send(Event::Tell(output)).unwrap();
    }

    fn lead(&self) {
        self.tell(Output::Lead {
            epoch: 1,
            leader: Some(ME),
        });
    }

    fn stop(&mut self) {
        let _ = self.events.send(Event::Stop);
        if let Some(replica) = self.replica.take() {
            replica.join().unwrap();
        }
        self.workers = None;
    }
}

impl Drop for Solo {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The replica's thread: everything that is broadcast is delivered.
fn replica(
    mut batcher: Batcher,
    events: &Receiver<Event>,
    checkpoint: Checkpoint,
    compacted: &Mutex<Vec<Checkpoint>>,
) {
    let origin = std::time::Instant::now();
    let now = || Instant(origin.elapsed().as_nanos() as u64);
    let mut position = checkpoint.position;
    loop {
        let deadline = batcher.deadline();
        let wait = deadline.map_or(Duration::from_secs(60), |at| at.since(now()));
        match events.recv_timeout(wait) {
            Ok(Event::Tell(output)) => batcher.output(output, now()),
            Ok(Event::Wake) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Some(request) = batcher.request(64, now()) {
            match request {
                Request::Broadcast(payload) => {
                    position += 1;
                    let delivered = Output::Deliver {
                        position,
                        epoch: 1,
                        payload,
                    };
                    batcher.output(delivered, now());
                }
                Request::Read { id } => batcher.output(Output::ReadReady { id, position }, now()),
                Request::Compact(checkpoint) => compacted.lock().unwrap().push(checkpoint),
                Request::Transfer { .. } | Request::Reconfigure(_) => {}
            }
        }
        batcher.hand_over();
    }
}

/// Reads items until this many events have come.
async fn events(stream: &WatchStream, count: usize) -> Vec<Bytes> {
    let mut events = Vec::new();
    while events.len() < count {
        match stream.next().await.unwrap().kind {
            Kind::Events { chunks, .. } => events.extend_from_slice(chunks.as_slice()),
            Kind::Created => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(events.len(), count);
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_answered_read_and_watched() {
    let solo = Solo::start(|_| {});
    solo.lead();
    let (tasks, each) = (50, 40);
    let stream = solo.service.watches();
    stream.create(everything());
    let mut clients = Vec::new();
    for task in 0..tasks {
        let service = solo.service.clone();
        clients.push(tokio::spawn(async move {
            let mut written = Vec::new();
            for number in 0..each {
                let key = format!("{task}/{number}");
                let applied = service.write(put(&key, "v", 0)).await.unwrap();
                assert!(matches!(applied.reply, Reply::Put(_)));
                service.read_barrier().await.unwrap();
                let row = get(&service.view(), &key).unwrap();
                assert_eq!((row.mod_revision, row.version), (applied.revision, 1));
                written.push((applied.revision, key));
            }
            written
        }));
    }
    let watched = events(&stream, tasks * each).await;
    let mut written = Vec::new();
    for client in clients {
        written.extend(client.await.unwrap());
    }
    written.sort_unstable();
    assert!(
        (2i64..)
            .zip(&written)
            .all(|(expected, (revision, _))| expected == *revision)
    );
    for ((_, key), event) in written.iter().zip(&watched) {
        assert!(
            event.windows(key.len()).any(|part| part == key.as_bytes()),
            "{key}"
        );
    }
    let metrics = solo.service.metrics();
    assert_eq!(metrics.writes, (tasks * each) as u64);
    assert_eq!(metrics.batch_commands, metrics.writes);
    assert!(metrics.batches <= metrics.writes && metrics.read_rounds <= metrics.reads);
    assert_eq!((metrics.pending, metrics.pending_bytes), (0, 0));
    assert_eq!(
        (metrics.backlog, metrics.backlog_bytes, metrics.readers),
        (0, 0, 0)
    );
}

#[tokio::test]
async fn a_lease_ends_by_the_leaders_ticks_and_its_keys_are_deleted() {
    let solo = Solo::start(|options| options.tick_interval = Duration::from_millis(50));
    solo.lead();
    let grant = Command::LeaseGrant { id: 7, ttl: 1 };
    solo.service.write(grant).await.unwrap();
    solo.service.write(put("a", "v", 7)).await.unwrap();
    let stream = solo.service.watches();
    stream.create(everything());
    let deleted = events(&stream, 1).await;
    assert_eq!(deleted[0][..2], [0x08, 1], "a deletion");
    assert_eq!(solo.service.view().lease(7), None);
    assert!(solo.service.metrics().ticks > 1);
}

#[tokio::test]
async fn what_the_store_has_flushed_the_protocol_may_forget_and_a_restart_goes_on_from_it() {
    let mut solo = Solo::start(|_| {});
    solo.lead();
    let value = "v".repeat(1000);
    // More than fits the layers in memory, so some of it must have been flushed.
    for number in 0..400 {
        let key = format!("{number}");
        let applied = solo.service.write(put(&key, &value, 0)).await.unwrap();
        assert_eq!(applied.revision, number + 2);
    }
    solo.stop();
    let told = solo.compacted.lock().unwrap().clone();
    assert!(told.is_sorted_by(|one, other| one.position < other.position));
    let durable = told.last().expect("something was flushed").position;
    let dir = solo.dir.clone();
    drop(solo);
    let solo = Solo::start_in(dir, 2, |_| {});
    assert!(solo.service.view().position() >= durable);
    solo.lead();
    let after = solo.service.write(put("after", "v", 0)).await.unwrap();
    assert_eq!(after.revision, solo.service.view().revision());
}

#[tokio::test]
async fn a_compaction_forgets_at_once_and_frees_the_space_by_itself() {
    let solo = Solo::start(|_| {});
    solo.lead();
    for _ in 0..50 {
        solo.service.write(put("a", "v", 0)).await.unwrap();
    }
    let compact = Command::Compact { revision: 40 };
    solo.service.write(compact).await.unwrap();
    assert_eq!(solo.service.view().compacted(), 40);
    while !solo.service.view().compaction_finished(40) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!solo.compacted.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_callers_are_told_so_after_the_timeout() {
    let solo = Solo::start(|_| {});
    let begin = tokio::time::Instant::now();
    let write = solo.service.write(put("a", "v", 0));
    assert_eq!(write.await, Err(Error::NoLeader));
    assert_eq!(begin.elapsed().as_secs(), 7);
    assert_eq!(solo.service.read_barrier().await, Err(Error::NoLeader));
    assert_eq!(solo.service.metrics().timeouts, 2);
}

#[tokio::test]
async fn too_much_is_refused_at_once() {
    let solo = Solo::start(|options| {
        options.request_bytes_max = 1000;
        options.pending_commands_max = 2;
        options.readers_max = 1;
    });
    let large = put("a", &"v".repeat(1000), 0);
    assert_eq!(solo.service.write(large).await, Err(Error::TooLarge));
    // Nobody leads, so these wait.
    let submit = || solo.service.begin_write(&put("a", "v", 0)).unwrap();
    let waiting = [submit(), submit()];
    let one_more = solo.service.write(put("a", "v", 0));
    assert_eq!(one_more.await, Err(Error::TooManyRequests));
    let reader = solo.service.clone();
    let reading = tokio::spawn(async move { reader.read_barrier().await });
    while solo.service.metrics().readers == 0 {
        tokio::task::yield_now().await;
    }
    let one_more = solo.service.read_barrier();
    assert_eq!(one_more.await, Err(Error::TooManyRequests));
    solo.lead();
    assert_eq!(reading.await.unwrap(), Ok(()));
    for mut writing in waiting {
        let answer = loop {
            match writing.answered() {
                Some(answer) => break answer,
                None => tokio::task::yield_now().await,
            }
        };
        assert!(answer.is_ok());
    }
    assert!(solo.service.write(put("a", "v", 0)).await.is_ok());
    assert_eq!(solo.service.metrics().refused, 2);
}

/// Waits for so many answers, and sorts them by their numbers.
async fn among(answers: &Answers, count: usize) -> Vec<(u64, Answer)> {
    let mut came = Vec::new();
    std::future::poll_fn(|cx| {
        answers.take(&mut came, cx.waker());
        match came.len() < count {
            true => {
                // What was left since may have woken nobody.
                answers.take(&mut came, cx.waker());
                std::task::Poll::Pending
            }
            false => std::task::Poll::Ready(()),
        }
    })
    .await;
    came.sort_by_key(|(number, _)| *number);
    came
}

#[tokio::test]
async fn one_caller_may_ask_for_many_things() {
    let mut solo = Solo::start(|options| options.readers_max = 5);
    let answers = Arc::new(Answers::default());
    let service = solo.service.clone();
    let write = |number| service.write_among(&put("a", "v", 0), number, &answers);
    let promises = [write(7).unwrap(), write(8).unwrap(), write(9).unwrap()];
    // One that nobody waits for any more is not carried out, and its number still comes.
    let [first, second, third] = promises;
    drop(second);
    let reading = service.read_among(5, 20, &answers).unwrap();
    assert_eq!(service.metrics().readers, 5);
    let refused = service.read_among(1, 21, &answers).err();
    assert_eq!(refused, Some(Error::TooManyRequests));
    solo.lead();
    let came = among(&answers, 5).await;
    let numbers: Vec<u64> = came.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [7, 8, 9, 20, 21]);
    for (number, answer) in came {
        let fits = match (number, &answer) {
            (7, Answer::Written(Ok(applied))) => applied.revision == 2,
            (9, Answer::Written(Ok(applied))) => applied.revision == 3,
            (8, Answer::Written(Err(Error::Stopped))) => true,
            (20, Answer::Readable(Ok(()))) => true,
            (21, Answer::Readable(Err(Error::Stopped))) => true,
            _ => false,
        };
        assert!(fits, "{number}: {answer:?}");
    }
    drop((first, third, reading));
    assert_eq!(service.metrics().readers, 0);
    solo.stop();
    assert!(matches!(write(30), Err(Error::Stopped)) || among(&answers, 1).await.len() == 1);
}

#[tokio::test]
async fn when_the_replica_stops_callers_are_told_so() {
    let mut solo = Solo::start(|_| {});
    let service = solo.service.clone();
    let waiting = tokio::spawn(async move { service.write(put("a", "v", 0)).await });
    while solo.service.metrics().pending == 0 {
        tokio::task::yield_now().await;
    }
    solo.stop();
    assert_eq!(waiting.await.unwrap(), Err(Error::Stopped));
    let late = solo.service.write(put("a", "v", 0));
    assert_eq!(late.await, Err(Error::Stopped));
    assert_eq!(solo.service.read_barrier().await, Err(Error::Stopped));
}

#[test]
fn a_damaged_payload_is_fatal() {
    let solo = Solo::start(|_| {});
    let damaged = Payload::from_vec(vec![1, 2, 3], 99);
    solo.tell(Output::Deliver {
        position: 1,
        epoch: 1,
        payload: damaged,
    });
    let error = solo.fatal.recv().unwrap();
    assert!(matches!(error, Error::Damaged(_)), "{error}");
}

#[tokio::test]
async fn status_and_leader_changes_are_told() {
    let solo = Solo::start(|_| {});
    let mut changes = solo.service.leader_changes();
    assert_eq!(*changes.borrow_and_update(), None);
    solo.lead();
    changes.changed().await.unwrap();
    assert_eq!(*changes.borrow_and_update(), Some((1, Some(ME))));
    let applied = solo.service.write(put("a", "v", 0)).await.unwrap();
    assert_eq!((applied.revision, applied.epoch), (2, 1));
    let status = solo.service.status();
    assert_eq!((status.me, status.incarnation, status.applied), (ME, 1, 1));
    assert_eq!((status.pending, status.leader_changes), (0, 1));
}
