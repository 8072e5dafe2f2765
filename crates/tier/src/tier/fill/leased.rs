//! One fill for all processes that share a tier, where they can tell each other.

use std::time::Duration;

use edge_cache_core::{Entry, FillLease, Judgement, Kind, Lease, Store, Timestamp, marker::Verdict};
use tokio::time::{Instant, sleep};

use super::Pad;
use crate::tier::{layer::Shared, lookup::Lookup};

/// Between two looks for what another process fills: from this to four times as long.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// Who fills.
pub(super) enum Leased {
    /// This process, with a lease if there are any.
    Ours(Option<FillLease>),
    /// Another one has.
    Filled(Entry),
}

impl<St: Store> Shared<St> {
    /// Whether processes that share this tier tell each other what they fill.
    pub(super) fn has_leases(&self) -> bool {
        self.store.is_shared() && !self.config.lease_wait.is_zero()
    }
}

/// Takes the lease of the pad's key, or waits for what the process that has it stores: it must be fresh beyond what is `held`. Whoever waited
/// in vain fills all the same.
pub(super) async fn lease<St: Store, RB, E>(pad: &Pad<St, RB, E>, held: Option<&(Entry, Verdict)>) -> Leased {
    let (shared, key, fence) = (&pad.shared, &pad.flight_key, pad.start.fence);
    let live = held.filter(|(_, verdict)| *verdict == Verdict::Live);
    let beyond = live.map(|(entry, _)| entry.head().freshness.fresh_until);
    let deadline = Instant::now() + shared.config.lease_wait;
    let mut takes_over = false;
    loop {
        let mut ours = None;
        match shared.store.lease(key, fence, takes_over).await {
            Lease::Free => return Leased::Ours(None),
            // Somebody may have filled it between the look at the store and the lease.
            Lease::Granted(lease) if lease.follows() => ours = Some(lease),
            Lease::Granted(lease) => return Leased::Ours(Some(lease)),
            Lease::Taken if Instant::now() >= deadline => return Leased::Ours(None),
            Lease::Taken => sleep(PAUSE_MIN.mul_f64(1.0 + 3.0 * shared.rng.unit())).await,
        }
        if !shared.markers.in_step() {
            // What another stores cannot be judged here.
            return Leased::Ours(ours);
        }
        let first = shared.store.get(pad.keyed.key()).await;
        let is_there = matches!(first, Ok(Some(_)));
        let Lookup { entry, .. } = shared.look_up(pad.keyed.key(), first, &pad.selecting).await;
        match entry {
            Some((entry, Verdict::Live)) if is_fresh(&entry, shared.clock.now()) && is_beyond(&entry, beyond) => {
                return Leased::Filled(entry);
            }
            _ if ours.is_some() => return Leased::Ours(ours),
            // A fill from before a purge must not hold up one from after it.
            Some((_, verdict)) => takes_over = verdict != Verdict::Live,
            None => takes_over = is_there,
        }
    }
}

fn is_beyond(entry: &Entry, beyond: Option<Timestamp>) -> bool {
    beyond.is_none_or(|beyond| entry.head().freshness.fresh_until > beyond)
}

fn is_fresh(entry: &Entry, now: Timestamp) -> bool {
    let head = entry.head();
    head.kind == Kind::Response && matches!(head.freshness.judge(now), Judgement::Fresh { .. })
}
