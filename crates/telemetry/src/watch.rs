//! Who looks at requests, and how closely.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Instant,
};

use edge_cache_core::{Clock, RequestId, SystemClock, TraceContext};
use http::{HeaderMap, HeaderName};
use rand::{Rng, rngs::SmallRng};

use crate::{
    Metrics,
    access::AccessLog,
    finished::{Finished, OnFinished},
    requests::Requests,
};

/// Most spans that a thread keeps in a second.
const KEPT_A_SECOND: u32 = 200;

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

    /// What is known of a request from its head on.
    pub(crate) fn context(&self, headers: &HeaderMap, began: Instant) -> TraceContext {
        thread_local! {
            // Names tell requests apart, and guard nothing: that takes no cipher.
            static NAMES: RefCell<SmallRng> = RefCell::new(rand::make_rng());
        }
        // Neither number is ever zero (W3C Trace Context §3.2.2).
        NAMES.with_borrow_mut(|names| {
            TraceContext::of(headers, RequestId(names.next_u64() | 1), began, || {
                let trace = u128::from(names.next_u64()) << 64 | u128::from(names.next_u64() | 1);
                (trace, self.is_sampled(trace))
            })
        })
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

    pub(crate) fn finished(&self, request: &Finished<'_>) {
        self.told(request);
        if let Some(access) = &self.access {
            access.write(request);
        }
    }

    /// [`finished`](Self::finished), where the access log knows of it already.
    pub(crate) fn told(&self, request: &Finished<'_>) {
        self.requests.push(request);
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
            let began = tokio::time::Instant::now().into_std();
            (0..10_000).filter(|_| watch.context(&HeaderMap::new(), began).sampled).count()
        };
        assert_eq!((kept(0.0), kept(1.0)), (0, 10_000));
        let tenth = kept(0.1);
        assert!((700..1300).contains(&tenth), "{tenth}");
    }
}
