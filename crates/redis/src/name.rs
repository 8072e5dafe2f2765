use std::io::Write;

use edge_cache_core::CacheKey;
use redis::{RedisWrite, ToRedisArgs, ToSingleRedisArg};

/// The name under which an entry lies. Written straight into the command: as text of its own it would be one more piece of memory for each hit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryName<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) key: &'a CacheKey,
}

impl ToRedisArgs for EntryName<'_> {
    fn write_redis_args<W: RedisWrite + ?Sized>(&self, out: &mut W) {
        let mut name = out.writer_for_next_arg();
        for part in [self.prefix.as_bytes(), b":e:", &self.key.hex()] {
            name.write_all(part).expect("a command takes all");
        }
    }
}

impl ToSingleRedisArg for EntryName<'_> {}
