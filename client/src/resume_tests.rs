use super::*;
use crate::proto::{KeyValue, ResponseHeader};

fn response(revision: i64) -> WatchResponse {
    WatchResponse {
        header: Some(ResponseHeader {
            revision,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn created(revision: i64) -> WatchResponse {
    WatchResponse {
        created: true,
        ..response(revision)
    }
}

fn events(revisions: &[i64]) -> WatchResponse {
    let event = |&mod_revision: &i64| Event {
        kv: Some(KeyValue {
            mod_revision,
            ..Default::default()
        }),
        ..Default::default()
    };
    WatchResponse {
        events: revisions.iter().map(event).collect(),
        ..response(revisions.iter().copied().max().unwrap_or(0))
    }
}

fn fragment(revisions: &[i64]) -> WatchResponse {
    WatchResponse {
        fragment: true,
        ..events(revisions)
    }
}

fn watch_from(start_revision: i64) -> Resume {
    Resume::new(WatchCreateRequest {
        start_revision,
        ..Default::default()
    })
}

fn delivered(step: Step) -> Vec<i64> {
    match step {
        Step::Deliver(response) => response.events.iter().map(revision_of).collect(),
        other => panic!("expected events, got {other:?}"),
    }
}

#[test]
fn a_watch_from_now_keeps_its_now_over_reconnects() {
    let mut watch = watch_from(0);
    assert_eq!(watch.request().start_revision, 0);
    assert_eq!(watch.on_response(created(7)), Step::Created);
    assert_eq!(watch.request().start_revision, 8);
    // The next server is further on; what happened meanwhile must come.
    assert_eq!(watch.on_response(created(20)), Step::Created);
    assert_eq!(watch.next_revision(), 8);
    assert_eq!(delivered(watch.on_response(events(&[9, 15]))), [9, 15]);
    assert_eq!(watch.request().start_revision, 16);
}

#[test]
fn what_comes_again_is_not_handed_out_again() {
    let mut watch = watch_from(5);
    watch.on_response(created(9));
    assert_eq!(delivered(watch.on_response(events(&[5, 6, 6]))), [5, 6, 6]);
    assert_eq!(watch.on_response(events(&[5, 6])), Step::Wait);
    assert_eq!(delivered(watch.on_response(events(&[6, 7]))), [7]);
}

#[test]
fn a_lagging_server_that_sends_older_events_is_not_believed() {
    let mut watch = watch_from(50);
    watch.on_response(created(10));
    assert_eq!(watch.on_response(events(&[11, 12])), Step::Wait);
    assert_eq!(delivered(watch.on_response(events(&[49, 50]))), [50]);
}

#[test]
fn pieces_of_a_revision_are_handed_out_together() {
    let mut watch = watch_from(3);
    watch.on_response(created(3));
    assert_eq!(watch.on_response(fragment(&[3, 3])), Step::Wait);
    assert_eq!(watch.on_response(fragment(&[3])), Step::Wait);
    assert_eq!(
        delivered(watch.on_response(events(&[3, 4]))),
        [3, 3, 3, 3, 4]
    );
}

#[test]
fn pieces_of_a_lost_stream_are_asked_for_again() {
    let mut watch = watch_from(3);
    watch.on_response(created(3));
    assert_eq!(watch.on_response(fragment(&[3, 3])), Step::Wait);
    assert_eq!(watch.request().start_revision, 3);
    watch.on_response(created(3));
    assert_eq!(delivered(watch.on_response(events(&[3, 3, 3]))), [3, 3, 3]);
}

#[test]
fn progress_moves_the_start_but_hides_nothing() {
    let mut watch = watch_from(2);
    watch.on_response(created(2));
    assert!(matches!(watch.on_response(response(30)), Step::Deliver(_)));
    assert_eq!(watch.next_revision(), 31);
    // An old etcd sends progress ahead of events: they count nevertheless.
    assert_eq!(delivered(watch.on_response(events(&[29]))), [29]);
    assert_eq!(watch.next_revision(), 31);
}

#[test]
fn compaction_and_refusals_end_the_watch_and_a_lost_leader_does_not() {
    let canceled = |compact_revision, reason: &str| WatchResponse {
        canceled: true,
        compact_revision,
        cancel_reason: reason.into(),
        ..response(40)
    };
    let step = watch_from(2).on_response(canceled(12, "compacted"));
    assert_eq!(step, Step::End(Error::Compacted { revision: 12 }));
    let step = watch_from(2).on_response(canceled(0, "mvcc: watcher range is empty"));
    assert_eq!(
        step,
        Step::End(Error::WatchCanceled("mvcc: watcher range is empty".into()))
    );
    assert_eq!(
        watch_from(2).on_response(canceled(0, NO_LEADER)),
        Step::Reopen
    );
}
