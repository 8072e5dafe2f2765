//! `Cache-Control`, read leniently (RFC 9111 §5.2), and its targeted form `CDN-Cache-Control`, read strictly (RFC 9213).

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, ListEntry, Parser};

use crate::delta_seconds;

/// How far `private` or `no-cache` reaches (RFC 9111 §5.2.2.4, §5.2.2.7).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// The directive is absent.
    #[default]
    None,
    /// The whole response.
    All,
    /// Only these header fields: they are taken off before the response is stored.
    Fields(Vec<HeaderName>),
}

/// The directives of one message. Unknown ones are ignored (RFC 9111 §5.2.3).
///
/// A lifetime that is no number counts as 0: §4.2.1 asks to take what is invalid for stale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the directive of its name; lifetimes in seconds")]
pub struct CacheControl {
    pub no_store: bool,
    pub no_cache: Scope,
    pub private: Scope,
    pub public: bool,
    pub must_revalidate: bool,
    pub proxy_revalidate: bool,
    pub must_understand: bool,
    pub immutable: bool,
    pub no_transform: bool,
    pub max_age: Option<u64>,
    pub s_maxage: Option<u64>,
    pub stale_while_revalidate: Option<u64>,
    pub stale_if_error: Option<u64>,
    /// A request's `max-stale`; without a value any staleness, `u64::MAX`.
    pub max_stale: Option<u64>,
    pub min_fresh: Option<u64>,
    pub only_if_cached: bool,
}

impl CacheControl {
    /// Reads every line of `name`.
    #[must_use]
    pub fn of(headers: &HeaderMap, name: &HeaderName) -> Self {
        let mut cc = Self::default();
        for line in headers.get_all(name) {
            cc.read(line.as_bytes());
        }
        cc
    }

    fn read(&mut self, line: &[u8]) {
        for item in split_unquoted(line, b',') {
            let (name, value) = match item.iter().position(|b| *b == b'=') {
                Some(at) => (&item[..at], Some(unquote(&item[at + 1..]))),
                None => (item, None),
            };
            // White space beside `=` is no grammar of ours (RFC 9111 §5.2): what forbids is obeyed all the same, a lifetime is invalid.
            let (plain, value) = match (name.trim_ascii_end(), value) {
                (plain, Some(value)) if plain.len() < name.len() => (plain, Some(spaced(&value))),
                (plain, value) => (plain, value),
            };
            self.set(&plain.to_ascii_lowercase(), value.as_deref());
        }
        // A quote that nobody closes hides what comes after it, which may forbid.
        for item in unclosed(line).into_iter().flat_map(|rest| rest.split(|b| *b == b',')) {
            let name = item.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
            if matches!(&*name, b"no-store" | b"no-cache" | b"private" | b"must-revalidate" | b"proxy-revalidate") {
                self.set(&name, None);
            }
        }
    }

    fn set(&mut self, name: &[u8], value: Option<&[u8]>) {
        // The first occurrence of a lifetime counts (RFC 9111 §4.2.1).
        let lifetime = |slot: &mut Option<u64>| {
            let seconds = value.and_then(delta_seconds).unwrap_or(0);
            slot.get_or_insert(seconds);
        };
        match name {
            b"no-store" => self.no_store = true,
            b"no-cache" => widen(&mut self.no_cache, value),
            b"private" => widen(&mut self.private, value),
            b"public" => self.public = true,
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"must-understand" => self.must_understand = true,
            b"immutable" => self.immutable = true,
            b"no-transform" => self.no_transform = true,
            b"max-age" => lifetime(&mut self.max_age),
            b"s-maxage" => lifetime(&mut self.s_maxage),
            b"stale-while-revalidate" => lifetime(&mut self.stale_while_revalidate),
            b"stale-if-error" => lifetime(&mut self.stale_if_error),
            b"max-stale" if value.is_none() => self.max_stale = Some(u64::MAX),
            b"max-stale" => lifetime(&mut self.max_stale),
            b"min-fresh" => lifetime(&mut self.min_fresh),
            b"only-if-cached" => self.only_if_cached = true,
            _ => {}
        }
    }

    /// Reads `CDN-Cache-Control`: a structured-field dictionary. `None` where it is absent, empty, or not valid as a whole,
    /// so that `Cache-Control` decides (RFC 9213 §2.2).
    #[must_use]
    pub fn targeted(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let mut lines = headers.get_all(name).iter();
        let first = lines.next()?;
        let mut joined = first.as_bytes().to_vec();
        for line in lines {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(line.as_bytes());
        }
        let members = Parser::new(&joined).parse::<Dictionary>().ok()?;
        if members.is_empty() {
            return None;
        }
        let mut cc = Self::default();
        for (name, member) in &members {
            let Some(kind) = value_kind(name.as_str()) else { continue };
            let ListEntry::Item(item) = member else { return None };
            let name = name.as_str().as_bytes();
            match (&item.bare_item, kind) {
                (BareItem::Integer(seconds), ValueKind::Seconds) if i64::from(*seconds) >= 0 => {
                    cc.set(name, Some(i64::from(*seconds).to_string().as_bytes()));
                }
                (BareItem::Boolean(true), ValueKind::Flag | ValueKind::Fields) => cc.set(name, None),
                (BareItem::Boolean(false), ValueKind::Flag | ValueKind::Fields) => {}
                (BareItem::String(fields), ValueKind::Fields) => cc.set(name, Some(fields.as_str().as_bytes())),
                _ => return None,
            }
        }
        Some(cc)
    }
}

/// The type that a response directive has as a structured field (RFC 9213 §2.1).
#[derive(Clone, Copy)]
enum ValueKind {
    Seconds,
    Flag,
    /// A flag, or a string of field names.
    Fields,
}

/// `None` for directives that this cache does not know: their values may be anything.
fn value_kind(name: &str) -> Option<ValueKind> {
    Some(match name {
        "max-age" | "s-maxage" | "stale-while-revalidate" | "stale-if-error" => ValueKind::Seconds,
        "no-cache" | "private" => ValueKind::Fields,
        "no-store" | "public" | "must-revalidate" | "proxy-revalidate" | "must-understand" | "immutable"
        | "no-transform" => ValueKind::Flag,
        _ => return None,
    })
}

/// A value that was set apart by white space: no digits any more, whatever it held.
fn spaced(value: &[u8]) -> std::borrow::Cow<'static, [u8]> {
    [b" ", value].concat().into()
}

/// The union of what was said so far and one more occurrence.
fn widen(scope: &mut Scope, value: Option<&[u8]>) {
    // A list with a name that is none is taken for the whole: the stricter reading.
    let fields: Option<Vec<_>> = value.and_then(|list| {
        list.split(|b| *b == b',').map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()).collect()
    });
    match (fields, &mut *scope) {
        (Some(new), Scope::None) => *scope = Scope::Fields(new),
        (Some(new), Scope::Fields(old)) => old.extend(new),
        (None, _) => *scope = Scope::All,
        (Some(_), Scope::All) => {}
    }
}

/// Splits at `separator` outside quoted strings; a quote that is never closed reaches to the end. Members are trimmed, empty ones left out.
pub fn split_unquoted(line: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    line.split(move |byte| {
        if escaped {
            escaped = false;
        } else if quoted && *byte == b'\\' {
            escaped = true;
        } else if *byte == b'"' {
            quoted = !quoted;
        }
        !quoted && *byte == separator
    })
    .map(<[u8]>::trim_ascii)
    .filter(|item| !item.is_empty())
}

/// What stands behind a quote that is not closed.
fn unclosed(line: &[u8]) -> Option<&[u8]> {
    let (mut open, mut escaped) = (None, false);
    for (at, byte) in line.iter().enumerate() {
        match (open, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(_), b'"') => open = None,
            (None, b'"') => open = Some(at + 1),
            _ => {}
        }
    }
    line.get(open?..)
}

fn unquote(value: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    match value.trim_ascii_end().strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")) {
        Some(inner) if inner.contains(&b'\\') => {
            let mut escaped = false;
            let plain = inner.iter().copied().filter(|b| {
                escaped = !escaped && *b == b'\\';
                !escaped
            });
            plain.collect::<Vec<_>>().into()
        }
        Some(inner) => inner.into(),
        None => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header::CACHE_CONTROL};

    use super::*;

    fn cc(line: &str) -> CacheControl {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_str(line).unwrap());
        CacheControl::of(&headers, &CACHE_CONTROL)
    }

    fn targeted(line: &str) -> Option<CacheControl> {
        let mut headers = HeaderMap::new();
        headers.insert("cdn-cache-control", HeaderValue::from_str(line).unwrap());
        CacheControl::targeted(&headers, &HeaderName::from_static("cdn-cache-control"))
    }

    #[test]
    fn a_quote_without_an_end_hides_nothing_that_forbids() {
        let read = |line: &[u8]| {
            let mut cc = CacheControl::default();
            cc.read(line);
            (cc.no_store, cc.private)
        };
        assert_eq!(read(b"max-age=60, ext=\"x, no-store"), (true, Scope::None));
        assert_eq!(read(b"max-age=60, ext=\"x\\\", Private"), (false, Scope::All));
        assert_eq!(read(b"max-age=60, ext=\"x, no-store\""), (false, Scope::None));
    }

    #[test]
    fn names_in_any_case_and_values_in_any_dress() {
        assert!(cc("NO-STORE").no_store && cc("a=\"b, no-store\"") == CacheControl::default());
        assert_eq!(cc("Private").private, Scope::All);
        assert_eq!(cc("max-age=\"5\"").max_age, Some(5));
        assert_eq!(cc("max-age=1, max-age=9").max_age, Some(1));
        assert_eq!(cc("max-age=99999999999999999999").max_age, Some(1 << 31));
        let spaced = ["max-age =5", "max-age= 5", "max-age = 5"];
        for bad in ["max-age=-1", "max-age=1.5", "max-age=x", "max-age=", "max-age"].into_iter().chain(spaced) {
            assert_eq!(cc(bad).max_age, Some(0), "{bad}");
        }
        assert_eq!(cc("max-stale").max_stale, Some(u64::MAX));
    }

    #[test]
    fn qualified_forms_name_fields() {
        assert_eq!(
            cc("no-cache=\"Set-Cookie, X-A\"").no_cache,
            Scope::Fields(vec![HeaderName::from_static("set-cookie"), HeaderName::from_static("x-a")])
        );
        assert_eq!(cc("private=\"x\", private").private, Scope::All);
        assert_eq!(cc("no-cache=\"\"").no_cache, Scope::All);
        assert_eq!(cc("private=\"@@\"").private, Scope::All);
    }

    #[test]
    fn targeted_control_is_strict_as_a_whole() {
        assert_eq!(targeted("max-age=60, stale-while-revalidate=9").unwrap().max_age, Some(60));
        assert!(targeted("no-store").unwrap().no_store);
        assert!(targeted("no-store=?0, max-age=1").is_some_and(|cc| !cc.no_store));
        assert_eq!(
            targeted("max-age=60, ext=(a b), other=1.5").unwrap().max_age,
            Some(60),
            "unknown ones are of any type"
        );
        assert_eq!(targeted("no-cache=\"x-a\"").unwrap().no_cache, Scope::Fields(vec![HeaderName::from_static("x-a")]));
        for wrong in ["no-store=1", "public=\"x\"", "max-age=60, private=token", "max-age=(1 2)", "max-age=?1"] {
            assert_eq!(targeted(wrong), None, "{wrong}");
        }
        for bad in ["Max-Age=60", "max-age=\"60\"", "max-age=60.5", "max-age=-1", "max-age=60;;", "max-age", ""] {
            assert_eq!(targeted(bad), None, "{bad}");
        }
    }
}
