use std::{net::IpAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Network, SettingsError, error::time, limits::DAY};

/// A place to listen at: `ADDRESS:PORT`, `https://ADDRESS:PORT` for TLS, or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Over TCP.
    Tcp {
        /// `ADDRESS:PORT`; port 0 takes a free one.
        address: String,
        /// Whether TLS is spoken there.
        tls: bool,
    },
    /// A socket in the file system, without TLS.
    Unix(PathBuf),
}

impl Place {
    /// Reads one; `None` where it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return (!path.is_empty()).then(|| Self::Unix(path.into()));
        }
        let (tls, address) = match text.split_once("://") {
            Some(("https", address)) => (true, address),
            Some(("http", address)) => (false, address),
            Some(_) => return None,
            None => (false, text),
        };
        let (host, port) = address.rsplit_once(':')?;
        let bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        let named = !host.is_empty() && !host.contains('/') && !bare_ipv6;
        (named && port.parse::<u16>().is_ok()).then(|| Self::Tcp { address: address.to_owned(), tls })
    }

    /// Whether both cannot be listened at.
    fn is_at(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp { address, .. }, Self::Tcp { address: other, .. }) => {
                let (Some((host, port)), Some((other, other_port))) =
                    (address.rsplit_once(':'), other.rsplit_once(':'))
                else {
                    return address == other;
                };
                let takes = |all: &str, host: &str| match all {
                    "[::]" => true,
                    "0.0.0.0" => !host.starts_with('['),
                    _ => all == host,
                };
                port == other_port && port != "0" && (takes(host, other) || takes(other, host))
            }
            (Self::Unix(path), Self::Unix(other)) => path == other,
            _ => false,
        }
    }

    /// Whether TLS is spoken there.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }
}

/// Which header of a trusted proxy tells whom it forwards for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, and `X-Forwarded-Proto` for the scheme.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Whose word about clients is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    nets: Vec<Network>,
    unix: bool,
}

impl TrustedProxies {
    fn parse(lines: &[String]) -> Result<Self, &String> {
        let mut all = Self::default();
        for line in lines {
            match line.as_str() {
                "unix" => all.unix = true,
                text => all.nets.push(text.parse().map_err(|_| line)?),
            }
        }
        Ok(all)
    }

    /// Whether this address is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.nets.iter().any(|net| net.contains(address))
    }

    /// Whether whoever connects to a socket in the file system is one.
    #[must_use]
    pub const fn contains_unix(&self) -> bool {
        self.unix
    }
}

/// `[listen]`: where clients and operators connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenSettings {
    /// Where clients connect, as [`Place`] reads it. Default: 127.0.0.1:8080.
    pub address: String,
    /// Where they can connect besides. Default: nowhere.
    pub more_addresses: Vec<String>,
    /// Addresses and networks of proxies in front (`10.0.0.0/8`, `::1`, `unix`), whose word about their clients is taken. Default: none.
    pub trusted_proxies: Vec<String>,
    /// Where a trusted proxy says it. Default: `x-forwarded-for`.
    pub forwarded_header: ForwardedHeader,
    /// Whether trusted proxies begin each connection with a PROXY header, of version 1 or 2. Default: false.
    pub proxy_protocol: bool,
    /// Where operators connect, as [`Place`] reads it: metrics, health, purge; empty for nowhere. Default: empty.
    pub admin: String,
    /// What operators call this node, in alerts and on the performance page; empty for the address, with the machine's name where that is open to
    /// all. Default: empty.
    pub name: String,
    /// `http://HOST:PORT` under which operators reach the admin listener, for links in alerts; empty for none. Default: empty.
    pub admin_url: String,
    /// Threads that serve clients, each with connections of its own; 0 for as many as there are cores. Default: 0.
    pub threads: usize,
    /// Longest time that requests in flight get at shutdown. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:8080".to_owned(),
            more_addresses: Vec::new(),
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::default(),
            proxy_protocol: false,
            admin: String::new(),
            name: String::new(),
            admin_url: String::new(),
            threads: 0,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// More than any machine has cores.
const THREADS_MAX: usize = 1024;

impl ListenSettings {
    /// Threads that serve clients.
    #[must_use]
    pub fn serving_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// Whose word about clients is taken, where the settings are valid.
    #[must_use]
    pub fn proxies(&self) -> TrustedProxies {
        TrustedProxies::parse(&self.trusted_proxies).unwrap_or_default()
    }

    /// Every place to listen at for clients, with the key that names it.
    pub fn places(&self) -> impl Iterator<Item = (String, &String)> {
        let more = self.more_addresses.iter().enumerate();
        let more = more.map(|(at, address)| (format!("listen.more_addresses[{at}]"), address));
        std::iter::once(("listen.address".to_owned(), &self.address)).chain(more)
    }

    /// Where TLS is spoken, if anywhere.
    pub(super) fn over_tls(&self) -> Option<(String, &String)> {
        let admin = Some(("listen.admin".to_owned(), &self.admin)).filter(|(_, admin)| !admin.is_empty());
        self.places().chain(admin).find(|(_, place)| Place::parse(place).is_some_and(|place| place.is_tls()))
    }

    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let admin = Some(("listen.admin".to_owned(), &self.admin)).filter(|(_, admin)| !admin.is_empty());
        let mut taken = Vec::<(String, Place)>::new();
        for (key, text) in self.places().chain(admin) {
            let wrong = |rule: &str| SettingsError::rule(&key, format!("\"{text}\""), rule);
            let place =
                Place::parse(text).ok_or_else(|| wrong("must be ADDRESS:PORT, https://ADDRESS:PORT or unix:PATH"))?;
            if let Some((other, _)) = taken.iter().find(|(_, other)| other.is_at(&place)) {
                return Err(wrong(&format!("must be another place than that of {other}")));
            }
            taken.push((key, place));
        }
        if let Err(line) = TrustedProxies::parse(&self.trusted_proxies) {
            let rule = "must be an address, a network such as 10.0.0.0/8, or unix";
            return Err(SettingsError::rule("listen.trusted_proxies", format!("\"{line}\""), rule));
        }
        if self.proxy_protocol && self.trusted_proxies.is_empty() {
            let rule = "needs listen.trusted_proxies: only those are listened to";
            return Err(SettingsError::rule("listen.proxy_protocol", true, rule));
        }
        let url = self
            .admin_url
            .split_once("://")
            .filter(|(scheme, host)| matches!(*scheme, "http" | "https") && !host.is_empty());
        if !self.admin_url.is_empty() && url.is_none() {
            let value = format!("\"{}\"", self.admin_url);
            return Err(SettingsError::rule(
                "listen.admin_url",
                value,
                "must be http://HOST:PORT or https://HOST:PORT, or empty",
            ));
        }
        if self.threads > THREADS_MAX {
            let rule = format!("must be at most {THREADS_MAX}; 0 for as many as there are cores");
            return Err(SettingsError::rule("listen.threads", self.threads, rule));
        }
        if self.drain_timeout > DAY {
            let drain = time(self.drain_timeout);
            return Err(SettingsError::rule("listen.drain_timeout", drain, "must be at most 24h"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_in_each_spelling() {
        let tcp = |address: &str, tls| Some(Place::Tcp { address: address.to_owned(), tls });
        assert_eq!(Place::parse("127.0.0.1:80"), tcp("127.0.0.1:80", false));
        assert_eq!(Place::parse("http://[::1]:80"), tcp("[::1]:80", false));
        assert_eq!(Place::parse("https://[::]:443"), tcp("[::]:443", true));
        assert_eq!(Place::parse("localhost:0"), tcp("localhost:0", false));
        assert_eq!(Place::parse("unix:/run/x.sock"), Some(Place::Unix("/run/x.sock".into())));
        for wrong in ["", "8080", ":80", "h:x", "h:65536", "ftp://h:1", "unix:", "https://h:1/", "::1:80", "https://:1"]
        {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn proxies_are_addresses_networks_and_sockets() {
        let lines = ["10.1.2.3/8", "::1", "unix"].map(str::to_owned);
        let proxies = TrustedProxies::parse(&lines).unwrap();
        let contains = |address: &str| proxies.contains(address.parse().unwrap());
        assert!(contains("10.255.0.1") && contains("::1") && proxies.contains_unix());
        assert!(!contains("11.0.0.1") && !contains("::2") && !TrustedProxies::default().contains_unix());
        assert_eq!(TrustedProxies::parse(&["10.0.0.0/33".to_owned()]), Err(&"10.0.0.0/33".to_owned()));
    }
}
