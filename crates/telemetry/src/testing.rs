//! A request for the tests of this crate.

use std::time::Duration;

use edge_cache_core::{Outcome, RequestId, Served, TierName, Timestamp, TraceContext};
use http::{HeaderValue, Method, StatusCode, Uri, Version};

use crate::finished::{Agent, Finished};

/// What it borrows lives as long as the test's process.
fn kept<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

pub(crate) fn finished(id: u64, target: &str) -> Finished<'static> {
    let began = tokio::time::Instant::now().into_std();
    Finished {
        context: kept(TraceContext { trace: 7, id: RequestId(id), parent: None, sampled: true, began }),
        is_kept: true,
        at: Timestamp::from_millis(1_764_363_600_123),
        took: Duration::from_micros(312),
        client: Some("192.0.2.7".parse().unwrap()),
        method: &Method::GET,
        uri: kept(target.parse::<Uri>().unwrap()),
        host: Some(kept(HeaderValue::from_static("shop.example"))),
        version: Version::HTTP_11,
        status: StatusCode::OK,
        route: "lists",
        outcome: Outcome { served: Served::Hit, tier: Some(TierName::Memory) },
        age: Some(Duration::from_secs(9)),
        body_bytes: 1234,
        cache_status: "edge-memory; hit; ttl=31",
        trail: None,
        agent: Agent::default(),
    }
}
