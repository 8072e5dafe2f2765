use std::{
    fmt,
    sync::{
        RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{Fence, Guard, PurgeKind, Start, Ticket, Verdict, pending::Pending, table::Table};
use crate::{Entry, TagHash, Timestamp, monotonic_millis};

/// What this node knows of purges. One per stack, shared by all of its tiers.
pub struct Markers {
    position: RwLock<Position>,
    /// Rises with every marker: an entry that passed at this generation need not be tested again.
    generation: AtomicU64,
    /// Entries with a lower fence are dead: markers as old as that were forgotten.
    floor: AtomicU64,
    era: AtomicU64,
    table: Table,
    pending: Pending,
    /// Until when the markers of other nodes are known to be applied ([`monotonic_millis`]); `u64::MAX` for a node alone.
    in_step_until: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Position {
    fence: Fence,
    /// The highest number up to which *every* marker is applied; own purges may lie above it.
    synced: u64,
}

/// Markers as a backplane tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The order they are numbered in.
    pub incarnation: u128,
    /// The first number of this order.
    pub base: u64,
    /// The highest number given.
    pub seq: u64,
    /// Entries with a lower fence are dead.
    pub floor: u64,
    /// Markers above what was asked for: how far, tag, number.
    pub markers: Vec<(PurgeKind, TagHash, u64)>,
    /// Whether these are all of them.
    pub complete: bool,
}

const POISONED: &str = "no code panics while it holds the position";

impl fmt::Debug for Markers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Markers").field("position", &self.position()).finish_non_exhaustive()
    }
}

impl Markers {
    /// Slots a row of the table.
    const SLOTS: usize = 1 << 18;

    /// The markers of a node that shares no tier with others: it numbers its purges itself. `incarnation` is a number that no other
    /// process and no earlier run of this one shares; not 0.
    #[must_use]
    pub fn alone(incarnation: u128) -> Self {
        Self::new(incarnation, u64::MAX, Self::SLOTS)
    }

    /// The markers of a node that shares a tier: it knows no order until a backplane [tells](Self::apply) it one.
    #[must_use]
    pub fn shared() -> Self {
        Self::new(0, 0, Self::SLOTS)
    }

    pub(super) fn new(incarnation: u128, in_step_until: u64, slots: usize) -> Self {
        Self {
            position: RwLock::new(Position { fence: Fence { incarnation, seq: 0 }, synced: 0 }),
            generation: AtomicU64::new(1),
            floor: AtomicU64::new(0),
            era: AtomicU64::new(1),
            table: Table::new(slots),
            pending: Pending::default(),
            in_step_until: AtomicU64::new(in_step_until),
        }
    }

    fn position(&self) -> Position {
        *self.position.read().expect(POISONED)
    }

    /// The start of a fill. Take it before anything inward is called.
    #[must_use]
    pub fn start(&self) -> Start {
        // `local` first: a purge that begins in between then counts against this fill, which kills more and never less.
        let (local, era) = (self.pending.begun(), self.era.load(Ordering::Acquire));
        Start { fence: self.position().fence, local, era, promoted: false }
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
        let mut position = self.position.write().expect(POISONED);
        // Under the lock that numbers purges: none comes between this look and this purge.
        let guard = guard.filter(|guard| self.holds(guard));
        let micros = u64::try_from(now.as_millis()).unwrap_or(0).saturating_mul(1000);
        let seq = micros.max(position.fence.seq + 1);
        self.raise(tags.iter().map(|tag| (kind, *tag, seq)));
        // After the markers stand: a fill that takes the new position began after the purge.
        position.fence.seq = seq;
        (seq, guard.map(|guard| guard.renewed(position.fence)))
    }

    /// Whether nothing that `guard` names was purged since, as far as this node knows.
    #[must_use]
    pub fn holds(&self, guard: &Guard) -> bool {
        self.judge_parts(&guard.start.fence, &guard.start, &guard.tags) == Verdict::Live
    }

    /// Purges `tags` at once on this node, without a number: ask the backplane for one, then [`settle`](Self::settle).
    pub fn defer(&self, kind: PurgeKind, tags: &[TagHash]) -> Ticket {
        self.pending.add(kind, tags)
    }

    /// The purges of `ticket` got the number `seq` in the order `incarnation`.
    pub fn settle(&self, ticket: &Ticket, incarnation: u128, seq: u64) {
        {
            let mut position = self.position.write().expect(POISONED);
            self.raise(ticket.tags.iter().map(|tag| (ticket.kind, *tag, seq)));
            if position.fence.incarnation == incarnation {
                position.fence.seq = position.fence.seq.max(seq);
            }
        }
        self.pending.remove(ticket);
    }

    /// Purges that still wait for a number.
    #[must_use]
    pub fn waiting(&self) -> Vec<Ticket> {
        self.pending.tickets()
    }

    /// The order this node follows, its highest number, and the number up to which it knows every marker: what to ask news from.
    #[must_use]
    pub fn follows(&self) -> (Fence, u64) {
        let Position { fence, synced } = self.position();
        (fence, synced)
    }

    /// Applies what the backplane told. After complete news the node is in step for `lease` from `asked_at`, the moment *before* it
    /// asked ([`monotonic_millis`]).
    pub fn apply(&self, news: &News, asked_at: u64, lease: Duration) {
        let mut position = self.position.write().expect(POISONED);
        let same = position.fence.incarnation == news.incarnation;
        if !same && news.base <= position.fence.seq {
            // The new order begins below numbers that entries here carry: they could outlive purges to come.
            self.era.fetch_add(1, Ordering::AcqRel);
        }
        self.raise(news.markers.iter().copied());
        let retest = self.floor.fetch_max(news.floor, Ordering::AcqRel) < news.floor || !same;
        let seq = if same { position.fence.seq.max(news.seq) } else { news.seq };
        if news.complete {
            *position = Position { fence: Fence { incarnation: news.incarnation, seq }, synced: news.seq };
            let until = asked_at.saturating_add(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
            self.in_step_until.store(until, Ordering::Release);
        } else if same {
            position.synced = news.markers.iter().map(|(_, _, seq)| seq - 1).max().unwrap_or(position.synced);
        }
        drop(position);
        if retest {
            // What passed before must be tested again, against the floor and the order that now hold.
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Whether copies that others made may be judged here: every marker is known up to a moment ago.
    #[must_use]
    pub fn in_step(&self) -> bool {
        let until = self.in_step_until.load(Ordering::Acquire);
        until == u64::MAX || monotonic_millis() < until
    }

    fn raise(&self, markers: impl Iterator<Item = (PurgeKind, TagHash, u64)>) {
        let mut any = false;
        for (kind, tag, seq) in markers {
            self.table.raise(kind, tag, seq);
            any = true;
        }
        if any {
            // Table, then generation: who still sees the old generation began before the purge returned.
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The one test of every read: memory hits, inner tiers' copies, flights and waiters.
    ///
    /// Three atomic loads, unless a purge happened since the entry was last read.
    #[must_use]
    pub fn judge(&self, entry: &Entry) -> Verdict {
        let (head, start) = (entry.head(), entry.start());
        let tags = head.tags.as_slice();
        let pending = self.pending.judge(start.local, tags);
        if pending != Verdict::Live {
            return pending;
        }
        let generation = self.generation.load(Ordering::Acquire);
        if entry.checked() == generation && start.era_is(self.era.load(Ordering::Acquire)) {
            return Verdict::Live;
        }
        let verdict = self.judge_markers(&head.fence, start, tags);
        if verdict == Verdict::Live {
            entry.set_checked(generation);
        }
        verdict
    }

    /// [`judge`](Self::judge) for an answer that is no entry yet.
    #[must_use]
    pub fn judge_parts(&self, fence: &Fence, start: &Start, tags: &[TagHash]) -> Verdict {
        match self.pending.judge(start.local, tags) {
            Verdict::Live => self.judge_markers(fence, start, tags),
            purged => purged,
        }
    }

    fn judge_markers(&self, fence: &Fence, start: &Start, tags: &[TagHash]) -> Verdict {
        if start.promoted {
            let known = self.position().fence.incarnation;
            if known == 0 || fence.incarnation != known {
                return Verdict::Gone;
            }
        } else if !start.era_is(self.era.load(Ordering::Acquire)) {
            return Verdict::Gone;
        }
        if fence.seq < self.floor.load(Ordering::Acquire) {
            return Verdict::Gone;
        }
        let mut verdict = Verdict::Live;
        for tag in tags {
            let (hard, soft) = self.table.highest(*tag);
            if hard > fence.seq {
                return Verdict::Gone;
            }
            if soft > fence.seq {
                verdict = Verdict::Soft;
            }
        }
        verdict
    }
}

impl Start {
    fn era_is(&self, era: u64) -> bool {
        self.promoted || self.era == era
    }
}
