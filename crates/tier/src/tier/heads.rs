//! Heads of plain hits: those that a thread served last are kept as header maps, because to unpack one costs more than to look the entry up.

use std::{cell::RefCell, sync::Arc};

use edge_cache_core::{Entry, EntryMark, Head, Names, Timestamp, headers::CACHE_STATUS};
use edge_cache_policy::{date, groups};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// How the heads of plain hits differ from what is stored.
#[derive(Debug)]
pub struct Style {
    /// Leave `Cache-Tag` and the like on them.
    expose_tags: bool,
    /// The header that bears the request's name; `None` for none.
    id_header: Option<HeaderName>,
    /// What is not written as it is stored.
    not_as_stored: Names,
}

impl Style {
    /// The request's name in `id_header`, where that is given; `Cache-Tag` and the like as they are stored where tags are to be exposed.
    #[must_use]
    pub fn new(expose_tags: bool, id_header: Option<HeaderName>) -> Self {
        let tags = groups::OURS.iter().filter(|_| !expose_tags).cloned();
        // Whatever was stored, and by whom, the body ends where the client takes it to end, and the connection goes on.
        let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];
        let own = framing.into_iter().chain([header::AGE]).chain(id_header.clone());
        let not_as_stored = tags.chain(own).collect();
        Self { expose_tags, id_header, not_as_stored }
    }

    /// Whether answers bear the names of their requests.
    #[must_use]
    pub const fn names_requests(&self) -> bool {
        self.id_header.is_some()
    }
}

/// What each plain hit says anew: as values, or as the bytes of some.
#[derive(Debug)]
pub struct Stamps<V = HeaderValue> {
    /// `Age`.
    pub age: V,
    /// The tier's member of `Cache-Status`.
    pub cache_status: V,
    /// The request's name, where the [style](Style) has a header for it.
    pub id: Option<V>,
}

/// The headers of `entry`, stamped. `style` is told from others by its place in memory.
pub(super) fn stamped(entry: &Entry, style: &Arc<Style>, stamps: Stamps) -> HeaderMap {
    LAST.with_borrow_mut(|last| last.stamped(entry, style, stamps))
}

/// Puts the stamps on headers that were shaped for one request.
pub(super) fn stamp(headers: &mut HeaderMap, style: &Style, stamps: Stamps) {
    if !style.expose_tags {
        groups::strip(headers);
    }
    headers.insert(header::AGE, stamps.age);
    headers.append(CACHE_STATUS, stamps.cache_status);
    if let Some((name, id)) = style.id_header.as_ref().zip(stamps.id) {
        headers.insert(name.clone(), id);
    }
}

/// Writes the head of an answer of HTTP/1.1 (RFC 9112 §4): the headers of `entry`, stamped, and the length of its body.
pub(super) fn write(entry: &Entry, style: &Style, stamps: &Stamps<&[u8]>, now: Timestamp, out: &mut Vec<u8>) {
    let Head { status, headers, .. } = entry.head();
    if *status == StatusCode::OK {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        let reason = status.canonical_reason().unwrap_or_default();
        out.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).as_bytes());
    }
    if !headers.write(&style.not_as_stored, out) {
        out.extend_from_slice(format!("date: {}\r\n", date::format(now)).as_bytes());
    }
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(entry.body().len()).as_bytes());
    out.extend_from_slice(b"\r\nage: ");
    out.extend_from_slice(stamps.age);
    // After what others said: the last member is that of the cache nearest to the client (RFC 9211 §2).
    out.extend_from_slice(b"\r\ncache-status: ");
    out.extend_from_slice(stamps.cache_status);
    if let Some((name, id)) = style.id_header.as_ref().zip(stamps.id) {
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(id);
    }
    out.extend_from_slice(b"\r\n\r\n");
}

/// Heads are kept in sets of so many.
const WAYS: usize = 4;
const SETS: usize = 512;
/// Longer heads, and those with more fields, are not kept: 2 048 of the usual ones are some 6 MiB a thread, and more than 12 there cannot be.
const PACKED_BYTES_MAX: usize = 1024;
const FIELDS_MAX: usize = 24;
/// One in so many heads that are not there is kept: whoever asks for everything once does not pay for it.
const KEPT_SHARE: u32 = 8;

thread_local! {
    static LAST: RefCell<Last> = const { RefCell::new(Last { sets: Vec::new(), missed: 0 }) };
}

struct Last {
    /// None until there is one to keep.
    sets: Vec<[Option<Kept>; WAYS]>,
    missed: u32,
}

/// A head with room for the stamps.
struct Kept {
    mark: EntryMark,
    style: Arc<Style>,
    headers: HeaderMap,
    /// Values between one stamp and the next, in their order, and which stamp that is.
    places: [(usize, usize); 3],
}

impl Last {
    fn stamped(&mut self, entry: &Entry, style: &Arc<Style>, stamps: Stamps) -> HeaderMap {
        let set = entry.place() % SETS;
        let is_it = |kept: &&Kept| kept.mark.is_of(entry) && Arc::ptr_eq(&kept.style, style);
        if let Some(kept) = self.sets.get(set).and_then(|set| set.iter().flatten().find(is_it)) {
            return kept.stamped(stamps);
        }
        self.missed = self.missed.wrapping_add(1);
        let headers = &entry.head().headers;
        let too_long = headers.weight_bytes() > PACKED_BYTES_MAX;
        if !self.missed.is_multiple_of(KEPT_SHARE) || too_long {
            let mut headers = headers.unpack();
            stamp(&mut headers, style, stamps);
            return headers;
        }
        let kept = Kept::new(entry, style);
        if kept.headers.len() > FIELDS_MAX {
            return kept.stamped(stamps);
        }
        if self.sets.is_empty() {
            self.sets.resize_with(SETS, Default::default);
        }
        let ways = &mut self.sets[set];
        let is_free = |way: &Option<Kept>| way.as_ref().is_none_or(|kept| kept.mark.is_gone());
        let free = ways.iter().position(is_free);
        let at = free.unwrap_or((self.missed / KEPT_SHARE) as usize % WAYS);
        ways[at].insert(kept).stamped(stamps)
    }
}

impl Kept {
    fn new(entry: &Entry, style: &Arc<Style>) -> Self {
        // Found again by where they lie: so each lies in one place.
        static EMPTY: [&str; 3] = ["age", "cache-status", "id"];
        let empty = |at: usize| HeaderValue::from_static(EMPTY[at]);
        let mut headers = entry.head().headers.unpack();
        let id = style.id_header.is_some().then(|| empty(2));
        stamp(&mut headers, style, Stamps { age: empty(0), cache_status: empty(1), id });
        let place = |empty: &str| {
            let is_it = |value: &HeaderValue| value.as_bytes().as_ptr() == empty.as_ptr();
            headers.values().position(is_it).unwrap_or(usize::MAX)
        };
        let mut places = [0, 1, 2].map(|which| (place(EMPTY[which]), which));
        places.sort_unstable();
        let mut next = 0;
        for (at, _) in &mut places {
            let skip = *at - next;
            next = at.saturating_add(1);
            *at = skip;
        }
        Self { mark: entry.mark(), style: Arc::clone(style), headers, places }
    }

    fn stamped(&self, stamps: Stamps) -> HeaderMap {
        let mut headers = self.headers.clone();
        let mut values = headers.values_mut();
        let mut stamps = [Some(stamps.age), Some(stamps.cache_status), stamps.id];
        for (skip, which) in self.places {
            // One that has no stamp has no place either.
            if let (Some(value), Some(stamp)) = (values.nth(skip), stamps[which].take()) {
                *value = stamp;
            }
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use edge_cache_core::{
        PackedHeaders,
        marker::{Fence, Start},
    };
    use edge_cache_testkit::head;

    use super::*;

    fn stamps() -> Stamps {
        let value = HeaderValue::from_static;
        Stamps { age: value("7"), cache_status: value("edge-memory; hit; ttl=1"), id: Some(value("0a")) }
    }

    fn stored(lines: &[(&'static str, &'static str)]) -> Entry {
        let lines = lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        lines.for_each(|(name, value)| {
            headers.append(name, value);
        });
        let head = Head { headers: PackedHeaders::pack(&headers), ..head(60, 1) };
        Entry::new(head, Bytes::new(), Start::promoted(Fence::default()))
    }

    fn style(expose_tags: bool, id_header: Option<&'static str>) -> Arc<Style> {
        Arc::new(Style::new(expose_tags, id_header.map(HeaderName::from_static)))
    }

    #[test]
    fn a_kept_head_says_what_an_unpacked_one_says() {
        let lines = [
            ("content-type", "text/plain"),
            ("cache-status", "upstream; hit"),
            ("link", "<a>"),
            ("link", "<b>"),
            ("cache-tag", "t"),
            ("x-odd", ""),
        ];
        for (expose_tags, id) in [(true, None), (false, Some("x-edge-cache-id")), (true, Some("link"))] {
            let (entry, style) = (stored(&lines), style(expose_tags, id));
            let mut expected = entry.head().headers.unpack();
            let id = |stamps: Stamps| Stamps { id: stamps.id.filter(|_| id.is_some()), ..stamps };
            stamp(&mut expected, &style, id(stamps()));
            for _ in 0..3 * KEPT_SHARE {
                assert_eq!(stamped(&entry, &style, id(stamps())), expected);
            }
            expected.insert("date", HeaderValue::from_static("Thu, 01 Jan 1970 00:00:07 GMT"));
            expected.insert("content-length", HeaderValue::from_static("0"));
            assert_eq!(written(&entry, &style, &id(stamps())), expected, "so does one that is written");
            LAST.with_borrow(|last| {
                let mut kept = last.sets.iter().flatten().flatten();
                assert!(kept.any(|kept| kept.mark.is_of(&entry)), "it was kept at last");
            });
        }
    }

    fn written(entry: &Entry, style: &Style, stamps: &Stamps) -> HeaderMap {
        let Stamps { age, cache_status, id } = stamps;
        let id = id.as_ref().map(HeaderValue::as_bytes);
        let stamps = Stamps { age: age.as_bytes(), cache_status: cache_status.as_bytes(), id };
        let mut out = Vec::new();
        write(entry, style, &stamps, Timestamp::from_secs(7), &mut out);
        let text = String::from_utf8(out).unwrap();
        let lines = text.strip_prefix("HTTP/1.1 200 OK\r\n").and_then(|lines| lines.strip_suffix("\r\n\r\n")).unwrap();
        let mut headers = HeaderMap::new();
        for line in lines.split("\r\n") {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        }
        headers
    }

    #[test]
    fn nothing_stored_says_where_a_body_that_is_written_ends() {
        let entry = stored(&[("content-length", "7"), ("transfer-encoding", "chunked"), ("connection", "close")]);
        let headers = written(&entry, &style(true, None), &Stamps { id: None, ..stamps() });
        assert_eq!(headers["content-length"], "0");
        assert!(!headers.contains_key("transfer-encoding") && !headers.contains_key("connection"));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let style = style(false, None);
        let long = stored(&[("x", "0123456789".repeat(110).leak())]);
        let names: Vec<&'static str> = (0..30).map(|at| &*format!("x-{at}").leak()).collect();
        let many = stored(&names.iter().map(|name| (*name, "y")).collect::<Vec<_>>());
        let all: Vec<_> = (0..3 * SETS * WAYS).map(|_| stored(&[("x", "y")])).collect();
        for _ in 0..2 * KEPT_SHARE {
            for entry in all.iter().chain([&long, &many]) {
                assert!(stamped(entry, &style, Stamps { id: None, ..stamps() }).contains_key("age"));
            }
        }
        LAST.with_borrow(|last| {
            let kept = || last.sets.iter().flatten().flatten();
            assert!(last.sets.len() == SETS && kept().count() > SETS);
            assert!(!kept().any(|kept| kept.headers.len() > FIELDS_MAX || kept.mark.is_of(&long)));
        });
    }

    #[test]
    fn what_a_head_refers_to_goes_with_its_entry() {
        let (entry, style) = (stored(&[("x", "y")]), style(false, None));
        for _ in 0..2 * KEPT_SHARE {
            stamped(&entry, &style, Stamps { id: None, ..stamps() });
        }
        let mark = entry.mark();
        drop(entry);
        assert!(mark.is_gone());
    }
}
