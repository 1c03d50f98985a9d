//! The end of a test under load: everyone's story, and whether all of them agree.

use super::clients;
use super::load::{Load, PREFIX};
use super::oracle::{check, check_watch};
use super::watcher::Watcher;
use super::{Action, Answer, Call, Revision, of_member};
use crate::harness::client::{bounded, revision};
use crate::harness::cluster::Cluster;

/// Ends the load, waits until every member serves, and checks that all that clients did and saw, all
/// that watchers saw, and what each member says has happened is one and the same story.
///
/// Panics if not; otherwise answers that story.
pub(crate) async fn judge(
    cluster: &mut Cluster,
    load: Load,
    watchers: Vec<Watcher>,
) -> Vec<Revision> {
    let calls = load.end().await;
    cluster.start_all().await;
    let story = story(cluster).await;
    let checked = check(&story, &calls).and_then(|()| clients::check(&story, &calls));
    if let Err(violation) = checked {
        panic!("{violation:?}\n{}", excerpt(&story, &calls));
    }
    let last = story.last().map_or(0, |revision| revision.number);
    let mut resumed = 0;
    for watcher in watchers {
        let watched = watcher.end(last).await;
        resumed += watched.resumed;
        if let Err(violation) = check_watch(&story, &watched) {
            panic!("{violation:?}");
        }
    }
    println!(
        "{}; watchers began again {resumed} times",
        summary(&story, &calls)
    );
    story
}

/// What has happened, by the word of each member, which must be the same.
pub(crate) async fn story(cluster: &Cluster) -> Vec<Revision> {
    let mut stories: Vec<Vec<Revision>> = Vec::new();
    for at in 0..cluster.members.len() {
        stories.push(of_member(&mut cluster.client(at).await, PREFIX).await);
    }
    let first = stories.swap_remove(0);
    for other in stories {
        let differs = first.iter().zip(&other).find(|(here, there)| here != there);
        assert!(
            differs.is_none(),
            "two members tell different stories: {differs:?}"
        );
        assert_eq!(
            first.len(),
            other.len(),
            "one member knows more than another"
        );
    }
    first
}

/// The cluster's revision, as one member knows it.
pub(crate) async fn newest(cluster: &Cluster, at: usize) -> i64 {
    let mut client = cluster.client(at).await;
    let answer = bounded(client.get("revision?", None))
        .await
        .expect("the member serves");
    revision(answer.header())
}

fn summary(story: &[Revision], calls: &[Call]) -> String {
    let unknown = calls
        .iter()
        .filter(|call| call.answer == Answer::Unknown)
        .count();
    let reads = calls
        .iter()
        .filter(|call| matches!(call.action, Action::Read { .. }))
        .count();
    format!(
        "{} revisions, {} calls, of which {reads} reads and {unknown} unknown",
        story.len(),
        calls.len()
    )
}

/// The end of both, for a first look at what went wrong.
fn excerpt(story: &[Revision], calls: &[Call]) -> String {
    let mut text = format!("{}\nthe last revisions:\n", summary(story, calls));
    for revision in &story[story.len().saturating_sub(5)..] {
        text.push_str(&format!("  {revision:?}\n"));
    }
    text
}
