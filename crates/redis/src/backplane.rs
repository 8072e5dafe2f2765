//! Purges shared through Redis: numbered markers in one sorted set, which is also the log that a node catches up from.
//!
//! A node publishes its purges here and asks every second for those of others. What it finds in Redis it believes only while it is
//! in step, so a purge outlives the process that made it, and a copy is never served against a purge that its node has not heard of.
//! A Redis that lost data (empty, restarted, failed over) is noticed and gets a new incarnation: copies of the old one are dead.

use std::{fmt, sync::Arc, time::Duration};

use edge_cache_core::{
    BoxError, TagHash,
    marker::{Fence, Guard, Markers, News, Published, PurgeKind, Ticket},
    monotonic_millis,
};
use redis::{RedisError, Script, aio::ConnectionManager};
use tokio::time::timeout;

/// How long news are good for: a node that hears none for longer trusts no copy.
pub const LEASE: Duration = Duration::from_secs(5);
/// How often a node asks for news.
pub const BEAT: Duration = Duration::from_secs(1);

const PAGE: usize = 1000;
const MARKERS_MAX: usize = 100_000;
/// Markers older than this are forgotten: longer than any entry lives.
const RETENTION: Duration = Duration::from_secs(7 * 86_400);

const SYNC: &str = include_str!("backplane/sync.lua");
const PURGE: &str = include_str!("backplane/purge.lua");

/// Shares purges through Redis. Cheap to clone.
#[derive(Clone)]
pub struct RedisBackplane(Arc<Inner>);

struct Inner {
    connection: ConnectionManager,
    meta: String,
    marks: String,
    wait: Duration,
    markers: Arc<Markers>,
    sync: Script,
    purge: Script,
}

impl fmt::Debug for RedisBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackplane").field("meta", &self.0.meta).finish_non_exhaustive()
    }
}

/// Why the backplane gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum BackplaneError {
    /// Redis cannot be reached, or refused.
    #[error("redis is unavailable")]
    Unavailable(#[source] BoxError),
    /// Redis lost the order that this node follows: synchronise, then try again.
    #[error("redis lost the order of purges")]
    Lost,
    /// Redis answered what these scripts do not say.
    #[error("redis gave an answer that is not understood: {0}")]
    Answer(&'static str),
}

type SyncAnswer = (String, String, String, String, Vec<(String, String)>);

impl RedisBackplane {
    pub(crate) fn new(connection: ConnectionManager, prefix: &str, wait: Duration, markers: Arc<Markers>) -> Self {
        // One hash slot for all of it, so that a script works on a cluster too.
        let (meta, marks) = (format!("{{{prefix}}}:meta"), format!("{{{prefix}}}:marks"));
        let (sync, purge) = (Script::new(SYNC), Script::new(PURGE));
        Self(Arc::new(Inner { connection, meta, marks, wait, markers, sync, purge }))
    }

    /// Asks for news until this node knows every marker, then publishes what waits.
    ///
    /// # Errors
    /// Why it does not know them; it stays in step for as long as the last news are good.
    pub async fn sync(&self) -> Result<(), BackplaneError> {
        loop {
            let asked_at = monotonic_millis();
            let news = self.news().await?;
            self.0.markers.apply(&news, asked_at, LEASE);
            if news.complete {
                break;
            }
        }
        for ticket in self.0.markers.waiting() {
            let Published { incarnation, seq, .. } = self.publish(&ticket, None).await?;
            self.0.markers.settle(&ticket, incarnation, seq);
        }
        Ok(())
    }

    /// Asks for news without end: spawn it, and drop it to stop.
    pub async fn follow(self) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut away = false;
        loop {
            beat.tick().await;
            match self.sync().await {
                Ok(()) if away => {
                    away = false;
                    tracing::info!("back in step with redis");
                }
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "out of step with redis: its copies are not used"
                    );
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    async fn news(&self) -> Result<News, BackplaneError> {
        let (Fence { incarnation, seq }, synced) = self.0.markers.follows();
        let mut connection = self.0.connection.clone();
        let mut call = self.0.sync.key(&self.0.meta);
        call.key(&self.0.marks)
            .arg(hex(incarnation))
            .arg(seq.to_string())
            .arg(synced.to_string())
            .arg(hex(rand::random::<u128>().max(1)))
            .arg(PAGE);
        let answer: SyncAnswer = self.bounded(call.invoke_async(&mut connection)).await?;
        let (incarnation, base, seq, floor, items) = answer;
        let complete = items.len() < PAGE;
        let markers = items.iter().map(|(member, score)| marker(member, score)).collect::<Option<Vec<_>>>();
        Ok(News {
            incarnation: u128::from_str_radix(&incarnation, 16).map_err(|_| BackplaneError::Answer("incarnation"))?,
            base: number(&base).ok_or(BackplaneError::Answer("base"))?,
            seq: number(&seq).ok_or(BackplaneError::Answer("seq"))?,
            floor: number(&floor).ok_or(BackplaneError::Answer("floor"))?,
            markers: markers.ok_or(BackplaneError::Answer("marker"))?,
            complete,
        })
    }

    /// Publishes the purges of `ticket`, and looks whether something that `guard` names was purged since.
    ///
    /// # Errors
    /// They wait on: [`sync`](Self::sync) publishes them.
    pub async fn publish(&self, ticket: &Ticket, guard: Option<&Guard>) -> Result<Published, BackplaneError> {
        match self.try_publish(ticket, guard).await {
            Err(BackplaneError::Lost) => {
                let asked_at = monotonic_millis();
                let news = self.news().await?;
                self.0.markers.apply(&news, asked_at, LEASE);
                self.try_publish(ticket, guard).await
            }
            answer => answer,
        }
    }

    async fn try_publish(&self, ticket: &Ticket, guard: Option<&Guard>) -> Result<Published, BackplaneError> {
        let (Fence { incarnation, .. }, _) = self.0.markers.follows();
        let mut connection = self.0.connection.clone();
        let mut call = self.0.purge.key(&self.0.meta);
        call.key(&self.0.marks)
            .arg(hex(incarnation))
            .arg(match ticket.kind {
                PurgeKind::Soft => "s",
                PurgeKind::Hard => "h",
            })
            .arg(MARKERS_MAX)
            .arg(RETENTION.as_micros().to_string());
        let guarded = guard.map_or(&[][..], |guard| &guard.tags);
        call.arg(guard.map_or(0, |guard| guard.start.fence.seq).to_string()).arg(guarded.len());
        for tag in guarded.iter().chain(&ticket.tags) {
            call.arg(format!("{:016x}", tag.bits()));
        }
        let (seq, clean): (String, String) = self.bounded(call.invoke_async(&mut connection)).await?;
        if seq == "lost" {
            return Err(BackplaneError::Lost);
        }
        let seq = number(&seq).ok_or(BackplaneError::Answer("seq"))?;
        let same_order = guard.is_some_and(|guard| guard.start.fence.incarnation == incarnation);
        Ok(Published { incarnation, seq, guard_holds: same_order && clean == "1" })
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, RedisError>>) -> Result<T, BackplaneError> {
        match timeout(self.0.wait, call).await {
            Ok(answer) => answer.map_err(|error| BackplaneError::Unavailable(error.into())),
            Err(elapsed) => Err(BackplaneError::Unavailable(elapsed.into())),
        }
    }
}

fn hex(incarnation: u128) -> String {
    format!("{incarnation:032x}")
}

/// Numbers travel as text: Lua rounds large ones.
fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn marker(member: &str, score: &str) -> Option<(PurgeKind, TagHash, u64)> {
    let kind = match member.get(..1)? {
        "s" => PurgeKind::Soft,
        "h" => PurgeKind::Hard,
        _ => return None,
    };
    Some((kind, TagHash::from_bits(u64::from_str_radix(&member[1..], 16).ok()?), number(score)?))
}
