//! The engine: asks for everything once, at a bounded pace, and says what came of it.

mod ask;
mod job;
mod observe;
mod pace;
mod report;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, num::NonZeroUsize, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::{
    ask::{Ask, AskError, FromCache, How, Told},
    observe::{Finished, Observer},
    report::{Failure, Outcome, Reason, Report},
};
use self::{job::Done, pace::Pace, report::Tally};
use crate::{Replay, replay::digest_of};

/// What is asked, and of whom.
#[derive(Clone, Debug)]
pub struct Target<A> {
    /// What tells this target from the others of the run: part of a job's digest, and named where it failed.
    pub name: String,
    /// How it is asked.
    pub asker: A,
    /// What it is asked for, in this order.
    pub replays: Vec<Replay>,
}

/// How much a run may ask for. All limits hold for the whole run, whatever the number of targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time between two requests that may reach the origin; a slot that nobody took in time is lost. Zero for none. Default: 20 ms.
    pub interval: Duration,
    /// Most requests in flight. Default: 3.
    pub concurrency: NonZeroUsize,
    /// Longest time for one answer. Default: 5 s.
    pub timeout: Duration,
    /// For how long after that an unanswered request keeps its place among `concurrency`: the cache goes on asking its origin, and the next
    /// request would come on top. Default: 25 s.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(20),
            concurrency: const { NonZeroUsize::new(3).unwrap() },
            timeout: Duration::from_secs(5),
            linger: Duration::from_secs(25),
        }
    }
}

/// How a run goes about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// See [`Limits`].
    pub limits: Limits,
    /// Ask the origin anew also for what is fresh. Default: no.
    pub refresh: bool,
    /// Read what was stored once more, which must be a hit. Default: yes.
    pub verify: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { limits: Limits::default(), refresh: false, verify: true }
    }
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// It does.
    Go,
    /// It asks for nothing more; what is in flight comes to its end.
    Stop,
}

/// One URL of one target.
struct Job<'a, A> {
    target: &'a Target<A>,
    replay: &'a Replay,
    digest: u128,
}

impl<A> Clone for Job<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Job<'_, A> {}

/// Asks for everything once: one target after the other, so that nodes with a common tier ask their origin once and the later ones take from that
/// tier what the first had stored.
///
/// Every request that may reach the origin waits for a slot and for a place. Before each URL `gate` is asked whether to go on. When `cancel` is
/// cancelled, what is in flight is dropped, and counts as not asked.
pub async fn run<A: Ask>(
    targets: Vec<Target<A>>,
    options: &Options,
    observer: &mut impl Observer,
    gate: impl Fn() -> Go,
    cancel: &CancellationToken,
) -> Report {
    let began = Instant::now();
    let mut tally = Tally::default();
    let jobs = jobs(&targets, &*observer, &mut tally);
    observer.begins(jobs.len());
    let pace = Pace::new(options.limits.interval);
    let mut waiting = jobs.into_iter().peekable();
    let mut in_flight = FuturesUnordered::new();
    let mut stopped = false;
    let interrupted = loop {
        let more = !stopped && waiting.peek().is_some();
        if !more && in_flight.is_empty() {
            break false;
        }
        let may_start = more && in_flight.len() < options.limits.concurrency.get();
        tokio::select! {
            biased;
            () = cancel.cancelled() => break true,
            Some((job, done)) = in_flight.next() => {
                let (job, done): (Job<'_, A>, Done) = (job, done);
                tally.add(&job.target.name, job.replay, &done);
                observer.finished(&Finished {
                    target: &job.target.name,
                    replay: job.replay,
                    digest: job.digest,
                    outcome: &done.outcome,
                    body_bytes: done.body_bytes,
                });
            }
            () = pace.slot(), if may_start => {
                stopped = gate() == Go::Stop;
                if !stopped && let Some(job) = waiting.next() {
                    let pace = &pace;
                    in_flight.push(async move {
                        (job, job::warm(&job.target.asker, job.replay, options, pace).await)
                    });
                }
            }
        }
    };
    tally.into_report(began.elapsed(), interrupted, stopped)
}

/// Each job once, in order, without those that are done.
fn jobs<'a, A>(targets: &'a [Target<A>], observer: &impl Observer, tally: &mut Tally) -> Vec<Job<'a, A>> {
    let mut seen = HashSet::new();
    let mut jobs = Vec::new();
    for target in targets {
        for replay in &target.replays {
            let digest = digest_of([target.name.as_bytes(), &replay.digest().to_le_bytes()]);
            if !seen.insert(digest) {
                continue;
            }
            tally.planned();
            if observer.is_done(digest) {
                tally.resumed();
            } else {
                jobs.push(Job { target, replay, digest });
            }
        }
    }
    jobs
}
