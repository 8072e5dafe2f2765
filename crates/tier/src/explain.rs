//! What a tier holds of a URL, and what it would do with it: for people who ask why.

use std::{fmt, sync::Arc, time::Duration};

use edge_cache_core::{
    Entry, Freshness, Fwd, Kind, NoStore, Store, StoreError, TagHash, TierName, Timestamp,
    marker::{Fence, Standing, Verdict},
};
use edge_cache_policy::request::{Reuse, directives, limits_errors, reuse};
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderMap, StatusCode};

use crate::{Located, tier::layer::Shared, variants::VariantIndex};

/// A tier that can be asked what it holds.
#[derive(Clone)]
pub struct Explainer(pub(crate) Arc<dyn Explain>);

impl fmt::Debug for Explainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explainer").finish_non_exhaustive()
    }
}

impl Explainer {
    /// What the tier holds of `located` for a request with `headers`, and would do with it.
    pub fn explain(&self, located: &Located, headers: &HeaderMap) -> BoxFuture<'static, TierReport> {
        self.0.explain(located.clone(), headers.clone())
    }
}

pub(crate) trait Explain: Send + Sync {
    fn explain(&self, located: Located, headers: HeaderMap) -> BoxFuture<'static, TierReport>;
}

/// What a tier holds of a URL.
#[derive(Clone, Debug)]
pub struct TierReport {
    /// The tier.
    pub tier: TierName,
    /// Why the tier is not asked, if it is not.
    pub unused: Option<&'static str>,
    /// Request headers that select a variant, and how many variants are kept.
    pub varies: Option<(Vec<String>, usize)>,
    /// What is kept for this request.
    pub held: Option<Held>,
    /// Why the last answer was not stored, while that is remembered.
    pub not_stored: Option<&'static str>,
    /// Whether the origin failed for it a moment ago.
    pub failed: bool,
    /// What a request would be told now.
    pub outcome: &'static str,
}

/// A stored answer.
#[derive(Clone, Debug)]
pub struct Held {
    /// Whether it is the whole or a part.
    pub kind: &'static str,
    /// Its status.
    pub status: StatusCode,
    /// Bytes of its body.
    pub body_bytes: usize,
    /// Its headers as they are kept.
    pub headers: HeaderMap,
    /// The instants of its life.
    pub freshness: Freshness,
    /// Until when it is served, stale, where the origin cannot be reached.
    pub disconnected_until: Timestamp,
    /// Now.
    pub now: Timestamp,
    /// Where in the order of purges its origin read began.
    pub fence: Fence,
    /// What purges have made of it.
    pub verdict: &'static str,
    /// The tags that purge it.
    pub tags: Vec<TagHash>,
    /// Milliseconds that the origin took.
    pub fill_millis: u32,
}

impl<St: Store> Explain for Arc<Shared<St>> {
    fn explain(&self, located: Located, headers: HeaderMap) -> BoxFuture<'static, TierReport> {
        let shared = Self::clone(self);
        async move { report(&shared, &located, &headers).await }.boxed()
    }
}

async fn report<St: Store>(shared: &Shared<St>, located: &Located, headers: &HeaderMap) -> TierReport {
    let now = shared.clock.now();
    let first = shared.store.get(&located.key).await;
    let unused = match (&first, shared.markers.standing()) {
        (Err(StoreError::Corrupt { .. }), _) => Some("what it holds is damaged"),
        (Err(_), _) => Some("it does not answer"),
        (Ok(_), Standing::CutOff { .. }) if shared.store.is_shared() => Some("this node is cut off from the others"),
        (Ok(_), _) => None,
    };
    let first = shared.found(first);
    let index = first.as_ref().filter(|entry| entry.head().kind == Kind::VariantIndex);
    let index = index.and_then(|entry| VariantIndex::decode(entry.body()));
    let varies =
        index.map(|index| (index.names.iter().map(|name| name.as_str().to_owned()).collect(), index.variants.len()));
    let lookup = shared.look_up(&located.key, Ok(first), headers).await;
    let not_stored = shared.uncacheable.why(&lookup.key, now).map(NoStore::as_str);
    let failed = shared.failed.has(&lookup.key, now);
    let outcome = match &lookup.entry {
        _ if unused.is_some() => "passed by",
        None if lookup.fwd == Fwd::VaryMiss => "a miss: no variant for these headers",
        None => "a miss",
        Some((_, Verdict::Soft)) => "purged softly: fetched anew, and served only if that fails",
        Some((_, Verdict::CutOff)) => "fetched anew: this node is cut off, and the answer is older than it may serve",
        Some((entry, _)) => match reuse(&entry.head().freshness, &directives(headers, located.mode, false), now) {
            Reuse::Serve { stale: false } => "a hit",
            Reuse::Serve { stale: true } => "a hit, stale, as the request allows",
            Reuse::ServeAndRefresh => "a hit, stale, refreshed behind the answer",
            Reuse::Validate { .. } => "validated with the origin first",
        },
    };
    let held = lookup.entry.as_ref().map(|(entry, verdict)| {
        let stale_max = shared.config.stale_if_disconnected;
        held(entry, *verdict, stale_max, now)
    });
    TierReport { tier: shared.store.name(), unused, varies, held, not_stored, failed, outcome }
}

fn held(entry: &Entry, verdict: Verdict, stale_max: Duration, now: Timestamp) -> Held {
    let head = entry.head();
    let Freshness { fresh_until, error_until, stale_allowed, .. } = head.freshness;
    // As a tier answers that fails to reach the origin.
    let may_outlive = stale_allowed && !limits_errors(&head.headers);
    Held {
        kind: match head.kind {
            Kind::Response => "whole",
            Kind::Partial => "part",
            Kind::VariantIndex => "index of variants",
        },
        status: head.status,
        body_bytes: entry.body().len(),
        headers: head.headers.unpack(),
        freshness: head.freshness,
        disconnected_until: if may_outlive { error_until.max(fresh_until + stale_max) } else { error_until },
        now,
        fence: head.fence,
        verdict: match verdict {
            Verdict::Live => "live",
            Verdict::Soft => "purged softly",
            Verdict::CutOff => "cut off",
            Verdict::Gone => "purged",
        },
        tags: head.tags.as_slice().to_vec(),
        fill_millis: head.fill_millis,
    }
}
