//! Reads from streaming replicas, as old as they may be and never older than a purge that this process knows of.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use edge_cache_core::marker::Start;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::endpoint::Endpoint;
use super::{DbError, Value};

/// Between two attempts to prove a replica.
const PAUSE: Duration = Duration::from_millis(50);
/// How often a replica is looked at until it has what the primary had.
const LOOKS: u32 = 10;

/// How far a primary is: where it writes next, and not what it has written out, which a commit need not wait for (`synchronous_commit`).
/// On a new page that is behind the page's header (24 or 40 bytes), where a replica comes only with the next record.
pub(super) const POSITION: &str = "SELECT (lsn - CASE WHEN here IN (24, 40) THEN here ELSE 0 END)::text AS lsn \
    FROM (SELECT lsn, mod(lsn - '0/0'::pg_lsn, current_setting('wal_block_size')::numeric) AS here \
    FROM pg_current_wal_insert_lsn() AS lsn) AS position";

/// Where this process stands in the order of purges; `None` while it cannot know, and then replicas are not read.
pub type Purges = dyn Fn() -> Option<Start> + Send + Sync;

/// The replicas of one Postgres.
pub(super) struct Replicas {
    all: Vec<Replica>,
    lag_max: Duration,
    next: AtomicUsize,
    purges: OnceLock<Box<Purges>>,
    /// Writes of this process that have ended: whoever wrote reads it.
    writes: AtomicU64,
}

struct Replica {
    endpoint: Arc<Endpoint>,
    proof: Mutex<Option<Proof>>,
    proving: AtomicBool,
}

/// A replica had everything that the primary had at a moment.
#[derive(Clone, Copy, Debug)]
struct Proof {
    at: Instant,
    seen: Seen,
}

/// What had happened before that moment, as far as this process knew.
///
/// A purge has its number after its write has been committed. So if no purge has become known since, whatever a fill of now holds against
/// purges, the replica had what they were for (`coherence` rule: the position is read after the fence).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    purges: Option<Start>,
    writes: u64,
}

impl Replicas {
    pub(super) fn new(endpoints: Vec<Arc<Endpoint>>, lag_max: Duration) -> Self {
        let all = endpoints.into_iter().map(|endpoint| Replica {
            endpoint,
            proof: Mutex::new(None),
            proving: AtomicBool::new(false),
        });
        Self {
            all: all.collect(),
            lag_max,
            next: AtomicUsize::new(0),
            purges: OnceLock::new(),
            writes: AtomicU64::new(0),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn follow(&self, purges: Box<Purges>) {
        if self.purges.set(purges).is_err() {
            tracing::warn!("purges are followed already: the first one counts");
        }
    }

    pub(super) fn wrote(&self) {
        self.writes.fetch_add(1, Ordering::AcqRel);
    }

    fn seen(&self) -> Option<Seen> {
        let writes = self.writes.load(Ordering::Acquire);
        match self.purges.get() {
            None => Some(Seen { purges: None, writes }),
            Some(purges) => purges().map(|start| Seen { purges: Some(start), writes }),
        }
    }

    /// The next one in turn that is new enough for what is read now.
    pub(super) fn pick(&self) -> Option<&Arc<Endpoint>> {
        let seen = self.seen()?;
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut turn = (0..self.all.len()).map(|at| &self.all[(first + at) % self.all.len()]);
        let proven = turn.find(|replica| {
            let proof = *replica.proof.lock();
            proof.is_some_and(|proof| proof.at.elapsed() < self.lag_max && same(&proof.seen, &seen))
        });
        proven.map(|replica| &replica.endpoint)
    }

    /// The replicas to prove: those whose proof does not hold any more and that nobody proves already.
    pub(super) fn unproven(&self) -> impl Iterator<Item = usize> {
        let seen = self.seen();
        // Before it is over, so that it is renewed while it still holds.
        let soon = self.lag_max / 2;
        let unproven = self.all.iter().enumerate().filter(move |(_, replica)| {
            let proof = *replica.proof.lock();
            let same_as_now = |proof: &Proof| seen.as_ref().is_some_and(|seen| same(&proof.seen, seen));
            let holds = proof.is_some_and(|proof| proof.at.elapsed() < soon && same_as_now(&proof));
            !holds && seen.is_some() && replica.endpoint.may_be_asked() && !replica.proving.swap(true, Ordering::AcqRel)
        });
        unproven.map(|(at, _)| at)
    }

    /// Asks the primary how far it is, and the `at`-th replica whether it is as far.
    pub(super) async fn prove(&self, at: usize, primary: impl Future<Output = Result<String, DbError>>) {
        self.all[at].prove(self, primary).await;
    }

    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.all.iter().map(|replica| &replica.endpoint)
    }
}

/// Whether nothing has become known between the two. When they were taken is no difference.
fn same(then: &Seen, now: &Seen) -> bool {
    let purges = match (&then.purges, &now.purges) {
        (Some(then), Some(now)) => then.is_beside(now),
        (None, None) => true,
        _ => false,
    };
    purges && then.writes == now.writes
}

impl Replica {
    async fn prove(&self, replicas: &Replicas, primary: impl Future<Output = Result<String, DbError>>) {
        let _done = Proving(&self.proving);
        // Before the primary is asked: what becomes known later is not covered.
        let Some(seen) = replicas.seen() else { return };
        let at = Instant::now();
        let proven = async {
            let position = primary.await?;
            let sql = "SELECT pg_is_in_recovery() AND pg_last_wal_replay_lsn() >= $1::text::pg_lsn AS there";
            for _ in 0..LOOKS {
                let mut lent = self.endpoint.lend().await?;
                let rows = lent.query(sql, &[Value::Text(position.clone())]).await?;
                if rows.first().map_or(Ok(false), |row| row.bool("there"))? {
                    return Ok::<_, DbError>(true);
                }
                drop(lent);
                sleep(PAUSE / LOOKS).await;
            }
            Ok(false)
        };
        match proven.await {
            Ok(true) => *self.proof.lock() = Some(Proof { at, seen }),
            Ok(false) => sleep(PAUSE).await,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a replica cannot be read");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Nobody else proves the same one meanwhile.
struct Proving<'a>(&'a AtomicBool);

impl Drop for Proving<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
