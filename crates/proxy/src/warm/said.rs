//! Where an answer came from, by its `Cache-Status` (RFC 9211).

use edge_cache::core::headers::CACHE_STATUS;
use edge_cache_warmer::FromCache;
use http::{HeaderMap, HeaderValue};
use sfv::{Item, List, ListEntry, Parser};

/// How the members of our tiers begin.
const OURS: &str = "edge-";
/// Longest `detail` that is shown, in bytes.
const DETAIL_BYTES_MAX: usize = 40;

/// Reads it from the client towards the origin: the first cache that had the answer gave it; those before it that say `stored` have it now.
/// Caches between our tiers and the origin are the origin, as far as warming goes.
pub(super) fn from_cache(headers: &HeaderMap) -> FromCache {
    let lines: Vec<_> = headers.get_all(CACHE_STATUS).iter().map(HeaderValue::as_bytes).collect();
    let Ok(members) = Parser::new(&lines.join(&b", "[..])).parse::<List>() else { return FromCache::Untold };
    let items = members.iter().filter_map(|member| match member {
        ListEntry::Item(item) => Some(item),
        ListEntry::InnerList(_) => None,
    });
    let mut items: Vec<&Item> = items.collect();
    if let Some(first) = items.iter().position(|item| name(item).starts_with(OURS)) {
        items.drain(..first);
    }
    if let Some(hit) = items.iter().rev().find(|item| is(item, "hit")) {
        let ttl = hit.params.get("ttl").and_then(|ttl| ttl.as_integer()).map(i64::from);
        return if ttl.is_some_and(|ttl| ttl < 0) { FromCache::Stale } else { FromCache::Fresh };
    }
    match items.last() {
        None => FromCache::Untold,
        Some(_) if items.iter().any(|item| is(item, "stored")) => FromCache::Stored,
        Some(last) => FromCache::NotStored { detail: detail(last) },
    }
}

fn name(item: &Item) -> &str {
    let token = item.bare_item.as_token().map(|token| token.as_str());
    token.or_else(|| item.bare_item.as_string().map(|text| text.as_str())).unwrap_or_default()
}

fn is(item: &Item, parameter: &str) -> bool {
    item.params.get(parameter).and_then(|value| value.as_boolean()) == Some(true)
}

/// Why it was not kept: its own word, or else why it was asked for further in.
fn detail(item: &Item) -> Option<String> {
    let value = item.params.get("detail").or_else(|| item.params.get("fwd"))?;
    let token = value.as_token().map(|token| token.as_str());
    let text = token.or_else(|| value.as_string().map(|text| text.as_str()))?;
    let text = text.get(..DETAIL_BYTES_MAX).unwrap_or(text);
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[&'static str]) -> FromCache {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_STATUS, HeaderValue::from_static(line));
        }
        from_cache(&headers)
    }

    fn not_stored(detail: &str) -> FromCache {
        FromCache::NotStored { detail: Some(detail.to_owned()) }
    }

    #[test]
    fn the_answer_is_the_outermost_hit_s_or_else_the_origin_s() {
        for (lines, expected) in [
            (&["edge-memory; hit; ttl=31"][..], FromCache::Fresh),
            (&["edge-memory; hit; ttl=0"], FromCache::Fresh),
            (&["edge-memory; hit"], FromCache::Fresh),
            (&["edge-memory; hit; ttl=-1"], FromCache::Stale),
            (&["edge-redis; hit; ttl=9", "edge-memory; fwd=uri-miss; stored"], FromCache::Fresh),
            (&["edge-redis; hit; ttl=-9, edge-memory; fwd=uri-miss; stored"], FromCache::Stale),
            (&["edge-redis; fwd=uri-miss; stored", "edge-memory; fwd=uri-miss; stored"], FromCache::Stored),
            (
                &["edge-redis; fwd=uri-miss; stored; ttl=60, edge-memory; fwd=uri-miss; detail=too-large"],
                FromCache::Stored,
            ),
            (&["edge-memory; fwd=uri-miss; fwd-status=200; detail=private"], not_stored("private")),
            (&["edge-memory; fwd=bypass; detail=\"hit-for-miss\""], not_stored("hit-for-miss")),
            (&["edge-memory; fwd=method"], not_stored("method")),
            // The origin's own cache is none of ours.
            (&["Varnish; hit; ttl=9, edge-memory; fwd=uri-miss; stored"], FromCache::Stored),
            // One before us had it, with what we had said when it was stored there.
            (&["edge-memory; fwd=uri-miss; stored, \"a cdn\"; hit; ttl=5"], FromCache::Fresh),
            (&["Other; hit"], FromCache::Fresh),
            (&[], FromCache::Untold),
            (&["(a b)"], FromCache::Untold),
            (&["not; a; list;;"], FromCache::Untold),
        ] {
            assert_eq!(said(lines), expected, "{lines:?}");
        }
    }
}
