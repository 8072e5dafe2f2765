//! A URL to warm before it is known of which proxy it will be asked.

use http::{HeaderName, HeaderValue};

use crate::{Replay, ReplayError};

/// Path and query with the headers that select the variant, and the authority where it is not the usual one of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Begins with `/`.
    pub path_and_query: String,
    /// `HOST` or `HOST:PORT`; `None` for that of the run.
    pub authority: Option<String>,
    /// See [`ALLOWED_HEADERS`](crate::ALLOWED_HEADERS).
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Wanted {
    /// A path, with its query, and nothing else.
    #[must_use]
    pub fn path(path_and_query: impl Into<String>) -> Self {
        Self { path_and_query: path_and_query.into(), authority: None, headers: Vec::new() }
    }

    /// Adds each of `headers` that it does not name itself.
    pub fn default_headers(&mut self, headers: &[(HeaderName, HeaderValue)]) {
        let own: Vec<HeaderName> = self.headers.iter().map(|(name, _)| name.clone()).collect();
        self.headers.extend(headers.iter().filter(|(name, _)| !own.contains(name)).cloned());
    }

    /// The request for it, at `authority` unless it has one of its own.
    ///
    /// # Errors
    /// See [`Replay::new`].
    pub fn at(&self, scheme: &str, authority: &str) -> Result<Replay, ReplayError> {
        let authority = self.authority.as_deref().unwrap_or(authority);
        Replay::new(scheme, authority, &self.path_and_query, self.headers.iter().cloned())
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    #[test]
    fn its_own_authority_and_headers_come_first() {
        let language = |value| (header::ACCEPT_LANGUAGE, HeaderValue::from_static(value));
        let mut wanted = Wanted { authority: Some("a.example".to_owned()), ..Wanted::path("/x") };
        assert_eq!(wanted.at("http", "h").unwrap().to_string(), "http://a.example/x");
        assert_eq!(Wanted::path("/x").at("http", "h").unwrap().to_string(), "http://h/x");
        wanted.default_headers(&[language("de")]);
        wanted.default_headers(&[language("fr"), (header::ACCEPT, HeaderValue::from_static("a"))]);
        let replay = wanted.at("http", "h").unwrap();
        let headers: Vec<_> = replay.headers().iter().map(|(_, value)| value.to_str().unwrap()).collect();
        assert_eq!(headers, ["a", "de"]);
        assert!(Wanted::path("x").at("http", "h").is_err());
    }
}
