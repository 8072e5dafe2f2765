//! A request in a form that can be kept and sent again.

use std::{fmt, str::FromStr};

use edge_cache_core::CacheKey;
use http::{
    HeaderName, HeaderValue, Request, Uri, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use xxhash_rust::xxh3::xxh3_128;

/// First byte of the canonical form; raise it when the form changes, so that old digests never match.
const SCHEMA: u8 = 1;

/// The headers that a [`Replay`] may carry: what an answer may vary by, and nothing of a person.
pub const ALLOWED_HEADERS: [HeaderName; 5] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::ORIGIN,
    HeaderName::from_static("save-data"),
];

/// A GET of an absolute URL with the headers that select its variant.
///
/// The authority is part of the cache's key, so there is no replay without one; it is kept in lower case. Headers are kept sorted by
/// name. Cheap to compare, and shown as its URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replay {
    scheme: Scheme,
    authority: Authority,
    path_and_query: PathAndQuery,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Why something is no [`Replay`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each message says it")]
pub enum ReplayError {
    #[error("`{url}` names no host: must be absolute, as http://HOST/PATH")]
    Relative { url: String },
    #[error("`{url}` is no URL: must be http://HOST/PATH, with everything but visible ASCII as %XX")]
    Malformed { url: String },
    #[error("scheme `{scheme}`: must be http or https")]
    Scheme { scheme: String },
    #[error("authority `{authority}`: must be HOST or HOST:PORT")]
    Authority { authority: String },
    #[error("path `{path}`: must begin with `/`")]
    NoSlash { path: String },
    #[error("path `{path}`: must be visible ASCII without `#`, everything else as %XX")]
    Path { path: String },
    #[error(
        "header `{name}` cannot be replayed: must be one of accept, accept-encoding, accept-language, origin, save-data"
    )]
    Header { name: HeaderName },
    #[error("header `{name}`: its value must be visible text")]
    HeaderValue { name: HeaderName },
}

/// Scheme and authority of what a setting names: `HOST[:PORT]`, or with `https://` or `http://` before it. Which one it is is part of every key.
#[must_use]
pub fn split_scheme(authority: &str) -> (&'static str, &str) {
    match authority.strip_prefix("https://") {
        Some(authority) => ("https", authority),
        None => ("http", authority.strip_prefix("http://").unwrap_or(authority)),
    }
}

impl Replay {
    /// A GET of `path_and_query`, which begins with `/`, at `authority` (`HOST` or `HOST:PORT`).
    ///
    /// # Errors
    /// What is wrong with which part.
    pub fn new(
        scheme: &str,
        authority: &str,
        path_and_query: &str,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Result<Self, ReplayError> {
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            _ => return Err(ReplayError::Scheme { scheme: scheme.to_owned() }),
        };
        let parsed = Authority::from_str(&authority.to_ascii_lowercase()).ok();
        let plain = |authority: &Authority| {
            // A user's name is nobody's key, and a colon without a number is not a port.
            let named = !authority.host().is_empty() && !authority.as_str().contains('@');
            named && (authority.port_u16().is_some() || !ends_in_a_port(authority.as_str()))
        };
        let Some(authority) = parsed.filter(plain) else {
            return Err(ReplayError::Authority { authority: authority.to_owned() });
        };
        let path_and_query = checked_path(path_and_query)?;
        let mut headers: Vec<_> = headers.into_iter().collect();
        for (name, value) in &headers {
            if !ALLOWED_HEADERS.contains(name) {
                return Err(ReplayError::Header { name: name.clone() });
            }
            if value.to_str().is_err() {
                return Err(ReplayError::HeaderValue { name: name.clone() });
            }
        }
        headers.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        Ok(Self { scheme, authority, path_and_query, headers })
    }

    /// A GET of an absolute URL.
    ///
    /// # Errors
    /// What is wrong with it; a relative one is told apart.
    pub fn from_url(
        url: &str,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Result<Self, ReplayError> {
        let uri = Uri::from_str(url).map_err(|_| ReplayError::Malformed { url: url.to_owned() })?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(ReplayError::Relative { url: url.to_owned() });
        };
        if url.contains('#') {
            return Err(ReplayError::Malformed { url: url.to_owned() });
        }
        Self::new(scheme, authority.as_str(), uri.path_and_query().map_or("/", PathAndQuery::as_str), headers)
    }

    /// The request that is answered from what is stored under `key`: `None` where its variant is selected by something that is not replayed.
    #[must_use]
    pub fn of_key(key: &CacheKey) -> Option<Self> {
        let parts = key.parts();
        let mut path_and_query = parts.path.to_owned();
        if !parts.query.is_empty() {
            path_and_query.push('?');
            path_and_query.push_str(parts.query);
        }
        let mut headers = Vec::new();
        for (name, value) in key.selecting() {
            let name = HeaderName::try_from(name).ok().filter(|name| ALLOWED_HEADERS.contains(name))?;
            if let Some(value) = value {
                headers.push((name, HeaderValue::from_bytes(value).ok()?));
            }
        }
        Self::new(parts.scheme, parts.authority, &path_and_query, headers).ok()
    }

    /// `http` or `https`.
    #[must_use]
    pub const fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Host and port, in lower case.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Path and query, as they are sent.
    #[must_use]
    pub const fn path_and_query(&self) -> &PathAndQuery {
        &self.path_and_query
    }

    /// The headers that select the variant, sorted by name.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// The request, as a client would send it to its server: the path as the target, the authority as `Host`.
    #[must_use]
    pub fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.uri_mut() = Uri::from(self.path_and_query.clone());
        let host = HeaderValue::from_str(self.authority.as_str()).expect("an authority is a header value");
        request.headers_mut().insert(header::HOST, host);
        for (name, value) in &self.headers {
            request.headers_mut().append(name.clone(), value.clone());
        }
        request
    }

    /// The xxh3 digest of all parts, each with its length before it: the same in every process and version.
    #[must_use]
    pub fn digest(&self) -> u128 {
        let url = [self.scheme.as_str(), self.authority.as_str(), self.path_and_query.as_str()];
        let headers = self.headers.iter().flat_map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()]);
        digest_of(url.into_iter().map(str::as_bytes).chain(headers))
    }
}

fn ends_in_a_port(authority: &str) -> bool {
    let after_brackets = authority.rsplit(']').next().unwrap_or(authority);
    after_brackets.contains(':')
}

/// A path with its query, as it may stand in a request.
pub(crate) fn checked_path(path: &str) -> Result<PathAndQuery, ReplayError> {
    if !path.starts_with('/') {
        return Err(ReplayError::NoSlash { path: path.to_owned() });
    }
    // The parser would cut a fragment off, and lets some other bytes pass.
    let visible = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let parsed = PathAndQuery::from_str(path).ok().filter(|_| visible);
    parsed.ok_or_else(|| ReplayError::Path { path: path.to_owned() })
}

/// The digest of several fields, each with its length before it.
pub(crate) fn digest_of<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> u128 {
    let mut block = vec![SCHEMA];
    for field in fields {
        block.extend_from_slice(&(field.len() as u64).to_le_bytes());
        block.extend_from_slice(field);
    }
    xxh3_128(&block)
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path_and_query)
    }
}

#[cfg(test)]
mod tests {
    use edge_cache_core::KeyParts;

    use super::*;

    fn replay(url: &str) -> Replay {
        Replay::from_url(url, []).unwrap()
    }

    fn german() -> (HeaderName, HeaderValue) {
        (header::ACCEPT_LANGUAGE, HeaderValue::from_static("de"))
    }

    #[test]
    fn a_url_comes_back_as_it_was_but_for_the_case_of_its_host() {
        let replay = replay("HTTP://Pitchey.Example:8080/api/Pitches?limit=10&q=%C3%A4");
        assert_eq!(replay.to_string(), "http://pitchey.example:8080/api/Pitches?limit=10&q=%C3%A4");
        assert_eq!(Replay::from_url(&replay.to_string(), []).unwrap(), replay);
        assert_eq!(Replay::from_url("http://h", []).unwrap().to_string(), "http://h/");
        assert_eq!(Replay::from_url("http://[::1]:80/x", []).unwrap().authority().as_str(), "[::1]:80");
        assert_eq!(Replay::from_url("http://[::1]/x", []).unwrap().authority().as_str(), "[::1]");
    }

    #[test]
    fn a_key_tells_the_request_that_it_answers() {
        let parts = KeyParts { scheme: "http", authority: "h.example", tenant: "", path: "/a", query: "b=1" };
        let key = CacheKey::new(&parts);
        assert_eq!(Replay::of_key(&key), Some(replay("http://h.example/a?b=1")));
        assert_eq!(
            Replay::of_key(&CacheKey::new(&KeyParts { query: "", ..parts })),
            Some(replay("http://h.example/a"))
        );
        let variant = key.variant([("accept-language", Some(&b"de"[..])), ("accept", None)]);
        assert_eq!(Replay::of_key(&variant), Replay::from_url("http://h.example/a?b=1", [german()]).ok());
        assert_eq!(Replay::of_key(&key.variant([("cookie", Some(&b"a=1"[..]))])), None);
    }

    #[test]
    fn what_is_relative_or_malformed_is_refused_with_its_reason() {
        let error = |url: &str| Replay::from_url(url, []).unwrap_err().to_string();
        for url in ["/api/stats", "api/stats", "pitchey.example/api", "//pitchey.example/api"] {
            assert!(Replay::from_url(url, []).is_err(), "{url}");
        }
        assert!(error("/api/stats").contains("names no host"), "{}", error("/api/stats"));
        assert!(error("ftp://h/x").contains("must be http or https"));
        assert!(error("http://me@h/x").contains("must be HOST or HOST:PORT"));
        assert!(error("http://h/a b").contains("is no URL"));
        assert!(error("http://h/x#part").contains("is no URL"));
        let new = |authority: &str, path: &str| Replay::new("http", authority, path, []).unwrap_err().to_string();
        assert!(new("h", "x").contains("must begin with `/`"));
        for path in ["/x#part", "/ä", "/a b", "/\r\nx: y"] {
            assert!(new("h", path).contains("everything else as %XX"), "{path}");
        }
        for authority in ["", "h/x", "h:", "h:99999", "h:x", "me@h", "h?"] {
            assert!(new(authority, "/x").contains("must be HOST or HOST:PORT"), "{authority}");
        }
    }

    #[test]
    fn only_what_selects_a_variant_is_carried() {
        for name in [header::COOKIE, header::AUTHORIZATION, header::HOST, header::RANGE, header::USER_AGENT] {
            let header = (name.clone(), HeaderValue::from_static("x"));
            let refused = Replay::new("http", "h", "/x", [header]).unwrap_err();
            assert!(refused.to_string().contains(name.as_str()), "{refused}");
        }
        for name in ALLOWED_HEADERS {
            assert!(Replay::new("http", "h", "/x", [(name, HeaderValue::from_static("x"))]).is_ok());
        }
    }

    #[test]
    fn the_request_names_the_authority_as_its_host() {
        let replay = Replay::new("http", "Shop.Example", "/x?y", [german()]).unwrap();
        let request = replay.request();
        assert_eq!((request.method(), request.uri().to_string()), (&http::Method::GET, "/x?y".to_owned()));
        assert_eq!(request.headers()["host"], "shop.example");
        assert_eq!(request.headers()["accept-language"], "de");
    }

    #[test]
    fn the_digest_is_stable_and_every_part_matters() {
        let one = replay("http://h/a?b");
        assert_eq!(format!("{:032x}", one.digest()), "8ba6f7764cfe1c8c310563141a3950c2");
        let others = [
            replay("https://h/a?b"),
            replay("http://h:80/a?b"),
            replay("http://h/a?bc"),
            replay("http://ha/?b"),
            Replay::from_url("http://h/a?b", [german()]).unwrap(),
        ];
        for other in others {
            assert_ne!(one.digest(), other.digest(), "{other}");
        }
        let header = |name, value| (name, HeaderValue::from_static(value));
        let sorted = [header(header::ACCEPT, "a"), german()];
        let (there, back) = (sorted.clone(), [german(), header(header::ACCEPT, "a")]);
        let (there, back) =
            (Replay::from_url("http://h/", there).unwrap(), Replay::from_url("http://h/", back).unwrap());
        assert_eq!((there.digest(), &there), (back.digest(), &back), "the order of headers says nothing");
    }
}
