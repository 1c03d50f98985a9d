//! The WAL thread: a thin loop around the log, so that whatever piled up while the disk was busy
//! becomes durable by one sync. And the way past it, for a replica that has nobody to keep waiting.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use quorate_core::{Frame, Protocol};
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

/// Who waits for the disk itself waits for syncs that take no longer than this, going by the last one.
const DIRECT_SYNC_MAX: Duration = Duration::from_millis(1);

/// The log, where the WAL thread and the replica's reach it.
#[derive(Clone)]
pub(crate) struct Writer {
    state: Arc<Mutex<State>>,
    counters: Arc<Counters>,
}

struct State {
    log: Log,
    /// Whether a marker vouches for all of it.
    marked: bool,
    /// When something was written last, and how long the disk took for that.
    synced_at: Instant,
    sync_took: Duration,
}

/// What came of a wish to write past the WAL thread.
pub(crate) struct Direct {
    /// All frames through this one are durable.
    pub(crate) durable: Frame,
    /// The WAL thread sleeps until it gets something, and should look after the log soon.
    pub(crate) rouse: bool,
}

impl Writer {
    pub(crate) fn new(log: Log, counters: Arc<Counters>) -> Writer {
        Writer {
            state: Arc::new(Mutex::new(State {
                log,
                marked: true,
                synced_at: Instant::now(),
                sync_took: Duration::ZERO,
            })),
            counters,
        }
    }

    /// Makes frames durable on the caller's thread, unless the WAL thread is at it or the disk is not quick.
    /// It saves two turns of other threads, which take longer than some disks.
    pub(crate) fn write_directly(&self, frames: &Frames) -> Result<Option<Direct>, LogError> {
        let Ok(mut state) = self.state.try_lock() else {
            return Ok(None);
        };
        if state.sync_took > DIRECT_SYNC_MAX {
            return Ok(None);
        }
        state.log.append(frames)?;
        let rouse = state.marked;
        let durable = self.sync(&mut state)?;
        Ok(Some(Direct { durable, rouse }))
    }

    /// Writes until the replica hangs up.
    pub(crate) fn run<P: Protocol>(
        &self,
        frames: &Receiver<Frames>,
        spare: &Sender<Frames>,
        events: &Sender<Event<P>>,
    ) -> Result<(), LogError> {
        let mut marked = true;
        loop {
            let first = match marked {
                true => frames.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => frames.recv_timeout(IDLE),
            };
            let mut state = self.state();
            match first {
                Ok(first) => {
                    for written in std::iter::once(first).chain(frames.try_iter()) {
                        state.log.append(&written)?;
                        give_back(written, spare);
                    }
                    // If all were empty, they only said that something was written past this thread.
                    if state.log.is_behind() {
                        let durable = self.sync(&mut state)?;
                        // The replica may be gone already; what it wrote last is durable all the same.
                        let _ = events.send(Event::Synced(durable));
                    }
                }
                // Once nothing has been written for long enough.
                Err(RecvTimeoutError::Timeout) if state.synced_at.elapsed() >= IDLE => {
                    state.log.mark()?;
                    state.marked = true;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return state.log.mark();
                }
            }
            // Only now, when nobody waits for it any more.
            state.log.trim()?;
            self.counters
                .on_log(state.log.counts(), state.log.segments());
            marked = state.marked;
        }
    }

    fn sync(&self, state: &mut State) -> Result<Frame, LogError> {
        self.counters.on_sync();
        let durable = state.log.sync()?;
        state.sync_took = self.counters.on_synced();
        state.synced_at = Instant::now();
        state.marked = false;
        Ok(durable)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked is the end of this process; until then nobody needs to panic too.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn give_back(mut frames: Frames, spare: &Sender<Frames>) {
    if frames.bytes.capacity() <= SPARE_BYTES_MAX {
        frames.clear();
        // If there are enough already, this one is freed.
        let _ = spare.try_send(frames);
    }
}
