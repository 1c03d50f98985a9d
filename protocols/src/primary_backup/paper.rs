//! One replica, step by step: tests named after the sentences that they check.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use quorate_core::{Boot, Checkpoint, Choice, Effects, Frame, NodeId, Payload, Protocol, Survival};
use quorate_problems::total_order::{Membership, Output, Request};

use super::{
    Config, Content, Entries, Entry, Epoch, Index, Message, Number, Position, PrimaryBackup,
    Record, Timer,
};
use crate::raft::{self, Raft};
use crate::views::{self, Known, Report, Service, Standing, View};

type Mail = Message<raft::Message>;
type Records = Vec<Record<raft::Record>>;

/// One replica and what it asked for, to be looked at step by step. n4 is the view service.
struct Alone {
    replica: PrimaryBackup<Raft>,
    fx: Effects<PrimaryBackup<Raft>>,
}

impl Alone {
    /// `me` of n1, n2 and n3, with these records on its disk.
    fn open_with(me: u64, records: Records, survival: Survival) -> Alone {
        let mut config = Config::new([1, 2, 3, 4].map(NodeId));
        config.service = Service::Alone { node: NodeId(4) };
        config.copies = [1, 2, 3].map(NodeId).to_vec();
        config.members_min = Some(1);
        Alone::start(me, records, survival, &config)
    }

    fn start(
        me: u64,
        records: Records,
        survival: Survival,
        config: &Config<raft::Config>,
    ) -> Alone {
        let mut fx = Effects::new(Choice::Seeded(1));
        fx.frame = Frame(records.len() as u64 + 1);
        let boot = Boot {
            me: NodeId(me),
            incarnation: 1,
            survival,
            records: Box::new((1..).map(Frame).zip(records)),
            checkpoint: Checkpoint::default(),
        };
        let replica = PrimaryBackup::open(config, boot, &mut fx);
        replica.invariants();
        Alone { replica, fx }
    }

    fn open(me: u64, records: Records) -> Alone {
        Alone::open_with(me, records, Survival::Intact)
    }

    /// The primary of view 1, which is active.
    fn serving() -> Alone {
        let mut primary = Alone::open(1, vec![]);
        primary.on(4, current(1, &[1, 2, 3], false));
        for member in 1..=3 {
            primary.on(member, updated(1, 0));
        }
        primary.on(4, current(1, &[1, 2, 3], true));
        primary
    }

    /// A backup of view 1.
    fn backup(me: u64, records: Records) -> Alone {
        let mut backup = Alone::open(me, records);
        backup.on(4, current(1, &[1, 2, 3], true));
        backup
    }

    fn clear(&mut self) {
        self.fx.mail.clear();
        self.fx.outputs.clear();
        self.fx.records.clear();
    }

    /// A message arrives; what is sent because of it, apart from pings.
    fn on(&mut self, from: u64, message: Mail) -> Vec<(u64, Mail)> {
        self.clear();
        self.replica.on_message(NodeId(from), message, &mut self.fx);
        self.replica.invariants();
        self.sent()
    }

    fn ask(&mut self, request: Request) -> Vec<(u64, Mail)> {
        self.clear();
        self.replica.on_request(request, &mut self.fx);
        self.replica.invariants();
        self.sent()
    }

    fn sent(&self) -> Vec<(u64, Mail)> {
        let mail = self.fx.mail.iter().filter(|mail| mail.to != NodeId(4));
        mail.map(|mail| (mail.to.0, mail.message.clone())).collect()
    }

    /// To whom something may leave before the disk is done, apart from pings.
    fn early(&self) -> Vec<u64> {
        let mail = self.fx.mail.iter().filter(|mail| mail.to != NodeId(4));
        mail.filter(|mail| mail.early)
            .map(|mail| mail.to.0)
            .collect()
    }

    /// What it said to the view service.
    fn report(&self) -> Option<&Report> {
        self.fx.mail.iter().find_map(|mail| match &mail.message {
            Message::Ping(report) => Some(report),
            _ => None,
        })
    }

    fn delivered(&self) -> Vec<u64> {
        let positions = self.fx.outputs.iter().filter_map(|output| match output {
            Output::Deliver { position, .. } => Some(*position),
            Output::ReadReady { .. }
            | Output::Install(_)
            | Output::Lead { .. }
            | Output::Members(_) => None,
        });
        positions.collect()
    }
}

fn known(number: u64, members: &[u64], active: bool, lost: u64) -> Mail {
    Message::Current(Known {
        // The service's state changes when a view is made, when it is active, and when somebody is lost.
        changes: 3 * number + u64::from(active) + lost,
        view: View {
            number: Number(number),
            members: members.iter().copied().map(NodeId).collect(),
        },
        active,
        lost,
        servers: Membership::new(0, [1, 2, 3].map(NodeId), []),
        slack: 1,
    })
}

fn current(number: u64, members: &[u64], active: bool) -> Mail {
    known(number, members, active, 0)
}

fn at(index: u64, epoch: u64) -> Position {
    Position {
        index: Index(index),
        epoch: Epoch(epoch),
    }
}

fn noop(epoch: u64) -> Entry {
    Entry {
        epoch: Epoch(epoch),
        content: Content::Noop,
    }
}

/// The disk of a replica in view 1 whose log has entries of these epochs.
fn log_of(epochs: &[u64]) -> Records {
    let mut records = vec![Record::View { number: Number(1) }];
    for (place, &epoch) in epochs.iter().enumerate() {
        records.push(Record::Append {
            index: Index(0).plus(place + 1),
            entry: noop(epoch),
        });
    }
    records
}

fn update(view: u64, previous: Position, commit: u64, epochs: &[u64]) -> Mail {
    Message::Update {
        view: Number(view),
        previous,
        commit: Index(commit),
        entries: Entries::from_vec(epochs.iter().map(|&epoch| noop(epoch)).collect()),
    }
}

fn updated(view: u64, index: u64) -> Mail {
    Message::Updated {
        view: Number(view),
        index: Index(index),
    }
}

fn command() -> Request {
    Request::Broadcast(Payload::from_vec(b"a".to_vec(), 0))
}

/// Budhiraja et al. 1993, section 2: the primary "processes the request and updates its state accordingly",
/// "sends information about the update to" the backups, and answers without waiting only if a lost answer does
/// no harm; here it waits for all.
#[test]
fn an_update_is_delivered_when_every_member_has_it_on_disk() {
    let mut primary = Alone::serving();
    let sent = primary.ask(command());
    assert_eq!(sent.len(), 3, "both backups, and mail to itself");
    assert_eq!(primary.early(), [2, 3], "its own disk is one of three");
    assert_eq!(primary.fx.records.len(), 1, "it is written down");
    for member in [2, 1] {
        primary.on(member, updated(1, 1));
        assert!(primary.delivered().is_empty());
    }
    let sent = primary.on(3, updated(1, 1));
    assert_eq!(primary.delivered(), [1]);
    let tells = |(_, message): &(u64, Mail)| matches!(message, Message::Committed { .. });
    assert_eq!(sent.iter().filter(|sent| tells(sent)).count(), 2);
}

/// Alsberg and Day 1976: an update is safe once two hosts have it, and a host has what is on its disk.
#[test]
fn a_backup_says_that_it_has_an_update_once_it_is_on_disk() {
    let mut backup = Alone::backup(2, vec![]);
    let sent = backup.on(1, update(1, at(0, 0), 0, &[1]));
    assert_eq!(sent, [(1, updated(1, 1))]);
    assert!(backup.early().is_empty(), "the disk comes first");
    assert_eq!(backup.fx.records.len(), 1);
    assert!(backup.delivered().is_empty(), "the others may not have it");
    let committed = Message::Committed {
        view: Number(1),
        commit: Index(1),
    };
    assert!(backup.on(1, committed).is_empty(), "that needs no answer");
    assert_eq!(backup.delivered(), [1]);
}

#[test]
fn what_does_not_follow_is_refused_with_the_place_where_both_may_agree() {
    let mut backup = Alone::backup(2, log_of(&[1]));
    let sent = backup.on(1, update(1, at(3, 1), 0, &[1]));
    let differs = Message::Differs {
        view: Number(1),
        previous: Index(3),
        hint: at(1, 1),
    };
    assert_eq!(sent, [(1, differs)]);
    assert!(backup.fx.records.is_empty());
}

/// Lamport, Malkhi and Zhou 2009, section 4: a configuration is activated when its members have everything.
#[test]
fn a_new_primary_serves_when_all_members_have_what_it_has_and_the_service_knows() {
    let mut next = Alone::backup(2, log_of(&[1, 1]));
    let sent = next.on(4, current(2, &[2, 3], false));
    let asked = |to| sent.contains(&(to, update(2, at(2, 1), 0, &[])));
    assert!(asked(3), "where do the logs agree?");
    assert!(next.early().is_empty(), "it might forget this view");
    assert!(next.ask(command()).is_empty(), "nothing is ordered yet");
    let differs = Message::Differs {
        view: Number(2),
        previous: Index(2),
        hint: at(0, 0),
    };
    let sent = next.on(3, differs);
    assert_eq!(sent, [(3, update(2, at(0, 0), 0, &[1, 1]))]);
    next.on(2, updated(2, 2));
    assert_eq!(next.report(), None, "n3 lacks everything");
    next.on(3, updated(2, 2));
    let acknowledged = next.report().map(|report| report.acknowledged);
    assert_eq!(acknowledged, Some(Number(2)));
    assert!(next.delivered().is_empty(), "the service may not know");
    next.on(4, current(2, &[2, 3], true));
    assert_eq!(next.delivered(), [1, 2]);
    assert_eq!(next.replica.status().role, "primary");
}

/// Whatever the new primary does not have was never delivered.
#[test]
fn what_an_old_primary_could_not_finish_makes_room() {
    let mut backup = Alone::backup(3, log_of(&[1, 1]));
    backup.on(4, current(2, &[2, 3], false));
    let sent = backup.on(2, update(2, at(1, 1), 1, &[2]));
    assert_eq!(sent, [(2, updated(2, 2))]);
    assert_eq!(backup.replica.log.last(), at(2, 2));
    assert_eq!(backup.delivered(), [1]);
}

/// CS6963, lecture 07b: B must reject P's synchronous replication operations.
#[test]
fn who_is_in_a_later_view_takes_nothing_from_an_old_primary() {
    let mut next = Alone::backup(2, vec![]);
    next.on(4, current(2, &[2, 3], false));
    let superseded = Message::Superseded { view: Number(2) };
    let leading = Message::Leading {
        view: Number(1),
        round: 1,
        commit: Index(0),
    };
    for message in [update(1, at(0, 0), 0, &[1]), leading] {
        assert_eq!(next.on(1, message), [(1, superseded.clone())]);
        assert!(next.fx.records.is_empty());
    }
    let stale = next.on(3, updated(1, 7));
    assert!(
        stale.is_empty(),
        "what was said of an old view counts nowhere"
    );
}

#[test]
fn a_primary_that_hears_of_a_later_view_serves_no_more() {
    let mut primary = Alone::serving();
    assert_eq!(primary.replica.status().leader, Some(NodeId(1)));
    primary.on(2, Message::Superseded { view: Number(2) });
    assert_eq!(primary.replica.status().leader, None);
    assert!(primary.report().is_some(), "it asks what has become of it");
    assert!(primary.ask(command()).is_empty());
    assert!(primary.ask(Request::Read { id: 1 }).is_empty());
}

/// The next primary is a member of this view, whoever it is; so all have to say that there is none yet.
#[test]
fn a_read_is_answered_when_every_member_knows_of_no_later_view() {
    let mut primary = Alone::serving();
    primary.ask(Request::Read { id: 7 });
    let heard = |round| Message::Heard {
        view: Number(1),
        round,
    };
    let answers = |sent: &[(u64, Mail)]| {
        let ready = |(_, message): &(u64, Mail)| matches!(message, Message::ReadReady { .. });
        sent.iter().any(ready)
    };
    assert!(!answers(&primary.on(2, heard(1))));
    assert!(!answers(&primary.on(3, heard(0))), "asked before the read");
    assert!(!answers(&primary.on(1, heard(1))));
    assert!(answers(&primary.on(3, heard(1))));
}

/// MIT 6.824, lab 2: a primary that was stopped is treated as dead.
#[test]
fn a_primary_that_was_stopped_does_not_go_on_in_its_view() {
    let mut stopped = Alone::open(1, log_of(&[1]));
    stopped.on(4, current(1, &[1, 2, 3], true));
    assert_eq!(stopped.replica.status().role, "restarted primary");
    let standing = stopped.report().map(|report| report.standing);
    assert_eq!(standing, Some(Standing::Restarted));
    assert!(stopped.ask(command()).is_empty());
}

#[test]
fn who_lost_records_takes_part_in_nothing_until_the_service_knows() {
    let mut lost = Alone::open_with(2, log_of(&[1, 1]), Survival::Damaged);
    for message in [
        current(1, &[1, 2, 3], true),
        update(1, at(0, 0), 0, &[1]),
        updated(1, 1),
    ] {
        assert!(lost.on(4, message).is_empty());
        let status = lost.replica.status();
        assert_eq!((status.role, status.whole), ("damaged", false));
    }
    lost.on(4, known(2, &[1, 3], true, 1));
    let status = lost.replica.status();
    assert_eq!((status.role, status.whole), ("spare", false));
    lost.on(4, known(3, &[1, 3, 2], false, 1));
    assert!(!lost.replica.status().whole, "it may not have everything");
    lost.on(4, known(3, &[1, 3, 2], true, 1));
    assert!(lost.replica.status().whole);
}

/// n2 is started with the newest servers that were asked for, which is n2 alone. They replicate the view
/// service last of all, so they must not found another one, whose view would be its own.
#[test]
fn nobody_founds_a_second_view_service() {
    // Whether it wants to lead those who replicate the service.
    let restarted = |records: Records| {
        let config = Config::new([NodeId(2)]);
        let mut one = Alone::start(2, records, Survival::Intact, &config);
        one.clear();
        let election = Timer::Service(raft::Timer::Election);
        one.replica.on_timer(election, &mut one.fx);
        let mut messages = one.fx.mail.iter().map(|mail| &mail.message);
        messages.any(|message| matches!(message, Message::Service(_)))
    };
    assert!(restarted(Vec::new()), "somebody has to begin");

    let config = Config::new([NodeId(1)]);
    let joins = Alone::start(2, Vec::new(), Survival::Fresh, &config);
    let members = vec![NodeId(1)];
    let joining = vec![Record::Views(views::Record::Joining { members })];
    assert_eq!(joins.fx.records, joining);
    assert!(!restarted(joining), "it was not one of them");

    let number = Number(1);
    let entered = vec![Record::View { number }];
    assert!(!restarted(entered), "somebody has made that view");
}
