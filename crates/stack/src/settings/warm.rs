use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{SettingsError, error::time};

/// Shorter rounds would be one long one.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// `[warm]`: never cold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WarmSettings {
    /// Count what is hot, share it with other nodes, and keep it warm. Default: true.
    pub enabled: bool,
    /// Keys counted on this node; about 300 bytes each. Default: 4096.
    pub keys_max: usize,
    /// Of these, and of those of all nodes, the hottest that are kept warm. Default: 500.
    pub top: usize,
    /// Between two rounds of asking for what is hot and would end before the next one; a tenth more or less. Zero for never. Default: 5 min.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// A file that names what is asked for beside what is hot. Default: none.
    pub plan: String,
    /// The authority that the plan's paths are asked at, as clients name this service. Default: none.
    pub authority: String,
    /// Most requests a second of a round. Default: 20.
    pub rate: u32,
    /// Most requests of a round at once. Default: 3.
    pub concurrency: usize,
    /// Longest wait for one answer. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The file that the hottest of memory goes to at a stop, and comes back from at the next start. Default: none.
    pub snapshot: String,
    /// Most bytes of it. Default: 64 MiB.
    pub snapshot_bytes_max: u64,
    /// After a start the node is ready once it holds this share of what is hot, from 0 to 1. Default: 0.9.
    pub ready_share: f64,
    /// Or after this long, whichever is first. Default: 10 s.
    #[serde(with = "humantime_serde")]
    pub ready_timeout: Duration,
}

impl Default for WarmSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            keys_max: 4096,
            top: 500,
            every: Duration::from_secs(300),
            plan: String::new(),
            authority: String::new(),
            rate: 20,
            concurrency: 3,
            timeout: Duration::from_secs(5),
            snapshot: String::new(),
            snapshot_bytes_max: 64 << 20,
            ready_share: 0.9,
            ready_timeout: Duration::from_secs(10),
        }
    }
}

impl WarmSettings {
    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        for (key, number) in [
            ("warm.keys_max", self.keys_max as u64),
            ("warm.rate", self.rate.into()),
            ("warm.concurrency", self.concurrency as u64),
            ("warm.snapshot_bytes_max", self.snapshot_bytes_max),
        ] {
            if number == 0 {
                return Err(SettingsError::rule(key, 0, "must be above zero"));
            }
        }
        if !self.every.is_zero() && self.every < EVERY_MIN {
            let rule = format!("must be 0s (never) or at least {EVERY_MIN:?}");
            return Err(SettingsError::rule("warm.every", time(self.every), rule));
        }
        if self.timeout.is_zero() {
            return Err(SettingsError::rule("warm.timeout", "0s", "must be above zero"));
        }
        if !(0.0..=1.0).contains(&self.ready_share) {
            return Err(SettingsError::rule("warm.ready_share", self.ready_share, "must be between 0 and 1"));
        }
        if !self.plan.is_empty() && self.authority.is_empty() {
            let rule =
                "must be the HOST or HOST:PORT that clients name, where warm.plan is set: it is part of every key";
            return Err(SettingsError::rule("warm.authority", "\"\"", rule));
        }
        Ok(())
    }
}
