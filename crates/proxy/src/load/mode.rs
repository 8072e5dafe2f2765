//! The four ways of answering that are compared, and the server configuration of each.

use clap::ValueEnum;
use serde::Serialize;

/// One column of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// A database connection for every request and no cache: how the incident was built.
    Direct,
    /// The bounded pool, no cache.
    Pooled,
    /// The pool behind the memory tier.
    Memory,
    /// The pool behind the memory and the Redis tier.
    #[value(name = "memory+redis")]
    #[serde(rename = "memory+redis")]
    MemoryRedis,
}

impl Mode {
    /// Every mode, from the incident to the full stack.
    pub(crate) const ALL: [Self; 4] = [Self::Direct, Self::Pooled, Self::Memory, Self::MemoryRedis];

    /// As the command line and the report spell it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Pooled => "pooled",
            Self::Memory => "memory",
            Self::MemoryRedis => "memory+redis",
        }
    }

    /// A name for the mode's own copy of the database.
    pub(crate) fn database(self) -> &'static str {
        match self {
            Self::Direct => "bench_direct",
            Self::Pooled => "bench_pooled",
            Self::Memory => "bench_memory",
            Self::MemoryRedis => "bench_memory_redis",
        }
    }

    /// Whether the memory tier is on.
    pub(crate) fn memory(self) -> bool {
        matches!(self, Self::Memory | Self::MemoryRedis)
    }

    /// Whether the Redis tier is on.
    pub(crate) fn redis(self) -> bool {
        matches!(self, Self::MemoryRedis)
    }

    /// The configuration file of the server under test; `redis_url` is empty where there is no Redis.
    pub(crate) fn config(self, database_url: &str, redis_url: &str) -> String {
        let pooling = if self == Self::Direct { "per-request" } else { "pooled" };
        format!(
            "[listen]\naddress = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n\
             [origin]\nkind = \"pitchey\"\n\n\
             [database]\nurl = \"{database_url}\"\nconnections_max = 10\npooling = \"{pooling}\"\n\n\
             [memory]\nenabled = {memory}\n\n\
             [redis]\nurl = \"{redis_url}\"\n",
            memory = self.memory(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direct_opens_a_connection_per_request_and_caches_nothing() {
        let text = Mode::Direct.config("postgres://x", "");
        assert!(text.contains("pooling = \"per-request\""));
        assert!(text.contains("[memory]\nenabled = false"));
        assert!(text.contains("[redis]\nurl = \"\""));
    }

    #[test]
    fn the_full_stack_has_both_tiers_over_the_pool() {
        let text = Mode::MemoryRedis.config("postgres://x", "redis://y");
        assert!(text.contains("pooling = \"pooled\""));
        assert!(text.contains("[memory]\nenabled = true"));
        assert!(text.contains("[redis]\nurl = \"redis://y\""));
    }

    #[test]
    fn labels_are_what_the_command_line_takes() {
        for mode in Mode::ALL {
            assert_eq!(Mode::from_str(mode.label(), false), Ok(mode));
        }
    }
}
