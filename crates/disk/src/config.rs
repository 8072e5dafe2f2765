use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

/// `[disk]`: the disk tier, and the order of purges that is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskConfig {
    /// A folder of its own, made if it is not there; empty for no disk tier. Default: empty.
    pub path: PathBuf,
    /// Bytes on the disk that the entries may occupy, at least 16 MiB. Beside them come 1 MiB in reserve, and the order of purges: a few
    /// hundred KiB, at most 12 MiB, and 18 MiB while it is written anew. Default: 1 GiB.
    pub capacity_bytes: u64,
    /// Largest body kept, in bytes; at most a sixteenth of `capacity_bytes`. Default: 1 MiB.
    pub body_bytes_max: u64,
    /// Bodies of at least this many bytes are compressed (zstd, level 1) if they gain by it; 0 for never. Default: 1 KiB.
    pub compress_bytes_min: u64,
    /// Longest wait for a read, or for room in memory for what is to be written. The write itself takes its time. Default: 250 ms.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

/// A `[disk]` key that breaks its rule: `disk.timeout = …: must …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("disk.{key} = {value}: {rule}")]
pub struct DiskConfigError {
    /// The key inside `[disk]`.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// The rule, starting with `must`.
    pub rule: String,
}

impl Default for DiskConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            capacity_bytes: 1 << 30,
            body_bytes_max: 1 << 20,
            compress_bytes_min: 1 << 10,
            timeout: Duration::from_millis(250),
        }
    }
}

impl DiskConfig {
    /// The disk is taken and given back in parts of the capacity: this many.
    pub(crate) const SEGMENTS: u64 = 16;
    const CAPACITY_MIN: u64 = 16 << 20;

    /// Whether there is a disk tier.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        !self.path.as_os_str().is_empty()
    }

    /// Checks every value without touching the disk.
    ///
    /// # Errors
    /// The first key that breaks its rule.
    pub fn validate(&self) -> Result<(), DiskConfigError> {
        if !self.is_enabled() {
            return Ok(());
        }
        let refuse = |key, value: String, rule: String| Err(DiskConfigError { key, value, rule });
        if self.capacity_bytes < Self::CAPACITY_MIN {
            let rule = format!("must be at least {} (16 MiB)", Self::CAPACITY_MIN);
            return refuse("capacity_bytes", self.capacity_bytes.to_string(), rule);
        }
        let body_limit = self.capacity_bytes / Self::SEGMENTS;
        if self.body_bytes_max > body_limit {
            let rule = format!("must be at most a sixteenth of disk.capacity_bytes ({body_limit})");
            return refuse("body_bytes_max", self.body_bytes_max.to_string(), rule);
        }
        if self.timeout.is_zero() {
            return refuse("timeout", "0s".to_owned(), "must be more than 0s".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> DiskConfig {
        DiskConfig { path: "somewhere".into(), ..DiskConfig::default() }
    }

    #[test]
    fn a_wrong_value_is_named_with_its_rule() {
        assert_eq!(ours().validate(), Ok(()));
        for (config, says) in [
            (DiskConfig { capacity_bytes: 1, ..ours() }, "disk.capacity_bytes = 1: must be at least 16777216"),
            (DiskConfig { body_bytes_max: 1 << 30, ..ours() }, "disk.body_bytes_max = 1073741824: must be at most a"),
            (DiskConfig { timeout: Duration::ZERO, ..ours() }, "disk.timeout = 0s: must be more than"),
        ] {
            let said = config.validate().unwrap_err().to_string();
            assert!(said.starts_with(says), "{said}");
            let off = DiskConfig { path: PathBuf::new(), ..config };
            assert_eq!(off.validate(), Ok(()), "without a folder there is no tier");
        }
    }

    #[test]
    fn every_key_has_a_default_and_no_other_is_taken() {
        let read = serde_json::from_str::<DiskConfig>;
        assert_eq!(read("{}").unwrap(), DiskConfig::default());
        assert_eq!(read(r#"{"timeout": "1s"}"#).unwrap().timeout, Duration::from_secs(1));
        assert!(read(r#"{"size": 1}"#).unwrap_err().to_string().contains("unknown field `size`"));
    }
}
