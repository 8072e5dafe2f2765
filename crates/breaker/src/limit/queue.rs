use std::{collections::VecDeque, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use super::{LimiterConfig, Load, Overloaded};

/// Who is at work and who waits.
#[derive(Debug)]
pub(super) struct Queue<const N: usize> {
    limit: usize,
    limit_max: usize,
    queue_max: usize,
    ceilings: [usize; N],
    at_work: [usize; N],
    waiting: [VecDeque<Waiter>; N],
    next_ticket: u64,
    totals: Totals,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    grant: oneshot::Sender<()>,
}

#[derive(Debug)]
struct Totals {
    admitted: u64,
    refused: u64,
    in_use_max: usize,
    waited: Duration,
    busy: Duration,
    /// Up to when `busy` has been added up.
    since: Instant,
}

impl<const N: usize> Queue<N> {
    pub(super) fn new(config: &LimiterConfig<N>, now: Instant) -> Self {
        let limit = config.limit.max(1);
        Self {
            limit,
            limit_max: limit,
            queue_max: config.queue_max,
            ceilings: config.ceilings.map(|ceiling| ceiling.clamp(1, limit)),
            at_work: [0; N],
            waiting: std::array::from_fn(|_| VecDeque::new()),
            next_ticket: 0,
            totals: Totals {
                admitted: 0,
                refused: 0,
                in_use_max: 0,
                waited: Duration::ZERO,
                busy: Duration::ZERO,
                since: now,
            },
        }
    }

    fn in_use(&self) -> usize {
        self.at_work.iter().sum()
    }

    fn waiters(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    fn has_place(&self, class: usize) -> bool {
        self.in_use() < self.limit && self.at_work[class] < self.ceilings[class]
    }

    fn settle(&mut self, now: Instant) {
        let places = u32::try_from(self.in_use()).unwrap_or(u32::MAX);
        self.totals.busy += now.saturating_duration_since(self.totals.since) * places;
        self.totals.since = now;
    }

    fn admit(&mut self, class: usize) {
        self.at_work[class] += 1;
        self.totals.admitted += 1;
        self.totals.in_use_max = self.totals.in_use_max.max(self.in_use());
    }

    /// Takes a place if one is free. Nobody is overtaken: while one is free for a class, none of that class or a more urgent one waits.
    pub(super) fn take(&mut self, class: usize, now: Instant) -> bool {
        let free = self.has_place(class);
        if free {
            self.settle(now);
            self.admit(class);
        }
        free
    }

    /// Joins those who wait. Where as many wait as may, the last of the least urgent class makes room for somebody more urgent.
    pub(super) fn join(&mut self, class: usize) -> Result<(u64, oneshot::Receiver<()>), Overloaded> {
        if self.waiters() >= self.queue_max {
            self.totals.refused += 1;
            let less_urgent = (class + 1..N).rev().find(|class| !self.waiting[*class].is_empty());
            let Some(less_urgent) = less_urgent else { return Err(Overloaded::QueueFull) };
            // Its sender is dropped, which tells it.
            self.waiting[less_urgent].pop_back();
        }
        let (grant, granted) = oneshot::channel();
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting[class].push_back(Waiter { ticket, grant });
        Ok((ticket, granted))
    }

    /// Leaves the queue without a place. One that was pushed out has been counted already.
    pub(super) fn leave(&mut self, class: usize, ticket: u64) {
        let waiting = &mut self.waiting[class];
        if let Ok(at) = waiting.binary_search_by_key(&ticket, |waiter| waiter.ticket) {
            waiting.remove(at);
            self.totals.refused += 1;
        }
    }

    pub(super) fn give_back(&mut self, class: usize, now: Instant) {
        self.settle(now);
        self.at_work[class] -= 1;
        self.grant();
    }

    pub(super) fn set_limit(&mut self, limit: usize, now: Instant) {
        self.settle(now);
        self.limit = limit.clamp(1, self.limit_max);
        self.grant();
    }

    pub(super) fn waited(&mut self, began: Instant, now: Instant) {
        self.totals.waited += now.saturating_duration_since(began);
    }

    /// Gives free places to those who wait, the most urgent first.
    fn grant(&mut self) {
        for class in 0..N {
            while self.has_place(class) {
                let Some(waiter) = self.waiting[class].pop_front() else { break };
                // Who is gone has left the queue under the lock, so somebody takes it.
                if waiter.grant.send(()).is_ok() {
                    self.admit(class);
                }
            }
        }
    }

    pub(super) fn load(&mut self, now: Instant) -> Load {
        self.settle(now);
        Load {
            limit: self.limit,
            limit_max: self.limit_max,
            in_use: self.in_use(),
            in_use_max: self.totals.in_use_max,
            waiting: self.waiters(),
            admitted: self.totals.admitted,
            refused: self.totals.refused,
            busy: self.totals.busy,
            waited: self.totals.waited,
        }
    }
}
