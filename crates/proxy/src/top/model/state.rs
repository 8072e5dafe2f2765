use serde::{Deserialize, Serialize};

use super::{Counts, Row};
use crate::top::text::Text;

/// `event: hello`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Hello {
    pub(crate) version: Text,
    pub(crate) node: Text,
}

/// `event: now`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Now {
    pub(crate) sample: Row,
    pub(crate) state: State,
}

/// What a node is at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) uptime_seconds: f64,
    pub(crate) totals: Counts,
    pub(crate) routes: Vec<Route>,
    pub(crate) tiers: Tiers,
    pub(crate) database: Option<Pool>,
    pub(crate) origin: Origin,
    pub(crate) ready: Ready,
    pub(crate) monitor: Option<Monitor>,
    pub(crate) hot: Vec<Hot>,
    pub(crate) alerts: Option<Alerts>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Route {
    pub(crate) route: Text,
    #[serde(flatten)]
    pub(crate) counts: Counts,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Tiers {
    pub(crate) memory: Option<Store>,
    pub(crate) redis: Option<Store>,
    pub(crate) disk: Option<Store>,
}

/// Of the memory tier the breakers are empty, of Redis the sizes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Store {
    pub(crate) entries: u64,
    pub(crate) used_bytes: u64,
    pub(crate) capacity_bytes: u64,
    pub(crate) reads: Text,
    pub(crate) writes: Text,
}

/// The connections of a database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Pool {
    pub(crate) connections: u64,
    pub(crate) in_use: u64,
    pub(crate) max: u64,
    pub(crate) waiting: u64,
    pub(crate) waits: u64,
    pub(crate) queries: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Origin {
    pub(crate) governor: Option<Governor>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) origins: Vec<Upstream>,
}

/// The permits to work at the origin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Governor {
    pub(crate) pressure: Text,
    pub(crate) permits: u64,
    pub(crate) in_use: u64,
    pub(crate) waiting: u64,
    pub(crate) admitted: u64,
    pub(crate) shed: u64,
    pub(crate) redis_lost: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Endpoint {
    pub(crate) endpoint: Text,
    pub(crate) breaker: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Upstream {
    pub(crate) origin: Text,
    pub(crate) breaker: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Ready {
    pub(crate) ready: bool,
    pub(crate) draining: bool,
    pub(crate) warm: Warm,
    pub(crate) backplane: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Warm {
    pub(crate) state: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Monitor {
    pub(crate) checks: Vec<Check>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Check {
    pub(crate) name: Text,
    pub(crate) state: Text,
}

/// A key that is asked for often, or costs much.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Hot {
    pub(crate) url: Text,
    pub(crate) hits: u64,
    /// Of one fill; of several nodes the most.
    pub(crate) cost_millis: f64,
    pub(crate) score: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Alerts {
    pub(crate) firing: Vec<Alert>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Alert {
    /// Which node says so; not part of the feed.
    #[serde(skip_deserializing)]
    pub(crate) node: Text,
    pub(crate) rule: Text,
    pub(crate) severity: Text,
    pub(crate) since: f64,
    pub(crate) text: Text,
}

impl Alert {
    pub(crate) fn is_critical(&self) -> bool {
        self.severity.as_str() == "critical"
    }
}
