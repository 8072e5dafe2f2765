use edge_cache_core::headers::{
    CACHE_GROUP_INVALIDATION, CACHE_GROUPS, CACHE_TAG, CDN_CACHE_CONTROL, PRIORITY, SURROGATE_KEY,
};
use edge_cache_policy::{CacheControl, groups, request};
use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, Dictionary, FieldType, List, ListEntry, Parser};

use crate::lines;

/// Each line is a value, of every header that is a structured field here, and of the lists of tags.
///
/// What does not parse as a whole is ignored as a whole, whichever line is wrong. What parses says the same when it is written again in its canonical form.
pub fn check(data: &[u8]) {
    let values: Vec<_> = lines::of(data).take(100).filter_map(lines::value).collect();
    let joined = values.iter().map(|value| value.as_bytes()).collect::<Vec<_>>().join(&b", "[..]);
    targeted(&values, &joined);
    listed(&values, &joined);
    background(&values, &joined);
    tagged(&values);
}

/// All readings of a header on these lines, on one line, and in the form that `canonical` is.
fn readings<T: PartialEq + std::fmt::Debug>(
    name: &HeaderName,
    values: &[HeaderValue],
    joined: &[u8],
    canonical: Option<String>,
    read: impl Fn(&HeaderMap) -> T,
) -> T {
    let said = read(&lines::values_of(name, values));
    let one = lines::value(joined).expect("values make a value");
    if !values.is_empty() {
        assert_eq!(read(&lines::values_of(name, &[one])), said, "lines are one field");
    }
    if let Some(canonical) = canonical {
        let canonical = lines::value(canonical.as_bytes()).expect("a structured field is a value");
        assert_eq!(read(&lines::values_of(name, &[canonical])), said, "written again");
    }
    said
}

fn targeted(values: &[HeaderValue], joined: &[u8]) {
    let parsed = Parser::new(joined).parse::<Dictionary>().ok();
    let canonical = parsed.as_ref().and_then(|members| members.serialize());
    let read = |headers: &HeaderMap| CacheControl::targeted(headers, &CDN_CACHE_CONTROL);
    let said = readings(&CDN_CACHE_CONTROL, values, joined, canonical, read);
    let Some(members) = parsed.filter(|members| !members.is_empty()) else {
        assert_eq!(said, None, "what does not parse, or says nothing, leaves it to Cache-Control");
        return;
    };
    let seconds = |name: &str| match members.get(name) {
        Some(ListEntry::Item(item)) => item.bare_item.as_integer().map(i64::from),
        _ => None,
    };
    if let Some(cc) = said {
        for (name, read) in [("max-age", cc.max_age), ("s-maxage", cc.s_maxage)] {
            assert_eq!(members.get(name).is_some(), read.is_some(), "a known member counts, or all are ignored");
            assert_eq!(read, seconds(name).map(|said| u64::try_from(said).unwrap_or(0).min(1 << 31)), "{name}");
        }
    }
}

fn listed(values: &[HeaderValue], joined: &[u8]) {
    let parsed = Parser::new(joined).parse::<List>().ok();
    let canonical = parsed.as_ref().and_then(|members| members.serialize());
    let said = readings(&CACHE_GROUPS, values, joined, canonical.clone(), groups::member_of);
    let stale = readings(&CACHE_GROUP_INVALIDATION, values, joined, canonical, groups::invalidated);
    let is_string =
        |entry: &&ListEntry| matches!(entry, ListEntry::Item(i) if matches!(i.bare_item, BareItem::String(_)));
    let strings = parsed.map_or(0, |members| members.iter().filter(is_string).count());
    assert_eq!((said.len(), stale.len()), (strings, strings), "each string is a group, and nothing else is");
    assert!(said.iter().zip(&stale).all(|(group, stale)| *group == stale.tag), "in order");
}

fn background(values: &[HeaderValue], joined: &[u8]) {
    let parsed = Parser::new(joined).parse::<Dictionary>().ok();
    let canonical = parsed.as_ref().and_then(|members| members.serialize());
    let said = readings(&PRIORITY, values, joined, canonical, request::is_background);
    assert!(!said || parsed.is_some_and(|members| members.get("u").is_some()), "nobody is put off by mistake");
}

fn tagged(values: &[HeaderValue]) {
    for name in [CACHE_TAG, SURROGATE_KEY] {
        let mut headers = lines::values_of(&name, values);
        let Some(tags) = groups::tags(&headers) else {
            assert!(values.iter().any(|value| value.to_str().is_err()), "only what is no text is refused");
            continue;
        };
        assert!(tags.iter().all(|tag| !tag.is_empty() && !tag.contains(' ')));
        assert!(name != CACHE_TAG || tags.iter().all(|tag| !tag.contains(',')));
        let written = lines::value(tags.join(" ").as_bytes()).expect("tags make a value");
        assert_eq!(groups::tags(&lines::values_of(&name, &[written])).as_ref(), Some(&tags), "written again");
        groups::strip(&mut headers);
        assert!(headers.is_empty(), "tags are for us");
    }
}
