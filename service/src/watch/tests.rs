//! Watches against a naive model: whatever is written, compacted, created, canceled, installed and
//! read in whatever order, each watch is told every revision of its range exactly once, in order.

mod threads;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use quorate_core::Choice;

use super::*;
use crate::reply::{Event, KeyValue};

/// History as a list.
#[derive(Default)]
struct List(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    revisions: Vec<Revision>,
    revision: i64,
    compacted: i64,
}

impl List {
    fn new() -> List {
        let list = List::default();
        list.inside().revision = 1;
        list
    }

    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    /// Adds a revision that changes these keys; a `None` deletes.
    fn write(&self, changes: &[(&str, Option<&str>)]) -> Revision {
        let mut inside = self.inside();
        inside.revision += 1;
        let revision = inside.revision;
        let event = |(key, value): &(&str, Option<&str>)| Event {
            kv: KeyValue {
                key: Bytes::copy_from_slice(key.as_bytes()),
                value: value
                    .map(|value| Bytes::copy_from_slice(value.as_bytes()))
                    .unwrap_or_default(),
                mod_revision: revision,
                ..KeyValue::default()
            },
            deleted: value.is_none(),
            prev_kv: Some(KeyValue {
                mod_revision: revision - 1,
                ..KeyValue::default()
            }),
        };
        let written = Revision {
            revision,
            events: changes.iter().map(event).collect(),
        };
        inside.revisions.push(written.clone());
        written
    }
}

fn contains(range: &KeyRange, key: &[u8]) -> bool {
    match range.end.as_ref() {
        b"" => range.key == key,
        b"\0" => range.key.as_ref() <= key,
        end => range.key.as_ref() <= key && key < end,
    }
}

impl Past for List {
    fn revision(&self) -> i64 {
        self.inside().revision
    }

    fn compacted(&self) -> i64 {
        self.inside().compacted
    }

    fn history(
        &self,
        range: &KeyRange,
        from: i64,
        bytes_max: usize,
    ) -> Result<(Vec<Revision>, i64), Error> {
        let inside = self.inside();
        if from < inside.compacted {
            return Err(Error::Compacted {
                compacted: inside.compacted,
            });
        }
        let mut found = Vec::new();
        let mut bytes = 0;
        for revision in inside
            .revisions
            .iter()
            .filter(|revision| revision.revision >= from)
        {
            if bytes >= bytes_max {
                return Ok((found, revision.revision));
            }
            let mut of_range = revision.clone();
            of_range
                .events
                .retain(|event| contains(range, &event.kv.key));
            bytes += 10 * revision.events.len();
            if !of_range.events.is_empty() {
                found.push(of_range);
            }
        }
        Ok((found, inside.revision + 1))
    }
}

fn hub(list: &Arc<List>, options: WatchOptions) -> Arc<Hub> {
    Arc::new(Hub::new(list.clone(), options))
}

fn range(key: &str, end: &str) -> KeyRange {
    KeyRange {
        key: Bytes::copy_from_slice(key.as_bytes()),
        end: Bytes::copy_from_slice(end.as_bytes()),
    }
}

fn watch(key: &str, end: &str) -> WatchCreate {
    WatchCreate {
        range: range(key, end),
        ..WatchCreate::default()
    }
}

/// Everything that a stream has to tell now.
fn drain(stream: &WatchStream) -> Vec<Item> {
    let mut items = Vec::new();
    loop {
        match stream.try_next() {
            Found::Item(item) => items.push(item),
            Found::Busy => {}
            Found::Idle | Found::Closed => return items,
        }
    }
}

/// Items as short text: `0:created@5`, `0:events@6,7`.
fn told(stream: &WatchStream) -> Vec<String> {
    let text = |item: Item| {
        let what = match &item.kind {
            Kind::Created => "created".to_string(),
            Kind::Refused(refusal) => format!("{refusal:?}"),
            Kind::Events { chunks, fragment } => {
                let more = if *fragment { "+" } else { "" };
                format!("{} events{more}", chunks.as_slice().len())
            }
            Kind::Canceled { compact_revision } => format!("canceled {compact_revision:?}"),
            Kind::Progress => "progress".to_string(),
        };
        format!("{}: {what} @{}", item.watch_id, item.revision)
    };
    drain(stream).into_iter().map(text).collect()
}

fn separate() -> WatchOptions {
    WatchOptions {
        join_bytes: 0,
        ..WatchOptions::default()
    }
}

#[test]
fn created_comes_first_and_ids_count_up_from_0_unless_given() {
    let list = Arc::new(List::new());
    let hub = hub(&list, separate());
    let stream = hub.open();
    stream.create(watch("a", ""));
    stream.create(WatchCreate {
        watch_id: 7,
        ..watch("a", "")
    });
    stream.create(watch("b", "c"));
    hub.publish(&[list.write(&[("a", Some("1"))])], 2);
    let expected = [
        "0: created @1",
        "7: created @1",
        "1: created @1",
        "0: 1 events @2",
        "7: 1 events @2",
    ];
    assert_eq!(told(&stream), expected);
}

#[test]
fn a_duplicate_id_or_an_empty_range_is_refused_and_the_stream_lives_on() {
    let list = Arc::new(List::new());
    let hub = hub(&list, separate());
    let stream = hub.open();
    stream.create(WatchCreate {
        watch_id: 3,
        ..watch("a", "")
    });
    stream.create(WatchCreate {
        watch_id: 3,
        ..watch("b", "")
    });
    stream.create(watch("b", "b"));
    stream.create(watch("b", "a"));
    // An empty key up to a zero byte is everything.
    stream.create(watch("", "\0"));
    hub.publish(&[list.write(&[("zebra", Some("1"))])], 2);
    let expected = [
        "3: created @1",
        "-1: DuplicateId @1",
        "-1: EmptyRange @1",
        "-1: EmptyRange @1",
        "0: created @1",
        "0: 1 events @2",
    ];
    assert_eq!(told(&stream), expected);
}

#[test]
fn cancel_answers_without_a_reason_and_an_unknown_id_answers_nothing() {
    let list = Arc::new(List::new());
    let hub = hub(&list, separate());
    let stream = hub.open();
    stream.create(watch("a", ""));
    stream.cancel(5);
    stream.cancel(0);
    stream.cancel(0);
    hub.publish(&[list.write(&[("a", Some("1"))])], 2);
    assert_eq!(told(&stream), ["0: created @1", "0: canceled None @1"]);
    assert_eq!(hub.counts().watches, 0);
}

#[test]
fn all_events_of_one_revision_come_together_and_filters_leave_some_out() {
    let list = Arc::new(List::new());
    let hub = hub(&list, separate());
    let stream = hub.open();
    stream.create(watch("a", "z"));
    stream.create(WatchCreate {
        no_put: true,
        ..watch("a", "z")
    });
    stream.create(WatchCreate {
        no_delete: true,
        ..watch("a", "z")
    });
    let written = list.write(&[("a", Some("1")), ("b", None), ("c", Some("2"))]);
    hub.publish(std::slice::from_ref(&written), 2);
    let items = drain(&stream);
    let chunks: Vec<_> = items
        .iter()
        .filter_map(|item| match &item.kind {
            Kind::Events { chunks, .. } => Some(chunks.as_slice().to_vec()),
            _ => None,
        })
        .collect();
    let encoded = |at: usize| encode::encode(&written.events[at], false);
    assert_eq!(
        chunks,
        [
            vec![encoded(0), encoded(1), encoded(2)],
            vec![encoded(1)],
            vec![encoded(0), encoded(2)],
        ]
    );
}

#[test]
fn a_start_below_the_compacted_revision_is_created_then_canceled() {
    let list = Arc::new(List::new());
    let hub = hub(&list, separate());
    for _ in 0..5 {
        hub.publish(&[list.write(&[("a", Some("1"))])], list.revision());
    }
    list.inside().compacted = 4;
    let stream = hub.open();
    let from = |start_revision| WatchCreate {
        start_revision,
        ..watch("a", "")
    };
    stream.create(from(3));
    stream.create(from(-1));
    assert_eq!(
        told(&stream),
        [
            "0: created @6",
            "0: canceled Some(4) @6",
            "1: created @6",
            "1: canceled Some(4) @6"
        ]
    );
    // Exactly at the compacted revision works.
    stream.create(from(4));
    assert_eq!(
        told(&stream),
        [
            "2: created @6",
            "2: 1 events @4",
            "2: 1 events @5",
            "2: 1 events @6"
        ]
    );
}

#[test]
fn a_watch_of_the_future_is_told_nothing_older_also_across_an_install() {
    let list = Arc::new(List::new());
    let hub = hub(&list, separate());
    let stream = hub.open();
    stream.create(WatchCreate {
        start_revision: 5,
        ..watch("a", "")
    });
    stream.progress();
    hub.publish(&[list.write(&[("a", Some("2"))])], 2);
    list.write(&[("a", Some("3"))]);
    list.write(&[("a", Some("4"))]);
    hub.on_install(4);
    assert_eq!(told(&stream), ["0: created @1", "-1: progress @2"][..1]);
    list.write(&[("a", Some("5"))]);
    list.write(&[("a", Some("6"))]);
    hub.on_install(6);
    hub.publish(&[list.write(&[("a", Some("7"))])], 7);
    // Asked for long ago, told when the watch has caught up.
    assert_eq!(
        told(&stream),
        [
            "0: 1 events @5",
            "0: 1 events @6",
            "0: 1 events @7",
            "-1: progress @7"
        ]
    );
}

#[test]
fn now_is_the_stores_now_even_before_the_hub_has_heard_of_it() {
    let list = Arc::new(List::new());
    let hub = hub(&list, separate());
    let stream = hub.open();
    let acknowledged = list.write(&[("a", Some("1"))]);
    stream.create(watch("a", ""));
    stream.progress();
    hub.publish(&[acknowledged], 2);
    hub.publish(&[list.write(&[("a", Some("2"))])], 3);
    assert_eq!(
        told(&stream),
        ["0: created @2", "-1: progress @2", "0: 1 events @3"]
    );
}

#[test]
fn progress_of_a_stream_waits_for_the_watch_that_lags() {
    let list = Arc::new(List::new());
    let hub = hub(&list, separate());
    hub.publish(&[list.write(&[("a", Some("1"))])], 2);
    let stream = hub.open();
    stream.progress();
    assert_eq!(told(&stream), [""; 0]);
    stream.create(WatchCreate {
        start_revision: 1,
        ..watch("a", "")
    });
    // A quiet key, watched from the past, must come into sync as well.
    stream.create(WatchCreate {
        start_revision: 1,
        ..watch("b", "")
    });
    stream.progress();
    stream.progress();
    assert_eq!(
        told(&stream),
        [
            "0: created @2",
            "1: created @2",
            "0: 1 events @2",
            "-1: progress @2"
        ]
    );
}

#[test]
fn fragments_come_in_parts_of_the_size_limit() {
    let list = Arc::new(List::new());
    let hub = hub(
        &list,
        WatchOptions {
            fragment_bytes: 25,
            ..WatchOptions::default()
        },
    );
    let stream = hub.open();
    stream.create(WatchCreate {
        fragment: true,
        ..watch("a", "z")
    });
    let written = list.write(&[("a", Some("1")), ("b", Some("2")), ("c", Some("3"))]);
    let size = encode::encode(&written.events[0], false).len();
    assert_eq!(size, 10);
    hub.publish(&[written], 2);
    assert_eq!(
        told(&stream),
        ["0: created @1", "0: 2 events+ @2", "0: 1 events @2"]
    );
}

#[test]
fn a_full_queue_costs_bounded_memory_and_no_event() {
    let list = Arc::new(List::new());
    let options = WatchOptions {
        stream_bytes_max: 2000,
        ..separate()
    };
    let hub = hub(&list, options);
    let stream = hub.open();
    stream.create(watch("a", ""));
    for _ in 0..3000 {
        hub.publish(&[list.write(&[("a", Some("1"))])], list.revision());
    }
    let counts = hub.counts();
    assert!(counts.queued_bytes <= 2000, "{counts:?}");
    assert_eq!((counts.lagging, counts.lagged), (1, 1));
    let items = drain(&stream);
    let revisions: Vec<i64> = items[1..].iter().map(|item| item.revision).collect();
    assert_eq!(revisions, (2..=3001).collect::<Vec<i64>>());
    assert_eq!(hub.counts().lagging, 0);
    drop(stream);
    let counts = hub.counts();
    assert_eq!(
        (counts.streams, counts.watches, counts.queued_bytes),
        (0, 0, 0)
    );
}

#[test]
fn a_client_that_only_asks_loses_its_stream() {
    let list = Arc::new(List::new());
    let options = WatchOptions {
        answers_max: 10,
        watches_per_stream_max: 4,
        ..separate()
    };
    let hub = hub(&list, options);
    let stream = hub.open();
    for _ in 0..6 {
        stream.create(watch("a", ""));
    }
    let expected = [
        "0: created @1",
        "1: created @1",
        "2: created @1",
        "3: created @1",
        "-1: TooMany @1",
        "-1: TooMany @1",
    ];
    assert_eq!(told(&stream), expected);
    for _ in 0..11 {
        stream.create(watch("b", "a"));
    }
    assert_eq!(stream.try_next(), Found::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_hears_of_progress_once_per_interval() {
    let list = Arc::new(List::new());
    let hub = hub(&list, separate());
    let stream = hub.open();
    stream.create(WatchCreate {
        progress_notify: true,
        ..watch("a", "")
    });
    stream.create(watch("b", ""));
    assert_eq!(
        stream.next().await.map(|item| item.kind),
        Some(Kind::Created)
    );
    assert_eq!(
        stream.next().await.map(|item| item.kind),
        Some(Kind::Created)
    );
    let begin = tokio::time::Instant::now();
    let item = stream.next().await.unwrap();
    assert_eq!(
        (item.watch_id, item.revision, item.kind),
        (0, 1, Kind::Progress)
    );
    assert_eq!(begin.elapsed().as_secs(), 600);
    // An event in the second interval, so nothing is said at its end.
    hub.publish(&[list.write(&[("a", Some("1"))])], 2);
    assert!(matches!(
        stream.next().await.unwrap().kind,
        Kind::Events { .. }
    ));
    let item = stream.next().await.unwrap();
    assert_eq!(
        (item.watch_id, item.revision, item.kind),
        (0, 2, Kind::Progress)
    );
    assert_eq!(begin.elapsed().as_secs(), 1800);
}

/// What a client knows of one of its watches.
struct Client {
    request: WatchCreate,
    /// What it should be told, from its start on: revisions with encoded events.
    told_through: i64,
    /// Events of a revision that came in parts so far.
    parts: Vec<Bytes>,
    ended: bool,
}

impl Client {
    /// The next revision that it must be told, if there is one.
    fn expected(&self, list: &List) -> Option<(i64, Vec<Bytes>)> {
        let inside = list.inside();
        let later = inside
            .revisions
            .iter()
            .filter(|it| it.revision > self.told_through);
        for revision in later {
            let wanted = revision.events.iter().filter(|event| {
                contains(&self.request.range, &event.kv.key)
                    && !(event.deleted && self.request.no_delete)
                    && (event.deleted || !self.request.no_put)
            });
            let chunks: Vec<Bytes> = wanted
                .map(|event| encode::encode(event, self.request.prev_kv))
                .collect();
            if !chunks.is_empty() {
                return Some((revision.revision, chunks));
            }
        }
        None
    }

    fn on_events(&mut self, list: &List, chunks: &[Bytes], fragment: bool, revision: i64) {
        self.parts.extend_from_slice(chunks);
        if fragment {
            assert!(self.request.fragment, "a fragment that nobody asked for");
            return;
        }
        let mut rest = std::mem::take(&mut self.parts);
        while !rest.is_empty() {
            let (next, expected) = self.expected(list).expect("nothing more was written");
            assert!(rest.len() >= expected.len(), "revision {next} in pieces");
            let later = rest.split_off(expected.len());
            assert_eq!(rest, expected, "revision {next} of {:?}", self.request);
            rest = later;
            self.told_through = next;
        }
        assert_eq!(
            revision, self.told_through,
            "the header names the last revision"
        );
    }

    fn assert_told(&self, list: &List, revision: i64) {
        if let Some((next, _)) = self.expected(list) {
            assert!(
                next > revision,
                "progress {revision} overtakes revision {next}"
            );
        }
    }
}

struct Reader {
    stream: WatchStream,
    /// Created, but the client has not read so yet.
    asked: std::collections::VecDeque<WatchCreate>,
    watches: BTreeMap<i64, Client>,
    progress: i64,
}

impl Reader {
    fn read(&mut self, list: &List) -> bool {
        let item = match self.stream.try_next() {
            Found::Item(item) => item,
            Found::Busy => return true,
            Found::Idle => return false,
            Found::Closed => panic!("the stream ended"),
        };
        match item.kind {
            Kind::Created => {
                let request = self.asked.pop_front().expect("it was asked for");
                let told_through = match request.start_revision {
                    0 => item.revision,
                    start => start - 1,
                };
                let client = Client {
                    request,
                    told_through,
                    parts: Vec::new(),
                    ended: false,
                };
                self.watches.insert(item.watch_id, client);
            }
            Kind::Refused(refusal) => panic!("{refusal:?}"),
            Kind::Events { chunks, fragment } => {
                let client = self.watches.get_mut(&item.watch_id).expect("created first");
                assert!(!client.ended, "an event after the end");
                client.on_events(list, chunks.as_slice(), fragment, item.revision);
            }
            Kind::Canceled { compact_revision } => {
                let client = self.watches.get_mut(&item.watch_id).expect("created first");
                client.ended = true;
                if let Some(compacted) = compact_revision {
                    assert!(compacted <= list.compacted());
                    assert!(client.told_through < compacted);
                }
            }
            Kind::Progress => {
                let all = self.watches.iter().filter(|(id, client)| {
                    !client.ended && (item.watch_id == -1 || **id == item.watch_id)
                });
                all.for_each(|(_, client)| client.assert_told(list, item.revision));
                if item.watch_id == -1 {
                    assert!(item.revision >= self.progress, "progress went back");
                    self.progress = item.revision;
                }
            }
        }
        true
    }
}

fn random_request(choice: &mut Choice, revision: i64) -> WatchCreate {
    let keys = ["a", "a1", "a2", "b", "b1", "c"];
    let key = keys[choice.choose(6) as usize];
    let end = match choice.choose(4) {
        0 | 1 => "",
        2 => "\0",
        _ => "d",
    };
    let start_revision = match choice.choose(4) {
        0 => 0,
        1 => revision + 1 + i64::from(choice.choose(20)),
        _ => (revision - i64::from(choice.choose(40))).max(1),
    };
    WatchCreate {
        start_revision,
        prev_kv: choice.choose(2) == 0,
        progress_notify: choice.choose(2) == 0,
        no_put: choice.choose(6) == 0,
        no_delete: choice.choose(6) == 0,
        fragment: choice.choose(3) == 0,
        ..watch(key, end)
    }
}

fn random_write(choice: &mut Choice, list: &List) -> Revision {
    let keys = ["a", "a1", "a2", "b", "b1", "c", "x"];
    let count = 1 + choice.choose(4) as usize;
    let first = choice.choose(7) as usize;
    let change = |at: usize, choice: &mut Choice| {
        let value = (choice.choose(4) > 0).then_some("0123456789abcdef");
        (keys[(first + at) % 7], value)
    };
    let changes: Vec<_> = (0..count).map(|at| change(at, choice)).collect();
    list.write(&changes)
}

fn run(seed: u64) {
    let mut choice = Choice::Seeded(seed);
    let list = Arc::new(List::new());
    let options = WatchOptions {
        stream_bytes_max: 150 + choice.choose(3000) as usize,
        total_bytes_max: 1000 + choice.choose(10_000) as usize,
        piece_bytes: 1 + choice.choose(300) as usize,
        rejoin_within: 1 + i64::from(choice.choose(30)),
        join_bytes: choice.choose(800) as usize,
        fragment_bytes: 30 + choice.choose(60) as usize,
        seed,
        ..WatchOptions::default()
    };
    let hub = hub(&list, options);
    let mut unpublished: Vec<Revision> = Vec::new();
    let mut readers: Vec<Reader> = Vec::new();
    let mut compactions = choice.choose(2) * 5;
    for _ in 0..1500 {
        let at = choice.choose(4) as usize;
        match choice.choose(100) {
            0..40 => unpublished.push(random_write(&mut choice, &list)),
            40..60 => {
                hub.publish(&unpublished, list.revision());
                unpublished.clear();
            }
            60 => {
                // What was not published yet is in the checkpoint that is installed now.
                unpublished.clear();
                hub.on_install(list.revision());
            }
            61 if compactions > 0 => {
                compactions -= 1;
                let mut inside = list.inside();
                let back = i64::from(choice.choose(30));
                inside.compacted = inside.compacted.max(inside.revision - back);
            }
            62..66 if readers.len() < 4 => readers.push(Reader {
                stream: hub.open(),
                asked: std::collections::VecDeque::new(),
                watches: BTreeMap::new(),
                progress: 0,
            }),
            66 if at < readers.len() && choice.choose(4) == 0 => {
                readers.swap_remove(at);
            }
            67..70 if at < readers.len() => {
                let request = random_request(&mut choice, list.revision());
                readers[at].asked.push_back(request.clone());
                readers[at].stream.create(request);
            }
            70 if at < readers.len() => {
                let id = i64::from(choice.choose(5));
                readers[at].stream.cancel(id);
            }
            71 if at < readers.len() => readers[at].stream.progress(),
            72 if at < readers.len() => readers[at].stream.on_interval(),
            _ if at < readers.len() => {
                let pace = 1 + choice.choose(4);
                for _ in 0..pace {
                    readers[at].read(&list);
                }
            }
            _ => {}
        }
    }
    hub.publish(&unpublished, list.revision());
    for reader in &mut readers {
        while reader.read(&list) {}
        for client in reader.watches.values().filter(|client| !client.ended) {
            assert_eq!(client.expected(&list), None, "a revision was not told");
        }
    }
    let counts = hub.counts();
    assert_eq!((counts.lagging, counts.queued_bytes), (0, 0), "seed {seed}");
    readers.clear();
    assert_eq!(hub.counts().watches, 0);
}

#[test]
fn every_watch_is_told_every_revision_of_its_range_once_and_in_order() {
    for seed in 0..100 {
        run(seed);
    }
}
