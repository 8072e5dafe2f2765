//! Headers that end at one connection (RFC 9110 §7.6.1).

use http::{HeaderMap, HeaderName, HeaderValue, header};

static HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authentication-info"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Fields for whoever receives the content, and for whoever reads where a message came from: `Connection` must not name them (RFC 9110 §7.6.1), and
/// whoever does so wants a gateway to forget who asks, how the message is framed, or what may be done with it.
static END_TO_END: [HeaderName; 20] = [
    header::AGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("cdn-loop"),
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::DATE,
    header::EXPIRES,
    header::FORWARDED,
    header::HOST,
    header::PRAGMA,
    header::SET_COOKIE,
    header::TRAILER,
    header::VARY,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
];

/// Takes off what may not be forwarded or stored: the fixed list, and every header that `Connection` names.
///
/// `Trailer` stays: trailers are passed on. A message keeps what frames it, which `Connection` cannot name away, and has one length at most:
/// none beside a transfer coding (RFC 9112 §6.3), and of several equal ones one.
pub fn strip(headers: &mut HeaderMap) {
    // Most messages have one of these or none: a look at their few names costs less than a search for each.
    let own: Vec<_> = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect();
    if own.contains(&header::CONNECTION) {
        for name in named(headers).filter(|name| !END_TO_END.contains(name)).collect::<Vec<_>>() {
            headers.remove(name);
        }
    }
    frame(headers);
    for name in own {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    // The lengths of these names.
    const LENGTHS: u32 = 1 << 2 | 1 << 7 | 1 << 10 | 1 << 14 | 1 << 16 | 1 << 17 | 1 << 18 | 1 << 19 | 1 << 25;
    let len = name.as_str().len();
    len < 32 && LENGTHS & (1 << len) != 0 && HOP_BY_HOP.contains(name)
}

/// Takes off what `Connection` names, so that it is gone for all that follows: whoever judges a request sees it as the next server will. What is of
/// a connection by its own name stays for the gateway, and is all that `Connection` names then.
pub fn strip_named(headers: &mut HeaderMap) {
    let (own, others): (Vec<_>, Vec<_>) = named(headers).partition(is_own);
    if others.is_empty() {
        return;
    }
    for name in others.iter().filter(|name| !END_TO_END.contains(name)) {
        headers.remove(name);
    }
    let own = own.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(", ");
    match HeaderValue::try_from(own) {
        Ok(own) if !own.is_empty() => drop(headers.insert(header::CONNECTION, own)),
        _ => drop(headers.remove(header::CONNECTION)),
    }
}

/// Whether a line of `Connection` names no header: what most clients say.
pub(crate) fn names_none(connection: &HeaderValue) -> bool {
    [&b"keep-alive"[..], b"close"].iter().any(|plain| connection.as_bytes().eq_ignore_ascii_case(plain))
}

/// An option that is no header of the message's, or one of a connection's own.
fn is_own(name: &HeaderName) -> bool {
    is_hop_by_hop(name) || name.as_str() == "close"
}

fn named(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let options = headers.get_all(header::CONNECTION).iter().flat_map(|line| line.as_bytes().split(|b| *b == b','));
    options.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
}

/// Leaves one length at most.
fn frame(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(first) = lines.next() else { return };
    let coded = headers.contains_key(header::TRANSFER_ENCODING);
    let plain =
        matches!(first.as_bytes(), [b'0'] | [b'1'..=b'9', ..]) && first.as_bytes().iter().all(u8::is_ascii_digit);
    if plain && !coded && lines.next().is_none() {
        return;
    }
    let all = headers.get_all(header::CONTENT_LENGTH).iter().flat_map(|line| line.as_bytes().split(|b| *b == b','));
    let mut lengths = all.map(|length| length_of(length.trim_ascii()));
    let first = lengths.next().flatten().filter(|first| !coded && lengths.all(|next| next == Some(*first)));
    match first {
        Some(length) => drop(headers.insert(header::CONTENT_LENGTH, length.into())),
        None => drop(headers.remove(header::CONTENT_LENGTH)),
    }
}

fn length_of(digits: &[u8]) -> Option<u64> {
    // A number type takes a sign too.
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        left
    }

    #[test]
    fn the_list_and_what_connection_names() {
        let mut headers = map(&[("keep-alive", "1"), ("te", "1"), ("x-hop", "1"), ("x-end", "1"), ("trailer", "1")]);
        headers.insert("content-length", HeaderValue::from_static("1"));
        headers.insert("connection", HeaderValue::from_static("close, X-Hop, content-length"));
        strip(&mut headers);
        assert_eq!(names(&headers), ["content-length", "trailer", "x-end"]);
    }

    #[test]
    fn each_of_the_list_is_known_again() {
        assert!(HOP_BY_HOP.iter().all(is_hop_by_hop));
        assert!(!is_hop_by_hop(&header::HOST) && !is_hop_by_hop(&header::CONTENT_ENCODING));
    }

    #[test]
    fn connection_cannot_name_away_what_is_for_everybody() {
        for name in &END_TO_END {
            let mut headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("1"))]);
            headers.insert(header::CONNECTION, HeaderValue::from_str(name.as_str()).unwrap());
            let mut named = headers.clone();
            strip(&mut headers);
            strip_named(&mut named);
            assert!(headers.contains_key(name) && named.contains_key(name), "{name}");
            assert!(!named.contains_key(header::CONNECTION), "{name}");
        }
    }

    #[test]
    fn what_connection_names_is_gone_for_whoever_judges() {
        let mut headers =
            map(&[("connection", "Upgrade, x-tenant"), ("upgrade", "foo"), ("x-tenant", "a"), ("a", "b")]);
        strip_named(&mut headers);
        assert_eq!(
            (names(&headers), headers["connection"].as_bytes()),
            (vec!["a", "connection", "upgrade"], &b"upgrade"[..])
        );
        let mut plain = map(&[("connection", "Keep-Alive, te"), ("te", "trailers")]);
        strip_named(&mut plain);
        assert_eq!(plain["connection"], "Keep-Alive, te", "nothing else is named");
        assert!(names_none(&HeaderValue::from_static("Close")) && !names_none(&HeaderValue::from_static("close, x")));
    }

    #[test]
    fn a_message_has_one_length_at_most() {
        for (lines, left) in [
            (&["5"][..], Some("5")),
            (&["5", "5"], Some("5")),
            (&["5, 5"], Some("5")),
            (&["5", "6"], None),
            (&["5, x"], None),
            (&["+5"], None),
            (&["05"], Some("5")),
            (&["0"], Some("0")),
            (&[""], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::CONTENT_LENGTH, HeaderValue::from_static(line));
            }
            strip(&mut headers);
            assert_eq!(headers.get(header::CONTENT_LENGTH).map(|v| v.to_str().unwrap()), left, "{lines:?}");
            assert!(headers.get_all(header::CONTENT_LENGTH).iter().count() < 2);
        }
        let mut both = map(&[("content-length", "5"), ("transfer-encoding", "chunked")]);
        strip(&mut both);
        assert!(both.is_empty(), "the coding frames it");
    }
}
