//! A leader whose disk stays slow hands leadership over. When that is to be done, `quorate_runtime` says; here it
//! is done, and told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quorate_etcd::Complaints;
use quorate_runtime::{Clock, DiskWatch, Observer, SLOW_PATIENCE, SLOW_SYNC, SlowDisk};
use quorate_service::Service;
use tokio::time::sleep;
use tracing::{info, warn};

/// What was found, for metrics.
#[derive(Default)]
pub(super) struct Found {
    /// How often leadership was handed over.
    handed_over: AtomicU64,
}

impl Found {
    /// How often leadership was handed over because the disk stayed slow.
    pub(super) fn handed_over(&self) -> u64 {
        self.handed_over.load(Ordering::Relaxed)
    }
}

/// What a disk that stays slow makes the member say in its status.
pub(super) fn complaints(observer: Observer) -> Complaints {
    Arc::new(move || match observer.metrics().disk_slow_for {
        slow_for if slow_for >= SLOW_PATIENCE => vec![format!(
            "the disk is slow: each sync of the log has taken {SLOW_SYNC:?} or longer for {slow_for:.1?}"
        )],
        _ => Vec::new(),
    })
}

/// Watches the disk as long as it is polled.
pub(super) async fn watch(service: Service, observer: Observer, clock: Clock, found: Arc<Found>) {
    let mut watch = DiskWatch::new(SLOW_PATIENCE);
    loop {
        sleep(DiskWatch::EVERY).await;
        let status = service.status();
        let slow_for = observer.metrics().disk_slow_for;
        match watch.look(slow_for, status.leader == Some(status.me), clock.now()) {
            SlowDisk::Nothing => {}
            SlowDisk::Slow => warn!(
                "the disk is slow: each sync of the write-ahead log has taken {SLOW_SYNC:?} or longer for {slow_for:.1?}"
            ),
            SlowDisk::HandOver => {
                warn!(
                    "the disk is slow: each sync of the write-ahead log has taken {SLOW_SYNC:?} or longer for \
                     {slow_for:.1?}; this member leads, and hands leadership over"
                );
                found.handed_over.fetch_add(1, Ordering::Relaxed);
                service.transfer(None);
            }
            SlowDisk::Recovered => info!("the disk is not slow any more"),
        }
    }
}
