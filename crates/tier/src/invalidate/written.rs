//! The URI that a request writes to, and what its answer's references mean beside it.

use edge_cache_policy::normalize::without_default_port;
use http::{Request, Uri};

use crate::Keying;

/// The URI that a request writes to.
pub(super) struct Written {
    pub(super) scheme: String,
    pub(super) authority: String,
    pub(super) uri: Uri,
}

impl Written {
    pub(super) fn of<B>(req: &Request<B>) -> Option<Self> {
        let (scheme, authority) = Keying::authority(req.uri(), req.headers())?;
        let authority = without_default_port(scheme, authority).to_owned();
        Some(Self { scheme: scheme.to_owned(), authority, uri: req.uri().clone() })
    }

    /// `reference` resolved against this URI, if it is of the same origin.
    pub(super) fn same_origin(&self, reference: &str) -> Option<(String, String)> {
        let reference = reference.split('#').next().unwrap_or_default();
        let whole;
        let reference = if reference.starts_with("//") {
            whole = format!("{}:{reference}", self.scheme);
            &whole
        } else {
            reference
        };
        match reference.parse::<Uri>().ok() {
            Some(uri) if uri.scheme().is_some() => {
                let same = uri.scheme_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case(&self.scheme))
                    && uri.authority().is_some_and(|named| {
                        without_default_port(&self.scheme, named.as_str()).eq_ignore_ascii_case(&self.authority)
                    });
                same.then(|| without_dots(&uri))
            }
            Some(uri) if reference.starts_with('/') => Some(without_dots(&uri)),
            _ => self.relative(reference),
        }
    }

    /// A reference relative to the target's path, or to the target itself where it is a query alone.
    fn relative(&self, reference: &str) -> Option<(String, String)> {
        let path = self.uri.path();
        let joined = match reference.strip_prefix('?') {
            Some(_) => format!("{path}{reference}"),
            None if reference.is_empty() || reference.contains("//") || reference.contains(':') => return None,
            None => format!("{}/{reference}", path.rsplit_once('/').map_or("", |(directory, _)| directory)),
        };
        joined.parse().ok().map(|uri| without_dots(&uri))
    }
}

/// Path and query, the path without its dot segments (RFC 3986 §5.2.4).
fn without_dots(uri: &Uri) -> (String, String) {
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = uri.path().split('/').skip(1).peekable();
    while let Some(segment) = parts.next() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    segments.pop();
                }
                if parts.peek().is_none() {
                    // What it stood for is a directory.
                    segments.push("");
                }
            }
            segment => segments.push(segment),
        }
    }
    (format!("/{}", segments.join("/")), uri.query().unwrap_or_default().to_owned())
}

pub(super) fn path_and_query(uri: &Uri) -> (String, String) {
    (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_resolve_within_one_origin() {
        let written =
            Written { scheme: "http".into(), authority: "h:1".into(), uri: Uri::from_static("/api/pitches/7") };
        let resolved = |reference: &str| written.same_origin(reference).map(|(path, _)| path);
        assert_eq!(resolved("/x?y#z").as_deref(), Some("/x"));
        assert_eq!(resolved("http://H:1/x").as_deref(), Some("/x"));
        for (reference, path) in
            [("8", "/api/pitches/8"), ("8/x", "/api/pitches/8/x"), ("../x", "/api/x"), ("?x=1", "/api/pitches/7")]
        {
            assert_eq!(resolved(reference).as_deref(), Some(path), "{reference}");
        }
        for (reference, path) in
            [("/a/../b", "/b"), ("http://h:1/a/./b/..", "/a/"), (".", "/api/pitches/"), ("..", "/api/"), ("/..", "/")]
        {
            assert_eq!(resolved(reference).as_deref(), Some(path), "{reference}");
        }
        assert_eq!(resolved("http://other/x"), None);
        assert_eq!(resolved("https://h:1/x"), None);
        assert_eq!(resolved("//other/x"), None);
        assert_eq!(resolved("//h:1/x").as_deref(), Some("/x"));
    }
}
