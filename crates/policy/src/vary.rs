//! `Vary` (RFC 9111 §4.1): which request headers select a variant, and the form in which they are compared.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, header};

/// What a response says of its variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vary {
    /// One representation for every request.
    None,
    /// These request headers select it: sorted, without repeats.
    Fields(Vec<HeaderName>),
    /// Something outside the request selects it: never reused (`*`). So does whom it is from, which a gateway writes into `X-Forwarded-For` behind the cache.
    Star,
}

const X_FORWARDED_FOR: &str = "x-forwarded-for";

impl Vary {
    /// Reads every line. A name that is no header name is taken for `*`: it cannot be compared.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut fields = Vec::new();
        for line in headers.get_all(header::VARY) {
            for name in line.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|n| !n.is_empty()) {
                match HeaderName::from_bytes(name) {
                    Ok(name) if !matches!(name.as_str(), "*" | X_FORWARDED_FOR) => fields.push(name),
                    _ => return Self::Star,
                }
            }
        }
        if fields.is_empty() {
            return Self::None;
        }
        fields.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        fields.dedup();
        Self::Fields(fields)
    }
}

/// The value of `name` in a request as variants compare it: its lines joined, without white space beside commas. Where the field is known to be a list of what a
/// client takes, its members in an order of their own. Nothing else, as it may mean something to whoever reads the field: an empty member, as in
/// `Origin: https://a.example,`, or white space between quotes.
#[must_use]
pub fn selecting<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
    let lines = headers.get_all(name);
    let first = lines.iter().next()?.as_bytes();
    let is_wish = WISHES.contains(name);
    let is_one = lines.iter().nth(1).is_none();
    if is_one && !is_wish && !first.contains(&b',') {
        return Some(Cow::Borrowed(first));
    }
    let lines: Vec<&[u8]> = lines.iter().map(http::HeaderValue::as_bytes).collect();
    if lines.iter().any(|line| line.contains(&b'"')) {
        return Some(Cow::Owned(lines.join(&b", "[..])));
    }
    let members = lines.iter().flat_map(|line| line.split(|b| *b == b','));
    if !is_wish {
        return Some(Cow::Owned(members.map(<[u8]>::trim_ascii).collect::<Vec<_>>().join(&b',')));
    }
    // Ranges and codings carry their weight in `q`, so their order says nothing; case does not either, nor does a member that is empty (RFC 9110 §5.6.1.2).
    let mut members: Vec<Vec<u8>> = members.map(trimmed).filter(|member| !member.is_empty()).collect();
    members.iter_mut().for_each(|member| lower(member));
    if *name == header::ACCEPT_ENCODING {
        members = normal_codings(&members);
    }
    members.sort_unstable();
    members.dedup();
    Some(Cow::Owned(members.join(&b',')))
}

/// Lists of what a client takes (RFC 9110 §12.5).
const WISHES: [HeaderName; 4] =
    [header::ACCEPT, header::ACCEPT_CHARSET, header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE];

/// The language that a request prefers to every other, in lower case: the one with the highest weight, if there is one such and it is
/// not `*` (RFC 9110 §12.5.4).
///
/// Where an answer in just this language is stored, the origin has it and would choose it.
#[must_use]
pub fn preferred_language(headers: &HeaderMap) -> Option<String> {
    let mut best: Option<(String, u16, bool)> = None;
    for member in headers.get_all(header::ACCEPT_LANGUAGE).iter().flat_map(|line| line.as_bytes().split(|b| *b == b','))
    {
        let mut parts = std::str::from_utf8(member).ok()?.split(';').map(str::trim);
        let range = parts.next().filter(|range| !range.is_empty())?.to_ascii_lowercase();
        let weight = match parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q="))) {
            Some(text) => thousandths(text)?,
            None => 1000,
        };
        best = Some(match best {
            Some((held, most, tied)) if weight < most => (held, most, tied),
            Some((held, most, _)) if weight == most => (held, most, true),
            _ => (range, weight, false),
        });
    }
    let (range, weight, shared) = best?;
    (range != "*" && weight > 0 && !shared).then_some(range)
}

/// A weight in thousandths (RFC 9110 §12.4.2).
pub(crate) fn thousandths(text: &str) -> Option<u16> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    if rest.len() > 3 || !rest.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let rest: u16 = format!("{rest:0<3}").parse().ok()?;
    match whole {
        "0" => Some(rest),
        "1" if rest == 0 => Some(1000),
        _ => None,
    }
}

/// The one language of an answer, in lower case; `None` where it names none or several.
#[must_use]
pub fn content_language(value: &[u8]) -> Option<String> {
    let language = std::str::from_utf8(value).ok()?.trim();
    let plain = !language.is_empty() && language.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain.then(|| language.to_ascii_lowercase())
}

/// `en ; q=0.5` and `en;q=0.5` are one (RFC 9110 §5.6.6). White space elsewhere is no part of what these fields may say, and what others make of it is their own.
fn trimmed(member: &[u8]) -> Vec<u8> {
    member.split(|b| *b == b';').map(<[u8]>::trim_ascii).collect::<Vec<_>>().join(&b';')
}

/// In lower case, but for the values of parameters: those of a media type may be told apart by case (RFC 9110 §8.3.1).
fn lower(member: &mut [u8]) {
    for part in member.split_mut(|b| *b == b';') {
        let name = part.iter().position(|b| *b == b'=').unwrap_or(part.len());
        part[..name].make_ascii_lowercase();
    }
}

/// The codings a client takes, without what says nothing: browsers spell the same wish in many ways (Souin #519). Weights say something
/// where they differ. What a client refuses says something where it would be taken else: beside `*`, or if it is `identity`, which everybody takes who does
/// not say so (RFC 9110 §12.5.3); and to take that, where it is preferred to another. What cannot be read may mean anything.
fn normal_codings(members: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let read: Vec<_> = members.iter().map(|member| coding(member)).collect();
    let others = |taken| read.iter().flatten().any(|(name, weight)| *name == b"*" && (*weight > 0) == taken);
    let (takes_others, refuses_others) = (others(true), others(false));
    let named = read.iter().flatten().filter(|(name, weight)| !matches!(*name, b"" | b"identity") && *weight > 0);
    let least = named.map(|(_, weight)| *weight).min();
    let says_something = |name: &[u8], weight: u16| match (name, weight) {
        (b"", _) => false,
        (b"identity", 1..) => refuses_others || least.is_some_and(|least| least < weight),
        (b"identity" | b"*", _) | (_, 1..) => true,
        (_, 0) => takes_others,
    };
    let said = || read.iter().flatten().filter(|(name, weight)| says_something(name, *weight));
    let mut weights = said().map(|(_, weight)| *weight).filter(|weight| *weight > 0);
    let first = weights.next();
    let is_even = weights.all(|weight| Some(weight) == first);
    let normal = |&(name, weight): &(&[u8], u16)| match weight {
        0 => [name, REFUSED].concat(),
        1000 => name.to_vec(),
        _ if is_even => name.to_vec(),
        _ => [name, b";q=0.", format!("{weight:03}").trim_end_matches('0').as_bytes()].concat(),
    };
    let unread = members.iter().zip(&read).filter(|(_, read)| read.is_none()).map(|(member, _)| member.clone());
    said().map(normal).chain(unread).collect()
}

const REFUSED: &[u8] = b";q=0";

/// A coding, and its weight in thousandths; `None` where it is more than one with a weight.
fn coding(member: &[u8]) -> Option<(&[u8], u16)> {
    let Some(at) = member.iter().position(|b| *b == b';') else { return Some((member, 1000)) };
    let weight = std::str::from_utf8(member[at + 1..].strip_prefix(b"q=")?).ok()?;
    Some((&member[..at], thousandths(weight)?))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_str(v).unwrap())).collect()
    }

    #[test]
    fn names_are_a_sorted_set_and_star_wins_on_any_line() {
        let fields = |names: &[&'static str]| Vary::Fields(names.iter().map(|n| HeaderName::from_static(n)).collect());
        assert_eq!(Vary::of(&map(&[("vary", "B, a , A,,")])), fields(&["a", "b"]));
        assert_eq!(Vary::of(&map(&[("vary", "a"), ("vary", "x, *")])), Vary::Star);
        assert_eq!(Vary::of(&map(&[("vary", "a b")])), Vary::Star);
        assert_eq!(Vary::of(&map(&[("vary", "a, X-Forwarded-For")])), Vary::Star, "the cache does not see it");
        assert_eq!(Vary::of(&map(&[("vary", "")])), Vary::None);
    }

    #[test]
    fn spellings_of_one_wish_are_one_variant() {
        let same = |name: &'static str, a: &str, b: &str| {
            let name = HeaderName::from_static(name);
            let (a, b) = (map(&[(name.as_str().to_owned().leak(), a)]), map(&[(name.as_str().to_owned().leak(), b)]));
            selecting(&a, &name) == selecting(&b, &name)
        };
        assert!(same("accept-encoding", "gzip, deflate, br", "br;q=1.0,gzip,  deflate, identity"));
        assert!(!same("accept-encoding", "gzip", "gzip;q=0"));
        assert!(same("accept-encoding", "gzip", ";q=1, gzip"), "a coding without a name is none");
        assert!(same("accept-language", "en, de;q=0.5", "DE ; q=0.5,EN"));
        assert!(same("accept", "Text/HTML;Level=1", "text/html ; level=1"));
        assert!(same("x-any", "1,2", "1 ,  2"));
        assert!(!same("x-any", "1, 2", "2, 1"));
        assert!(!same("x-any", "A", "a"));
    }

    #[test]
    fn what_may_mean_something_selects() {
        let all_differ = |name: &'static str, sent: &[&str]| {
            let name = HeaderName::from_static(name);
            let lists = sent.iter().map(|value| map(&[(name.as_str().to_owned().leak(), value)]));
            let values: Vec<_> = lists.map(|list| selecting(&list, &name).unwrap().into_owned()).collect();
            for (at, value) in values.iter().enumerate() {
                assert!(!values[..at].contains(value), "{name}: {sent:?} became {values:?}");
            }
        };
        all_differ("origin", &["https://a.example", "https://a.example,", ",https://a.example", ""]);
        all_differ("x-any", &["a  b", "a b", "a ; b", "a;b"]);
        all_differ("x-any", &[r#""a, b""#, r#""a,b""#, r#""a , b""#]);
        all_differ("accept-encoding", &["*", "gzip;q=0, *", "gzip, *", "gzip, *;q=0", "gzip, identity, *;q=0", "gzip"]);
        all_differ("accept-encoding", &["br", "br, identity;q=0.0", "identity;q=0", "", "b r", "br, identity; q =0"]);
        all_differ("accept-encoding", &["gzip, br", "gzip, br;q=0.1", "br, gzip;q=0.1", "gzip;q=0.1, br;q=0.5, zstd"]);
        all_differ(
            "accept-encoding",
            &["gzip;q=0.1, identity", "gzip, identity;q=0.1", "gzip, br;q=0.1, identity;q=0.5"],
        );
        all_differ(
            "accept-encoding",
            &["gzip, identity;q=0.5, *;q=0.1", "gzip;q=0.1, identity, *;q=0.5", "gzip, *;q=0.1", "gzip;q=0.1, *"],
        );
        all_differ("accept", &["a/b;profile=Foo", "a/b;profile=foo", "a/b"]);
        all_differ("accept", &["a/b", "a/ b", "a /b", "a/b;q=0. 5", "a/b;q=0.5"]);
        all_differ("accept-language", &["de", "d e", "de;x", "de; x y"]);
        let two = map(&[("x-any", "a"), ("x-any", "")]);
        assert_eq!(selecting(&two, &HeaderName::from_static("x-any")).unwrap(), &b"a,"[..]);
    }

    #[test]
    fn what_says_nothing_does_not_select() {
        for (one, other) in [
            ("gzip, br;q=0", "gzip"),
            ("gzip, *;q=0, br;q=0", "*; q=0.000 , GZIP;q=0.3"),
            ("identity", ""),
            ("*, identity;q=1", "*"),
            ("gzip;q=0.001", "gzip"),
            ("gzip;q=0.8, br;q=0.8", "br, gzip"),
            (";q=0.05, gzip, identity", "gzip"),
            ("gzip, br;q=0.5, identity;q=0.1", "gzip;q=1.0, br;q=0.50"),
        ] {
            let value =
                |sent| selecting(&map(&[("accept-encoding", sent)]), &header::ACCEPT_ENCODING).unwrap().into_owned();
            assert_eq!(value(one), value(other), "{one:?} and {other:?}");
        }
    }

    #[test]
    fn the_preferred_language_is_one_alone() {
        for (sent, want) in [
            ("fr;q=0.5, de;q=1.0", Some("de")),
            ("DE", Some("de")),
            ("en-GB, en;q=0.9, *;q=0.1", Some("en-gb")),
            ("en;q=0.8,de;q=0.9;x=1", Some("de")),
            ("en, de", None),
            ("fr;q=0.5, en, de", None),
            ("*", None),
            ("en;q=0", None),
            ("en;q=2", None),
            ("en;q=x", None),
            ("en,,", None),
        ] {
            assert_eq!(preferred_language(&map(&[("accept-language", sent)])).as_deref(), want, "{sent}");
        }
        assert_eq!(preferred_language(&HeaderMap::new()), None);
        assert_eq!(content_language(b" De ").as_deref(), Some("de"));
        assert_eq!(content_language(b"de, en"), None);
    }

    #[test]
    fn every_line_counts() {
        let name = HeaderName::from_static("x-any");
        let two = map(&[("x-any", "1"), ("x-any", "2")]);
        assert_eq!(selecting(&two, &name).unwrap(), &b"1,2"[..]);
        assert_eq!(selecting(&HeaderMap::new(), &name), None);
    }
}
