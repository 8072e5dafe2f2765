use edge_cache_core::{Freshness, Head, Kind, PackedHeaders, TagSet, Timestamp, marker::Fence};
use http::StatusCode;

/// The head of a 200 without headers and tags that was stored at 1 000 s after the epoch, is fresh for `lifetime_secs`, and took `fill_millis`.
#[must_use]
pub fn head(lifetime_secs: i64, fill_millis: u32) -> Head {
    let (stored, until) = (Timestamp::from_secs(1_000), Timestamp::from_secs(1_000 + lifetime_secs));
    let freshness = Freshness {
        born: stored,
        stored,
        fresh_until: until,
        revalidate_until: until,
        error_until: until,
        stale_allowed: true,
    };
    Head {
        kind: Kind::Response,
        status: StatusCode::OK,
        headers: PackedHeaders::default(),
        freshness,
        fence: Fence::default(),
        tags: TagSet::from_hashes(Vec::new()),
        fill_millis,
    }
}
