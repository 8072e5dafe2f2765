//! A concurrency limit with classes: a short queue that serves the most urgent first.

mod queue;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use self::queue::Queue;

/// How many may be at work, and how many may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimiterConfig<const N: usize> {
    /// Most at work at once; at least 1.
    pub limit: usize,
    /// Most that wait.
    pub queue_max: usize,
    /// Longest wait.
    pub wait_max: Duration,
    /// Most of each class at work at once, the most urgent class first: ceilings, not shares.
    pub ceilings: [usize; N],
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overloaded {
    /// As many wait as may, or somebody more urgent took the place in the queue.
    #[error("too many wait")]
    QueueFull,
    /// No place became free in time.
    #[error("no place became free in time")]
    TooLong,
}

/// What goes on behind a limit, and what went on since the start. Totals never fall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Most at work at once, as it is set now.
    pub limit: usize,
    /// The highest that it can be set to.
    pub limit_max: usize,
    /// At work.
    pub in_use: usize,
    /// Most at work so far.
    pub in_use_max: usize,
    /// Waiting.
    pub waiting: usize,
    /// Places given.
    pub admitted: u64,
    /// Those refused one.
    pub refused: u64,
    /// Time that places were taken, added up over the places.
    pub busy: Duration,
    /// Time that was waited, added up over all who got a place or gave up.
    pub waited: Duration,
}

/// Lets a limited number work at once, and lets a limited number wait; those of class 0 go first. Clones share the places.
///
/// ```
/// use std::time::Duration;
/// use edge_cache_breaker::{Limiter, LimiterConfig};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let config = LimiterConfig { limit: 2, queue_max: 8, wait_max: Duration::from_millis(1), ceilings: [2, 1] };
/// let limiter = Limiter::new(config);
/// let behind = limiter.acquire(1, None).await.expect("both places are free");
/// assert!(limiter.acquire(1, None).await.is_err(), "the second class may have one");
/// let first = limiter.acquire(0, None).await.expect("the first class may have all");
/// # drop((behind, first));
/// # });
/// ```
#[derive(Debug)]
pub struct Limiter<const N: usize> {
    queue: Arc<Mutex<Queue<N>>>,
    wait_max: Duration,
}

impl<const N: usize> Clone for Limiter<N> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue), wait_max: self.wait_max }
    }
}

impl<const N: usize> Limiter<N> {
    /// All places free.
    #[must_use]
    pub fn new(config: LimiterConfig<N>) -> Self {
        Self { queue: Arc::new(Mutex::new(Queue::new(&config, Instant::now()))), wait_max: config.wait_max }
    }

    /// A place for one of `class`, as [`acquire`](Self::acquire) has it, where one is free; `None` says that it would have to be waited for.
    #[must_use]
    pub fn try_acquire(&self, class: usize) -> Option<Place<N>> {
        let class = class.min(N - 1);
        let is_free = self.queue.lock().take(class, Instant::now());
        is_free.then(|| Place { queue: Arc::clone(&self.queue), class })
    }

    /// A place for one of `class` (0 is the most urgent; what is past the last class counts as the last), waited for until `deadline` at
    /// the latest.
    ///
    /// # Errors
    /// [`Overloaded`].
    pub async fn acquire(&self, class: usize, deadline: Option<Instant>) -> Result<Place<N>, Overloaded> {
        let (class, began) = (class.min(N - 1), Instant::now());
        let mut turn = {
            let mut queue = self.queue.lock();
            // Under the same lock as it joins the queue: a place that becomes free in between would be nobody's.
            if queue.take(class, began) {
                return Ok(Place { queue: Arc::clone(&self.queue), class });
            }
            let (ticket, granted) = queue.join(class)?;
            Turn { queue: Arc::clone(&self.queue), class, began, ticket, granted: Some(granted) }
        };
        let until = deadline.map_or(began + self.wait_max, |deadline| deadline.min(began + self.wait_max));
        let granted = turn.granted.as_mut().expect("it is taken only when the turn ends");
        match timeout_at(until, granted).await {
            Ok(Ok(())) => Ok(turn.come()),
            // Somebody more urgent pushed it out.
            Ok(Err(_)) => Err(Overloaded::QueueFull),
            Err(_) => Err(Overloaded::TooLong),
        }
    }

    /// Changes how many may be at work: from 1 to what it began with. Those above it finish.
    pub fn set_limit(&self, limit: usize) {
        self.queue.lock().set_limit(limit, Instant::now());
    }

    /// What goes on.
    #[must_use]
    pub fn load(&self) -> Load {
        self.queue.lock().load(Instant::now())
    }
}

/// A place; dropping it gives it back.
#[derive(Debug)]
#[must_use = "the place is given back when this is dropped"]
pub struct Place<const N: usize> {
    queue: Arc<Mutex<Queue<N>>>,
    class: usize,
}

impl<const N: usize> Drop for Place<N> {
    fn drop(&mut self) {
        self.queue.lock().give_back(self.class, Instant::now());
    }
}

/// One that waits; dropping it leaves the queue, or gives back the place that it was given meanwhile.
struct Turn<const N: usize> {
    queue: Arc<Mutex<Queue<N>>>,
    class: usize,
    began: Instant,
    ticket: u64,
    granted: Option<oneshot::Receiver<()>>,
}

impl<const N: usize> Turn<N> {
    fn come(mut self) -> Place<N> {
        self.granted = None;
        self.queue.lock().waited(self.began, Instant::now());
        Place { queue: Arc::clone(&self.queue), class: self.class }
    }
}

impl<const N: usize> Drop for Turn<N> {
    fn drop(&mut self) {
        let Some(mut granted) = self.granted.take() else { return };
        let now = Instant::now();
        let mut queue = self.queue.lock();
        queue.waited(self.began, now);
        // Places are given under the lock: whoever holds it knows whether this one was.
        match granted.try_recv() {
            Ok(()) => queue.give_back(self.class, now),
            Err(_) => queue.leave(self.class, self.ticket),
        }
    }
}

#[cfg(test)]
mod tests;
