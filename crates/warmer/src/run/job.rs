//! One URL of one target, from the first request to the proof.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Ask, AskError, FromCache, How, Limits, Options, Outcome, Reason, Told, pace::Pace};
use crate::Replay;

/// Pauses before each time that what was stored is read back. It is nearly always there at once; a tier may store behind its answer.
const READ_BACK_PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(200)];
/// Pauses before looking whether something stale was replaced: the first, and the longest; each is twice the one before.
const REFRESH_PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// A job that has come to its end.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) outcome: Outcome,
    /// Of the first answer.
    pub(super) body_bytes: u64,
}

/// Warms `replay`. The slot for the first request has been taken.
pub(super) async fn warm<A: Ask>(asker: &A, replay: &Replay, options: &Options, pace: &Pace) -> Done {
    let question = Question { asker, replay, limits: &options.limits, pace };
    let how = if options.refresh { How::Refresh } else { How::IfNeeded };
    let told = match question.ask(how).await {
        Ok(told) => told,
        Err(reason) => return Done { outcome: Outcome::Failed(reason), body_bytes: 0 },
    };
    if told.from_cache == FromCache::Fresh {
        pace.give_back();
    }
    let body_bytes = told.body_bytes;
    let proven = match (kept(told), options.refresh) {
        (Err(reason), _) => Err(reason),
        (Ok(Kept::Fresh), false) => return Done { outcome: Outcome::Fresh, body_bytes },
        (Ok(Kept::Fresh | Kept::Stale), true) => Err(Reason::RefreshIgnored),
        // Also where nothing is to be proven: until then the cache is asking its origin, in this job's place.
        (Ok(Kept::Stale), false) => question.refreshed().await,
        (Ok(Kept::Stored), _) if options.verify => question.read_back().await,
        (Ok(Kept::Stored), _) => Ok(()),
    };
    let outcome = proven.map_or_else(Outcome::Failed, |()| Outcome::Warmed);
    Done { outcome, body_bytes }
}

/// What a good answer says of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Fresh,
    Stale,
    Stored,
}

fn kept(told: Told) -> Result<Kept, Reason> {
    if told.status.is_client_error() || told.status.is_server_error() {
        return Err(Reason::Status(told.status));
    }
    match told.from_cache {
        FromCache::Fresh => Ok(Kept::Fresh),
        FromCache::Stale => Ok(Kept::Stale),
        FromCache::Stored => Ok(Kept::Stored),
        FromCache::NotStored { detail } => Err(Reason::NotStored(detail)),
        FromCache::Untold => Err(Reason::NoCacheStatus),
    }
}

struct Question<'a, A> {
    asker: &'a A,
    replay: &'a Replay,
    limits: &'a Limits,
    pace: &'a Pace,
}

impl<A: Ask> Question<'_, A> {
    /// One request, within its time. After that the answer is of no use, and its place is kept for a while all the same.
    async fn ask(&self, how: How) -> Result<Told, Reason> {
        let mut asking = self.asker.ask(self.replay, how);
        match timeout(self.limits.timeout, &mut asking).await {
            Ok(answer) => answer.map_err(|error| match error {
                AskError::Connect(_) => Reason::Connect,
                AskError::Transport(_) => Reason::Transport,
                AskError::TooLarge => Reason::TooLarge,
            }),
            Err(_) => {
                drop(timeout(self.limits.linger, asking).await);
                Err(Reason::Timeout)
            }
        }
    }

    /// What was stored must be there.
    async fn read_back(&self) -> Result<(), Reason> {
        for pause in READ_BACK_PAUSES {
            sleep(pause).await;
            let told = self.ask(How::ReadBack).await.inspect_err(|_| self.pace.owe())?;
            if told.from_cache != FromCache::Fresh {
                self.pace.owe();
            }
            if kept(told)? == Kept::Fresh {
                return Ok(());
            }
        }
        Err(Reason::NotAHit)
    }

    /// What was stale must become fresh.
    async fn refreshed(&self) -> Result<(), Reason> {
        let until = Instant::now() + self.limits.timeout;
        let (mut pause, longest) = REFRESH_PAUSES;
        while Instant::now() < until {
            sleep(pause).await;
            pause = (pause * 2).min(longest);
            self.pace.slot().await;
            let told = self.ask(How::ReadBack).await?;
            if told.from_cache == FromCache::Fresh {
                self.pace.give_back();
            }
            match kept(told)? {
                Kept::Fresh => return Ok(()),
                // It was gone, and was asked for anew.
                Kept::Stored => return self.read_back().await,
                Kept::Stale => {}
            }
        }
        Err(Reason::StillStale)
    }
}
