//! Writing down what happens, for those who asked for a trace.

use quorate_core::{Frame, NodeId, Protocol, Status};

use super::{World, name};
use crate::Workload;
use crate::trace::{Event, Trace, What};

/// What the trace already knows of a replica, so that only news are written down.
#[derive(Clone, Default)]
pub(super) struct Known {
    status: Option<Status>,
    /// For each piece of mail that waits for the disk, the frame that it waits for.
    held: Vec<Frame>,
}

impl<P: Protocol> World<P>
where
    P::Problem: Workload,
{
    /// Starts to write down what happens.
    pub fn start_trace(&mut self) {
        self.trace = Some(Trace::default());
    }

    /// What happened so far, if somebody asked for a trace in time.
    #[must_use]
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// Ends the trace and hands it out.
    pub fn take_trace(&mut self) -> Trace {
        self.trace.take().unwrap_or_default()
    }

    /// Writes an event down, which is only made up if somebody wants to know.
    pub(super) fn note(&mut self, what: impl FnOnce() -> What) {
        if let Some(trace) = &mut self.trace {
            let (at, what) = (self.now, what());
            trace.events.push(Event { at, what });
        }
    }

    /// The disk of a replica finished everything through a frame: news unless it had before.
    pub(super) fn note_synced(&mut self, id: NodeId, frame: Frame) {
        let replica = self.replica(id);
        if replica.is_some_and(|replica| replica.gate().synced() < frame) {
            self.note(|| What::Synced { node: id, frame });
        }
    }

    /// A replica has taken a step, in which it wrote so many frames.
    pub(super) fn note_replica(&mut self, id: NodeId, frames: usize) {
        if self.trace.is_none() {
            return;
        }
        let Some(machine) = self.machines.get_mut(&id) else {
            return;
        };
        let Some(replica) = &machine.replica else {
            return;
        };
        let mut news = Vec::new();
        let status = replica.status();
        let standing = |status: Status| (status.role, status.epoch);
        if machine.known.status.map(standing) != Some(standing(status)) {
            news.push(What::Became { node: id, status });
        }
        machine.known.status = Some(status);
        let records = machine.disk.newest::<P::Record>(frames);
        for frame in records.chunk_by(|one, two| one.0 == two.0) {
            let records: Vec<_> = frame.iter().map(|(_, r)| format!("{r:?}")).collect();
            news.push(What::Wrote {
                node: id,
                frame: frame[0].0,
                text: records.join(", "),
            });
        }
        // Mail leaves the gate at the front and joins at the back, so what waited before and has not
        // left is at the front.
        let synced = replica.gate().synced();
        let held = machine.known.held.iter();
        let old = held.filter(|&&until| until > synced).count();
        news.extend(replica.gate().held().skip(old).map(|(until, letter)| {
            let (to, kind) = (letter.to, name(&letter.message));
            What::Held {
                node: id,
                to,
                until,
                kind,
            }
        }));
        machine.known.held = replica.gate().held().map(|(until, _)| until).collect();
        for what in news {
            self.note(|| what);
        }
    }
}
