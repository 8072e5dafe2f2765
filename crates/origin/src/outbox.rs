//! The outbox: a write names what it makes stale in its own transaction, and a consumer purges it after the commit.
//!
//! So a purge happens if and only if the write does, whoever writes: a handler, a cron job, another service or somebody with psql.
//! [`INSTALL`] makes the table and the functions `edge_cache.invalidate(tag, …)` and `edge_cache.invalidate_hard(tag, …)`.
//!
//! One [`Consumer`] of all that run reads the table, by a lock in the database; the others stand by. It reads every row that is not done,
//! however low its number: numbers are given before the commit, so a lower one can appear later. A row is done after its purge was
//! acknowledged, so a purge may be made twice and is never left out. What was done of late is done again when the purger says that what it
//! had been told is lost.

mod consumer;
mod status;

use std::{fmt, time::Duration};

use edge_cache_core::BoxError;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::database::redacted;

pub use self::{
    consumer::{Consumer, Progress},
    status::{OutboxStatus, done_by, install, is_installed, status, uninstall},
};

/// Makes the outbox in a Postgres database: plain SQL, which may be run again.
pub const INSTALL: &str = include_str!("outbox/install.sql");
/// Removes what [`INSTALL`] made.
pub const UNINSTALL: &str = include_str!("outbox/uninstall.sql");

/// `[outbox]`: purges that writes leave in the database.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboxConfig {
    /// Whether this process consumes the outbox of `[database]`, over one of its connections. Default: false.
    pub enabled: bool,
    /// The way to the database for it, past a pooler that takes settings of a session but does not keep sessions. Default: empty, the first
    /// URL of `[database]` that is no pooler.
    pub url: String,
    /// How often it is looked at; a write wakes the consumer earlier. Default: 200 ms.
    #[serde(with = "humantime_serde")]
    pub poll: Duration,
    /// How long a write handler that promised to purge by itself is given to do so. Default: 2 s.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
    /// How long what is done is kept, to be purged again should Redis lose it. Default: 10 min.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            url: String::new(),
            poll: Duration::from_millis(200),
            grace: Duration::from_secs(2),
            keep: Duration::from_secs(600),
        }
    }
}

impl OutboxConfig {
    /// The same without a password, to be shown.
    #[must_use]
    pub fn redacted(&self) -> Self {
        Self { url: redacted(&self.url), ..self.clone() }
    }
}

impl fmt::Debug for OutboxConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { enabled, url, poll, grace, keep } = self;
        f.debug_struct("OutboxConfig")
            .field("enabled", enabled)
            .field("url", &redacted(url))
            .field("poll", poll)
            .field("grace", grace)
            .field("keep", keep)
            .finish()
    }
}

/// What a write made stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the outbox.
    pub id: i64,
    /// Whether it must never be shown again; else it may still stand in when the origin fails.
    pub hard: bool,
    /// The tags.
    pub tags: Vec<String>,
    /// Who wrote.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// Who purges what the outbox names.
pub trait Purges: Send + Sync + 'static {
    /// Where the purges are told to: another value says that what was told before is lost. `None` while it is not known.
    fn told_to(&self) -> Option<String>;

    /// Purges, and returns when it is done everywhere.
    fn purge<'a>(&'a self, entries: &'a [Entry]) -> BoxFuture<'a, Result<(), BoxError>>;
}
