//! What is counted.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// It is answered from memory.
    Hit,
    /// Its answer is asked for, and stored.
    Miss,
    /// Its answer is asked for, and may not be stored, as was found out before.
    Pass,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Hit, Self::Miss, Self::Pass];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Pass => "pass",
        }
    }

    /// What `Cache-Status` says of it, but for numbers.
    pub(crate) const fn says(self) -> &'static str {
        match self {
            Self::Hit => "edge-memory; hit",
            Self::Miss => "edge-memory; fwd=uri-miss; ttl=",
            Self::Pass => "edge-memory; fwd=uri-miss; detail=no-store",
        }
    }
}
