//! Clients that watch, and go on elsewhere when a member is lost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use etcd_client::{Error, WatchOptions};
use tokio::task::JoinHandle;

use super::{Revision, changes};
use crate::harness::client::{self, bounded};
use crate::harness::eventually;

/// After so long without events the watcher tries another member: this one may be paused.
const SILENCE: Duration = Duration::from_secs(3);

/// What a watcher saw.
#[derive(Clone, Default, Debug)]
pub(crate) struct Watched {
    /// Who watched.
    pub(crate) who: String,
    /// The first revision that it asked for.
    pub(crate) from: i64,
    /// What came, as it came: one element for each piece of a response with events of one revision.
    pub(crate) revisions: Vec<Revision>,
    /// How often it had to begin again.
    pub(crate) resumed: usize,
}

/// A watcher at work.
pub(crate) struct Watcher {
    watched: Arc<Mutex<Watched>>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Watches everything under a prefix from a revision on, at the first of the endpoints as long as
    /// that works.
    pub(crate) fn begin(who: &str, endpoints: &[String], prefix: &str, from: i64) -> Watcher {
        let watched = Arc::new(Mutex::new(Watched {
            who: who.to_owned(),
            from,
            ..Watched::default()
        }));
        let task = tokio::spawn(watch(
            Arc::clone(&watched),
            endpoints.to_vec(),
            prefix.to_owned(),
        ));
        Watcher { watched, task }
    }

    /// The last revision that it saw, or the one before its first.
    pub(crate) fn last(&self) -> i64 {
        last(&self.watched)
    }

    /// Waits until it has seen a revision: everything it saw.
    pub(crate) async fn end(self, upto: i64) -> Watched {
        let who = self
            .watched
            .lock()
            .expect("nobody panics with it")
            .who
            .clone();
        let what = format!("{who} sees revision {upto}");
        eventually(&what, async || (self.last() >= upto).then_some(())).await;
        self.task.abort();
        self.watched.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn last(watched: &Mutex<Watched>) -> i64 {
    let watched = watched.lock().expect("nobody panics with it");
    watched
        .revisions
        .last()
        .map_or(watched.from - 1, |revision| revision.number)
}

async fn watch(watched: Arc<Mutex<Watched>>, endpoints: Vec<String>, prefix: String) {
    for endpoint in endpoints.iter().cycle() {
        // An error or an end is what faults look like from here; what matters is how it goes on.
        let _ = watch_one(&watched, endpoint, &prefix).await;
        watched.lock().expect("nobody panics with it").resumed += 1;
        tokio::time::sleep(SILENCE / 30).await;
    }
}

async fn watch_one(watched: &Mutex<Watched>, endpoint: &str, prefix: &str) -> Result<(), Error> {
    let mut client = client::connect(endpoint).await;
    let options = WatchOptions::new()
        .with_prefix()
        .with_start_revision(last(watched) + 1);
    let (_watcher, mut stream) = bounded(client.watch(prefix, Some(options))).await?;
    while let Ok(message) = tokio::time::timeout(SILENCE, stream.message()).await {
        let Some(message) = message? else { break };
        assert!(
            !message.canceled(),
            "{endpoint} ended a watch: {}",
            message.cancel_reason()
        );
        let news = changes(message.events());
        watched
            .lock()
            .expect("nobody panics with it")
            .revisions
            .extend(news);
    }
    Ok(())
}
