use serde::{Deserialize, Serialize};

/// `[memory]`: the memory tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// Whether there is a memory tier. Default: true.
    pub enabled: bool,
    /// Budget in bytes for keys, headers, bodies and what a map needs to hold them. Default: 256 MiB.
    pub capacity_bytes: u64,
    /// Largest body kept, in bytes; at most `capacity_bytes`. Default: 1 MiB.
    pub body_bytes_max: u64,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { enabled: true, capacity_bytes: 256 << 20, body_bytes_max: 1 << 20 }
    }
}
