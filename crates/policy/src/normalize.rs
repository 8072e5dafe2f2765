//! URIs as the guarded policy keys them: spellings of one are one key, and what two servers could read differently has none.

use std::borrow::Cow;

/// A path that two servers could read differently: dot segments, encoded slashes, empty segments, control bytes.
///
/// Such a path is forwarded as it is and never stored (web cache deception).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous;

/// The path with unreserved characters decoded and percent-encodings in upper case (RFC 3986 §6.2.2).
///
/// # Errors
/// [`Ambiguous`] paths have no canonical form.
pub fn path(path: &str) -> Result<Cow<'_, str>, Ambiguous> {
    let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'~' | b'.'));
    let canonical = if plain { Cow::Borrowed(path) } else { Cow::Owned(decode_unreserved(path)?) };
    let inside = canonical.as_bytes().strip_prefix(b"/").ok_or(Ambiguous)?;
    // By bytes: this is done for every request, and looking for characters costs several times as much.
    let mut segments = inside.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        // Only the last one may be empty: that of a path which ends with a slash.
        let empty_within = segment.is_empty() && segments.peek().is_some();
        if empty_within || segment.first() == Some(&b'.') && is_dots(segment) {
            return Err(Ambiguous);
        }
    }
    Ok(canonical)
}

/// The authority of a URL of this scheme without a port that says nothing: the scheme's own, or none (RFC 9110 §4.2.3).
///
/// ```
/// use edge_cache_policy::normalize::without_default_port;
///
/// assert_eq!(without_default_port("http", "shop.example:80"), "shop.example");
/// assert_eq!(without_default_port("https", "shop.example:80"), "shop.example:80");
/// ```
#[must_use]
pub fn without_default_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let port = match scheme.len() {
        4 if scheme.eq_ignore_ascii_case("http") => ":80",
        5 if scheme.eq_ignore_ascii_case("https") => ":443",
        _ => return authority,
    };
    authority.strip_suffix(port).or_else(|| authority.strip_suffix(':')).unwrap_or(authority)
}

/// A dot segment, with parameters or without: some servers cut those off first.
fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b".." | [b'.', b';', ..] | [b'.', b'.', b';', ..])
}

fn decode_unreserved(path: &str) -> Result<String, Ambiguous> {
    let bytes = path.as_bytes();
    let mut out = String::with_capacity(path.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte != b'%' {
            if byte == b'\\' || byte.is_ascii_control() || !byte.is_ascii() {
                return Err(Ambiguous);
            }
            out.push(char::from(byte));
            at += 1;
            continue;
        }
        let hex = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
        let (high, low) = hex(at + 1).zip(hex(at + 2)).ok_or(Ambiguous)?;
        let decoded = u8::try_from(high * 16 + low).expect("two hex digits make a byte");
        match decoded {
            b'/' | b'\\' | 0..=31 | 127 => return Err(Ambiguous),
            b'-' | b'_' | b'~' | b'.' => out.push(char::from(decoded)),
            d if d.is_ascii_alphanumeric() => out.push(char::from(d)),
            d => out.push_str(&format!("%{d:02X}")),
        }
        at += 3;
    }
    Ok(out)
}

/// The query stably sorted by parameter name, everything kept.
#[must_use]
pub fn sorted_query(query: &str) -> Cow<'_, str> {
    let name = |pair: &str| pair.split_once('=').map_or(pair.len(), |(name, _)| name.len());
    let pairs = || query.split('&');
    if pairs().is_sorted_by(|a, b| a[..name(a)] <= b[..name(b)]) {
        return Cow::Borrowed(query);
    }
    let mut sorted: Vec<&str> = pairs().collect();
    sorted.sort_by(|a, b| a[..name(a)].cmp(&b[..name(b)]));
    Cow::Owned(sorted.join("&"))
}

/// The query cut to parameters of these names, stably sorted by name.
#[must_use]
pub fn allowed_query<'a>(query: &'a str, names: &[Cow<'static, str>]) -> Cow<'a, str> {
    let name = |pair: &str| pair.split_once('=').map_or(pair.len(), |(name, _)| name.len());
    let allowed = |pair: &&str| names.iter().any(|n| **n == pair[..name(pair)]);
    if query.is_empty() || query.split('&').all(|pair| allowed(&pair)) {
        return sorted_query(query);
    }
    let kept = query.split('&').filter(allowed).collect::<Vec<_>>().join("&");
    Cow::Owned(sorted_query(&kept).into_owned())
}

/// Whether the last segment looks like a static file: what a deceiver appends to a private page's path.
#[must_use]
pub fn looks_static(path: &str) -> bool {
    const SUFFIXES: [&str; 20] = [
        "avif", "bmp", "css", "csv", "gif", "htm", "html", "ico", "jpeg", "jpg", "js", "mp4", "pdf", "png", "svg",
        "ttf", "txt", "webp", "woff", "woff2",
    ];
    let last = path.rsplit('/').next().unwrap_or(path);
    last.rsplit_once(['.', ';']).is_some_and(|(_, suffix)| SUFFIXES.iter().any(|s| suffix.eq_ignore_ascii_case(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_per_path() {
        for (sent, canonical) in [
            ("/a/%7Eb", "/a/~b"),
            ("/%e4/x", "/%E4/x"),
            ("/a b".split(' ').next().unwrap(), "/a"),
            ("/a/", "/a/"),
            ("/", "/"),
        ] {
            assert_eq!(path(sent).as_deref(), Ok(canonical), "{sent}");
        }
    }

    #[test]
    fn ambiguous_paths_have_none() {
        for sent in [
            "/a/../b",
            "/a/..;/b",
            "/a/.;x=1/b",
            "/a/%2e%2e/b",
            "/a%2fb",
            "/a//b",
            "//a",
            "/a\\b",
            "/a%5cb",
            "/a%00",
            "/a%zz",
            "*",
            "",
            "/./",
        ] {
            assert_eq!(path(sent), Err(Ambiguous), "{sent}");
        }
    }

    #[test]
    fn queries_sort_stably_by_name() {
        assert_eq!(sorted_query("b=2&a=1"), "a=1&b=2");
        assert_eq!(sorted_query("a=2&b&a=1"), "a=2&a=1&b");
        assert!(matches!(sorted_query("a=2&a=1&b"), Cow::Borrowed(_)));
        assert_eq!(sorted_query(""), "");
    }

    #[test]
    fn an_allow_list_cuts_the_rest() {
        let names = ["page".into(), "q".into()];
        assert_eq!(allowed_query("utm_source=x&q=2&page=1&qq=3", &names), "page=1&q=2");
        assert_eq!(allowed_query("x=1", &names), "");
        assert!(matches!(allowed_query("page=1&q", &names), Cow::Borrowed("page=1&q")));
    }

    #[test]
    fn static_looks() {
        assert!(looks_static("/api/me/x.css") && looks_static("/api/me;x.JS") && looks_static("/a.b/c.png"));
        assert!(!looks_static("/api/pitches/12") && !looks_static("/v1.css/me") && !looks_static("/report.v2"));
    }
}
