//! One origin: what is under way to it, whether it may be asked, and how it did.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use edge_cache_breaker::{Breaker, BreakerConfig, Permit, State};
use http::uri::Authority;
use tokio::sync::Notify;

use super::{
    said::{Said, report},
    target::Target,
};
use crate::permits;

/// How one origin does, for gauges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginState {
    /// Its host and port.
    pub authority: Authority,
    /// Requests under way, to the last byte of their answers; tunnels aside.
    pub in_flight: usize,
    /// Whether the last checks found it well; true where there are none.
    pub healthy: bool,
    /// What its breaker does with calls.
    pub breaker: State,
    /// Requests sent to it, checks aside.
    pub requests: u64,
    /// Of these: it could not be reached, was too slow, gave no answer, or answered 502, 503 or 504.
    pub failures: u64,
    /// Of these: another origin had failed at them before.
    pub retries: u64,
}

/// Why an origin is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Its breaker is open.
    Open,
    /// As many requests as it may have are under way.
    Full,
}

/// An origin.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) target: Target,
    breaker: Breaker,
    in_flight: AtomicUsize,
    in_flight_max: usize,
    /// Told of each place that becomes free, at any origin.
    freed: Arc<Notify>,
    healthy: AtomicBool,
    requests: AtomicU64,
    answers: AtomicU64,
    failures: AtomicU64,
    retries: AtomicU64,
}

impl Member {
    pub(super) fn new(target: Target, in_flight_max: usize, freed: Arc<Notify>) -> Self {
        Self {
            breaker: Breaker::named(target.authority.to_string(), BreakerConfig::default()),
            target,
            in_flight: AtomicUsize::new(0),
            in_flight_max,
            freed,
            healthy: AtomicBool::new(true),
            requests: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            retries: AtomicU64::new(0),
        }
    }

    /// A place for one request, and leave to make it.
    pub(super) fn enter(self: &Arc<Self>) -> Result<(Place, Permit), Refused> {
        let below = |now: usize| (now < self.in_flight_max).then_some(now + 1);
        // Only a number: nothing else is read by it.
        self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).map_err(|_| Refused::Full)?;
        let place = Place { member: Arc::clone(self), permit: None };
        let permit = self.breaker.try_acquire().map_err(|_| Refused::Open)?;
        Ok((place, permit))
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Notes what the checks found; what they found before.
    pub(super) fn found_healthy(&self, healthy: bool) -> bool {
        self.healthy.swap(healthy, Ordering::Relaxed)
    }

    /// Whether its breaker is closed: a second try is no probe.
    pub(super) fn is_trusted(&self) -> bool {
        self.breaker.state() == State::Closed
    }

    /// Counts a request that is sent.
    pub(super) fn sent(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer in time, whatever it says.
    pub(super) fn answered(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Counts a request that comes from another origin.
    pub(super) fn took_over(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes how a request went.
    pub(super) fn did(&self, permit: Permit, said: Said) {
        if said != Said::Fine {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        report(permit, said);
    }

    pub(super) fn state(&self) -> OriginState {
        OriginState {
            authority: self.target.authority.clone(),
            in_flight: self.in_flight(),
            healthy: self.is_healthy(),
            breaker: self.breaker.state(),
            requests: self.requests.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }
}

/// One request under way: counted until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    member: Arc<Member>,
    /// Of all origins together.
    permit: Option<permits::Permit>,
}

impl Place {
    pub(super) fn member(&self) -> &Member {
        &self.member
    }

    /// Keeps the permit for as long as the request is under way.
    pub(super) fn keep(&mut self, permit: permits::Permit) {
        self.permit = Some(permit);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.member.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.member.freed.notify_one();
    }
}
