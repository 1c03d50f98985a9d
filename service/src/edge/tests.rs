//! The batcher, driven by hand.

use std::time::Duration;

use crossbeam_channel::Sender;
use tokio::sync::oneshot;

use super::shared::Claim;
use super::*;
use crate::codec::Batch;
use crate::command::{Command, Put};
use crate::health::{Alarm, AlarmKind, Health, Report};
use crate::reply::Applied;
use crate::service::ServiceOptions;

const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const TIMEOUT: Duration = Duration::from_secs(1);

struct Bench {
    batcher: Batcher,
    shared: Arc<Shared>,
    submissions: Sender<Submission>,
    readers: Sender<Reader>,
    works: Receiver<Work>,
    now: Instant,
    position: u64,
}

impl Bench {
    fn new(change: impl FnOnce(&mut ServiceOptions)) -> Bench {
        let mut options = ServiceOptions::new(ME, 5, TIMEOUT);
        change(&mut options);
        let start = Checkpoint {
            position: 10,
            epoch: 1,
        };
        let shared = Arc::new(Shared::new(options, start, Box::new(|| {})));
        let (submissions, submitted) = crossbeam_channel::unbounded();
        let (readers, reading) = crossbeam_channel::unbounded();
        let (desk, _, found) = crate::works::works();
        Bench {
            batcher: Batcher::new(shared.clone(), submitted, reading, desk, start),
            shared,
            submissions,
            readers,
            works: found.queue,
            now: Instant(0),
            position: 10,
        }
    }

    /// A bench whose batcher has heard of a leader.
    fn led_by(leader: NodeId) -> Bench {
        let mut bench = Bench::new(|_| {});
        bench.lead(2, Some(leader));
        bench
    }

    fn lead(&mut self, epoch: u64, leader: Option<NodeId>) {
        self.batcher
            .output(Output::Lead { epoch, leader }, self.now);
    }

    fn submit(
        &self,
        name: &str,
        size: usize,
    ) -> (Arc<Claim>, oneshot::Receiver<Result<Applied, Error>>) {
        let mut bytes = Vec::new();
        let put = Put {
            key: name.to_string().into(),
            value: vec![7; size].into(),
            ..Put::default()
        };
        codec::encode_command(&Command::Put(put), &mut bytes);
        self.shared.pending.add(1, bytes.len());
        let (reply, answer) = oneshot::channel();
        let reply = Reply::One(reply);
        let claim = Arc::new(Claim::default());
        let submission = Submission {
            bytes,
            reply,
            claim: claim.clone(),
        };
        self.submissions.send(submission).unwrap();
        (claim, answer)
    }

    fn read(&self) -> oneshot::Receiver<()> {
        let (reader, ready) = oneshot::channel();
        self.readers.send(Reader::One(reader)).unwrap();
        ready
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
    }

    fn request(&mut self) -> Option<Request> {
        self.batcher.request(64, self.now)
    }

    /// The next request, which must be a batch: its sequence, and the keys of its puts.
    fn batch(&mut self) -> (Batch, Payload) {
        match self.request() {
            Some(Request::Broadcast(payload)) => (codec::decode(&payload).unwrap(), payload),
            other => panic!("no batch but {other:?}"),
        }
    }

    fn deliver(&mut self, payload: Payload) -> Option<usize> {
        self.position += 1;
        let output = Output::Deliver {
            position: self.position,
            epoch: 2,
            payload,
        };
        self.batcher.output(output, self.now);
        match self.works.try_recv() {
            Ok(Work::Deliver { replies, .. }) => replies.map(|replies| replies.len()),
            _ => panic!("nothing was handed on"),
        }
    }

    /// Nothing is asked for, and nobody is woken for nothing: with every deadline that has passed
    /// something must have happened, or the replica would spin.
    fn assert_quiet(&mut self) {
        assert_eq!(self.request(), None);
        let deadline = self.batcher.deadline();
        assert!(deadline.is_none_or(|at| at > self.now), "{deadline:?}");
    }
}

fn keys(batch: &Batch) -> Vec<String> {
    let key = |command: &Command| match command {
        Command::Put(put) => String::from_utf8(put.key.to_vec()).unwrap(),
        other => format!("{other:?}"),
    };
    batch.commands.iter().map(key).collect()
}

#[test]
fn everything_that_waits_goes_into_one_payload_once_there_is_room() {
    let mut bench = Bench::led_by(OTHER);
    let _waiting: Vec<_> = ["a", "b", "c"].map(|name| bench.submit(name, 10)).into();
    assert_eq!(bench.batcher.request(0, bench.now), None);
    let (batch, payload) = bench.batch();
    assert_eq!(
        (batch.origin, batch.incarnation, batch.sequence),
        (ME, 5, 1)
    );
    assert_eq!(keys(&batch), ["a", "b", "c"]);
    bench.assert_quiet();
    assert_eq!(bench.shared.pending.count(), 3);
    assert_eq!(bench.deliver(payload.clone()), Some(3));
    assert_eq!(
        (bench.shared.pending.count(), bench.shared.pending.bytes()),
        (0, 0)
    );
    assert_eq!(
        (bench.shared.backlog.count(), bench.shared.backlog.bytes()),
        (1, payload.len())
    );
    // Delivered again: it is nobody's now, and the machine will skip it.
    assert_eq!(bench.deliver(payload), None);
}

#[test]
fn a_batch_is_bounded_in_bytes_and_count_and_a_large_command_goes_alone() {
    let mut bench = Bench::new(|options| {
        options.batch_bytes_max = 1000;
        options.batch_commands_max = 3;
    });
    bench.lead(2, Some(OTHER));
    let sizes = [
        ("a", 10),
        ("b", 10),
        ("c", 10),
        ("d", 600),
        ("e", 600),
        ("f", 5000),
        ("g", 10),
    ];
    let _waiting: Vec<_> = sizes.map(|(name, size)| bench.submit(name, size)).into();
    let mut batches = Vec::new();
    while let Some(Request::Broadcast(payload)) = bench.request() {
        batches.push(keys(&codec::decode(&payload).unwrap()).concat());
        bench.deliver(payload);
    }
    assert_eq!(batches, ["abc", "d", "e", "f", "g"]);
}

#[test]
fn small_batches_wait_for_one_another_and_large_ones_do_not() {
    let mut bench = Bench::new(|options| {
        options.small_batches_max = 2;
        options.small_batch_bytes = 500;
        options.flight_batches_max = 4;
    });
    bench.lead(2, Some(OTHER));
    let mut waiting = Vec::new();
    let mut first = None;
    for name in ["a", "b"] {
        waiting.push(bench.submit(name, 10));
        let (_, payload) = bench.batch();
        first.get_or_insert(payload);
    }
    waiting.extend(["c", "d"].map(|name| bench.submit(name, 10)));
    bench.assert_quiet();
    bench.deliver(first.unwrap());
    assert_eq!(keys(&bench.batch().0), ["c", "d"]);
    for name in ["e", "f", "g"] {
        waiting.push(bench.submit(name, 600));
    }
    assert_eq!(keys(&bench.batch().0), ["e", "f", "g"]);
    waiting.push(bench.submit("h", 600));
    assert_eq!(keys(&bench.batch().0), ["h"]);
    waiting.push(bench.submit("i", 600));
    bench.assert_quiet();
}

#[test]
fn without_a_leader_commands_wait_and_may_still_be_given_up_for_certain() {
    let mut bench = Bench::new(|_| {});
    let (claim, _answer) = bench.submit("a", 10);
    let (_other, _also) = bench.submit("b", 10);
    assert_eq!(bench.request(), None);
    assert!(claim.take(), "nobody has broadcast it");
    bench.lead(2, Some(OTHER));
    assert_eq!(keys(&bench.batch().0), ["b"]);
    assert_eq!(bench.shared.pending.count(), 1);
    let (claim, _answer) = bench.submit("c", 10);
    bench.batch();
    assert!(!claim.take(), "it is on its way");
}

#[test]
fn those_who_gave_up_are_forgotten_even_if_nothing_moves() {
    let mut bench = Bench::new(|_| {});
    let callers: Vec<_> = (0..10).map(|_| bench.submit("a", 1000)).collect();
    let readers: Vec<_> = (0..10).map(|_| bench.read()).collect();
    assert_eq!(bench.request(), None);
    callers.iter().for_each(|(claim, _)| assert!(claim.take()));
    drop(readers);
    bench.now = bench.batcher.deadline().expect("a sweep is due");
    bench.assert_quiet();
    assert_eq!(
        (bench.shared.pending.count(), bench.shared.pending.bytes()),
        (0, 0)
    );
    assert!(bench.batcher.reads.is_empty());
    bench.assert_quiet();
    assert_eq!(bench.batcher.deadline(), None);
}

#[test]
fn what_is_in_flight_is_broadcast_again_in_order_to_a_new_leader() {
    let mut bench = Bench::led_by(OTHER);
    let mut waiting = Vec::new();
    let mut sent = Vec::new();
    for name in ["a", "b", "c"] {
        waiting.push(bench.submit(name, 10));
        sent.push(bench.batch().1);
    }
    bench.lead(3, None);
    waiting.push(bench.submit("d", 10));
    bench.assert_quiet();
    bench.lead(3, Some(NodeId(3)));
    for expected in sent {
        assert_eq!(bench.batch().1, expected);
    }
    assert_eq!(keys(&bench.batch().0), ["d"]);
    bench.assert_quiet();
}

#[test]
fn a_leader_that_is_heard_of_again_is_asked_nothing_twice() {
    let mut bench = Bench::led_by(OTHER);
    let _waiting = bench.submit("a", 10);
    let sent = bench.batch().1;
    let _reader = bench.read();
    assert!(matches!(bench.request(), Some(Request::Read { .. })));
    for _ in 0..10 {
        bench.lead(2, None);
        bench.assert_quiet();
        bench.lead(2, Some(OTHER));
        bench.assert_quiet();
    }
    // In another epoch it may have forgotten.
    bench.lead(3, Some(OTHER));
    assert!(matches!(bench.request(), Some(Request::Read { .. })));
    assert_eq!(bench.batch().1, sent);
    bench.assert_quiet();
}

#[test]
fn a_leader_has_states_compared_while_they_change_and_says_what_it_found() {
    let mut bench = Bench::new(|options| options.check_interval = TIMEOUT * 5);
    bench.lead(2, Some(ME));
    bench.wait(60_000);
    bench.assert_quiet();
    bench.shared.set_checked((0, 0), true);
    bench.assert_quiet();
    bench.wait(4999);
    bench.assert_quiet();
    bench.wait(1);
    let (batch, payload) = bench.batch();
    assert_eq!(batch.commands, [Command::Check { epoch: 2 }]);
    bench.deliver(payload);
    bench.shared.set_checked((11, 77), false);
    let report = Command::Report(Report {
        member: ME.0,
        position: 11,
        digest: 77,
        applied: bench.shared.applied(),
    });
    let (batch, payload) = bench.batch();
    assert_eq!(batch.commands, [report]);
    bench.deliver(payload);
    bench.wait(60_000);
    bench.assert_quiet();
    // Whoever follows only reports.
    bench.lead(3, Some(OTHER));
    bench.shared.set_checked((11, 77), true);
    bench.wait(60_000);
    bench.assert_quiet();
}

#[test]
fn many_changes_are_compared_before_their_time() {
    let mut bench = Bench::new(|options| options.check_changes = 100);
    bench.lead(2, Some(ME));
    bench.shared.set_checked((0, 0), true);
    bench.assert_quiet();
    count(&bench.shared.counters.revisions, 99);
    bench.wait(1);
    bench.assert_quiet();
    count(&bench.shared.counters.revisions, 1);
    bench.wait(1);
    let (batch, payload) = bench.batch();
    assert_eq!(batch.commands, [Command::Check { epoch: 2 }]);
    bench.deliver(payload);
    bench.wait(1);
    bench.assert_quiet();
}

#[test]
fn want_of_room_is_told_until_it_is_known() {
    let mut bench = Bench::new(|options| {
        options.quota_bytes = Some(1000);
        options.disk_reserve_bytes = 50;
    });
    bench.lead(2, Some(OTHER));
    let mut health = Health::default();
    bench.shared.set_health(&health, 900);
    bench.shared.set_free(50);
    assert!(bench.shared.admits(100));
    bench.assert_quiet();
    assert!(!bench.shared.admits(101));
    let alarm = Alarm {
        kind: AlarmKind::NoSpace,
        member: ME.0,
    };
    for _ in 0..2 {
        let (batch, payload) = bench.batch();
        assert_eq!(batch.commands, [Command::Raise(alarm)]);
        bench.deliver(payload);
        bench.assert_quiet();
        bench.wait(1000);
    }
    health.raise(alarm.kind, alarm.member);
    bench.shared.set_health(&health, 900);
    assert!(!bench.shared.admits(101));
    bench.assert_quiet();
    // A full disk is told by itself.
    health.disarm(alarm.kind, 0);
    bench.shared.set_health(&health, 0);
    bench.shared.set_free(49);
    let (batch, _) = bench.batch();
    assert_eq!(batch.commands, [Command::Raise(alarm)]);
    assert!(!bench.shared.admits(1) && bench.shared.admits(0));
}

#[test]
fn whoever_differs_does_not_lead() {
    let mut bench = Bench::led_by(ME);
    bench.assert_quiet();
    let mut health = Health::default();
    health.raise(AlarmKind::Corrupt, OTHER.0);
    bench.shared.set_health(&health, 0);
    bench.assert_quiet();
    health.raise(AlarmKind::Corrupt, ME.0);
    bench.shared.set_health(&health, 0);
    for _ in 0..2 {
        let request = bench.request();
        assert!(matches!(request, Some(Request::Transfer { to: None })));
        bench.assert_quiet();
        bench.wait(1000);
    }
    bench.lead(3, Some(OTHER));
    bench.assert_quiet();
}

#[test]
fn it_is_broadcast_again_when_nothing_comes_back_and_each_time_more_patiently() {
    let mut bench = Bench::led_by(OTHER);
    let _waiting = bench.submit("a", 10);
    let first = bench.batch().1;
    let mut repeats = Vec::new();
    for ms in 1..20_000 {
        bench.wait(1);
        if let Some(request) = bench.request() {
            assert_eq!(request, Request::Broadcast(first.clone()));
            repeats.push(ms);
        }
    }
    assert_eq!(repeats, [1000, 3000, 7000, 15_000]);
    assert_eq!(bench.deliver(first), Some(1));
    assert_eq!(bench.batcher.deadline(), None);
}

#[test]
fn a_leader_does_not_repeat_what_is_in_its_own_log() {
    let mut bench = Bench::led_by(ME);
    let _waiting = bench.submit("a", 10);
    bench.batch();
    for _ in 0..100 {
        bench.wait(500);
        bench.assert_quiet();
    }
}

#[test]
fn a_batch_that_was_overtaken_never_takes_effect_so_its_commands_go_into_a_new_one() {
    let mut bench = Bench::led_by(OTHER);
    let mut waiting = Vec::new();
    let mut sent = Vec::new();
    for name in ["a", "b", "c"] {
        waiting.push(bench.submit(name, 10));
        sent.push(bench.batch().1);
    }
    assert_eq!(bench.deliver(sent[1].clone()), Some(1));
    let (again, payload) = bench.batch();
    assert_eq!((again.sequence, keys(&again)), (4, vec!["a".to_string()]));
    // The old copy is nobody's, wherever it turns up.
    assert_eq!(bench.deliver(sent[0].clone()), None);
    assert_eq!(bench.deliver(sent[2].clone()), Some(1));
    assert_eq!(bench.deliver(payload), Some(1));
    assert_eq!(bench.shared.pending.count(), 0);
}

#[test]
fn after_an_install_an_overtaken_batch_may_have_been_carried_out() {
    let mut bench = Bench::led_by(OTHER);
    let (_, mut answer) = bench.submit("a", 10);
    bench.batch();
    bench.position = 50;
    let installed = Checkpoint {
        position: 50,
        epoch: 2,
    };
    bench.batcher.output(Output::Install(installed), bench.now);
    assert!(matches!(bench.works.try_recv(), Ok(Work::Install(_))));
    let _other = bench.submit("b", 10);
    let later = bench.batch().1;
    assert_eq!(bench.deliver(later), Some(1));
    assert_eq!(answer.try_recv().unwrap(), Err(Error::Timeout));
    bench.assert_quiet();
    assert_eq!(bench.shared.pending.count(), 0);
}

#[test]
fn all_readers_share_one_round_and_the_next_begins_when_it_is_answered() {
    let mut bench = Bench::led_by(OTHER);
    let mut early: Vec<_> = (0..3).map(|_| bench.read()).collect();
    // Reads need no room.
    assert_eq!(
        bench.batcher.request(0, bench.now),
        Some(Request::Read { id: 1 })
    );
    let mut late = bench.read();
    bench.assert_quiet();
    let ready = |id| Output::ReadReady { id, position: 10 };
    bench.batcher.output(ready(1), bench.now);
    early
        .iter_mut()
        .for_each(|reader| assert!(reader.try_recv().is_ok()));
    assert!(late.try_recv().is_err());
    assert_eq!(bench.request(), Some(Request::Read { id: 2 }));
    bench.batcher.output(ready(2), bench.now);
    assert!(late.try_recv().is_ok());
    bench.assert_quiet();
}

#[test]
fn a_read_is_asked_again_under_a_new_id_and_an_old_answer_is_too_old() {
    let mut bench = Bench::led_by(OTHER);
    let mut early = bench.read();
    assert_eq!(bench.request(), Some(Request::Read { id: 1 }));
    let mut late = bench.read();
    bench.lead(3, Some(NodeId(3)));
    // Before the new one was asked, and after.
    let old = Output::ReadReady {
        id: 1,
        position: 10,
    };
    bench.batcher.output(old.clone(), bench.now);
    assert_eq!(bench.request(), Some(Request::Read { id: 2 }));
    bench.batcher.output(old, bench.now);
    assert!(early.try_recv().is_err() && late.try_recv().is_err());
    bench.assert_quiet();
    bench.wait(1000);
    assert_eq!(bench.request(), Some(Request::Read { id: 3 }));
    let ready = Output::ReadReady {
        id: 3,
        position: 10,
    };
    bench.batcher.output(ready, bench.now);
    assert!(early.try_recv().is_ok() && late.try_recv().is_ok());
}

#[test]
fn a_reader_waits_until_the_position_is_visible() {
    let mut bench = Bench::led_by(OTHER);
    let mut reader = bench.read();
    bench.request();
    let ready = Output::ReadReady {
        id: 1,
        position: 12,
    };
    bench.batcher.output(ready, bench.now);
    assert!(reader.try_recv().is_err());
    let Ok(Work::Read { position, readers }) = bench.works.try_recv() else {
        panic!("the apply thread must answer it");
    };
    assert_eq!((position, readers.len()), (12, 1));
}

#[test]
fn only_the_leader_tells_the_time_and_only_while_there_are_leases() {
    let mut bench = Bench::led_by(ME);
    for _ in 0..10 {
        bench.wait(500);
        bench.assert_quiet();
    }
    bench.shared.set_has_leases(true);
    bench.assert_quiet();
    bench.wait(500);
    let (batch, payload) = bench.batch();
    let tick = Command::Tick {
        epoch: 2,
        elapsed_ms: 500,
    };
    assert_eq!(batch.commands, [tick]);
    // The next one waits for this one.
    bench.wait(2000);
    bench.assert_quiet();
    bench.deliver(payload);
    let _waiting = bench.submit("a", 10);
    let (batch, _) = bench.batch();
    let tick = Command::Tick {
        epoch: 2,
        elapsed_ms: 1500,
    };
    assert_eq!((batch.commands.len(), &batch.commands[0]), (2, &tick));
    bench.lead(3, Some(OTHER));
    bench.wait(10_000);
    // What was in flight goes to the new leader; there are no new ticks.
    assert_eq!(bench.batch().0, batch);
    bench.assert_quiet();
}

#[test]
fn a_backlog_of_applies_stops_new_batches_until_it_shrinks() {
    let mut bench = Bench::new(|options| options.backlog_positions_max = 3);
    bench.lead(2, Some(OTHER));
    for _ in 0..4 {
        bench.deliver(Payload::empty());
    }
    let _waiting = bench.submit("a", 10);
    let mut reader = bench.read();
    assert_eq!(bench.request(), Some(Request::Read { id: 1 }));
    bench.assert_quiet();
    bench.shared.on_applied(12, 2, 0);
    assert_eq!(keys(&bench.batch().0), ["a"]);
    assert!(reader.try_recv().is_err());
}

#[test]
fn checkpoints_and_transfers_are_passed_on_once() {
    let mut bench = Bench::new(|_| {});
    bench.assert_quiet();
    let durable = Checkpoint {
        position: 20,
        epoch: 2,
    };
    bench.shared.set_durable(durable);
    bench.shared.ask_transfer(Some(OTHER));
    bench.shared.ask_transfer(None);
    assert_eq!(bench.request(), Some(Request::Transfer { to: None }));
    assert_eq!(bench.request(), Some(Request::Compact(durable)));
    bench.assert_quiet();
}

#[test]
fn when_the_edge_goes_everyone_who_waits_learns_it() {
    let mut bench = Bench::led_by(OTHER);
    let (_, mut flying) = bench.submit("a", 10);
    bench.batch();
    let (_, mut queued) = bench.submit("b", 10);
    let mut reader = bench.read();
    drop(bench.batcher);
    use oneshot::error::TryRecvError::Closed;
    assert_eq!(flying.try_recv(), Err(Closed));
    assert_eq!(queued.try_recv(), Err(Closed));
    assert_eq!(reader.try_recv(), Err(Closed));
    assert!(matches!(bench.works.try_recv(), Ok(Work::Stop)));
}
