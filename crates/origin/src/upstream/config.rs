use std::{
    borrow::Cow,
    hash::{BuildHasher, Hasher, RandomState},
    path::PathBuf,
    time::Duration,
};

use http::uri::PathAndQuery;

use super::target::Target;

/// Most origins in all: a set of them is one machine word.
pub(super) const ORIGINS_MAX: usize = 64;

/// An HTTP origin, or several with the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// `http://HOST[:PORT]`, or `https://HOST[:PORT]`, where certificate and name of the origin are checked.
    pub url: String,
    /// Further origins with the same content, as `url`; at most 63. Default: none.
    pub more_urls: Vec<String>,
    /// PEM file of the authorities that may sign the certificates of `https` origins, in place of the public ones; empty for those.
    /// Default: empty.
    pub ca_file: PathBuf,
    /// PEM file with the certificate that is shown to `https` origins which ask for one; empty for none. Default: empty.
    pub cert_file: PathBuf,
    /// PEM file with its private key. Default: empty.
    pub key_file: PathBuf,
    /// The name that `https` origins are asked for and must prove, where it is not the host of their URL; empty for that. Default: empty.
    pub server_name: String,
    /// Pass the client's `Host` on (and key by it); else the origin's own is sent. Default: true.
    pub preserve_host: bool,
    /// Longest wait for a connection. Default: 5 s.
    pub connect_timeout: Duration,
    /// Longest wait for the head of an answer. Default: 30 s.
    pub response_timeout: Duration,
    /// Longest time from sending a request to the last byte of its answer, tunnels aside; zero for any. Default: 1 h.
    pub total_timeout: Duration,
    /// Longest silence in the body of an answer, which is cut then; zero for any. Default: 1 min.
    pub body_idle_max: Duration,
    /// Most requests under way to one origin, tunnels aside. Default: 1 024.
    pub connections_max: usize,
    /// Most requests that wait where all origins have as many as they may; more get a 503. Default: 1 000.
    pub queue_max: usize,
    /// Longest wait for that. Default: 1 s.
    pub queue_timeout: Duration,
    /// Idle connections kept to each origin. Default: 64.
    pub idle_connections_max: usize,
    /// How long a connection is kept idle: shorter than the origin keeps it, or requests meet a connection that it just closed. Many
    /// servers close after 5 s. Default: 4 s.
    pub idle_timeout: Duration,
    /// Path that each origin is asked for to see whether it is healthy, which a 2xx or 3xx says; empty for no checks. Default: empty.
    pub health_path: String,
    /// Time between two checks. Default: 2 s.
    pub health_interval: Duration,
    /// Longest wait for the head of the answer to a check. Default: 1 s.
    pub health_timeout: Duration,
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
            more_urls: Vec::new(),
            ca_file: PathBuf::new(),
            cert_file: PathBuf::new(),
            key_file: PathBuf::new(),
            server_name: String::new(),
            preserve_host: true,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(3600),
            body_idle_max: Duration::from_secs(60),
            connections_max: 1024,
            queue_max: 1000,
            queue_timeout: Duration::from_secs(1),
            idle_connections_max: 64,
            idle_timeout: Duration::from_secs(4),
            health_path: String::new(),
            health_interval: Duration::from_secs(2),
            health_timeout: Duration::from_secs(1),
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
    key: Cow<'static, str>,
    value: String,
    rule: Cow<'static, str>,
}

impl UpstreamError {
    pub(super) fn new(
        key: impl Into<Cow<'static, str>>,
        value: impl Into<String>,
        rule: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { key: key.into(), value: value.into(), rule: rule.into() }
    }
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
            return Err(UpstreamError::new("name", format!("\"{}\"", self.name), rule));
        }
        Ok(&self.name)
    }

    /// Where each origin is: that of `url`, then those of `more_urls`.
    ///
    /// # Errors
    /// When a URL is not `http://HOST[:PORT]` or `https://HOST[:PORT]`, two name the same, or there are too many.
    pub fn targets(&self) -> Result<Vec<Target>, UpstreamError> {
        let first = Target::of(&self.url).map_err(|rule| UpstreamError::new("url", shown(&self.url), rule))?;
        let mut all = vec![first];
        all.extend(self.more_targets()?);
        Ok(all)
    }

    /// Where each of `more_urls` is.
    ///
    /// # Errors
    /// As of [`Self::targets`].
    pub fn more_targets(&self) -> Result<Vec<Target>, UpstreamError> {
        if self.more_urls.len() >= ORIGINS_MAX {
            let many = format!("{} URLs", self.more_urls.len());
            return Err(UpstreamError::new("more_urls", many, "must be at most 63"));
        }
        // An empty first URL may still be given by other means.
        let mut seen: Vec<_> = Target::of(&self.url).iter().map(Target::place).collect();
        let mut all = Vec::new();
        for (at, url) in self.more_urls.iter().enumerate() {
            let wrong = |rule| UpstreamError::new(format!("more_urls[{at}]"), format!("\"{}\"", shown(url)), rule);
            let target = Target::of(url).map_err(wrong)?;
            let place = target.place();
            if seen.contains(&place) {
                return Err(wrong("must be another origin than those before it"));
            }
            seen.push(place);
            all.push(target);
        }
        Ok(all)
    }

    /// What the checks ask for; `None` where there are none.
    ///
    /// # Errors
    /// When it is no path.
    pub fn health_path(&self) -> Result<Option<PathAndQuery>, UpstreamError> {
        if self.health_path.is_empty() {
            return Ok(None);
        }
        let path = self.health_path.parse().ok().filter(|_| self.health_path.starts_with('/'));
        let wrong = || {
            let rule = "must be a path that begins with `/`, or empty for no checks";
            UpstreamError::new("health_path", format!("\"{}\"", self.health_path), rule)
        };
        path.map(Some).ok_or_else(wrong)
    }
}

/// A URL as it may be printed: without what stands before an `@`.
pub(super) fn shown(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://***@{place}"),
        (None, Some((_, place))) => format!("***@{place}"),
        (_, None) => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_origins_are_others_and_few() {
        let with = |more: &[String]| {
            let config = UpstreamConfig { url: "http://a:80".into(), more_urls: more.into(), ..Default::default() };
            config.targets().map(|all| all.len()).map_err(|error| error.to_string())
        };
        let numbered = |count: usize| (0..count).map(|n| format!("http://more:{n}")).collect::<Vec<_>>();
        assert_eq!(with(&numbered(63)), Ok(64));
        assert_eq!(with(&numbered(64)), Err("origin.more_urls = 64 URLs: must be at most 63".into()));
        let twice = with(&["http://b".into(), "http://A/".into()]).unwrap_err();
        assert_eq!(twice, "origin.more_urls[1] = \"http://A/\": must be another origin than those before it");
    }
}
