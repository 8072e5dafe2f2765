use std::time::Duration;

use edge_cache_policy::{Mode, steering};
use edge_cache_tier::TierConfig;
use http::HeaderName;
use serde::{Deserialize, Serialize};

use super::{Network, SettingsError};

/// More would refresh on nearly every hit.
const EARLY_REFRESH_MAX: f64 = 100.0;

/// Which rules apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// RFC 9111 with the guards of the field.
    #[default]
    Guarded,
    /// RFC 9111 and nothing more.
    Rfc,
}

impl From<Policy> for Mode {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Guarded => Self::Guarded,
            Policy::Rfc => Self::Rfc,
        }
    }
}

/// `[cache]`: policy and waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSettings {
    /// `guarded` or `rfc`. Default: `guarded`.
    pub policy: Policy,
    /// Part of every key; separates installations that share a Redis. Default: empty.
    pub tenant: String,
    /// Clients whose `no-cache` and the like count under `guarded`. Default: none.
    pub trusted: Vec<Network>,
    /// Purge the URI of a `PURGE` request from a trusted client. Default: false.
    pub purge_method: bool,
    /// Leave `Cache-Tag` and the like on answers. Default: false.
    pub expose_tags: bool,
    /// Request headers that steer the origin, beside those that are known to: taken off where the answer may be kept, under `guarded`. Default:
    /// none.
    pub steering_headers: Vec<String>,
    /// Longest wait for another request's fill. Default: 2 s.
    #[serde(with = "humantime_serde")]
    pub wait_max: Duration,
    /// Longest wait for the origin when a stale copy may be used instead. Default: 150 ms.
    #[serde(with = "humantime_serde")]
    pub wait_soft: Duration,
    /// How long a key whose answer could not be stored is not coalesced. Default: 2 min.
    #[serde(with = "humantime_serde")]
    pub hit_for_miss: Duration,
    /// How long a key whose origin failed is served stale before it is tried again. Default: 30 s.
    #[serde(with = "humantime_serde")]
    pub retry_throttle: Duration,
    /// How long an entry with validators is kept past its last use. Default: 1 h.
    #[serde(with = "humantime_serde")]
    pub keep_validators: Duration,
    /// How long past its freshness an answer may be served when the origin cannot be reached and the answer does not forbid it; its
    /// own `stale-if-error` counts instead. Zero for never. Default: 1 h.
    #[serde(with = "humantime_serde")]
    pub stale_if_disconnected: Duration,
    /// How long past its freshness an answer may be served without asking while the origin is pressed; never past what the answer or its
    /// route allows for errors. Zero for never. Default: 10 min.
    #[serde(with = "humantime_serde")]
    pub stale_under_pressure: Duration,
    /// How much earlier than a fill takes a hit asks anew for what is still fresh (β of XFetch); 0 for never. Default: 1.
    pub early_refresh: f64,
    /// Longest silence within an origin's body. Default: 30 s.
    #[serde(with = "humantime_serde")]
    pub body_idle_max: Duration,
    /// How long the rest of a body is still read that no client waits for any more. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub abandoned_max: Duration,
    /// How often, at most, a request with credentials on a route that is declared `free` or `session` is asked of the origin again, with them and without,
    /// to find out whether the declaration holds; zero for never. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub identity_check: Duration,
}

/// See [`CacheSettings::identity_check`].
pub(crate) const IDENTITY_CHECK: Duration = Duration::from_secs(10);

impl Default for CacheSettings {
    fn default() -> Self {
        let TierConfig {
            wait_max,
            wait_soft,
            hit_for_miss,
            retry_throttle,
            keep_validators,
            stale_if_disconnected,
            stale_under_pressure,
            early_refresh,
            body_idle_max,
            abandoned_max,
            keep_tags,
            lease_wait: _,
        } = TierConfig::default();
        Self {
            policy: Policy::default(),
            tenant: String::new(),
            trusted: Vec::new(),
            purge_method: false,
            expose_tags: keep_tags,
            steering_headers: Vec::new(),
            wait_max,
            wait_soft,
            hit_for_miss,
            retry_throttle,
            keep_validators,
            stale_if_disconnected,
            stale_under_pressure,
            early_refresh,
            body_idle_max,
            abandoned_max,
            identity_check: IDENTITY_CHECK,
        }
    }
}

impl CacheSettings {
    /// As the tiers take it.
    #[must_use]
    pub fn tier(&self) -> TierConfig {
        let Self {
            wait_max,
            wait_soft,
            hit_for_miss,
            retry_throttle,
            keep_validators,
            stale_if_disconnected,
            stale_under_pressure,
            early_refresh,
            body_idle_max,
            abandoned_max,
            expose_tags,
            ..
        } = *self;
        TierConfig {
            wait_max,
            wait_soft,
            hit_for_miss,
            retry_throttle,
            keep_validators,
            stale_if_disconnected,
            stale_under_pressure,
            early_refresh,
            body_idle_max,
            abandoned_max,
            keep_tags: expose_tags,
            lease_wait: wait_max,
        }
    }

    /// The headers that steer the origin, as the cache takes them.
    ///
    /// # Errors
    /// The first that is no header name, or one that the key or the protocol needs.
    pub fn steering_headers(&self) -> Result<Vec<HeaderName>, SettingsError> {
        let one = |name: &String| {
            let broken = |rule| SettingsError::rule("cache.steering_headers", format!("\"{name}\""), rule);
            let header = HeaderName::try_from(name).map_err(|_| broken("must be the name of a header"))?;
            let is_free = steering::may_be_declared(&header);
            is_free.then_some(header).ok_or_else(|| broken("is needed for the key or by the protocol"))
        };
        self.steering_headers.iter().map(one).collect()
    }

    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        self.steering_headers()?;
        if self.wait_max.is_zero() {
            return Err(SettingsError::rule("cache.wait_max", "0s", "must be above zero"));
        }
        if !(0.0..=EARLY_REFRESH_MAX).contains(&self.early_refresh) {
            let rule = format!("must be between 0 (never) and {EARLY_REFRESH_MAX}");
            return Err(SettingsError::rule("cache.early_refresh", self.early_refresh, rule));
        }
        Ok(())
    }
}
