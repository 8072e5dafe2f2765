//! A request for the tests of this crate.

use std::time::Duration;

use edge_cache_core::{Outcome, RequestId, Served, TierName, Timestamp, TraceContext, headers::CACHE_STATUS};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use crate::finished::{CacheStatus, Finished};

pub(crate) fn finished(id: u64, target: &str) -> Finished<'static> {
    let mut said = HeaderMap::new();
    said.insert(CACHE_STATUS, HeaderValue::from_static("edge-memory; hit; ttl=31"));
    Finished {
        context: TraceContext {
            trace: 7,
            id: RequestId(id),
            parent: None,
            sampled: true,
            began: tokio::time::Instant::now().into_std(),
        },
        at: Timestamp::from_millis(1_764_363_600_123),
        took: Duration::from_micros(312),
        client: Some("192.0.2.7".parse().unwrap()),
        method: Method::GET,
        uri: target.parse().unwrap(),
        host: Some(HeaderValue::from_static("shop.example")),
        version: Version::HTTP_11,
        status: StatusCode::OK,
        route: "lists",
        outcome: Outcome { served: Served::Hit, tier: Some(TierName::Memory) },
        age: Some(Duration::from_secs(9)),
        body_bytes: 1234,
        cache_status: CacheStatus::of(&said),
        trail: None,
        agent: None,
    }
}
