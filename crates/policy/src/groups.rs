//! Tags: `Cache-Tag` and `Surrogate-Key` on answers, `Cache-Groups` and `Cache-Group-Invalidation` (RFC 9875).

use edge_cache_core::{
    headers::{CACHE_GROUP_INVALIDATION, CACHE_GROUPS, CACHE_TAG, SURROGATE_KEY},
    marker::PurgeKind,
};
use http::{HeaderMap, HeaderName};
use sfv::{BareItem, List, ListEntry, Parser};

/// The tags that an answer names, in order. `None` when one is not text: a purge could then miss the answer.
#[must_use]
pub fn tags(headers: &HeaderMap) -> Option<Vec<&str>> {
    let mut tags = Vec::new();
    for name in [CACHE_TAG, SURROGATE_KEY] {
        for line in headers.get_all(name) {
            tags.extend(line.to_str().ok()?.split([',', ' ']).filter(|tag| !tag.is_empty()));
        }
    }
    Some(tags)
}

/// The groups that an answer belongs to (RFC 9875 §2), in order. Members that are no strings are ignored, a field that does not parse is
/// ignored whole (RFC 9651 §4.2).
#[must_use]
pub fn member_of(headers: &HeaderMap) -> Vec<String> {
    let group = |entry: &ListEntry| match entry {
        ListEntry::Item(item) => item.bare_item.as_string().map(|group| group.as_str().to_owned()),
        ListEntry::InnerList(_) => None,
    };
    list(headers, &CACHE_GROUPS).iter().filter_map(group).collect()
}

/// The tag headers: they are for us, not for clients. `Cache-Groups` is none of them: it is for every cache on the way.
pub static OURS: [HeaderName; 3] = [CACHE_TAG, SURROGATE_KEY, CACHE_GROUP_INVALIDATION];

/// Takes the [tag headers](OURS) off.
pub fn strip(headers: &mut HeaderMap) {
    // Most answers have none: a look at their few names costs less than a search for each.
    if headers.keys().any(|name| OURS.contains(name)) {
        for name in &OURS {
            headers.remove(name);
        }
    }
}

/// A group that a write made stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalidated {
    /// The tag.
    pub tag: String,
    /// Hard where the member carries our parameter `hard`.
    pub kind: PurgeKind,
}

/// The groups that the answer to an unsafe request makes stale (RFC 9875 §3). Members that are no strings are ignored, a field
/// that does not parse is ignored whole (RFC 9651 §4.2).
#[must_use]
pub fn invalidated(headers: &HeaderMap) -> Vec<Invalidated> {
    let group = |entry: &ListEntry| {
        let ListEntry::Item(item) = entry else { return None };
        let BareItem::String(tag) = &item.bare_item else { return None };
        let hard = item.params.get("hard").is_some_and(|value| *value == BareItem::Boolean(true));
        let kind = if hard { PurgeKind::Hard } else { PurgeKind::Soft };
        Some(Invalidated { tag: tag.as_str().to_owned(), kind })
    };
    list(headers, &CACHE_GROUP_INVALIDATION).iter().filter_map(group).collect()
}

/// All lines of a structured list; empty where they do not parse together.
fn list(headers: &HeaderMap, name: &HeaderName) -> List {
    let lines: Vec<_> = headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
    Parser::new(&lines.join(&b", "[..])).parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn tags_by_comma_and_by_space() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_TAG, HeaderValue::from_static("a,b, c"));
        headers.append(SURROGATE_KEY, HeaderValue::from_static("d e"));
        assert_eq!(tags(&headers).unwrap(), ["a", "b", "c", "d", "e"]);
        headers.append(CACHE_TAG, HeaderValue::from_bytes(b"caf\xe9").unwrap());
        assert_eq!(tags(&headers), None);
        strip(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn an_answer_belongs_to_the_groups_it_names() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_GROUPS, HeaderValue::from_static("\"a\", token, (\"in\")"));
        headers.append(CACHE_GROUPS, HeaderValue::from_static("\"b, c\";x=1"));
        assert_eq!(member_of(&headers), ["a", "b, c"]);
        strip(&mut headers);
        assert!(!headers.is_empty(), "groups are for every cache on the way");
        headers.append(CACHE_GROUPS, HeaderValue::from_static("\"open"));
        assert!(member_of(&headers).is_empty());
    }

    #[test]
    fn groups_are_strings_and_may_be_hard() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_GROUP_INVALIDATION, HeaderValue::from_static("\"pitch-1\";hard, token, \"list-new\""));
        headers.append(CACHE_GROUP_INVALIDATION, HeaderValue::from_static("\"x\";hard=?0"));
        let found: Vec<_> = invalidated(&headers).into_iter().map(|g| (g.tag, g.kind)).collect();
        assert_eq!(
            found,
            [("pitch-1".into(), PurgeKind::Hard), ("list-new".into(), PurgeKind::Soft), ("x".into(), PurgeKind::Soft)]
        );
        headers.append(CACHE_GROUP_INVALIDATION, HeaderValue::from_static("\"open"));
        assert!(invalidated(&headers).is_empty());
    }
}
