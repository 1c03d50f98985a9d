//! One replica, step by step: tests named after the sentences of the paper that they check.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use quorate_core::{
    Boot, Checkpoint, Choice, Effects, Frame, NodeId, Payload, Protocol, Reader, Survival, Wire,
};
use quorate_problems::total_order::{Membership, Request};

use super::{
    Config, Content, Crashes, Entries, Entry, Epoch, Index, Memory, Message, Position, Record,
    Timer, View, Viewstamped,
};

/// One replica and what it asked for, to be looked at step by step.
struct Alone {
    replica: Viewstamped,
    fx: Effects<Viewstamped>,
}

impl Alone {
    /// A replica of three, with these records on its disk.
    fn open(me: u64, records: Vec<Record>) -> Alone {
        Alone::open_with(me, records, Survival::Intact, Memory::Durable)
    }

    fn open_with(me: u64, records: Vec<Record>, survival: Survival, memory: Memory) -> Alone {
        let config = Config {
            memory,
            ..Config::new([1, 2, 3].map(NodeId))
        };
        Alone::start(me, records, survival, &config)
    }

    fn start(me: u64, records: Vec<Record>, survival: Survival, config: &Config) -> Alone {
        let mut fx = Effects::new(Choice::Seeded(1));
        fx.frame = Frame(records.len() as u64 + 1);
        let boot = Boot {
            me: NodeId(me),
            incarnation: 2,
            survival,
            records: Box::new((1..).map(Frame).zip(records)),
            checkpoint: Checkpoint::default(),
        };
        let replica = Viewstamped::open(config, boot, &mut fx);
        replica.invariants();
        Alone { replica, fx }
    }

    /// A message arrives; what is sent because of it.
    fn on(&mut self, from: u64, message: Message) -> Vec<(u64, Message)> {
        self.step(|replica, fx| replica.on_message(NodeId(from), message, fx))
    }

    fn fire(&mut self, timer: Timer) -> Vec<(u64, Message)> {
        self.step(|replica, fx| replica.on_timer(timer, fx))
    }

    fn step(
        &mut self,
        step: impl FnOnce(&mut Viewstamped, &mut Effects<Viewstamped>),
    ) -> Vec<(u64, Message)> {
        self.fx.mail.clear();
        self.fx.outputs.clear();
        self.fx.records.clear();
        step(&mut self.replica, &mut self.fx);
        self.replica.invariants();
        let mail = self.fx.mail.iter();
        mail.map(|mail| (mail.to.0, mail.message.clone())).collect()
    }

    fn role(&self) -> &'static str {
        self.replica.status().role
    }

    /// n2 in view 2, with promises of itself and of n3, whose logs end where it is said.
    fn promised(records: Vec<Record>, promises: [(u64, Position); 2]) -> (Alone, Vec<Message>) {
        let mut one = Alone::open(2, records);
        let mut sent = Vec::new();
        for (from, (normal, last)) in [2, 3].into_iter().zip(promises) {
            let mail = one.on(from, promise(2, normal, last, 0));
            sent = mail.into_iter().map(|(_, message)| message).collect();
        }
        (one, sent)
    }
}

fn at(index: u64, view: u64) -> Position {
    Position {
        index: Index(index),
        epoch: View(view),
    }
}

fn noop(view: u64) -> Entry {
    Entry {
        epoch: View(view),
        content: Content::Noop,
    }
}

/// The disk of a replica in status normal whose operations are of these views.
fn log_of(view: u64, views: &[u64]) -> Vec<Record> {
    let appended = views.iter().enumerate().map(|(place, &view)| {
        let op = Index(0).plus(place + 1);
        let entry = noop(view);
        Record::Append { op, entry }
    });
    let normal = Record::Normal {
        view: View(view),
        last: Index(views.len() as u64),
    };
    let last = [normal, Record::View(View(view))];
    let first = [Record::Epoch(first_epoch())].into_iter();
    first.chain(appended).chain(last).collect()
}

fn first_epoch() -> Epoch {
    Epoch::initial(&Config::new([1, 2, 3].map(NodeId)))
}

fn promise(view: u64, normal: u64, last: Position, commit: u64) -> Message {
    Message::DoViewChange {
        view: View(view),
        commit: Index(commit),
        crashes: Crashes::default(),
        normal: View(normal),
        last,
    }
}

fn prepare(view: u64, previous: Position, commit: u64, views: &[u64]) -> Message {
    Message::Prepare {
        view: View(view),
        previous,
        commit: Index(commit),
        entries: Entries::from_vec(views.iter().copied().map(noop).collect()),
    }
}

fn prepare_ok(view: u64, op: u64) -> Message {
    let (view, op) = (View(view), Index(op));
    Message::PrepareOk { view, op }
}

fn wants(entered: u64, wanted: u64) -> Message {
    Message::StartViewChange {
        entered: View(entered),
        wanted: View(wanted),
    }
}

fn response(view: u64, last: Position, crashes: &[(u64, u64)]) -> Message {
    let mut known = Crashes::default();
    for &(id, incarnation) in crashes {
        known.learn(NodeId(id), incarnation);
    }
    Message::RecoveryResponse {
        nonce: 2,
        view: View(view),
        last,
        crashes: known,
    }
}

#[test]
fn section_4_the_primary_is_chosen_round_robin() {
    let replicas = super::Replicas::new(&[3, 1, 2, 3].map(NodeId));
    let primaries = [1, 2, 3, 4, 5].map(|view| replicas.primary(View(view)).0);
    assert_eq!(primaries, [1, 2, 3, 1, 2]);
    assert_eq!(replicas.turn(View(4), NodeId(1)), Some(View(7)));
    assert_eq!(replicas.turn(View(4), NodeId(9)), None);
}

#[test]
fn section_4_1_replicas_only_process_messages_of_their_view() {
    let mut one = Alone::open(3, log_of(2, &[1]));
    assert_eq!(one.on(1, prepare(1, at(1, 1), 1, &[1])), []);
    assert_eq!(one.on(2, prepare_ok(2, 1)), [], "it is no primary");
    assert_eq!(one.on(1, prepare(2, at(1, 1), 1, &[2])), [], "nor is n1");
    assert_eq!(one.replica.status().head, 1);
}

#[test]
fn section_4_1_a_backup_accepts_a_prepare_only_with_all_earlier_operations() {
    let mut one = Alone::open(3, log_of(1, &[1]));
    let mail = one.on(1, prepare(1, at(2, 1), 0, &[1]));
    let (view, after) = (View(1), at(1, 1));
    assert_eq!(mail, [(1, Message::GetState { view, after })]);
    assert_eq!(one.on(1, prepare(1, at(3, 1), 0, &[1])), [], "it has asked");
    assert_eq!(one.replica.status().head, 1);
    let mail = one.on(1, prepare(1, at(1, 1), 0, &[1, 1]));
    assert_eq!(mail, [(1, prepare_ok(1, 3))]);
}

#[test]
fn section_4_1_an_operation_is_committed_when_f_others_have_it() {
    let (mut one, _) = Alone::promised(log_of(1, &[1]), [(1, at(1, 1)); 2]);
    one.on(2, start_view(2, at(1, 1)));
    assert_eq!(one.role(), "primary");
    one.on(2, prepare_ok(2, 1));
    assert_eq!(
        one.replica.status().decided,
        0,
        "its own disk is one of three"
    );
    one.on(2, prepare_ok(2, 1));
    assert_eq!(one.replica.status().decided, 0, "and counts once");
    one.on(3, prepare_ok(2, 1));
    assert_eq!(one.replica.status().decided, 1);
    one.on(1, prepare_ok(2, 9));
    assert_eq!(
        one.replica.status().decided,
        1,
        "nobody has more than the primary"
    );
}

fn start_view(view: u64, last: Position) -> Message {
    Message::StartView {
        view: View(view),
        last,
        commit: Index(0),
    }
}

#[test]
fn section_4_2_a_view_is_entered_when_a_quorum_wants_it() {
    let mut one = Alone::open(3, log_of(1, &[]));
    assert_eq!(one.fire(Timer::Silence).len(), 3);
    one.on(3, wants(1, 2));
    assert_eq!(one.replica.status().epoch, 1, "one is no quorum");
    let mail = one.on(1, wants(1, 2));
    assert_eq!(mail, [(2, promise(2, 1, at(0, 0), 0))]);
    let mail = one.fx.mail.iter();
    assert!(mail.clone().all(|mail| !mail.early), "a promise is held");
    assert_eq!(one.fx.records, [Record::View(View(2))]);
}

#[test]
fn who_hears_from_the_primary_does_not_join_in_unless_somebody_is_stranded() {
    let mut one = Alone::open(3, log_of(1, &[]));
    assert_eq!(one.on(2, wants(1, 2)), []);
    assert_eq!(
        one.on(2, wants(2, 3)).len(),
        3,
        "n2 cannot go back to view 1"
    );
    let mut one = Alone::open(3, log_of(1, &[]));
    assert_eq!(one.on(1, wants(1, 2)).len(), 3, "the primary hands over");
}

#[test]
fn section_4_2_the_log_of_the_latest_normal_view_wins_and_of_these_the_longest() {
    for (own, other, ours) in [
        ((1, at(3, 1)), (2, at(1, 2)), false),
        ((2, at(1, 2)), (1, at(3, 1)), true),
        ((1, at(1, 1)), (1, at(2, 1)), false),
        ((1, at(2, 1)), (1, at(2, 1)), true),
    ] {
        let views: Vec<u64> = vec![own.1.epoch.0; usize::try_from(own.1.index.0).expect("small")];
        let mut one = Alone::open(2, log_of(own.0, &views));
        one.on(2, promise(5, own.0, own.1, 0));
        let mail = one.on(3, promise(5, other.0, other.1, 0));
        let asks = matches!(mail.as_slice(), [(3, Message::GetState { .. })]);
        let begins = mail
            .iter()
            .all(|(_, message)| *message == start_view(5, own.1));
        assert_eq!((asks, begins && mail.len() == 3), (!ours, ours), "{mail:?}");
    }
}

#[test]
fn a_view_begins_on_its_primarys_disk_before_anybody_hears_of_it() {
    let (mut one, sent) = Alone::promised(log_of(1, &[1]), [(1, at(1, 1)); 2]);
    assert_eq!(sent.len(), 3);
    assert!(one.fx.mail.iter().all(|mail| !mail.early));
    assert_eq!((one.role(), one.replica.window()), ("view-change", 0));
    let payload = Payload::from_vec(vec![1], 0);
    let mail = one.step(|replica, fx| replica.on_request(Request::Broadcast(payload), fx));
    assert_eq!(mail, [], "it does not preside yet");
    one.on(2, start_view(2, at(1, 1)));
    assert_eq!((one.role(), one.replica.window()), ("primary", 63));
}

#[test]
fn section_4_2_what_lies_behind_the_log_of_the_new_view_goes() {
    let mut one = Alone::open(3, log_of(1, &[1, 1, 1]));
    let mail = one.on(2, start_view(2, at(2, 1)));
    assert_eq!(mail, [(2, prepare_ok(2, 2))]);
    assert_eq!(one.replica.status().head, 2);
    let (view, last) = (View(2), Index(2));
    assert_eq!(
        one.fx.records,
        [Record::View(view), Record::Normal { view, last }]
    );
}

#[test]
fn section_5_2_a_log_is_kept_until_that_of_the_later_view_is_there() {
    let mut one = Alone::open(3, log_of(1, &[1, 1]));
    let mail = one.on(2, prepare(2, at(4, 2), 3, &[2]));
    let (view, after) = (View(2), at(2, 1));
    assert_eq!(mail, [(2, Message::GetState { view, after })]);
    assert_eq!((one.role(), one.replica.status().head), ("view-change", 2));
    let mail = one.fire(Timer::Repeat);
    assert_eq!(mail, [(2, Message::GetState { view, after })]);
    let state = |previous, last, views: &[u64]| Message::NewState {
        view,
        normal: view,
        previous,
        last: Index(last),
        commit: Index(3),
        entries: Entries::from_vec(views.iter().copied().map(noop).collect()),
    };
    one.on(2, state(at(1, 1), 5, &[1, 2]));
    assert_eq!(one.role(), "view-change", "that is not all of it");
    let mail = one.on(2, state(at(3, 2), 5, &[2, 2]));
    assert_eq!(mail, [(2, prepare_ok(2, 5))]);
    assert_eq!((one.role(), one.replica.status().decided), ("backup", 3));
}

#[test]
fn section_4_3_recovery_needs_a_quorum_with_the_primary_of_the_latest_view() {
    let mut one = Alone::open_with(3, Vec::new(), Survival::Fresh, Memory::Volatile);
    assert_eq!(one.role(), "recovering");
    assert_eq!(
        one.on(1, prepare(1, at(0, 0), 0, &[1])),
        [],
        "it takes no part"
    );
    assert_eq!(one.on(1, wants(1, 2)), []);
    assert_eq!(one.on(1, response(1, at(1, 1), &[(3, 2)])), []);
    let mail = one.on(2, response(2, at(2, 2), &[(3, 2)]));
    let (view, after) = (View(2), at(0, 0));
    assert_eq!(mail, [(2, Message::GetState { view, after })]);
}

#[test]
fn section_4_3_without_the_latest_primary_recovery_waits() {
    let mut one = Alone::open_with(3, Vec::new(), Survival::Damaged, Memory::Durable);
    assert_eq!(one.role(), "damaged");
    assert_eq!(one.on(2, response(1, at(1, 1), &[(3, 2)])), []);
    assert_eq!(
        one.on(1, response(3, at(1, 1), &[(3, 2)])),
        [],
        "that is n3 itself"
    );
    assert_eq!(one.fx.records, [], "nothing is written meanwhile");
}

#[test]
fn a_nonce_of_another_life_is_ignored_and_so_is_who_has_forgotten_since() {
    let mut one = Alone::open_with(3, Vec::new(), Survival::Fresh, Memory::Volatile);
    let mut old = response(1, at(0, 0), &[(3, 2)]);
    if let Message::RecoveryResponse { nonce, .. } = &mut old {
        *nonce = 1;
    }
    one.on(1, old);
    assert_eq!(one.on(2, response(1, at(0, 0), &[(1, 7), (3, 2)])), []);
    assert_eq!(
        one.on(1, response(1, at(0, 0), &[(3, 2)])),
        [],
        "n2 knows that n1 has recovered since"
    );
    assert_eq!(one.on(1, response(1, at(0, 0), &[(1, 7), (3, 2)])).len(), 1);
}

#[test]
fn a_restarted_primary_does_not_go_on_in_its_view() {
    let mut one = Alone::open(1, log_of(1, &[1]));
    assert_eq!(one.role(), "view-change");
    let mail: Vec<_> = one
        .fx
        .mail
        .iter()
        .map(|mail| mail.message.clone())
        .collect();
    assert_eq!(mail, vec![wants(1, 2); 3]);
    for from in [1, 2, 3] {
        assert_eq!(
            one.on(from, promise(1, 1, at(0, 0), 0)),
            [],
            "view 1 is over"
        );
    }
}

/// The second epoch, which begins behind one operation of view 1 and its own.
fn second_epoch(voters: &[u64]) -> Epoch {
    let members = Membership::new(2, voters.iter().copied().map(NodeId), []);
    Epoch::new(View::of_epoch(1, 1), at(2, LAST_OF_1), members)
}

/// The stamp of an operation that ended epoch 0 in view 1.
const LAST_OF_1: u64 = 500_000_001;

/// A disk with one operation and the one that ended epoch 0 behind it.
fn ended(epoch: &Epoch) -> Vec<Record> {
    let mut records = log_of(1, &[1]);
    let (op, members) = (Index(2), epoch.members.clone());
    let entry = Entry {
        epoch: View(LAST_OF_1),
        content: Content::Members(members),
    };
    records.push(Record::Append { op, entry });
    records
}

#[test]
fn section_7_views_of_later_epochs_are_larger_and_so_are_stamps_along_the_log() {
    let (view, first) = (View(7), View::of_epoch(1, 1));
    assert!(view < view.last_stamp() && view.last_stamp() < first);
    assert_eq!(view.last_stamp().ordered_in(), view);
    assert_eq!((view.last_stamp().epoch(), first.epoch()), (0, 1));
    assert!(view.last_stamp().is_last() && !view.is_last() && !first.is_last());
    let replicas = super::Replicas::new(&[3, 1, 2].map(NodeId));
    assert_eq!(replicas.primary(View::of_epoch(4, 5)), NodeId(2));
}

#[test]
fn section_7_1_what_is_committed_last_starts_the_next_epoch() {
    let epoch = second_epoch(&[1, 2, 3]);
    let mut one = Alone::open(3, ended(&epoch));
    assert_eq!(one.replica.window(), 0, "nothing follows in this epoch");
    let (view, commit) = (View(1), Index(2));
    let mail = one.on(1, Message::Commit { view, commit });
    let start = Message::StartEpoch {
        epoch: epoch.clone(),
    };
    assert_eq!(mail, [(3, start.clone())]);
    assert_eq!(one.replica.status().decided, 1, "it is not delivered yet");
    let entered = Message::EpochEntered { epoch: 1 };
    assert_eq!(one.on(3, start), [(3, entered.clone())]);
    assert!(one.fx.mail.iter().all(|mail| !mail.early));
    assert_eq!(one.fx.records, [Record::Epoch(epoch)]);
    assert_eq!(one.on(3, entered), [(1, prepare_ok(1_000_000_001, 2))]);
    assert_eq!((one.role(), one.replica.status().decided), ("backup", 2));
    assert_eq!(one.on(1, prepare(1, at(1, 1), 1, &[1])), [], "that is over");
}

#[test]
fn section_7_1_1_who_lacks_what_the_epoch_begins_with_takes_no_part_in_it() {
    let epoch = second_epoch(&[1, 2, 3]);
    let mut one = Alone::open(2, log_of(1, &[1]));
    one.on(1, Message::StartEpoch { epoch });
    let mail = one.on(2, Message::EpochEntered { epoch: 1 });
    let (view, after) = (View::of_epoch(1, 1), at(0, 0));
    assert_eq!(mail, [(1, Message::GetState { view, after })]);
    let (entered, wanted) = (1_000_000_001, 1_000_000_002);
    for from in [1, 3] {
        assert_eq!(one.on(from, wants(entered, wanted)), []);
        let promise = promise(wanted, entered, at(2, LAST_OF_1), 2);
        assert_eq!(one.on(from, promise), [], "it must not begin a view");
    }
    assert_eq!(one.role(), "transitioning");
}

#[test]
fn section_7_1_2_who_leaves_offers_what_it_has_until_the_epoch_has_started() {
    let epoch = second_epoch(&[1, 2, 4]);
    let mut one = Alone::open(3, ended(&epoch));
    let start = Message::StartEpoch { epoch };
    one.on(1, start.clone());
    let offers = [1, 2, 4].map(|id| (id, start.clone()));
    assert_eq!(one.on(3, Message::EpochEntered { epoch: 1 }), offers);
    assert_eq!(one.fire(Timer::Repeat), offers);
    let (view, after) = (View::of_epoch(1, 1), at(1, 1));
    let mail = one.on(4, Message::GetState { view, after });
    assert!(matches!(mail.as_slice(), [(4, Message::NewState { .. })]));
    one.on(4, Message::EpochStarted { epoch: 1 });
    assert_eq!(one.fire(Timer::Repeat), []);
}

#[test]
fn section_7_2_recovery_is_not_complete_where_the_epoch_ends() {
    let epoch = second_epoch(&[1, 2, 3]);
    let mut one = Alone::open_with(3, Vec::new(), Survival::Fresh, Memory::Volatile);
    one.on(1, response(1, at(2, LAST_OF_1), &[(3, 2)]));
    one.on(2, response(1, at(1, 1), &[(3, 2)]));
    let log = ended(&epoch).into_iter().filter_map(|record| match record {
        Record::Append { entry, .. } => Some(entry),
        _ => None,
    });
    let state = Message::NewState {
        view: View(1),
        normal: View(1),
        previous: at(0, 0),
        last: Index(2),
        commit: Index(1),
        entries: Entries::from_vec(log.collect()),
    };
    one.on(1, state);
    assert_eq!((one.role(), one.replica.status().head), ("recovering", 2));
    let mail = one.on(1, Message::StartEpoch { epoch });
    let (nonce, epoch) = (2, 1);
    let asks = [1, 2].map(|id| (id, Message::Recovery { nonce, epoch }));
    assert_eq!(mail, asks, "those who are in the next one are asked");
}

#[test]
fn section_7_4_who_is_behind_is_told_of_the_epoch() {
    let epoch = second_epoch(&[1, 2, 3]);
    let mut records = ended(&epoch);
    records.push(Record::Epoch(epoch.clone()));
    let mut one = Alone::open(3, records);
    assert_eq!((one.role(), one.replica.status().decided), ("backup", 2));
    let told = [(2, Message::StartEpoch { epoch })];
    assert_eq!(one.on(2, wants(1, 2)), told);
    assert_eq!(one.on(2, prepare_ok(1, 1)), [], "once is enough");
}

/// n1 is the cluster; n2 and n3 are to take its place, and start with a command line that says so.
#[test]
fn section_7_who_joins_or_has_forgotten_may_not_know_who_takes_part_in_the_first_epoch() {
    let epoch = Epoch::initial(&Config::new([NodeId(1)]));
    let start = Message::StartEpoch { epoch };
    let presiding = Message::Presiding {
        view: View(1),
        round: 1,
        commit: Index(1),
        matched: Index(0),
        sent: Index(1),
    };
    let ask = |after| {
        let view = View(0);
        [(1, Message::GetState { view, after })]
    };
    let mut one = Alone::start(3, Vec::new(), Survival::Fresh, &Config::new([NodeId(2)]));
    assert_eq!(one.on(1, presiding.clone()), ask(at(0, 0)));
    let entered = Message::EpochEntered { epoch: 0 };
    assert_eq!(one.on(1, start.clone()), [(3, entered.clone())]);
    assert_eq!(one.on(3, entered), [], "it has nothing to offer");
    let (view, after) = (View(1), at(0, 0));
    let behind = [(1, Message::GetState { view, after })];
    assert_eq!(one.on(1, presiding.clone()), behind);

    let config = Config::new([2, 3].map(NodeId));
    let mut one = Alone::start(3, Vec::new(), Survival::Damaged, &config);
    assert_eq!(one.on(1, presiding), ask(at(0, 0)));
    let (nonce, epoch) = (2, 0);
    let recovery = Message::Recovery { nonce, epoch };
    assert_eq!(one.on(1, start.clone()), [(1, recovery)]);

    let mut primary = Alone::start(1, Vec::new(), Survival::Fresh, &Config::new([NodeId(1)]));
    let (view, after) = (View(0), at(0, 0));
    let mail = primary.on(3, Message::GetState { view, after });
    assert_eq!(mail, [(3, start)]);
}

#[test]
fn who_has_entered_a_later_view_of_an_epoch_does_not_begin_it_again() {
    let epoch = second_epoch(&[1, 2, 3]);
    let later = View::of_epoch(1, 3);
    let mut records = ended(&epoch);
    records.extend([Record::Epoch(epoch), Record::View(later)]);
    let one = Alone::open(3, records);
    assert_eq!(one.role(), "view-change", "it has only promised that view");
}

#[test]
fn mail_from_strangers_is_ignored() {
    let mut one = Alone::open(3, log_of(1, &[1]));
    assert_eq!(one.on(9, wants(7, 8)), []);
    assert_eq!(one.on(9, promise(9, 8, at(0, 0), 0)), []);
}

/// Compaction drops frames from the front as far as it may, or not as far: what is left says the same.
#[test]
fn a_restart_gives_the_same_from_wherever_the_old_frames_begin() {
    let mut records = log_of(1, &[1, 1, 1]);
    let (view, last) = (View(2), Index(2));
    records.extend([Record::View(view), Record::Normal { view, last }]);
    let op = Index(3);
    let entry = noop(2);
    records.push(Record::Append { op, entry });
    let keep_from = records.len() - 1;
    records.extend([
        Record::Base(at(2, 1)),
        Record::Epoch(first_epoch()),
        Record::Normal {
            view,
            last: Index(3),
        },
        Record::View(view),
    ]);
    let opened = (0..=keep_from).map(|first| {
        let boot = Boot {
            me: NodeId(3),
            incarnation: 2,
            survival: Survival::Intact,
            records: Box::new((1..).map(Frame).zip(records.clone()).skip(first)),
            checkpoint: at(2, 1).into(),
        };
        let mut fx = Effects::new(Choice::Seeded(1));
        fx.frame = Frame(records.len() as u64 + 1);
        let replica = Viewstamped::open(&Config::new([1, 2, 3].map(NodeId)), boot, &mut fx);
        replica.invariants();
        assert_eq!(fx.records, [], "nothing has to be mended");
        replica.describe()
    });
    let opened: Vec<_> = opened.collect();
    assert!(
        opened.iter().all(|other| *other == opened[0]),
        "{opened:#?}"
    );
    assert!(opened[0].contains("view 2, last normal 2, commit 2"));
}

#[test]
fn what_is_encoded_is_decoded_and_no_bytes_make_decoding_panic() {
    let mut crashes = Crashes::default();
    crashes.learn(NodeId(3), 7);
    let (view, last) = (View(3), at(4, 2));
    round_trip(&prepare(3, last, 2, &[2, 3]));
    round_trip(&prepare_ok(3, 4));
    round_trip(&wants(2, 3));
    round_trip(&start_view(3, last));
    round_trip(&response(3, last, &[(1, 2), (3, 9)]));
    round_trip(&Message::DoViewChange {
        view,
        commit: Index(2),
        crashes,
        normal: View(2),
        last,
    });
    round_trip(&Message::Presiding {
        view,
        round: 9,
        commit: Index(1),
        matched: Index(2),
        sent: Index(3),
    });
    round_trip(&Message::NewState {
        view,
        normal: View(2),
        previous: last,
        last: Index(9),
        commit: Index(3),
        entries: Entries::One(noop(3)),
    });
    let checkpoint = last.into();
    round_trip(&Message::NewCheckpoint { checkpoint });
    let (incarnation, id, op) = (5, 6, Index(7));
    round_trip(&Message::ReadReady {
        incarnation,
        id,
        op,
    });
    round_trip(&Message::StartEpoch {
        epoch: first_epoch(),
    });
    round_trip(&Message::EpochStarted { epoch: 7 });
    round_trip(&Message::Recovery { nonce: 8, epoch: 9 });
    for record in log_of(2, &[1, 2]) {
        round_trip(&record);
    }
    round_trip(&Record::Recovered {
        node: NodeId(2),
        incarnation: 8,
    });
}

/// Decoding gives the same back, and says no to anything shorter.
fn round_trip<T: Wire + PartialEq + Debug>(value: &T) {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    let block = Arc::new(bytes);
    let mut reader = Reader::new(&block);
    assert_eq!(&T::decode(&mut reader).expect("it was just encoded"), value);
    assert_eq!(reader.remaining(), 0);
    for len in 0..block.len() {
        let cut = Arc::new(block[..len].to_vec());
        assert!(
            T::decode(&mut Reader::new(&cut)).is_err(),
            "{len}: {value:?}"
        );
    }
}
