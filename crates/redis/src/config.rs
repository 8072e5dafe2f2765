use std::{fmt, path::Path, path::PathBuf, time::Duration};

use redis::{ClientTlsConfig, IntoConnectionInfo, TlsCertificates};
use serde::{Deserialize, Serialize};

/// `[redis]`: the Redis tier, and the backplane over the same servers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://[user:password@]host:port/database`, or `rediss://` for TLS; empty for no Redis tier. Default: empty.
    pub url: String,
    /// What `url` names. Default: `server`.
    pub topology: Topology,
    /// Further nodes of the cluster, or further sentinels, in the same form. Default: none.
    pub more_urls: Vec<String>,
    /// The name under which sentinels watch the primary. Default: `mymaster`.
    pub sentinel_service: String,
    /// Credentials for the sentinels themselves; those in `url` are for the servers that they name. Default: none.
    pub sentinel_username: String,
    /// See `sentinel_username`.
    pub sentinel_password: String,
    /// PEM file of the authorities that may sign the servers' certificates, instead of the public ones. Default: the public ones.
    pub ca_file: PathBuf,
    /// PEM file of the certificate that this client shows. Default: none.
    pub cert_file: PathBuf,
    /// PEM file of its key.
    pub key_file: PathBuf,
    /// First part of every key, so that several caches can share a database. Default: `ec`.
    pub key_prefix: String,
    /// Longest wait for a read. Default: 100 ms.
    #[serde(with = "humantime_serde")]
    pub read_timeout: Duration,
    /// Longest wait for a write; it happens behind the answer. Default: 250 ms.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// Largest body kept, in bytes. Default: 1 MiB.
    pub body_bytes_max: u64,
    /// Bodies of at least this many bytes are compressed (zstd, level 1) if they gain by it; 0 for never. It saves memory of Redis and bytes
    /// on the network, and costs each hit there about 1 µs for each KiB, more than all the rest of it. Below the default a µs saves half as
    /// much or less as above it. Default: 4 KiB.
    pub compress_bytes_min: u64,
    /// Whether one node of all asks the origin for what Redis lacks, and the others wait for it. Default: true.
    pub fill_leases: bool,
    /// How long a node that hears nothing from Redis may go on serving what it holds. From 100 ms to 10 min. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// When a purge is acknowledged. Default: `strict`.
    pub acknowledge: Acknowledge,
    /// How long whoever purges waits for the acknowledgement; the purge goes on. Default: 6 s.
    #[serde(with = "humantime_serde")]
    pub acknowledge_timeout: Duration,
    /// Replicas that must have a purge before it is acknowledged. Default: 0.
    pub wait_replicas: u32,
    /// How long an old primary may go on taking writes after a failover: `min-replicas-max-lag` and a second. Default: 0 s for a server
    /// alone, 11 s else.
    #[serde(with = "humantime_serde")]
    pub failover_overlap: Option<Duration>,
}

/// What a Redis URL names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// One server, or a proxy in front of several.
    #[default]
    Server,
    /// A sentinel, which knows the primary.
    Sentinel,
    /// A node of a Redis Cluster.
    Cluster,
}

/// When a purge is acknowledged. The same for all nodes of one cache: one that is `fast` makes them all so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acknowledge {
    /// When every node has heard of it, or its lease is over.
    #[default]
    Strict,
    /// When Redis keeps it. Other nodes hear of it within moments, at the latest when their leases are over.
    Fast,
}

/// A `[redis]` key that breaks its rule: `redis.url = …: must …`, passwords left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("redis.{key} = {value}: {rule}")]
pub struct RedisConfigError {
    /// The key inside `[redis]`.
    pub key: &'static str,
    /// Its value, redacted.
    pub value: String,
    /// The rule, starting with `must`.
    pub rule: String,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            topology: Topology::Server,
            more_urls: Vec::new(),
            sentinel_service: "mymaster".to_owned(),
            sentinel_username: String::new(),
            sentinel_password: String::new(),
            ca_file: PathBuf::new(),
            cert_file: PathBuf::new(),
            key_file: PathBuf::new(),
            key_prefix: "ec".to_owned(),
            read_timeout: Duration::from_millis(100),
            write_timeout: Duration::from_millis(250),
            body_bytes_max: 1 << 20,
            compress_bytes_min: 4 << 10,
            fill_leases: true,
            lease: Duration::from_secs(5),
            acknowledge: Acknowledge::Strict,
            acknowledge_timeout: Duration::from_secs(6),
            wait_replicas: 0,
            failover_overlap: None,
        }
    }
}

impl RedisConfig {
    /// The URL without user, password and query, for logs. Of a shape that is not known, nothing is shown.
    #[must_use]
    pub fn url_redacted(&self) -> String {
        redacted(&self.url)
    }

    /// The same without credentials, to be shown.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let shown = |secret: &str| if secret.is_empty() { String::new() } else { "***".to_owned() };
        Self {
            url: self.url_redacted(),
            more_urls: self.more_urls.iter().map(|url| redacted(url)).collect(),
            sentinel_password: shown(&self.sentinel_password),
            ..self.clone()
        }
    }

    /// Checks every value without connecting; the files are read.
    ///
    /// # Errors
    /// The first key that breaks its rule.
    pub fn validate(&self) -> Result<(), RedisConfigError> {
        if self.url.is_empty() {
            return Ok(());
        }
        self.servers()?;
        self.certificates()?;
        let refuse = |key, value: String, rule: &str| Err(RedisConfigError { key, value, rule: rule.to_owned() });
        if self.key_prefix.is_empty() || self.key_prefix.contains(['{', '}', ' ']) {
            return refuse("key_prefix", format!("{:?}", self.key_prefix), "must be a name without braces or spaces");
        }
        let limits = Duration::from_millis(100)..=Duration::from_secs(600);
        if !limits.contains(&self.lease) {
            return refuse("lease", format!("{:?}", self.lease), "must be from 100ms to 10min");
        }
        if self.topology == Topology::Sentinel && self.sentinel_service.is_empty() {
            return refuse("sentinel_service", "\"\"".into(), "must name what the sentinels watch");
        }
        Ok(())
    }

    /// What is allowed, and weakens what a purge promises.
    #[must_use]
    pub fn concerns(&self) -> Vec<&'static str> {
        let fails_over = !self.url.is_empty() && self.topology != Topology::Server;
        let mut concerns = Vec::new();
        if fails_over && self.is_strict() && self.wait_replicas == 0 {
            concerns.push(
                "redis.wait_replicas = 0: a purge that was acknowledged can be lost in a failover; set it to the number of replicas \
                 that may become primary, and min-replicas-to-write on the servers",
            );
        }
        let longest = self.grace(u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX));
        if !self.url.is_empty() && self.is_strict() && self.acknowledge_timeout < longest {
            concerns.push(
                "redis.acknowledge_timeout is shorter than lease and failover_overlap together: after a start or a loss of Redis, purges \
                 are not acknowledged in time for so long",
            );
        }
        concerns
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.acknowledge == Acknowledge::Strict
    }

    /// How long after an order of purges began some node may still serve by a lease from before.
    pub(crate) fn grace(&self, lease_millis: u64) -> Duration {
        let overlap = self.failover_overlap.unwrap_or(match self.topology {
            Topology::Server => Duration::ZERO,
            Topology::Sentinel | Topology::Cluster => Duration::from_secs(11),
        });
        lease_over(lease_millis) + overlap
    }

    /// What the URLs name.
    pub(crate) fn servers(&self) -> Result<Vec<redis::ConnectionInfo>, RedisConfigError> {
        let all = std::iter::once(("url", &self.url)).chain(self.more_urls.iter().map(|url| ("more_urls", url)));
        all.map(|(key, url)| {
            let rule = "must be redis://[USER:PASSWORD@]HOST:PORT/DATABASE, or rediss:// for TLS".to_owned();
            let wrong = |rule| RedisConfigError { key, value: redacted(url), rule };
            let info = url.as_str().into_connection_info().map_err(|_| wrong(rule))?;
            if self.topology == Topology::Cluster && info.redis_settings().db() != 0 {
                return Err(wrong(
                    "must name no database where redis.topology is \"cluster\", which has but one".to_owned(),
                ));
            }
            Ok(info)
        })
        .collect()
    }

    /// The certificates of the files; `None` for what the library brings.
    pub(crate) fn certificates(&self) -> Result<Option<TlsCertificates>, RedisConfigError> {
        let pem = |key, file: &Path, marker: &str| {
            let wrong =
                |why: String| RedisConfigError { key, value: format!("{:?}", file.display().to_string()), rule: why };
            let bytes =
                std::fs::read(file).map_err(|error| wrong(format!("must be a file that can be read: {error}")))?;
            let holds = bytes.windows(marker.len()).any(|window| window == marker.as_bytes());
            holds.then_some(bytes).ok_or_else(|| wrong(format!("must hold a PEM block `{marker}…`")))
        };
        let is_named = |file: &PathBuf| !file.as_os_str().is_empty();
        let [ca, cert, key] = [&self.ca_file, &self.cert_file, &self.key_file].map(is_named);
        if cert != key {
            let rule = "must be named together with the other of cert_file and key_file".to_owned();
            let (key, value) = if cert { ("key_file", "\"\"") } else { ("cert_file", "\"\"") };
            return Err(RedisConfigError { key, value: value.to_owned(), rule });
        }
        if !ca && !cert {
            return Ok(None);
        }
        if !self.url.starts_with("rediss://") && !self.url.starts_with("valkeys://") {
            let rule = "must begin with rediss:// where certificates are named".to_owned();
            return Err(RedisConfigError { key: "url", value: self.url_redacted(), rule });
        }
        let root_cert = if ca { Some(pem("ca_file", &self.ca_file, "-----BEGIN CERTIFICATE")?) } else { None };
        let client_tls = match cert {
            true => Some(ClientTlsConfig {
                client_cert: pem("cert_file", &self.cert_file, "-----BEGIN CERTIFICATE")?,
                client_key: pem("key_file", &self.key_file, "-----BEGIN")?,
            }),
            false => None,
        };
        Ok(Some(TlsCertificates { client_tls, root_cert }))
    }
}

/// When the lease of a node that was in step a moment ago is over, even where its clock runs 2 % slower.
pub(crate) fn lease_over(lease_millis: u64) -> Duration {
    Duration::from_millis(lease_millis).mul_f64(1.02) + Duration::from_millis(50)
}

fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return if url.is_empty() { String::new() } else { "***".to_owned() };
    };
    // A password may hold a question mark: the host comes after the last `@`.
    let (user, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
    let host = host.split('?').next().unwrap_or_default();
    match user {
        Some(_) => format!("{scheme}://***@{host}"),
        None => format!("{scheme}://{host}"),
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |secret: &str| if secret.is_empty() { "" } else { "***" };
        f.debug_struct("RedisConfig")
            .field("url", &self.url_redacted())
            .field("topology", &self.topology)
            .field("more_urls", &self.more_urls.iter().map(|url| redacted(url)).collect::<Vec<_>>())
            .field("sentinel_service", &self.sentinel_service)
            .field("sentinel_username", &self.sentinel_username)
            .field("sentinel_password", &shown(&self.sentinel_password))
            .field("key_prefix", &self.key_prefix)
            .field("lease", &self.lease)
            .field("acknowledge", &self.acknowledge)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stay_out_of_logs() {
        let config = RedisConfig {
            url: "redis://me:s3cr3t@h:1/0".into(),
            more_urls: vec!["redis://me:s3cr3t@h:2/0".into()],
            sentinel_password: "s3cr3t".into(),
            ..RedisConfig::default()
        };
        assert!(!format!("{config:?}").contains("s3cr3t"));
        assert_eq!(config.url_redacted(), "redis://***@h:1/0");
        for url in ["redis://u:se?s3cr3t@h/0", "me:s3cr3t@h:1", "redis+unix:///run/r.sock?pass=s3cr3t"] {
            let config = RedisConfig { url: url.into(), ..RedisConfig::default() };
            assert!(!config.url_redacted().contains("s3cr3t"));
        }
    }

    #[test]
    fn a_failover_without_replicas_that_are_waited_for_is_a_concern() {
        let alone = RedisConfig { url: "redis://h:1/0".into(), ..RedisConfig::default() };
        let watched = RedisConfig { topology: Topology::Sentinel, ..alone.clone() };
        let careful = RedisConfig { wait_replicas: 1, ..watched.clone() };
        let patient = RedisConfig { acknowledge_timeout: Duration::from_secs(20), ..careful.clone() };
        let fast = RedisConfig { acknowledge: Acknowledge::Fast, ..watched.clone() };
        let concerns = [alone, watched, careful, patient, fast].map(|config| config.concerns().len());
        assert_eq!(concerns, [0, 2, 1, 0, 0]);
    }

    #[test]
    fn a_wrong_value_is_named_with_its_rule() {
        let ours = RedisConfig { url: "redis://h:1/0".into(), ..RedisConfig::default() };
        assert_eq!(ours.validate(), Ok(()));
        let wrong = |change: fn(&mut RedisConfig)| {
            let mut config = ours.clone();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        for (change, says) in [
            ((|c| c.url = "http://h".into()) as fn(&mut RedisConfig), "redis.url = http://h: must be redis://"),
            (|c| c.more_urls = vec!["x".into()], "redis.more_urls = ***: must be redis://"),
            (
                |c| (c.url, c.topology) = ("redis://h:1/3".into(), Topology::Cluster),
                "redis.url = redis://h:1/3: must name no database",
            ),
            (|c| c.lease = Duration::from_millis(1), "redis.lease = 1ms: must be from 100ms"),
            (|c| c.key_prefix = "{x}".into(), "redis.key_prefix = \"{x}\": must be a name"),
            (|c| c.ca_file = "/".into(), "redis.url = redis://h:1/0: must begin with rediss://"),
            (|c| c.cert_file = "/".into(), "redis.key_file = \"\": must be named together"),
        ] {
            let said = wrong(change);
            assert!(said.starts_with(says), "{said}");
        }
        let none = wrong(|c| (c.url, c.ca_file) = ("rediss://h:1/0".into(), "/dev/null".into()));
        assert!(none.contains("must hold a PEM block"), "{none}");
    }
}
