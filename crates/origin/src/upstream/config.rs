use std::time::Duration;

use http::{Uri, uri::Authority};

/// An HTTP origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// `http://HOST[:PORT]`.
    pub url: String,
    /// Pass the client's `Host` on (and key by it); else the origin's own is sent. Default: true.
    pub preserve_host: bool,
    /// Longest wait for a connection. Default: 5 s.
    pub connect_timeout: Duration,
    /// Longest wait for the head of an answer. Default: 30 s.
    pub response_timeout: Duration,
    /// Idle connections kept. Default: 64.
    pub idle_connections_max: usize,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            preserve_host: true,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
            idle_connections_max: 64,
        }
    }
}

/// Why a URL names no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("origin.url = {url}: {rule}")]
pub struct UpstreamError {
    url: String,
    rule: &'static str,
}

impl UpstreamConfig {
    /// Host and port of the origin.
    ///
    /// # Errors
    /// When the URL is not `http://HOST[:PORT]`.
    pub fn authority(&self) -> Result<Authority, UpstreamError> {
        let wrong = |rule| UpstreamError { url: self.url.clone(), rule };
        let uri: Uri = self.url.parse().map_err(|_| wrong("not a URL, expected http://HOST:PORT"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(wrong("TLS to the origin is not supported, expected http://HOST:PORT")),
            _ => return Err(wrong("expected http://HOST:PORT")),
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong("a path or query has no meaning here, expected http://HOST:PORT"));
        }
        let authority = uri.authority().cloned().ok_or_else(|| wrong("expected http://HOST:PORT"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a user or password has no meaning here, expected http://HOST:PORT"));
        }
        Ok(authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_origins() {
        let authority = |url: &str| {
            UpstreamConfig { url: url.into(), ..UpstreamConfig::default() }.authority().map(|a| a.to_string())
        };
        assert_eq!(authority("http://h:81").as_deref(), Ok("h:81"));
        assert_eq!(authority("http://[::1]/").as_deref(), Ok("[::1]"));
        for bad in ["", "h:81", "https://h", "http://h/x", "http://u:p@h", "ftp://h", "http://"] {
            assert!(authority(bad).is_err(), "{bad}");
        }
    }
}
