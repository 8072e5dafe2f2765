//! Who gave an answer, by its `Cache-Status` (RFC 9211).

use edge_cache_core::headers::CACHE_STATUS;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use sfv::{Item, List, ListEntry, Parser};

/// Longest `detail` that is passed on, in bytes.
const DETAIL_BYTES_MAX: usize = 40;

/// Who gave an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The origin was asked: its own answer, or the cache's that there was none (a 502, 503 or 504).
    Origin,
    /// A cache that did not wait for the origin: with something fresh, or with something stale while it asks behind the answer.
    Cache,
    /// A cache in place of an origin that failed or was too slow.
    Stale,
    /// Nobody says.
    Untold,
}

impl By {
    /// In a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Cache => "cache",
            Self::Stale => "stale",
            Self::Untold => "untold",
        }
    }
}

/// Who gave the answer with these headers, and what that cache remarked.
///
/// Any cache on the way counts, whoever's it is: the origin answered only if none of them did.
#[must_use]
pub fn said(headers: &HeaderMap) -> (By, Option<String>) {
    let lines: Vec<_> = headers.get_all(CACHE_STATUS).iter().map(HeaderValue::as_bytes).collect();
    let Ok(members) = Parser::new(&lines.join(&b", "[..])).parse::<List>() else { return (By::Untold, None) };
    let items: Vec<&Item> = members
        .iter()
        .filter_map(|member| match member {
            ListEntry::Item(item) => Some(item),
            ListEntry::InnerList(_) => None,
        })
        .collect();
    let find = |fits: fn(&Item) -> bool| items.iter().find(|item| fits(item));
    if let Some(hit) = find(|item| is(item, "hit")) {
        (By::Cache, text(hit, "detail"))
    } else if let Some(stale) = find(served_stale) {
        (By::Stale, text(stale, "detail"))
    } else if let Some(forwarded) = items.iter().rev().find(|item| item.params.get("fwd").is_some()) {
        (By::Origin, text(forwarded, "detail"))
    } else {
        (By::Untold, None)
    }
}

/// Whether a member went forward and yet answered from what it had. It tells the life of what it served, and did not store it: an answer of
/// the origin that is stored says so, and one that is not has no life.
fn served_stale(item: &Item) -> bool {
    let came_back = number(item, "fwd-status");
    text(item, "fwd").as_deref() == Some("stale")
        && !is(item, "stored")
        && came_back.map_or(item.params.get("ttl").is_some(), |status| status >= 500)
}

fn is(item: &Item, parameter: &str) -> bool {
    item.params.get(parameter).and_then(|value| value.as_boolean()) == Some(true)
}

fn number(item: &Item, parameter: &str) -> Option<i64> {
    item.params.get(parameter)?.as_integer().map(i64::from)
}

fn text(item: &Item, parameter: &str) -> Option<String> {
    let value = item.params.get(parameter)?;
    let token = value.as_token().map(|token| token.as_str());
    let text = token.or_else(|| value.as_string().map(|text| text.as_str()))?;
    let text = text.get(..DETAIL_BYTES_MAX).unwrap_or(text);
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_answered_only_if_no_cache_did() {
        for (lines, by, detail) in [
            (&["edge-memory; hit; ttl=31"][..], By::Cache, None),
            (&["edge-memory; hit; ttl=-3; detail=stale-while-revalidate"], By::Cache, Some("stale-while-revalidate")),
            (&["edge-memory; hit; ttl=9; detail=immutable"], By::Cache, Some("immutable")),
            (&["edge-redis; hit; ttl=9", "edge-memory; fwd=uri-miss; stored; ttl=9"], By::Cache, None),
            (&["Varnish; hit; ttl=9, edge-memory; fwd=request; stored; ttl=60"], By::Cache, None),
            (&["edge-memory; fwd=stale; ttl=-40; detail=stale-if-error"], By::Stale, Some("stale-if-error")),
            // What is stored was fresh, and the origin could not be reached.
            (&["edge-memory; fwd=stale; ttl=50; detail=disconnected"], By::Stale, Some("disconnected")),
            (
                &["edge-redis; fwd=stale; ttl=-1; detail=disconnected, edge-memory; fwd=uri-miss; ttl=-1; stored"],
                By::Stale,
                Some("disconnected"),
            ),
            (&["Other; fwd=stale; fwd-status=503"], By::Stale, None),
            (&["Other; fwd=stale; fwd-status=304; ttl=60"], By::Origin, None),
            (&["edge-memory; fwd=stale; ttl=60; stored"], By::Origin, None),
            (&["edge-memory; fwd=request; ttl=60; stored"], By::Origin, None),
            (&["edge-memory; fwd=request; ttl=60; stored; collapsed"], By::Origin, None),
            (&["edge-memory; fwd=stale; detail=origin-error"], By::Origin, Some("origin-error")),
            (&["edge-memory; fwd=bypass; detail=\"hit-for-miss\""], By::Origin, Some("hit-for-miss")),
            (&["edge-memory"], By::Untold, None),
            (&["not; a; list;;"], By::Untold, None),
            (&["(a b)"], By::Untold, None),
            (&[], By::Untold, None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CACHE_STATUS, HeaderValue::from_static(line));
            }
            assert_eq!(said(&headers), (by, detail.map(str::to_owned)), "{lines:?}");
        }
    }
}
