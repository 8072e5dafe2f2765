use std::sync::Arc;

use edge_cache_policy::coding::Coding;
use serde::{Deserialize, Serialize};

/// A content coding that can be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodingSetting {
    /// `zstd`.
    Zstd,
    /// `br`.
    Br,
    /// `gzip`.
    Gzip,
}

impl From<CodingSetting> for Coding {
    fn from(coding: CodingSetting) -> Self {
        match coding {
            CodingSetting::Zstd => Self::Zstd,
            CodingSetting::Br => Self::Brotli,
            CodingSetting::Gzip => Self::Gzip,
        }
    }
}

/// `[compression]`: of answers that the cache may give to others, once, before they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompressionSettings {
    /// Whether to compress. Default: false.
    pub enabled: bool,
    /// Codings to apply, the best liked first. Default: zstd, br, gzip.
    pub codings: Vec<CodingSetting>,
    /// Shortest body that is compressed, in bytes. Default: 1 KiB.
    pub bytes_min: u64,
}

impl Default for CompressionSettings {
    fn default() -> Self {
        let codings = vec![CodingSetting::Zstd, CodingSetting::Br, CodingSetting::Gzip];
        Self { enabled: false, codings, bytes_min: 1 << 10 }
    }
}

impl CompressionSettings {
    /// The codings in force: none where compression is off.
    #[must_use]
    pub fn codings(&self) -> Arc<[Coding]> {
        let codings = self.codings.iter().filter(|_| self.enabled);
        codings.map(|coding| Coding::from(*coding)).collect()
    }
}
