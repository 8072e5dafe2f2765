use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

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
    /// How long a connection is kept idle: shorter than the origin keeps it, or requests meet a connection that it just closed. Many
    /// servers close after 5 s. Default: 4 s.
    pub idle_timeout: Duration,
    /// What this gateway calls itself in `Via` and `CDN-Loop`, a token; the same on all nodes of one cache, and on no other that may
    /// stand in the same chain. Default: `edge-cache-` and a random number.
    pub name: String,
    /// Pass requests for other protocols on, such as WebSocket; else they get a 501. Default: true.
    pub upgrades: bool,
    /// Tunnels open at once; more get a 503. Default: 1 000.
    pub tunnels_max: usize,
    /// Longest silence in a tunnel. Default: 10 min.
    pub tunnel_idle_max: Duration,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            preserve_host: true,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
            idle_connections_max: 64,
            idle_timeout: Duration::from_secs(4),
            name: format!("edge-cache-{:08x}", RandomState::new().build_hasher().finish() >> 32),
            upgrades: true,
            tunnels_max: 1000,
            tunnel_idle_max: Duration::from_secs(600),
        }
    }
}

/// Why a configuration describes no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("origin.{key} = {value}: {rule}")]
pub struct UpstreamError {
    key: &'static str,
    value: String,
    rule: &'static str,
}

impl UpstreamConfig {
    /// The name, checked: it becomes part of header fields (RFC 9110 §5.6.2).
    ///
    /// # Errors
    /// When it is no token.
    pub fn name(&self) -> Result<&str, UpstreamError> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if self.name.is_empty() || !self.name.bytes().all(token) {
            let rule = "must be a token: letters, digits and -._~ without spaces";
            return Err(UpstreamError { key: "name", value: format!("\"{}\"", self.name), rule });
        }
        Ok(&self.name)
    }

    /// Host and port of the origin.
    ///
    /// # Errors
    /// When the URL is not `http://HOST[:PORT]`.
    pub fn authority(&self) -> Result<Authority, UpstreamError> {
        let wrong = |rule| UpstreamError { key: "url", value: self.url.clone(), rule };
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
