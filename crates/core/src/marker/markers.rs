use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;

use super::{
    Fence, Guard, Heard, News, Position, PurgeKind, Record, Start, Ticket, Verdict, order::Order, pending::Pending,
};
use crate::{Entry, TagHash, Timestamp, monotonic_millis};

/// What this node knows of purges. One per stack, shared by all of its tiers.
///
/// Readers take no lock. Who changes the order of purges goes in turn, and writes in this sequence: markers, generation, numbers, lease.
/// Readers load in the opposite one, so that what they see last is never older than what they saw first.
pub struct Markers {
    order: ArcSwap<Order>,
    /// Rises with every marker: an entry that passed at this generation need not be tested again.
    generation: AtomicU64,
    pending: Pending,
    /// Until when this node may serve what it did not read from the origin a moment ago ([`monotonic_millis`]): it has heard every purge
    /// that was acknowledged before. `ALONE` for a node that shares nothing.
    lease_until: AtomicU64,
    /// How long what was read from the origin may be served without a lease, and how long a lease lasts, in milliseconds.
    bound: u64,
    /// Whether an acknowledged purge was heard by every node, so that a lease proves that nothing was missed.
    strict: bool,
    slots: usize,
    writer: Mutex<()>,
    /// Milliseconds on a clock that never steps back.
    monotonic: fn() -> u64,
}

/// The lease of a node that shares nothing.
const ALONE: u64 = u64::MAX;

const POISONED: &str = "no code panics while it changes the order of purges";

/// What a node may serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It shares nothing: it knows every purge, for it made them all.
    Alone,
    /// Everything: it is in step with the others.
    InStep,
    /// Only what it read from the origin a moment ago: it may have missed purges for this long.
    CutOff {
        /// Since its lease ended; `None` if it never had one.
        since: Option<Duration>,
    },
}

impl fmt::Debug for Markers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = self.order.load();
        f.debug_struct("Markers")
            .field("fence", &order.fence())
            .field("synced", &order.synced())
            .field("standing", &self.standing())
            .finish_non_exhaustive()
    }
}

impl Markers {
    /// Slots a row of the table.
    const SLOTS: usize = 1 << 18;

    /// The markers of a node that shares no tier with others: it numbers its purges itself. `incarnation` is a number that no other
    /// process and no earlier run of this one shares; not 0.
    #[must_use]
    pub fn alone(incarnation: u128) -> Self {
        Self::new(incarnation, ALONE, Duration::ZERO, true, Self::SLOTS)
    }

    /// The markers of a node that shares a tier: it knows no order until a backplane [tells](Self::apply) it one. Without news for
    /// `bound` it is cut off. `strict` tells whether purges are acknowledged only when every node has heard them.
    #[must_use]
    pub fn shared(bound: Duration, strict: bool) -> Self {
        Self::new(0, 0, bound, strict, Self::SLOTS)
    }

    pub(super) fn new(incarnation: u128, lease_until: u64, bound: Duration, strict: bool, slots: usize) -> Self {
        Self {
            order: ArcSwap::from_pointee(Order::first(incarnation, slots)),
            generation: AtomicU64::new(1),
            pending: Pending::default(),
            lease_until: AtomicU64::new(lease_until),
            bound: millis(bound),
            strict,
            slots,
            writer: Mutex::new(()),
            monotonic: monotonic_millis,
        }
    }

    /// Another monotonic clock, for tests. Default: [`monotonic_millis`].
    #[must_use]
    pub fn with_monotonic(mut self, monotonic: fn() -> u64) -> Self {
        self.monotonic = monotonic;
        self
    }

    /// Now, on the clock that leases are counted by.
    #[must_use]
    pub fn monotonic(&self) -> u64 {
        (self.monotonic)()
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().expect(POISONED)
    }

    /// The start of a fill. Take it before anything inward is called.
    #[must_use]
    pub fn start(&self) -> Start {
        // `local` first: a purge that begins in between then counts against this fill, which kills more and never less.
        let local = self.pending.begun();
        let order = self.order.load();
        Start { fence: order.fence(), local, era: order.era, read_at: Some(self.monotonic()) }
    }

    /// Purges `tags` on a node that numbers its purges itself: one marker each, above every earlier one. Returns the number.
    pub fn purge(&self, kind: PurgeKind, tags: &[TagHash], now: Timestamp) -> u64 {
        self.purge_guarded(kind, tags, now, None).0
    }

    /// As [`purge`](Self::purge); tells also the start of an answer that is as new as this purge, if `guard` holds.
    pub fn purge_guarded(
        &self,
        kind: PurgeKind,
        tags: &[TagHash],
        now: Timestamp,
        guard: Option<&Guard>,
    ) -> (u64, Option<Start>) {
        let _writing = self.writing();
        let order = self.order.load();
        // Under the lock that numbers purges: none comes between this look and this purge.
        let guard = guard.filter(|guard| self.holds(guard));
        let micros = u64::try_from(now.as_millis()).unwrap_or(0).saturating_mul(1000);
        let seq = micros.max(order.seq() + 1);
        self.raise(&order, tags.iter().map(|tag| (kind, *tag, seq)));
        // After the markers stand: a fill that takes the new number began after the purge.
        order.raise_seq(seq);
        (seq, guard.map(|guard| guard.renewed(order.fence())))
    }

    /// Whether nothing that `guard` names was purged since, as far as this node knows.
    #[must_use]
    pub fn holds(&self, guard: &Guard) -> bool {
        self.purged(&guard.start.fence, &guard.start, &guard.tags) == Verdict::Live
    }

    /// Purges `tags` at once on this node, without a number: ask the backplane for one, then [`settle`](Self::settle).
    pub fn defer(&self, kind: PurgeKind, tags: &[TagHash]) -> Ticket {
        self.pending.add(kind, tags, self.monotonic())
    }

    /// The purges of `ticket` got the number `seq` in the order `incarnation`.
    pub fn settle(&self, ticket: &Ticket, incarnation: u128, seq: u64) {
        {
            let _writing = self.writing();
            let order = self.order.load();
            self.raise(&order, ticket.tags.iter().map(|tag| (ticket.kind, *tag, seq)));
            if order.incarnation == incarnation {
                order.raise_seq(seq);
            }
        }
        self.pending.remove(ticket);
    }

    /// Purges that have waited for a number for so long at least: younger ones are being published.
    #[must_use]
    pub fn waiting(&self, at_least: Duration) -> Vec<Ticket> {
        self.pending.tickets(self.monotonic().saturating_sub(millis(at_least)))
    }

    /// How many tags wait for a number.
    #[must_use]
    pub fn waiting_tags(&self) -> u64 {
        self.pending.waiting()
    }

    /// Where this node stands now: what to ask news from, and what it can confirm.
    #[must_use]
    pub fn position(&self) -> Position {
        let at = self.monotonic();
        let order = self.order.load();
        Position { fence: order.fence(), synced: order.synced(), at }
    }

    /// Applies what the backplane told when it was asked from `asked`. The node is in step for its bound from [`Position::at`] on, the
    /// moment *before* the question was sent: an answer that was long on its way does not lengthen the lease. One that was overtaken by
    /// the news of another order says nothing of that, and is left alone.
    pub fn apply(&self, news: &News, asked: &Position) {
        let _writing = self.writing();
        let order = self.order.load_full();
        if order.incarnation != asked.fence.incarnation {
            return;
        }
        let markers = || news.markers.iter().copied();
        if order.incarnation == news.incarnation {
            self.raise(&order, markers());
            if order.raise_floor(news.floor) {
                // What passed before must be tested again.
                self.generation.fetch_add(1, Ordering::AcqRel);
            }
            order.raise_seq(news.seq);
            order.raise_synced(news.seq);
            order.set_strict(news.strict);
        } else {
            // A lease proves that every acknowledged purge was applied, if acknowledging waits for that; and purges to come must be
            // above every fence that is held, or they could not kill.
            let in_step = self.monotonic() < self.lease_until.load(Ordering::Acquire);
            let strict = self.strict && order.strict() && news.strict;
            let keeps = strict && in_step && news.base > order.seq();
            let new = if keeps { order.next(news.incarnation) } else { order.afresh(news.incarnation, self.slots) };
            if !keeps {
                self.lease_until.store(0, Ordering::Release);
            }
            self.raise(&new, markers());
            new.raise_floor(news.floor);
            new.raise_seq(news.seq);
            new.raise_synced(news.seq);
            new.set_strict(news.strict);
            self.order.store(Arc::new(new));
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        self.lease_until.fetch_max(asked.at.saturating_add(self.bound), Ordering::AcqRel);
    }

    /// Applies a purge that was heard. A message never lengthens the lease: it proves nothing of those that were missed.
    pub fn hear(&self, record: &Record) -> Heard {
        let _writing = self.writing();
        let order = self.order.load();
        if order.incarnation != record.incarnation || order.incarnation == 0 {
            return Heard::Gap;
        }
        if record.seq <= order.synced() {
            return Heard::Nothing;
        }
        self.raise(&order, record.tags.iter().map(|tag| (record.kind, *tag, record.seq)));
        order.raise_seq(record.seq);
        if record.prev > order.synced() {
            return Heard::Gap;
        }
        order.raise_synced(record.seq);
        Heard::Applied
    }

    /// Serves from now on only what is read from the origin: the node leaves the others.
    pub fn leave(&self) {
        let _writing = self.writing();
        if self.lease_until.load(Ordering::Acquire) != ALONE {
            self.lease_until.store(0, Ordering::Release);
        }
    }

    /// What this node may serve.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let (until, now) = (self.lease_until.load(Ordering::Acquire), self.monotonic());
        match until {
            ALONE => Standing::Alone,
            until if now < until => Standing::InStep,
            0 => Standing::CutOff { since: None },
            until => Standing::CutOff { since: Some(Duration::from_millis(now - until)) },
        }
    }

    /// How long what was read from the origin may be served without a lease.
    #[must_use]
    pub const fn bound(&self) -> Duration {
        Duration::from_millis(self.bound)
    }

    /// Whether copies that others made may be judged here: every marker is known up to a moment ago.
    #[must_use]
    pub fn in_step(&self) -> bool {
        self.is_in_step(self.lease_until.load(Ordering::Acquire))
    }

    /// Whether `fence` belongs to the order that this node follows.
    #[must_use]
    pub fn knows(&self, fence: &Fence) -> bool {
        let incarnation = self.order.load().incarnation;
        incarnation != 0 && fence.incarnation == incarnation
    }

    /// Takes in a copy that another node may have made, found in a shared tier: it belongs to what this node holds from now on, with the
    /// fence of whoever filled it. `None` if it is of another order, or this node is not in step: nobody here could judge it.
    #[must_use]
    pub fn admit(&self, copy: &Entry) -> Option<Entry> {
        let lease = self.lease_until.load(Ordering::Acquire);
        let order = self.order.load();
        let (head, fence) = (copy.head(), copy.head().fence);
        let known = order.incarnation != 0 && fence.incarnation == order.incarnation;
        if known && fence.seq > order.seq() {
            // That number was given, though it has not been heard of here: an order to come must begin above it.
            order.raise_seq(fence.seq);
        }
        let start = Start { fence, local: 0, era: order.era, read_at: None };
        (known && self.is_in_step(lease)).then(|| Entry::new(head.clone(), copy.body().clone(), start))
    }

    fn is_in_step(&self, lease: u64) -> bool {
        lease == ALONE || self.monotonic() < lease
    }

    fn raise(&self, order: &Order, markers: impl Iterator<Item = (PurgeKind, TagHash, u64)>) {
        let mut any = false;
        for (kind, tag, seq) in markers {
            order.table.raise(kind, tag, seq);
            any = true;
        }
        if any {
            // Table, then generation: who still sees the old generation began before the purge returned.
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The one test of every read: memory hits, inner tiers' copies, flights and waiters. Call it after the request arrived.
    ///
    /// Four atomic loads, and the monotonic clock where a tier is shared, unless a purge happened since the entry was last read.
    #[must_use]
    pub fn judge(&self, entry: &Entry) -> Verdict {
        let (head, start) = (entry.head(), entry.start());
        let tags = head.tags.as_slice();
        let lease = self.lease_until.load(Ordering::Acquire);
        let pending = self.pending.judge(start.local, tags);
        let generation = self.generation.load(Ordering::Acquire);
        let verdict = if entry.checked() == generation {
            pending
        } else {
            let marked = self.marked(&head.fence, &start, tags);
            if marked == Verdict::Live {
                entry.set_checked(generation);
            }
            pending.max(marked)
        };
        self.unless_cut_off(verdict, &start, lease)
    }

    /// [`judge`](Self::judge) for an answer that is no entry yet.
    #[must_use]
    pub fn judge_parts(&self, fence: &Fence, start: &Start, tags: &[TagHash]) -> Verdict {
        let lease = self.lease_until.load(Ordering::Acquire);
        self.unless_cut_off(self.purged(fence, start, tags), start, lease)
    }

    /// Since when an entry is purged softly; `None` if it is not, or its purge has no number yet.
    #[must_use]
    pub fn soft_since(&self, entry: &Entry) -> Option<Timestamp> {
        let (order, fence) = (self.order.load(), entry.head().fence.seq);
        let soft = entry.head().tags.as_slice().iter().map(|tag| order.table.highest(*tag).1);
        // Numbers begin near the wall clock in microseconds.
        let first = soft.filter(|seq| *seq > fence).min()?;
        Some(Timestamp::from_millis(i64::try_from(first / 1000).unwrap_or(i64::MAX)))
    }

    /// The harsher of what waits for a number and what has one.
    fn purged(&self, fence: &Fence, start: &Start, tags: &[TagHash]) -> Verdict {
        let pending = self.pending.judge(start.local, tags);
        pending.max(self.marked(fence, start, tags))
    }

    fn marked(&self, fence: &Fence, start: &Start, tags: &[TagHash]) -> Verdict {
        let order = self.order.load();
        let known = match start.era {
            Start::UNKNOWN => order.incarnation != 0 && fence.incarnation == order.incarnation,
            era => era == order.era,
        };
        if !known || fence.seq < order.floor() {
            return Verdict::Gone;
        }
        let mut verdict = Verdict::Live;
        for tag in tags {
            let (hard, soft) = order.table.highest(*tag);
            if hard > fence.seq {
                return Verdict::Gone;
            }
            if soft > fence.seq {
                verdict = Verdict::Soft;
            }
        }
        verdict
    }

    fn unless_cut_off(&self, verdict: Verdict, start: &Start, lease: u64) -> Verdict {
        if lease == ALONE || verdict == Verdict::Gone {
            return verdict;
        }
        let now = self.monotonic();
        let just_read = start.read_at.is_some_and(|read_at| now < read_at.saturating_add(self.bound));
        if now < lease || just_read { verdict } else { Verdict::CutOff }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
