use std::fmt;

use edge_cache_warmer::Replay;
use http::{
    Uri,
    uri::{Authority, Scheme},
};

use crate::exit::UsageError;

/// Where a node listens: `http://HOST:PORT` or `https://HOST:PORT`, and nothing else. The ports may be left out where they are 80 and 443.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    scheme: Scheme,
    authority: Authority,
}

impl Address {
    /// The address in what `option` of the command line says.
    ///
    /// # Errors
    /// What it must be.
    pub(crate) fn parse(option: &str, url: &str) -> Result<Self, UsageError> {
        // What a request of it would be has the same rules: no user's name, and a number for a port.
        let root = Replay::from_url(url, []).ok().filter(|root| root.path_and_query() == "/");
        let root =
            root.ok_or_else(|| UsageError(format!("{option} {url}: must be http://HOST:PORT or https://HOST:PORT")))?;
        Ok(Self { scheme: root.scheme().clone(), authority: root.authority().clone() })
    }

    pub(crate) const fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    pub(crate) const fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The host as certificates name it.
    pub(super) fn host(&self) -> &str {
        self.authority.host().trim_matches(['[', ']'])
    }

    pub(super) fn uri(&self) -> Uri {
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query("/");
        uri.build().expect("a scheme, a host and a path make a URI")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_and_a_host_and_nothing_else() {
        for (url, address, host) in [
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080", "127.0.0.1"),
            ("https://[::1]:2", "https://[::1]:2", "::1"),
            ("HTTPS://Node", "https://node", "node"),
        ] {
            let parsed = Address::parse("--admin", url).unwrap();
            assert_eq!((parsed.to_string().as_str(), parsed.host()), (address, host));
            assert_eq!(parsed.is_secure(), address.starts_with("https"));
        }
        for wrong in [
            "h:80",
            "http://",
            "http://h/x",
            "https://h/?x",
            "https://h?x",
            "http://me@h",
            "ftp://h",
            "",
            "http://h:x",
            "https://h#x",
        ] {
            let error = Address::parse("--target", wrong).unwrap_err().to_string();
            assert_eq!(error, format!("--target {wrong}: must be http://HOST:PORT or https://HOST:PORT"));
        }
    }
}
