//! The configuration file: one TOML, environment overrides, unknown keys refused.
//!
//! A key `section.key` is overridden by the environment variable `CACHE_PROXY__SECTION__KEY`. `config/cache-proxy.toml` in the
//! repository is the reference: every key with its default.

mod cache;
mod compression;
mod error;
mod limits;
mod listen;
mod load;
mod log;
mod network;
mod origin;
mod route;
mod telemetry;
mod tls;
mod warm;

use edge_cache_alerts::AlertConfig;
use edge_cache_core::route::Route;
use edge_cache_disk::DiskConfig;
use edge_cache_memory::MemoryConfig;
use edge_cache_origin::{
    database::{DatabaseConfig, Dialect},
    outbox::OutboxConfig,
};
use edge_cache_probe::MonitorConfig;
use edge_cache_redis::RedisConfig;
use serde::{Deserialize, Serialize};

pub(crate) use self::cache::IDENTITY_CHECK;
pub use self::{
    cache::{CacheSettings, Policy},
    compression::{CodingSetting, CompressionSettings},
    error::SettingsError,
    limits::LimitSettings,
    listen::{ForwardedHeader, ListenSettings, Place, TrustedProxies},
    log::{LogFormatSetting, LogSettings},
    network::{Network, NoNetwork},
    origin::{OriginKind, OriginSettings},
    route::{RouteIdentity, RouteSettings},
    telemetry::{AccessLogFormat, TelemetrySettings},
    tls::TlsSettings,
    warm::WarmSettings,
};

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `[listen]`: where clients and operators connect.
    pub listen: ListenSettings,
    /// `[tls]`: certificates.
    pub tls: TlsSettings,
    /// `[origin]`: what stands behind the cache.
    pub origin: OriginSettings,
    /// `[database]`: of the `pitchey` origin, and of the outbox.
    pub database: DatabaseConfig,
    /// `[outbox]`: purges that writes leave in the database.
    pub outbox: OutboxConfig,
    /// `[cache]`: policy and waits.
    pub cache: CacheSettings,
    /// `[compression]`: of what is kept.
    pub compression: CompressionSettings,
    /// `[memory]`: the memory tier.
    pub memory: MemoryConfig,
    /// `[redis]`: the Redis tier.
    pub redis: RedisConfig,
    /// `[warm]`: never cold.
    pub warm: WarmSettings,
    /// `[disk]`: the disk tier.
    pub disk: DiskConfig,
    /// `[limits]`: of connections and requests.
    pub limits: LimitSettings,
    /// `[log]`: what is logged.
    pub log: LogSettings,
    /// `[telemetry]`: what is noted of requests.
    pub telemetry: TelemetrySettings,
    /// `[monitor]`: endpoints that the process asks again and again, through the cache and past it.
    pub monitor: MonitorConfig,
    /// `[alerts]`: what is watched, and who is told.
    pub alerts: AlertConfig,
    /// `[[route]]`: what is declared about parts of the URL space.
    pub route: Vec<RouteSettings>,
}

impl Settings {
    /// Checks the rules that span keys.
    ///
    /// # Errors
    /// The first broken rule, as `key = value: rule`.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let (body, capacity) = (self.memory.body_bytes_max, self.memory.capacity_bytes);
        if body > capacity {
            let rule = format!("must be at most memory.capacity_bytes ({capacity})");
            return Err(SettingsError::rule("memory.body_bytes_max", body, rule));
        }
        if self.redis.body_bytes_max > u64::from(u32::MAX) {
            let rule = "must be below 4 GiB, which is what the wire format can say";
            return Err(SettingsError::rule("redis.body_bytes_max", self.redis.body_bytes_max, rule));
        }
        self.redis.validate().map_err(|error| SettingsError::other(error.to_string()))?;
        for (key, wait) in
            [("redis.read_timeout", self.redis.read_timeout), ("redis.write_timeout", self.redis.write_timeout)]
        {
            if wait.is_zero() {
                return Err(SettingsError::rule(key, "0s", "must be above zero"));
            }
        }
        self.listen.validate()?;
        self.tls.validate(&self.listen)?;
        if let Err(error) = edge_cache_telemetry::check_filter(&self.log.filter) {
            return Err(SettingsError::rule("log.filter", format!("\"{}\"", self.log.filter), error));
        }
        self.telemetry.validate()?;
        self.monitor.validate().map_err(|error| SettingsError::other(error.to_string()))?;
        self.alerts.validate().map_err(|error| SettingsError::other(error.to_string()))?;
        self.cache.validate()?;
        self.warm.validate()?;
        self.disk.validate().map_err(|error| SettingsError::other(error.to_string()))?;
        if self.disk.is_enabled() && !self.redis.url.is_empty() {
            let rule = "must be empty where redis.url is set: there purges are kept in Redis, and a disk would not hear of them";
            return Err(SettingsError::rule("disk.path", self.disk.path.display(), rule));
        }
        self.limits.validate()?;
        self.origin.validate()?;
        if (self.origin.kind == OriginKind::Pitchey || self.outbox.enabled) && !self.database.url.is_empty() {
            self.database.validate().map_err(|error| SettingsError::other(error.to_string()))?;
        }
        if self.outbox.enabled {
            self.validate_outbox()?;
        }
        self.declared_routes().map(drop)
    }

    /// All of it as a file, without what is secret: each key, also where it has its default.
    ///
    /// ```
    /// let settings = edge_cache::Settings::from_toml("[redis]\nurl = \"redis://:hush@localhost\"").unwrap();
    /// let shown = settings.to_toml_redacted();
    /// assert!(shown.contains("redis://***@localhost") && shown.contains("capacity_bytes = 268435456"));
    /// ```
    #[must_use]
    pub fn to_toml_redacted(&self) -> String {
        let shown = Self {
            database: self.database.redacted(),
            outbox: self.outbox.redacted(),
            redis: self.redis.redacted(),
            ..self.clone()
        };
        toml::to_string(&shown).expect("settings are tables of texts and numbers")
    }

    fn validate_outbox(&self) -> Result<(), SettingsError> {
        if self.database.dialect().ok() != Some(Dialect::Postgres) {
            let rule = "must name a Postgres database where outbox.enabled is set";
            return Err(SettingsError::rule("database.url", self.database.redacted_url(), rule));
        }
        if self.database.connections_max < 2 {
            let rule = "must be at least 2 where outbox.enabled is set: one of them is the outbox's";
            return Err(SettingsError::rule("database.connections_max", self.database.connections_max, rule));
        }
        for (key, wait) in [("poll", self.outbox.poll), ("grace", self.outbox.grace), ("keep", self.outbox.keep)] {
            if wait.is_zero() {
                return Err(SettingsError::rule(&format!("outbox.{key}"), "0s", "must be above zero"));
            }
        }
        Ok(())
    }

    /// The `[[route]]`s as the cache takes them.
    ///
    /// # Errors
    /// The first that is malformed.
    pub fn declared_routes(&self) -> Result<Vec<Route>, SettingsError> {
        let mut declared = Vec::<Route>::with_capacity(self.route.len());
        for (at, route) in self.route.iter().enumerate() {
            let wrong =
                |key: &str, value, rule: &str| Err(SettingsError::rule(&format!("route[{at}].{key}"), value, rule));
            if declared.iter().any(|other| other.name == *route.name) {
                return wrong("name", route.name.clone(), "must be unique");
            }
            let route = route.declared(at)?;
            if let Some(other) = declared.iter().position(|other| other.path == route.path) {
                let rule = format!("fits the same paths as that of route[{other}], which would answer for all of them");
                return wrong("path", format!("\"{}\"", self.route[at].path), &rule);
            }
            declared.push(route);
        }
        Ok(declared)
    }
}

#[cfg(test)]
mod tests;
