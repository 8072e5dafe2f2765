//! Who looks at requests, and how closely.

use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, Instant},
};

use edge_cache_core::{Clock, RequestId, SystemClock, Timestamp};
use http::HeaderName;

use crate::{
    Metrics,
    access::AccessLog,
    finished::{Finished, OnFinished},
    requests::Requests,
};

/// Most spans that a thread keeps in a second.
const KEPT_A_SECOND: u32 = 200;
/// How long the wall clock of a moment ago will do.
const WALL_AGE_MAX: Duration = Duration::from_secs(1);

/// What an [`Observe`](crate::Observe) does with the requests it sees.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Where they are counted.
    pub metrics: Metrics,
    /// Where the last of them are kept.
    pub requests: Requests,
    /// Where they are written down; `None` for nowhere.
    pub access: Option<AccessLog>,
    /// Who is told of those whose traces are kept; `None` for nobody.
    pub spans: Option<Arc<dyn OnFinished>>,
    /// The header that tells a client its request's name; `None` for none.
    pub id_header: Option<HeaderName>,
    /// The share of traces begun here that are kept, from 0 to 1.
    pub sample: f64,
}

impl Watch {
    /// Counts into `metrics`, keeps the last 4096 requests, and does nothing else.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, requests: Requests::new(4096), access: None, spans: None, id_header: None, sample: 0.0 }
    }

    /// A name for a request, and what a trace that begins with it would be called.
    pub(crate) fn name() -> (RequestId, u128) {
        let drawn = rand::random::<u128>() | 1;
        // The span's number is never zero, and says nothing of the trace's.
        (RequestId(rand::random::<u64>() | 1), drawn)
    }

    /// Whether a trace that begins here is kept, by its number: the same answer wherever it is asked.
    pub(crate) fn is_sampled(&self, trace: u128) -> bool {
        // The upper half is as good as any random number.
        ((trace >> 64) as u64 as f64) < self.sample * (u64::MAX as f64)
    }

    /// Whether one span more may be kept in this second and by this thread: clients decide what of their own traces is kept, but not how much this node
    /// has to do for it.
    pub(crate) fn may_keep(&self) -> bool {
        thread_local! {
            static KEPT: Cell<(i64, u32)> = const { Cell::new((0, 0)) };
        }
        KEPT.with(|kept| {
            let now = SystemClock.now().as_secs();
            let (second, count) = kept.get();
            let count = if second == now { count + 1 } else { 1 };
            kept.set((now, count));
            count <= KEPT_A_SECOND
        })
    }

    /// The wall clock at a moment just past. It is asked once a second and a thread; in between a clock that nobody sets is good enough.
    pub(crate) fn wall(moment: Instant) -> Timestamp {
        thread_local! {
            static ASKED: Cell<Option<(Instant, Timestamp)>> = const { Cell::new(None) };
        }
        ASKED.with(|asked| {
            let since = |then: Instant| moment.checked_duration_since(then).filter(|since| *since < WALL_AGE_MAX);
            if let Some((then, at)) = asked.get()
                && let Some(since) = since(then)
            {
                return at + since;
            }
            let at = SystemClock.now();
            asked.set(Some((moment, at)));
            at
        })
    }

    pub(crate) fn finished(&self, request: &Finished<'_>) {
        self.requests.push(request);
        if let Some(access) = &self.access {
            access.write(request);
        }
        if let Some(spans) = self.spans.as_ref().filter(|_| request.is_kept) {
            spans.finished(request);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_traces_is_what_was_asked_for() {
        let kept = |sample| {
            let watch = Watch { sample, ..Watch::new(Metrics::new()) };
            (0..10_000).filter(|_| watch.is_sampled(Watch::name().1)).count()
        };
        assert_eq!((kept(0.0), kept(1.0)), (0, 10_000));
        let tenth = kept(0.1);
        assert!((700..1300).contains(&tenth), "{tenth}");
    }
}
