//! One writer and several readers on threads of their own: whatever the interleaving, no watch
//! misses or repeats a revision.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const REVISIONS: i64 = 4000;

/// Reads a stream until the writer has ended and all is told; makes watches of the past, the present
/// and the future meanwhile.
fn read(hub: &Arc<Hub>, list: &List, seed: u64, ended: &AtomicBool) {
    let mut choice = Choice::Seeded(seed);
    let stream = hub.open();
    let mut asked = std::collections::VecDeque::new();
    let mut next: HashMap<i64, i64> = HashMap::new();
    loop {
        let is_last = ended.load(Ordering::SeqCst);
        if next.len() < 20 && choice.choose(50) == 0 && !is_last {
            let revision = list.revision();
            let start_revision = match choice.choose(3) {
                0 => 0,
                1 => revision + 5,
                _ => (revision - i64::from(choice.choose(300))).max(2),
            };
            asked.push_back(start_revision);
            stream.create(WatchCreate {
                start_revision,
                ..watch("a", if choice.choose(2) == 0 { "" } else { "b" })
            });
            stream.progress();
        }
        match stream.try_next() {
            Found::Item(item) => match item.kind {
                Kind::Created => {
                    let start = match asked.pop_front().expect("it was asked for") {
                        0 => item.revision + 1,
                        start => start,
                    };
                    next.insert(item.watch_id, start);
                }
                Kind::Events { chunks, .. } => {
                    // The key is written in every revision.
                    let next = next.get_mut(&item.watch_id).expect("created first");
                    *next += chunks.as_slice().len() as i64;
                    assert_eq!(item.revision + 1, *next);
                }
                Kind::Progress => {
                    assert!(next.values().all(|next| *next > item.revision));
                }
                other => panic!("{other:?}"),
            },
            Found::Busy => {}
            Found::Idle if is_last => break,
            Found::Idle => std::thread::yield_now(),
            Found::Closed => panic!("the stream ended"),
        }
    }
    let newest = list.revision();
    for (id, next) in next {
        assert!(
            next > newest,
            "watch {id} was told only up to {next} of {newest}"
        );
    }
}

#[test]
fn a_writer_and_its_readers_on_threads() {
    let list = Arc::new(List::new());
    let options = WatchOptions {
        stream_bytes_max: 400,
        piece_bytes: 200,
        rejoin_within: 20,
        join_bytes: 500,
        ..WatchOptions::default()
    };
    let hub = hub(&list, options);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (hub, list, ended) = (&hub, &list, &ended);
            scope.spawn(move || read(hub, list, seed, ended));
        }
        let mut choice = Choice::Seeded(99);
        let mut written = Vec::new();
        for _ in 0..REVISIONS {
            written.push(list.write(&[("a", Some("value"))]));
            match choice.choose(40) {
                0 => {
                    hub.on_install(list.revision());
                    written.clear();
                }
                1..20 => {
                    hub.publish(&written, list.revision());
                    written.clear();
                }
                _ => {}
            }
            if choice.choose(8) == 0 {
                std::thread::yield_now();
            }
        }
        hub.publish(&written, list.revision());
        ended.store(true, Ordering::SeqCst);
    });
    let counts = hub.counts();
    assert_eq!(
        (counts.streams, counts.watches, counts.queued_bytes),
        (0, 0, 0)
    );
}
