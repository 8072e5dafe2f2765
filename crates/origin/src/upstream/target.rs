//! Where an origin is, and whether the way to it is encrypted.

use http::{
    HeaderValue, Uri,
    uri::{Authority, Scheme},
};

const RULE: &str = "must be http://HOST:PORT or https://HOST:PORT";

/// Host and port of an origin, and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host and port; the port is there wherever the way is encrypted.
    pub authority: Authority,
    /// By TLS.
    pub secure: bool,
    /// What it is called in requests: the port only where it is not the usual one.
    pub(super) host: HeaderValue,
}

impl Target {
    /// As a URL names it.
    pub(super) fn of(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.parse().map_err(|_| RULE)?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(RULE),
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err("must be http://HOST:PORT or https://HOST:PORT: a path or query has no meaning here");
        }
        let mut authority = uri.authority().cloned().ok_or(RULE)?;
        if authority.as_str().contains('@') {
            return Err("must be http://HOST:PORT or https://HOST:PORT: a user or password has no meaning here");
        }
        if secure && authority.port_u16().is_none() {
            // Named in full: without it, it would be taken for the origin at the same host that is not encrypted.
            authority = format!("{}:443", authority.host()).parse().map_err(|_| RULE)?;
        }
        let usual = if secure { 443 } else { 80 };
        let is_usual = authority.port_u16().is_none_or(|port| port == usual);
        let host = if is_usual { authority.host() } else { authority.as_str() };
        let host = HeaderValue::try_from(host).map_err(|_| RULE)?;
        Ok(Self { authority, secure, host })
    }

    pub(super) fn scheme(&self) -> Scheme {
        if self.secure { Scheme::HTTPS } else { Scheme::HTTP }
    }

    /// What tells it from others.
    pub(super) fn place(&self) -> (String, u16) {
        (self.authority.host().to_ascii_lowercase(), self.authority.port_u16().unwrap_or(80))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_and_ports() {
        let of = |url| Target::of(url).map(|target| (target.authority.to_string(), target.secure)).unwrap();
        assert_eq!(of("http://h:81"), ("h:81".into(), false));
        assert_eq!(of("http://[::1]/"), ("[::1]".into(), false));
        assert_eq!(of("https://h"), ("h:443".into(), true));
        assert_eq!(of("https://[::1]"), ("[::1]:443".into(), true));
        assert_eq!(of("https://h:8443/"), ("h:8443".into(), true));
        for bad in
            ["", "h:81", "https://h/x", "http://h/x", "http://u:p@h", "https://u@h", "ftp://h", "http://", "https://"]
        {
            assert!(Target::of(bad).is_err(), "{bad}");
        }
    }
}
