//! The WAL thread: a thin loop around the log, so that whatever piled up while the disk was busy
//! becomes durable by one sync.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use quorate_core::Protocol;
use quorate_node::Frames;

use crate::log::{Log, LogError};
use crate::mailbox::Event;
use crate::metrics::Counters;

#[cfg(test)]
mod tests;

/// How long the log is idle before a marker says that its tail was acknowledged.
const IDLE: Duration = Duration::from_millis(50);

/// Buffers larger than this are not kept for reuse.
const SPARE_BYTES_MAX: usize = 4 << 20;

/// Writes until the replica hangs up.
pub(crate) fn run<P: Protocol>(
    mut log: Log,
    frames: &Receiver<Frames>,
    spare: &Sender<Frames>,
    events: &Sender<Event<P>>,
    counters: &Arc<Counters>,
) -> Result<(), LogError> {
    let mut marked = true;
    loop {
        let first = match marked {
            true => frames.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => frames.recv_timeout(IDLE),
        };
        match first {
            Ok(first) => {
                for written in std::iter::once(first).chain(frames.try_iter()) {
                    log.append(&written)?;
                    give_back(written, spare);
                }
                counters.pace.begin(Instant::now());
                let durable = log.sync()?;
                counters.sync_time.add(counters.pace.end(Instant::now()));
                // The replica may be gone already; what it wrote last is durable all the same.
                let _ = events.send(Event::Synced(durable));
                marked = false;
                // Only now, when nobody waits for it any more.
                log.trim()?;
            }
            Err(RecvTimeoutError::Timeout) => {
                log.mark()?;
                marked = true;
            }
            Err(RecvTimeoutError::Disconnected) => {
                return log.mark();
            }
        }
        counters.on_log(log.counts(), log.segments());
    }
}

fn give_back(mut frames: Frames, spare: &Sender<Frames>) {
    if frames.bytes.capacity() <= SPARE_BYTES_MAX {
        frames.clear();
        // If there are enough already, this one is freed.
        let _ = spare.try_send(frames);
    }
}
