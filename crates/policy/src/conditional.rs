//! Conditional requests: the client's against a stored answer, ours against the origin (RFC 9110 §13, RFC 9111 §4.3).

use edge_cache_core::{PackedHeaders, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::{coding, date, hop, vary::Vary};

/// Preconditions that guard a change, or that only the origin can judge.
#[must_use]
pub fn guards_a_change(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_UNMODIFIED_SINCE)
}

/// The client's conditions, taken off so that what goes inward asks for the whole answer.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    none_match: Vec<HeaderValue>,
    modified_since: Option<HeaderValue>,
}

impl Conditions {
    /// Takes `If-None-Match` and `If-Modified-Since` off a request.
    #[must_use]
    pub fn take(headers: &mut HeaderMap) -> Self {
        if !headers.contains_key(header::IF_NONE_MATCH) && !headers.contains_key(header::IF_MODIFIED_SINCE) {
            return Self::default();
        }
        let none_match = headers.get_all(header::IF_NONE_MATCH).iter().cloned().collect();
        headers.remove(header::IF_NONE_MATCH);
        Self { none_match, modified_since: headers.remove(header::IF_MODIFIED_SINCE) }
    }

    /// Whether the client has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.none_match.is_empty() && self.modified_since.is_none()
    }

    /// Puts them back, for a request that goes past the cache after all.
    pub fn restore(self, headers: &mut HeaderMap) {
        for value in self.none_match {
            headers.append(header::IF_NONE_MATCH, value);
        }
        if let Some(value) = self.modified_since {
            headers.insert(header::IF_MODIFIED_SINCE, value);
        }
    }

    /// Whether the client already holds the answer with these headers (RFC 9110 §13.2.2: entity tags first, compared weakly).
    #[must_use]
    pub fn hold(&self, status: StatusCode, headers: &HeaderMap, now: Timestamp) -> bool {
        if status != StatusCode::OK {
            return false;
        }
        if !self.none_match.is_empty() {
            let etag = headers.get(header::ETAG).map(HeaderValue::as_bytes);
            return self.none_match.iter().any(|line| matches_any(line.as_bytes(), etag));
        }
        let Some(since) = self.modified_since.as_ref().and_then(|v| date::parse(v.as_bytes(), now)) else {
            return false;
        };
        // Without `Last-Modified`, `Date` bounds when the representation was made (RFC 9111 §4.3.2).
        let modified = headers.get(header::LAST_MODIFIED).or_else(|| headers.get(header::DATE));
        modified.and_then(|v| date::parse(v.as_bytes(), now)).is_some_and(|modified| modified <= since)
    }
}

/// Whether a list of entity tags names `etag`, by weak comparison (RFC 9110 §8.8.3.2).
fn matches_any(list: &[u8], etag: Option<&[u8]>) -> bool {
    if list.trim_ascii() == b"*" {
        return true;
    }
    let Some(etag) = etag else { return false };
    // No backslash escapes anything in a tag (RFC 9110 §8.8.3).
    let mut quoted = false;
    let mut tags = list.split(|byte| {
        quoted ^= *byte == b'"';
        *byte == b',' && !quoted
    });
    tags.any(|tag| opaque(tag.trim_ascii()) == opaque(etag))
}

/// Turns the headers of a 200 into those of a 304 (RFC 9110 §15.4.5): what describes the body goes.
pub fn not_modified(headers: &mut HeaderMap) {
    for name in [
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_RANGE,
        header::ACCEPT_RANGES,
    ] {
        headers.remove(name);
    }
    coding::forget_digests(headers);
}

/// Adds our validators to a request for an answer that we hold (RFC 9111 §4.3.1). Returns whether there were any.
pub fn validate(request: &mut HeaderMap, stored: &PackedHeaders) -> bool {
    let mut any = false;
    for (of, name) in [(header::ETAG, header::IF_NONE_MATCH), (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE)] {
        if let Some(value) = stored.get(&of).and_then(|v| HeaderValue::from_bytes(v).ok()) {
            request.insert(name, value);
            any = true;
        }
    }
    any
}

/// Whether a 200 to a HEAD describes another representation than the stored one: a validator or the length that it names differs
/// (RFC 9111 §4.3.5).
#[must_use]
pub fn contradicts(head: &HeaderMap, stored: &PackedHeaders, stored_len: u64) -> bool {
    // What it names and the stored one does not have is no match either.
    let differs = |name: &HeaderName| {
        let (new, old) = (head.get(name).map(HeaderValue::as_bytes), stored.get(name));
        new.is_some_and(|new| old.map(opaque) != Some(opaque(new)))
    };
    let len = head.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse::<u64>().ok());
    differs(&header::ETAG) || differs(&header::LAST_MODIFIED) || len.is_some_and(|len| len != stored_len)
}

/// Whether a 200 to a HEAD, which does not contradict what is stored, confirms it: by a validator that both name.
#[must_use]
pub fn confirms(head: &HeaderMap, stored: &PackedHeaders) -> bool {
    [header::ETAG, header::LAST_MODIFIED].iter().any(|name| head.contains_key(name) && stored.get(name).is_some())
}

/// An entity tag without the mark of a weak one; another value as it is.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The stored headers after a 304, or a 200 to a HEAD: every field it carries replaces ours, but `Content-Length`, which is the stored
/// body's, and what belongs to the connection (RFC 9111 §3.2).
///
/// Two fields say what was done to the stored answer on its way here, which the origin does not know: a tag that differs by its weakness
/// alone stays as it is, and `Vary` loses none of its members.
#[must_use]
pub fn freshen(stored: &PackedHeaders, not_modified: &HeaderMap) -> HeaderMap {
    const KEPT: [HeaderName; 1] = [header::CONTENT_LENGTH];
    let mut update = not_modified.clone();
    hop::strip(&mut update);
    let mut headers = stored.unpack();
    let same_tag = update
        .get(header::ETAG)
        .zip(headers.get(header::ETAG))
        .is_some_and(|(new, old)| new != old && opaque(new.as_bytes()) == opaque(old.as_bytes()));
    if same_tag {
        update.remove(header::ETAG);
    }
    if update.contains_key(header::VARY)
        && let Vary::Fields(names) = Vary::of(&headers)
    {
        let known = Vary::of(&update);
        let lost = names.iter().filter(|name| !matches!(&known, Vary::Fields(known) if known.contains(name)));
        for name in lost {
            update.append(header::VARY, HeaderValue::from(name.clone()));
        }
    }
    for name in update.keys().filter(|name| !KEPT.contains(name)) {
        headers.remove(name);
        for value in update.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    // An age or date that the 304 does not repeat was that of the old answer.
    for name in [header::AGE, header::DATE] {
        if !update.contains_key(&name) {
            headers.remove(name);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn holds(request: &[(&'static str, &'static str)], response: &[(&'static str, &'static str)]) -> bool {
        Conditions::take(&mut map(request)).hold(StatusCode::OK, &map(response), Timestamp::from_secs(1_790_000_000))
    }

    #[test]
    fn entity_tags_come_first_and_compare_weakly() {
        assert!(holds(&[("if-none-match", "\"a\", W/\"b\"")], &[("etag", "\"b\"")]));
        assert!(holds(&[("if-none-match", "*")], &[]));
        assert!(holds(&[("if-none-match", r#""x\", "b""#)], &[("etag", "\"b\"")]), "no escape");
        assert!(holds(&[("if-none-match", "\"a,b\"")], &[("etag", "W/\"a,b\"")]));
        assert!(!holds(&[("if-none-match", "\"a\"")], &[("etag", "\"b\"")]));
        let late = ("if-modified-since", "Sun, 06 Nov 2094 08:49:37 GMT");
        assert!(!holds(
            &[("if-none-match", "\"a\""), late],
            &[("etag", "\"b\""), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")]
        ));
    }

    #[test]
    fn dates_bound_the_modification() {
        let since = [("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT")];
        assert!(holds(&since, &[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")]));
        assert!(!holds(&since, &[("last-modified", "Sun, 06 Nov 1994 08:49:38 GMT")]));
        assert!(holds(&since, &[("date", "Sun, 06 Nov 1994 08:49:37 GMT")]));
        assert!(!holds(&since, &[]));
    }

    #[test]
    fn conditions_only_hold_for_200_and_can_be_put_back() {
        let mut request = map(&[("if-none-match", "\"a\""), ("if-none-match", "\"b\""), ("accept", "x")]);
        let before = request.clone();
        let conditions = Conditions::take(&mut request);
        assert_eq!(request.len(), 1);
        assert!(!conditions.hold(
            StatusCode::NOT_FOUND,
            &map(&[("etag", "\"a\"")]),
            Timestamp::from_secs(1_790_000_000)
        ));
        conditions.restore(&mut request);
        assert_eq!(request, before);
    }

    #[test]
    fn a_304_updates_all_but_the_length_of_the_body() {
        let stored = PackedHeaders::pack(&map(&[
            ("etag", "\"a\""),
            ("content-length", "5"),
            ("content-encoding", "gzip"),
            ("x-a", "1"),
            ("x-a", "2"),
            ("age", "9"),
        ]));
        let update =
            map(&[("x-a", "3"), ("content-length", "0"), ("connection", "x-hop"), ("x-hop", "1"), ("x-new", "n")]);
        let mut want = map(&[
            ("etag", "\"a\""),
            ("content-length", "5"),
            ("content-encoding", "gzip"),
            ("x-a", "3"),
            ("x-new", "n"),
        ]);
        assert_eq!(freshen(&stored, &update), want);
        let content = map(&[("content-encoding", "br"), ("etag", "\"b\"")]);
        for (name, value) in [("etag", "\"b\""), ("content-encoding", "br"), ("x-a", "1")] {
            want.insert(name, HeaderValue::from_static(value));
        }
        want.append("x-a", HeaderValue::from_static("2"));
        want.remove("x-new");
        assert_eq!(freshen(&stored, &content), want);
    }

    #[test]
    fn what_was_done_on_the_way_survives_a_304() {
        let stored = PackedHeaders::pack(&map(&[("etag", "W/\"a\""), ("vary", "accept, accept-encoding")]));
        let fresh = freshen(&stored, &map(&[("etag", "\"a\""), ("vary", "Accept, origin")]));
        assert_eq!(fresh["etag"], "W/\"a\"");
        let names = ["accept", "accept-encoding", "origin"].map(HeaderName::from_static);
        assert_eq!(Vary::of(&fresh), Vary::Fields(names.to_vec()));
        assert_eq!(freshen(&stored, &map(&[("vary", "*")])).get_all("vary").iter().next().unwrap(), "*");
    }

    #[test]
    fn a_head_reply_contradicts_by_what_it_names() {
        let stored = PackedHeaders::pack(&map(&[("etag", "\"a\""), ("last-modified", "x")]));
        for same in [&[("etag", "\"a\""), ("content-length", "5")][..], &[("etag", "W/\"a\"")], &[("x-a", "1")], &[]] {
            assert!(!contradicts(&map(same), &stored, 5), "{same:?}");
        }
        for other in [[("etag", "\"b\"")], [("last-modified", "y")], [("content-length", "6")]] {
            assert!(contradicts(&map(&other), &stored, 5), "{other:?}");
        }
        let untagged = PackedHeaders::pack(&map(&[("last-modified", "x")]));
        assert!(contradicts(&map(&[("etag", "\"a\"")]), &untagged, 5), "the stored one may be any");
        assert!(confirms(&map(&[("last-modified", "x")]), &untagged) && !confirms(&map(&[("x-a", "1")]), &untagged));
    }

    #[test]
    fn our_validators() {
        let mut request = HeaderMap::new();
        assert!(!validate(&mut request, &PackedHeaders::default()));
        assert!(validate(&mut request, &PackedHeaders::pack(&map(&[("etag", "W/\"a\"")]))));
        assert_eq!(request, map(&[("if-none-match", "W/\"a\"")]));
    }
}
