//! What all services share: the handle to the machine, who we are, and the rules that hold for
//! every call.

use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Instant, NodeId};
use quorate_service::Service;
use quorate_service::command::Command;
use quorate_service::reply::Applied;
use quorate_service::store::View;
use tokio::sync::watch;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::error;
use crate::proto::etcdserverpb::ResponseHeader;
use crate::server::ServerOptions;

/// How many election timeouts a stream that wants a leader outlives without one.
const PATIENCE_TIMEOUTS: u32 = 3;

/// Shared by all services of a server.
#[derive(Clone)]
pub(crate) struct Context(Arc<Shared>);

struct Shared {
    service: Service,
    options: ServerOptions,
    /// Becomes true when the server begins to stop.
    stopping: watch::Receiver<bool>,
    /// Where this server's own time begins.
    begun: std::time::Instant,
}

impl Context {
    pub(crate) fn new(
        service: Service,
        options: ServerOptions,
        stopping: watch::Receiver<bool>,
    ) -> Context {
        Context(Arc::new(Shared {
            service,
            options,
            stopping,
            begun: std::time::Instant::now(),
        }))
    }

    pub(crate) fn service(&self) -> &Service {
        &self.0.service
    }

    pub(crate) fn options(&self) -> &ServerOptions {
        &self.0.options
    }

    /// The header of an answer that was made at this revision.
    pub(crate) fn header(&self, revision: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.0.options.cluster_id,
            member_id: self.0.options.member_id,
            revision,
            raft_term: self.0.service.status().epoch,
        }
    }

    /// Has a command carried out.
    pub(crate) async fn write(&self, command: Command) -> Result<Applied, Status> {
        let outcome = self.0.service.write(command).await;
        outcome.map_err(|error| error::status(&error))
    }

    /// The state, as new as anything that had happened when this was called.
    pub(crate) async fn latest(&self) -> Result<View, Status> {
        let begun = std::time::Instant::now();
        let outcome = self.0.service.read_barrier().await;
        outcome.map_err(|error| error::status(&error))?;
        self.was_latest(begun);
        Ok(self.0.service.view())
    }

    /// The state here has everything that had happened by then.
    pub(crate) fn was_latest(&self, at: std::time::Instant) {
        self.0.service.on_confirmed(self.moment(at), self.now());
    }

    /// The state, at most so old. As long as that is known of what is here nobody else is asked.
    pub(crate) async fn at_most(&self, age: Duration) -> Result<View, Status> {
        match self.0.service.view_at_most(age, self.now()) {
            Some(view) => Ok(view),
            None => self.latest().await,
        }
    }

    fn now(&self) -> Instant {
        self.moment(std::time::Instant::now())
    }

    /// A moment of this server's own time.
    fn moment(&self, at: std::time::Instant) -> Instant {
        let nanos = at.saturating_duration_since(self.0.begun).as_nanos();
        Instant(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The state as it is here.
    pub(crate) fn view(&self) -> View {
        self.0.service.view()
    }

    /// The leader, if one is known.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.0.service.status().leader
    }

    /// Refuses what this member must not be asked: one whose state is not that of the others shows nothing
    /// of it, and a learner, or whoever takes no part, answers only what needs no one else.
    pub(crate) fn check_member(&self, service: &str, method: &str) -> Result<(), Status> {
        self.check_state(service)?;
        let is_for_all = match (service, method) {
            // Of ranges, the serializable ones.
            ("etcdserverpb.KV", "Range") | ("etcdserverpb.Maintenance", "Status" | "Snapshot") => {
                true
            }
            (service, _) => service.starts_with("grpc."),
        };
        match is_for_all {
            true => Ok(()),
            false => self.check_vote(),
        }
    }

    /// Refuses to show a state that is not that of the others.
    pub(crate) fn check_state(&self, service: &str) -> Result<(), Status> {
        let me = self.0.options.member_id;
        let shows_state = ["KV", "Watch", "Lease"]
            .iter()
            .any(|name| service.strip_prefix("etcdserverpb.") == Some(*name));
        match shows_state && self.view().health().is_corrupt(me) {
            false => Ok(()),
            true => Err(error::CORRUPT.into()),
        }
    }

    /// Refuses what a learner does not answer.
    pub(crate) fn check_vote(&self) -> Result<(), Status> {
        let me = self.0.options.member_id;
        let view = self.view();
        match view.members().get(me).is_some_and(|me| !me.is_learner) {
            true => Ok(()),
            false => Err(error::NOT_FOR_LEARNERS.into()),
        }
    }

    /// Refuses a request of too many bytes. (Much larger ones are not even received.)
    pub(crate) fn check_size(&self, bytes: usize) -> Result<(), Status> {
        if bytes > self.0.options.request_bytes_max {
            return Err(error::TOO_LARGE.into());
        }
        Ok(())
    }

    /// A client that would rather ask another member than wait says so in the metadata.
    pub(crate) fn check_leader(&self, metadata: &MetadataMap) -> Result<(), Status> {
        if wants_leader(metadata) && self.leader().is_none() {
            return Err(error::NO_LEADER.into());
        }
        Ok(())
    }

    /// Waits for the reason, if any ever comes, for which a stream must end before its client ends
    /// it: the server stops, its state turns out not to be that of the others, or the client wants a leader and
    /// there has been none for long.
    pub(crate) fn end_of_stream(
        &self,
        metadata: &MetadataMap,
    ) -> impl Future<Output = Status> + Send + use<> {
        let wants_leader = wants_leader(metadata);
        let context = self.clone();
        async move {
            let leaderless = async {
                if !wants_leader {
                    return std::future::pending().await;
                }
                let changes = context.0.service.leader_changes();
                leaderless(
                    changes,
                    context.0.options.election_timeout * PATIENCE_TIMEOUTS,
                )
                .await;
            };
            tokio::select! {
                () = context.stopped() => error::STOPPED.into(),
                () = context.fenced() => error::CORRUPT.into(),
                () = leaderless => error::NO_LEADER.into(),
            }
        }
    }

    async fn fenced(&self) {
        let mut fenced = self.0.service.fenced();
        if fenced.wait_for(|fenced| *fenced).await.is_err() {
            // The replica is gone, which is another reason.
            std::future::pending().await
        }
    }

    async fn stopped(&self) {
        let mut stopping = self.0.stopping.clone();
        // An error means that the server is gone altogether.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}

/// Who leads in which epoch, as the service tells it.
type Lead = Option<(u64, Option<NodeId>)>;

/// Waits until there has been no leader for this long on end.
async fn leaderless(mut changes: watch::Receiver<Lead>, patience: Duration) {
    let led = |change: &Lead| matches!(change, Some((_, Some(_))));
    loop {
        if changes.wait_for(|change| !led(change)).await.is_err() {
            return; // The replica is gone, and nothing leads here any more.
        }
        match tokio::time::timeout(patience, changes.wait_for(led)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// Our own extension: how old, in milliseconds, what is read may be. See `docs/reading.md`.
const MAX_AGE: &str = "quorate-max-age-ms";

/// How old what is read may be, if the client says so.
pub(crate) fn max_age(metadata: &MetadataMap) -> Result<Option<Duration>, Status> {
    let Some(value) = metadata.get(MAX_AGE) else {
        return Ok(None);
    };
    let ms = value.to_str().ok().and_then(|text| text.parse().ok());
    match ms {
        Some(ms) => Ok(Some(Duration::from_millis(ms))),
        None => {
            let text = format!("quorate: {MAX_AGE} must be a number of milliseconds");
            Err(Status::invalid_argument(text))
        }
    }
}

/// Whether it does.
pub(crate) fn has_max_age(metadata: &MetadataMap) -> bool {
    metadata.contains_key(MAX_AGE)
}

/// Whether the client would rather ask another member than wait.
pub(crate) fn wants_leader(metadata: &MetadataMap) -> bool {
    let value = metadata.get("hasleader");
    value.is_some_and(|value| value.as_bytes() == b"true")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(3);

    #[tokio::test(start_paused = true)]
    async fn a_short_election_is_no_reason_to_end_a_stream() {
        let (lead, changes) = watch::channel(Some((1, Some(NodeId(1)))));
        let mut ended = watched(leaderless(changes, PATIENCE));
        for epoch in 2..6 {
            lead.send_replace(Some((epoch, None)));
            assert!(!ended.within(PATIENCE - Duration::from_millis(1)).await);
            lead.send_replace(Some((epoch, Some(NodeId(2)))));
            assert!(!ended.within(PATIENCE * 2).await);
        }
        lead.send_replace(Some((6, None)));
        assert!(ended.within(PATIENCE + Duration::from_millis(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_if_there_never_is_a_leader() {
        let (_lead, changes) = watch::channel(None);
        assert!(
            watched(leaderless(changes, PATIENCE))
                .within(PATIENCE * 2)
                .await
        );
    }

    /// A future that is looked at piece by piece.
    struct Watched(std::pin::Pin<Box<dyn Future<Output = ()>>>);

    fn watched(future: impl Future<Output = ()> + 'static) -> Watched {
        Watched(Box::pin(future))
    }

    impl Watched {
        /// Whether it ends within this time.
        async fn within(&mut self, time: Duration) -> bool {
            tokio::time::timeout(time, &mut self.0).await.is_ok()
        }
    }
}
