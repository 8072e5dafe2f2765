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
    /// Something outside the request selects it: never reused (`*`).
    Star,
}

impl Vary {
    /// Reads every line. A name that is no header name is taken for `*`: it cannot be compared.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut fields = Vec::new();
        for line in headers.get_all(header::VARY) {
            for name in line.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|n| !n.is_empty()) {
                match HeaderName::from_bytes(name) {
                    Ok(name) if name.as_str() != "*" => fields.push(name),
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

/// The value of `name` in a request as variants compare it: lines joined, white space folded, list orders that mean nothing sorted.
#[must_use]
pub fn selecting<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
    let lines = headers.get_all(name);
    let first = lines.iter().next()?.as_bytes();
    let plain = lines.iter().nth(1).is_none()
        && !first.iter().any(|b| matches!(b, b' ' | b'\t' | b',' | b'A'..=b'Z'))
        && *name != header::ACCEPT_ENCODING;
    if plain {
        return Some(Cow::Borrowed(first));
    }
    let mut members: Vec<Vec<u8>> = lines
        .iter()
        .flat_map(|line| line.as_bytes().split(|b| *b == b','))
        .map(fold_space)
        .filter(|member| !member.is_empty())
        .collect();
    if *name == header::ACCEPT_ENCODING {
        return Some(Cow::Owned(normal_codings(&members)));
    }
    if *name == header::ACCEPT_LANGUAGE || *name == header::ACCEPT || *name == header::ACCEPT_CHARSET {
        // Ranges carry their weight in `q`, so their order says nothing; case does not either.
        members.iter_mut().for_each(|member| member.make_ascii_lowercase());
        members.sort_unstable();
        members.dedup();
    }
    Some(Cow::Owned(members.join(&b',')))
}

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

fn fold_space(member: &[u8]) -> Vec<u8> {
    let mut folded = Vec::with_capacity(member.len());
    for byte in member.trim_ascii() {
        let space = matches!(byte, b' ' | b'\t');
        if !(space && folded.last() == Some(&b' ')) {
            folded.push(if space { b' ' } else { *byte });
        }
    }
    // `en ; q=0.5` and `en;q=0.5` are one.
    let mut tight = Vec::with_capacity(folded.len());
    for (at, byte) in folded.iter().enumerate() {
        let beside_semicolon = folded.get(at + 1) == Some(&b';') || tight.last() == Some(&b';');
        if !(*byte == b' ' && beside_semicolon) {
            tight.push(*byte);
        }
    }
    tight
}

/// The codings a client takes, sorted, without those it refuses: browsers spell the same wish in many ways (Souin #519).
fn normal_codings(members: &[Vec<u8>]) -> Vec<u8> {
    let mut codings: Vec<Vec<u8>> = members
        .iter()
        .filter_map(|member| {
            let mut parts = member.split(|b| *b == b';').map(<[u8]>::trim_ascii);
            let coding = parts.next()?.to_ascii_lowercase();
            let refused = parts.any(|p| {
                let weight = p.strip_prefix(b"q=").or_else(|| p.strip_prefix(b"Q="));
                weight.is_some_and(|w| w.iter().all(|b| matches!(b, b'0' | b'.')))
            });
            (!refused && !coding.is_empty() && coding != b"identity").then_some(coding)
        })
        .collect();
    codings.sort_unstable();
    codings.dedup();
    codings.join(&b',')
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
        assert!(same("x-any", "1,2", "1 ,  2"));
        assert!(!same("x-any", "1, 2", "2, 1"));
        assert!(!same("x-any", "A", "a"));
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
