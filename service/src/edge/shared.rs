//! What the handle, the replica's thread and the apply thread share.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use quorate_core::{Checkpoint, NodeId, Status};
use quorate_problems::total_order::Membership;
use tokio::sync::watch;

use super::callers::Reply;
use crate::health::{Alarm, AlarmKind, Health};
use crate::members::Members;
use crate::service::ServiceOptions;

/// Who leads in which epoch, once anything is known.
pub(crate) type Lead = Option<(u64, Option<NodeId>)>;

/// A command on its way to the order.
pub(crate) struct Submission {
    /// The encoded command.
    pub(crate) bytes: Vec<u8>,
    pub(crate) reply: Reply,
    pub(crate) claim: Arc<Claim>,
}

/// Decides between two who may be at it at once: the edge that broadcasts a command, and a caller
/// that gives up on it. Whoever is first wins, so that "it was not carried out" is certain.
#[derive(Default)]
pub(crate) struct Claim(AtomicBool);

impl Claim {
    /// Takes it; answers whether nobody had.
    pub(crate) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// Whether it was taken.
    pub(crate) fn is_taken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// How much of something there is.
#[derive(Default)]
pub(crate) struct Meter {
    count: AtomicUsize,
    bytes: AtomicUsize,
}

impl Meter {
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }

    pub(crate) fn add(&self, count: usize, bytes: usize) {
        self.count.fetch_add(count, Ordering::SeqCst);
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    pub(crate) fn subtract(&self, count: usize, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.count.fetch_sub(count, Ordering::SeqCst);
    }

    /// Adds one thing of this size unless that is too much.
    pub(crate) fn admit(&self, bytes: usize, count_max: usize, bytes_max: usize) -> bool {
        self.add(1, bytes);
        let fits = self.count() <= count_max && self.bytes() <= bytes_max;
        if !fits {
            self.subtract(1, bytes);
        }
        fits
    }
}

/// What happened so far, for metrics.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) writes: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) timeouts: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) batch_commands: AtomicU64,
    pub(crate) batch_bytes: AtomicU64,
    pub(crate) broadcast_again: AtomicU64,
    pub(crate) reads: AtomicU64,
    pub(crate) read_rounds: AtomicU64,
    pub(crate) ticks: AtomicU64,
    pub(crate) leader_changes: AtomicU64,
    pub(crate) apply_rounds: AtomicU64,
    pub(crate) positions: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) revisions: AtomicU64,
    pub(crate) installs: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

/// See the module.
pub(crate) struct Shared {
    pub(crate) options: ServiceOptions,
    wake: Box<dyn Fn() + Send + Sync>,
    /// Commands that were taken in and not yet delivered.
    pub(crate) pending: Meter,
    /// Readers that wait.
    pub(crate) reading: AtomicUsize,
    /// Positions delivered and not yet applied.
    pub(crate) backlog: Meter,
    /// Whether the edge waits for the backlog to shrink.
    stalled: AtomicBool,
    /// The last position that views contain.
    applied: AtomicU64,
    has_leases: AtomicBool,
    /// What the last check found, and where it was.
    noted: Mutex<(u64, u64)>,
    noted_position: AtomicU64,
    wants_check: AtomicBool,
    /// The bytes of the store.
    bytes_in_use: AtomicU64,
    /// Whether the disk is nearly full.
    is_disk_low: AtomicBool,
    /// Whether somebody was refused for want of room, and the alarm for that is not raised yet.
    wants_raise: AtomicBool,
    is_raised: AtomicBool,
    /// Whether the others have another state, says the machine.
    pub(crate) differing: watch::Sender<bool>,
    is_differing: AtomicBool,
    /// Whether what is here must not be shown.
    pub(crate) fenced: watch::Sender<bool>,
    durable: Mutex<Checkpoint>,
    durable_position: AtomicU64,
    /// Who should take part, says the machine.
    members: Mutex<Membership>,
    members_version: AtomicU64,
    /// The same version, for those who wait for another.
    pub(crate) listed: watch::Sender<u64>,
    /// Who does, says the protocol.
    pub(crate) in_force: watch::Sender<Membership>,
    transfer: Mutex<Option<Option<NodeId>>>,
    transfer_wanted: AtomicBool,
    pub(crate) lead: watch::Sender<Lead>,
    pub(crate) status: ArcSwap<Status>,
    pub(crate) counters: Counters,
}

impl Shared {
    pub(crate) fn new(
        options: ServiceOptions,
        checkpoint: Checkpoint,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Shared {
        let status = Status {
            role: "starting",
            epoch: checkpoint.epoch,
            leader: None,
            head: checkpoint.position,
            decided: checkpoint.position,
            whole: true,
            repaired: 0,
        };
        Shared {
            options,
            wake,
            pending: Meter::default(),
            reading: AtomicUsize::new(0),
            backlog: Meter::default(),
            stalled: AtomicBool::new(false),
            applied: AtomicU64::new(checkpoint.position),
            has_leases: AtomicBool::new(false),
            noted: Mutex::default(),
            noted_position: AtomicU64::new(0),
            wants_check: AtomicBool::new(false),
            bytes_in_use: AtomicU64::new(0),
            is_disk_low: AtomicBool::new(false),
            wants_raise: AtomicBool::new(false),
            is_raised: AtomicBool::new(false),
            differing: watch::Sender::default(),
            is_differing: AtomicBool::new(false),
            fenced: watch::Sender::default(),
            durable: Mutex::new(checkpoint),
            durable_position: AtomicU64::new(checkpoint.position),
            members: Mutex::default(),
            members_version: AtomicU64::new(0),
            listed: watch::Sender::default(),
            in_force: watch::Sender::default(),
            transfer: Mutex::new(None),
            transfer_wanted: AtomicBool::new(false),
            lead: watch::Sender::new(None),
            status: ArcSwap::from_pointee(status),
            counters: Counters::default(),
        }
    }

    /// Makes the replica ask the edge for requests.
    pub(crate) fn wake(&self) {
        (self.wake)();
    }

    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.lead.borrow().and_then(|(_, leader)| leader)
    }

    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    pub(crate) fn has_leases(&self) -> bool {
        self.has_leases.load(Ordering::Acquire)
    }

    /// Whether so much waits to be applied that nothing more should be asked for. If so, the apply
    /// thread wakes the edge when that has changed.
    pub(crate) fn is_backlogged(&self) -> bool {
        let is_backlogged = || {
            self.backlog.count() > self.options.backlog_positions_max
                || self.backlog.bytes() > self.options.backlog_bytes_max
        };
        if !is_backlogged() {
            return false;
        }
        self.stalled.store(true, Ordering::SeqCst);
        // It may have shrunk before the apply thread could see that somebody waits.
        is_backlogged()
    }

    /// The apply thread: everything through this position is visible, and so much less waits.
    pub(crate) fn on_applied(&self, position: u64, count: usize, bytes: usize) {
        self.applied.store(position, Ordering::Release);
        self.backlog.subtract(count, bytes);
        if self.stalled.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }

    /// The apply thread: whether there are leases.
    pub(crate) fn set_has_leases(&self, has_leases: bool) {
        if self.has_leases.swap(has_leases, Ordering::AcqRel) != has_leases && has_leases {
            self.wake(); // Their time has to be told from now on.
        }
    }

    /// The apply thread: what the last check found, and whether there is a reason for another.
    pub(crate) fn set_checked(&self, (position, digest): (u64, u64), wants_check: bool) {
        let is_new = self.noted_position.load(Ordering::Acquire) != position;
        if is_new {
            *lock(&self.noted) = (position, digest);
            self.noted_position.store(position, Ordering::Release);
        }
        let begins = wants_check && !self.wants_check.swap(wants_check, Ordering::AcqRel);
        self.wants_check.store(wants_check, Ordering::Release);
        if is_new || begins {
            self.wake();
        }
    }

    pub(crate) fn wants_check(&self) -> bool {
        self.wants_check.load(Ordering::Acquire)
    }

    /// The last check and what it found, if it is behind this position.
    pub(crate) fn noted_after(&self, position: u64) -> Option<(u64, u64)> {
        if self.noted_position.load(Ordering::Acquire) <= position {
            return None;
        }
        Some(*lock(&self.noted))
    }

    /// The apply thread: how this member is, and how much it holds.
    pub(crate) fn set_health(&self, health: &Health, bytes_in_use: u64) {
        let member = self.options.me.0;
        self.bytes_in_use.store(bytes_in_use, Ordering::Release);
        let raised = |kind| health.alarms().contains(&Alarm { kind, member });
        let is_raised = raised(AlarmKind::NoSpace);
        self.is_raised.store(is_raised, Ordering::Release);
        if is_raised {
            self.wants_raise.store(false, Ordering::Release);
        }
        let is_fenced = health.is_corrupt(member);
        self.fenced
            .send_if_modified(|fenced| std::mem::replace(fenced, is_fenced) != is_fenced);
        let is_differing = raised(AlarmKind::Corrupt);
        if self.is_differing.swap(is_differing, Ordering::AcqRel) != is_differing {
            self.wake();
        }
    }

    /// Whether this member's state is known not to be the others'.
    pub(crate) fn is_differing(&self) -> bool {
        self.is_differing.load(Ordering::Acquire)
    }

    /// Whether there is room for something of this price. If not, everyone hears of it.
    pub(crate) fn admits(&self, price: u64) -> bool {
        if price == 0 {
            return true;
        }
        let quota = self.options.quota_bytes.unwrap_or(u64::MAX);
        let wanted = self
            .bytes_in_use
            .load(Ordering::Acquire)
            .saturating_add(price);
        let fits = wanted <= quota && !self.is_disk_low.load(Ordering::Acquire);
        if !fits {
            self.want_raise();
        }
        fits
    }

    /// The flush thread: how much the disk has left. What others write comes here too, so if that is too
    /// little everyone hears of it, whether or not anybody writes here.
    pub(crate) fn set_free(&self, free_bytes: u64) {
        let is_low = free_bytes < self.options.disk_reserve_bytes;
        self.is_disk_low.store(is_low, Ordering::Release);
        if is_low {
            self.want_raise();
        }
    }

    fn want_raise(&self) {
        if !self.is_raised.load(Ordering::Acquire) {
            self.wants_raise.store(true, Ordering::Release);
            self.wake();
        }
    }

    pub(crate) fn wants_raise(&self) -> bool {
        self.wants_raise.load(Ordering::Acquire)
    }

    /// The apply thread: everything through this checkpoint is durable in the store.
    pub(crate) fn set_durable(&self, checkpoint: Checkpoint) {
        if self.durable_position.load(Ordering::Acquire) < checkpoint.position {
            *lock(&self.durable) = checkpoint;
            self.durable_position
                .store(checkpoint.position, Ordering::Release);
            self.wake();
        }
    }

    /// The durable checkpoint if it is past this position.
    pub(crate) fn durable_after(&self, position: u64) -> Option<Checkpoint> {
        if self.durable_position.load(Ordering::Acquire) <= position {
            return None;
        }
        Some(*lock(&self.durable))
    }

    /// The machine has this list of members now.
    pub(crate) fn set_members(&self, members: &Members) {
        if self.members_version.load(Ordering::Acquire) < members.version {
            *lock(&self.members) = members.membership();
            self.members_version
                .store(members.version, Ordering::Release);
            self.listed.send_replace(members.version);
            self.wake();
        }
    }

    /// The members that the machine has, if they are newer than this version.
    pub(crate) fn members_after(&self, version: u64) -> Option<Membership> {
        if self.members_version.load(Ordering::Acquire) <= version {
            return None;
        }
        Some(lock(&self.members).clone())
    }

    pub(crate) fn ask_transfer(&self, to: Option<NodeId>) {
        *lock(&self.transfer) = Some(to);
        self.transfer_wanted.store(true, Ordering::Release);
        self.wake();
    }

    /// Takes the last wish to hand leadership over.
    pub(crate) fn take_transfer(&self) -> Option<Option<NodeId>> {
        if !self.transfer_wanted.swap(false, Ordering::AcqRel) {
            return None;
        }
        lock(&self.transfer).take()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
