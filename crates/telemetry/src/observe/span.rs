//! The span of a request whose trace is kept.

use edge_cache_core::{Outcome, TierName, TraceContext};
use http::{Method, StatusCode, Uri};
use tracing::Span;

pub(super) fn of(context: &TraceContext, method: &Method, uri: &Uri) -> Span {
    tracing::info_span!(
        target: "edge_cache::request",
        "request",
        id = %context.id,
        trace = %format_args!("{:032x}", context.trace),
        method = %method,
        path = uri.path(),
        status = tracing::field::Empty,
        result = tracing::field::Empty,
        tier = tracing::field::Empty,
    )
}

/// Call it within the span.
pub(super) fn answered(span: &Span, status: StatusCode, outcome: Outcome) {
    span.record("status", status.as_u16());
    span.record("result", outcome.served.as_str());
    span.record("tier", outcome.tier.map_or("origin", TierName::as_str));
    tracing::debug!(target: "edge_cache::request", "answered");
}
