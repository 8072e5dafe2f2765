//! Purges shared through Redis: numbered markers in one sorted set, which is also the log that a node catches up from.
//!
//! A node publishes its purges here and hears those of others at once; every fifth of the lease it asks for what it may have missed, and
//! may serve what it holds only while the last answer is younger than the lease. So a purge that was acknowledged is final: every node has
//! confirmed it, or has been silent for so long that it serves nothing old any more. A Redis that lost data (empty, restarted, failed
//! over) is noticed and gets a new incarnation: copies of the old one are dead.

mod acknowledge;
mod follow;
mod scripts;
mod sent;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use edge_cache_core::{
    BoxError,
    marker::{Fence, Guard, Markers, Position, Published, Ticket},
};
use redis::RedisError;
use tokio::{
    sync::{Mutex, Notify},
    time::timeout,
};

pub use self::acknowledge::Certainty;
use self::{
    scripts::{Answer, Ask, Numbered, Scripts, TAGS_MAX},
    sent::Sent,
};
use crate::{RedisConfig, link::Link};

/// Shares purges through Redis. Cheap to clone.
#[derive(Clone)]
pub struct RedisBackplane(Arc<Inner>);

struct Inner {
    /// For questions and purges.
    link: Link,
    /// For WAIT, which holds up whatever comes after it.
    waiting: Link,
    scripts: Scripts,
    /// Fresh at every start.
    node: String,
    config: RedisConfig,
    markers: Arc<Markers>,
    /// One question for news at a time.
    asking: Mutex<Settling>,
    wake: Notify,
    /// News come again after there were none.
    back: Notify,
    sent: Sent,
    nodes: Arc<AtomicUsize>,
    heard_at: AtomicU64,
    subscribed: AtomicBool,
    gaps: AtomicU64,
    incarnations: AtomicU64,
    /// Whether Redis has lost what this node purged of late, and was not told again yet.
    resubmit: AtomicBool,
    /// The longest lease that any node was told, in milliseconds.
    lease_max: AtomicU64,
}

/// How long the present incarnation is known: until every lease of the one before is over, nobody can tell who has to confirm.
#[derive(Debug, Default)]
struct Settling {
    incarnation: u128,
    since: u64,
}

impl fmt::Debug for RedisBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackplane").field("node", &self.0.node).finish_non_exhaustive()
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
    /// Too few replicas have the purge.
    #[error("{replicas} replicas have the purge, and {wanted} are wanted")]
    Replicas {
        /// `redis.wait_replicas`.
        wanted: u32,
        /// How many have it.
        replicas: u32,
    },
    /// Redis answered what these scripts do not say.
    #[error("redis gave an answer that is not understood: {0}")]
    Answer(&'static str),
}

/// What the backplane did so far, for metrics and health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Following {
    /// Whether announcements are being heard.
    pub subscribed: bool,
    /// Since the last answer of Redis to a question for news; `None` if there was none.
    pub heard: Option<Duration>,
    /// Nodes that Redis knew at that answer, this one included.
    pub nodes: usize,
    /// Announcements that showed that something before them was missed.
    pub gaps: u64,
    /// Times that Redis was found to have lost the order of purges.
    pub losses: u64,
}

impl RedisBackplane {
    pub(crate) fn new(
        [link, waiting]: [Link; 2],
        config: RedisConfig,
        markers: Arc<Markers>,
        nodes: Arc<AtomicUsize>,
    ) -> Self {
        Self(Arc::new(Inner {
            link,
            waiting,
            lease_max: AtomicU64::new(millis(config.lease)),
            resubmit: AtomicBool::new(false),
            scripts: Scripts::new(&config.key_prefix),
            node: format!("{:016x}", rand::random::<u64>()),
            config,
            markers,
            asking: Mutex::default(),
            wake: Notify::new(),
            back: Notify::new(),
            sent: Sent::default(),
            nodes,
            heard_at: AtomicU64::new(u64::MAX),
            subscribed: AtomicBool::new(false),
            gaps: AtomicU64::new(0),
            incarnations: AtomicU64::new(0),
        }))
    }

    /// What happened so far.
    #[must_use]
    pub fn following(&self) -> Following {
        let heard_at = self.0.heard_at.load(Ordering::Acquire);
        Following {
            subscribed: self.0.subscribed.load(Ordering::Acquire),
            heard: (heard_at != u64::MAX)
                .then(|| Duration::from_millis(self.0.markers.monotonic().saturating_sub(heard_at))),
            nodes: self.0.nodes.load(Ordering::Acquire),
            gaps: self.0.gaps.load(Ordering::Relaxed),
            losses: self.0.incarnations.load(Ordering::Relaxed).saturating_sub(1),
        }
    }

    /// Asks for news until this node knows every marker, confirms them, and publishes what waits.
    ///
    /// # Errors
    /// Why it does not know them; it stays in step for as long as the last news are good.
    pub async fn sync(&self) -> Result<(), BackplaneError> {
        // What is younger is being published by whoever purges; but within a lease it is tried again, and may have two numbers then.
        let config = &self.0.config;
        self.sync_waiting((config.write_timeout * 2).min(config.lease / 2)).await
    }

    async fn sync_waiting(&self, at_least: Duration) -> Result<(), BackplaneError> {
        self.ask().await?;
        self.resubmit().await?;
        for ticket in self.0.markers.waiting(at_least) {
            let Numbered { incarnation, seq, .. } = self.number(&ticket, None).await?;
            self.0.sent.add(&ticket, self.0.markers.monotonic());
            self.0.markers.settle(&ticket, incarnation, seq);
        }
        Ok(())
    }

    /// Purges again what this node purged of late, where that may be what Redis lost.
    async fn resubmit(&self) -> Result<(), BackplaneError> {
        if !self.0.resubmit.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        for ticket in self.0.sent.recent(self.0.markers.monotonic()) {
            if let Err(error) = self.number(&ticket, None).await {
                self.0.resubmit.store(true, Ordering::Release);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Learns all news.
    async fn ask(&self) -> Result<(), BackplaneError> {
        let mut settling = self.0.asking.lock().await;
        let lease_millis = self.0.lease_max.load(Ordering::Acquire);
        let mut position = self.0.markers.position();
        let Position { fence: Fence { incarnation: follows, seq }, synced: confirms, .. } = position;
        let (mut cursor, mut markers) = ((follows, confirms), Vec::new());
        let grace = self.0.config.grace(lease_millis);
        let known_for = self.0.markers.monotonic().saturating_sub(settling.since);
        let settled = settling.incarnation == follows && follows != 0 && known_for > millis(grace);
        let mut news = loop {
            position.at = self.0.markers.monotonic();
            let strict = self.0.config.is_strict();
            let node = &self.0.node;
            let ask = Ask { node, follows, seq, confirms, cursor, settled, lease_millis, strict };
            let mut link = self.0.link.clone();
            let page = self.given(self.0.scripts.sync(&mut link, ask)).await?;
            self.0.nodes.store(page.nodes, Ordering::Release);
            self.0.lease_max.fetch_max(page.lease_millis, Ordering::AcqRel);
            if page.news.incarnation != cursor.0 {
                // The order began anew, perhaps between two pages: this page is its first.
                markers.clear();
            }
            let mut news = page.news;
            markers.append(&mut news.markers);
            if page.is_last {
                break news;
            }
            // Markers of one number may be cut in two by the page: those are asked for again.
            let last = markers.last().map_or(0, |(_, _, seq)| seq - 1);
            cursor = (news.incarnation, last);
        };
        news.markers = markers;
        if news.incarnation != follows && follows != 0 {
            self.0.resubmit.store(true, Ordering::Release);
        }
        if settling.incarnation != news.incarnation {
            *settling = Settling { incarnation: news.incarnation, since: self.0.markers.monotonic() };
            self.0.incarnations.fetch_add(1, Ordering::Relaxed);
        }
        self.0.markers.apply(&news, &position);
        if news.seq > confirms && self.is_waited_for() {
            // Only the next question confirms what this answer brought.
            self.0.wake.notify_one();
        }
        self.0.heard_at.store(position.at, Ordering::Release);
        Ok(())
    }

    /// Whether another node may be waiting for this one to confirm.
    fn is_waited_for(&self) -> bool {
        self.0.config.is_strict() && self.0.nodes.load(Ordering::Acquire) > 1
    }

    /// Gives the purges of `ticket` a number, and looks whether something that `guard` names was purged since.
    ///
    /// # Errors
    /// They wait on: [`sync`](Self::sync) publishes them.
    pub async fn publish(&self, ticket: &Ticket, guard: Option<&Guard>) -> Result<Delivery, BackplaneError> {
        let numbered = self.number(ticket, guard).await?;
        self.0.sent.add(ticket, self.0.markers.monotonic());
        let incarnation = numbered.incarnation;
        let same_order = guard.is_some_and(|guard| guard.start.fence.incarnation == incarnation);
        let guard_holds = same_order && numbered.clean;
        let published = Published { incarnation, seq: numbered.seq, guard_holds };
        Ok(Delivery { published, ticket: ticket.clone(), at: self.0.markers.monotonic(), numbered })
    }

    async fn number(&self, ticket: &Ticket, guard: Option<&Guard>) -> Result<Numbered, BackplaneError> {
        for _ in 0..LOSSES_MAX {
            match self.try_number(ticket, guard).await {
                Err(BackplaneError::Lost) => self.ask().await?,
                answer => return answer,
            }
        }
        Err(BackplaneError::Lost)
    }

    /// Numbers all tags of `ticket` in one order: of what a loss cut in two, the first part would be gone.
    async fn try_number(&self, ticket: &Ticket, guard: Option<&Guard>) -> Result<Numbered, BackplaneError> {
        let follows = self.0.markers.position().fence;
        let mut last: Option<Numbered> = None;
        // A page of news must hold all markers of one number.
        for part in ticket.split(TAGS_MAX) {
            let mut link = self.0.link.clone();
            let from = (self.0.node.as_str(), follows);
            let numbered = self.given(self.0.scripts.purge(&mut link, from, &part, guard)).await?;
            let clean = numbered.clean && last.as_ref().is_none_or(|last| last.clean);
            last = Some(Numbered { clean, ..numbered });
        }
        last.ok_or(BackplaneError::Answer("a purge without tags"))
    }

    async fn given<T>(&self, call: impl Future<Output = Result<Answer<T>, RedisError>>) -> Result<T, BackplaneError> {
        match self.bounded(call).await? {
            Answer::Given(given) => Ok(given),
            Answer::Lost => Err(BackplaneError::Lost),
            Answer::Malformed(what) => Err(BackplaneError::Answer(what)),
        }
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, RedisError>>) -> Result<T, BackplaneError> {
        match timeout(self.0.config.write_timeout, call).await {
            Ok(answer) => answer.map_err(|error| BackplaneError::Unavailable(error.into())),
            Err(elapsed) => Err(BackplaneError::Unavailable(elapsed.into())),
        }
    }

    /// Writes down who purged what, and why, in a stream beside the markers, without waiting for it.
    pub fn audit(&self, fields: Vec<(&'static str, String)>) {
        let this = self.clone();
        tokio::spawn(async move {
            let mut link = this.0.link.clone();
            let written = this.bounded(this.0.scripts.audit(&mut link, &fields)).await;
            if let Err(error) = written {
                tracing::debug!(error = &error as &dyn std::error::Error, "a purge was not written down");
            }
        });
    }

    /// Leaves: publishes what waits, serves nothing held from here on, and tells the others not to wait for this node. Bound it by a
    /// deadline of your own.
    ///
    /// # Errors
    /// Redis did not hear it: the others wait for this node once, until its lease is over.
    pub async fn leave(&self) -> Result<(), BackplaneError> {
        let published = self.sync_waiting(Duration::ZERO).await;
        self.0.markers.leave();
        let mut link = self.0.link.clone();
        self.bounded(self.0.scripts.bye(&mut link, &self.0.node)).await?;
        published
    }
}

/// A purge on its way to the other nodes.
#[derive(Debug)]
pub struct Delivery {
    /// Its number.
    pub published: Published,
    ticket: Ticket,
    /// When its number was known here: from then on it is in Redis.
    at: u64,
    numbered: Numbered,
}

/// How often a purge begins anew because Redis lost its data meanwhile.
const LOSSES_MAX: usize = 3;

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
