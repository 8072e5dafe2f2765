//! What is counted.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// It is answered from memory.
    Hit,
    /// It is answered from memory, and the answer written as `cache-proxy` does.
    Written,
    /// Its answer is asked for, and stored.
    Miss,
    /// Its answer is asked for, and may not be stored, as was found out before.
    Pass,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Hit, Self::Written, Self::Miss, Self::Pass];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Written => "written",
            Self::Miss => "miss",
            Self::Pass => "pass",
        }
    }

    /// What `Cache-Status` says of it, but for numbers.
    pub(crate) const fn says(self) -> &'static str {
        match self {
            Self::Hit | Self::Written => "edge-memory; hit",
            Self::Miss => "edge-memory; fwd=uri-miss; ttl=",
            Self::Pass => "edge-memory; fwd=uri-miss; detail=no-store",
        }
    }
}
