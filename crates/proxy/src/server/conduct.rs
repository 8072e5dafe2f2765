//! How a client of HTTP/2 behaves on one connection: what is under way, and what it takes back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

/// What is noted of one connection.
#[derive(Debug)]
pub(super) struct Conduct {
    began: Instant,
    is_h2: AtomicBool,
    /// Requests so far, and those that are under way.
    all: AtomicU32,
    open: AtomicU32,
    /// Requests that were taken back before their answers began.
    taken_back: AtomicU32,
    /// When the last one ended, in milliseconds since the beginning.
    ended: AtomicU64,
    /// Answers of which something is there that the client has not made room for, each with when that came to be; and when the client last made room, in
    /// milliseconds since the beginning.
    owed: Mutex<Vec<Option<u64>>>,
    taken: AtomicU64,
}

/// A request that is under way until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    conduct: Arc<Conduct>,
    /// Its place among those that are owed.
    owed_at: Option<usize>,
}

impl Conduct {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            is_h2: AtomicBool::new(false),
            all: AtomicU32::new(0),
            open: AtomicU32::new(0),
            taken_back: AtomicU32::new(0),
            ended: AtomicU64::new(0),
            owed: Mutex::default(),
            taken: AtomicU64::new(0),
        }
    }

    /// The connection is one of HTTP/2.
    pub(super) fn is_h2(&self) {
        self.is_h2.store(true, Relaxed);
    }

    /// A request begins.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.all.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        UnderWay { conduct: Arc::clone(self), owed_at: None }
    }

    /// Whether more than `max` requests, and more than half of all, were taken back (CVE-2023-44487).
    pub(super) fn is_abusive(&self, max: u32) -> bool {
        let taken_back = self.taken_back.load(Relaxed);
        taken_back > max && taken_back > self.all.load(Relaxed) / 2
    }

    /// How long there was no request; `None` over HTTP/1, where the server's own limit holds, and while there is one.
    pub(super) fn idle(&self) -> Option<Duration> {
        let quiet = self.is_h2.load(Relaxed) && self.open.load(Relaxed) == 0;
        quiet.then(|| self.since(self.ended.load(Relaxed)))
    }

    /// For how long the client has taken nothing of the answers that are there for it. The server does not ask for a piece before there is room for it, so a stream that
    /// nobody makes room on never waits in a write.
    pub(super) fn stalled(&self) -> Duration {
        if self.owed.lock().iter().all(Option::is_none) { Duration::ZERO } else { self.since(self.taken.load(Relaxed)) }
    }

    /// For how long the client has taken nothing of the answer that it has left for longest, whatever it took of others meanwhile.
    pub(super) fn left(&self) -> Duration {
        let longest = self.owed.lock().iter().flatten().min().copied();
        longest.map_or(Duration::ZERO, |since| self.since(since))
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn since(&self, millis: u64) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(millis))
    }
}

impl UnderWay {
    /// The client does not want the answer any more.
    pub(super) fn taken_back(self) {
        self.conduct.taken_back.fetch_add(1, Relaxed);
    }

    /// A piece of the answer is there; the next is asked for once there is room for it.
    pub(super) fn owe(&mut self) {
        if self.owed_at.is_some() {
            return;
        }
        let (mut owed, now) = (self.conduct.owed.lock(), self.conduct.millis());
        if owed.iter().all(Option::is_none) {
            self.conduct.taken.store(now, Relaxed);
        }
        let at = owed.iter().position(Option::is_none).unwrap_or(owed.len());
        match owed.get_mut(at) {
            Some(free) => *free = Some(now),
            None => owed.push(Some(now)),
        }
        self.owed_at = Some(at);
    }

    /// The client made room.
    pub(super) fn paid(&mut self) {
        if let Some(at) = self.owed_at.take() {
            self.conduct.taken.store(self.conduct.millis(), Relaxed);
            self.conduct.owed.lock()[at] = None;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.paid();
        self.conduct.ended.store(self.conduct.millis(), Relaxed);
        self.conduct.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn idle_is_who_has_no_request_under_way() {
        let conduct = Arc::new(Conduct::new());
        advance(Duration::from_secs(9)).await;
        assert_eq!(conduct.idle(), None, "not yet known to be HTTP/2");
        conduct.is_h2();
        assert_eq!(conduct.idle(), Some(Duration::from_secs(9)));
        let request = conduct.begin();
        assert_eq!(conduct.idle(), None);
        advance(Duration::from_secs(1)).await;
        drop(request);
        advance(Duration::from_secs(2)).await;
        assert_eq!(conduct.idle(), Some(Duration::from_secs(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn stalled_is_who_makes_no_room_on_any_stream() {
        let conduct = Arc::new(Conduct::new());
        let (mut one, mut other) = (conduct.begin(), conduct.begin());
        advance(Duration::from_secs(9)).await;
        assert_eq!(conduct.stalled(), Duration::ZERO, "the origin's time is not the client's");
        one.owe();
        other.owe();
        advance(Duration::from_secs(2)).await;
        assert_eq!(conduct.stalled(), Duration::from_secs(2));
        one.paid();
        one.owe();
        assert_eq!(conduct.stalled(), Duration::ZERO, "it takes something");
        assert_eq!(conduct.left(), Duration::from_secs(2), "not of the other");
        advance(Duration::from_secs(1)).await;
        assert_eq!(conduct.left(), Duration::from_secs(3));
        drop(one);
        advance(Duration::from_secs(1)).await;
        assert_eq!(conduct.stalled(), Duration::from_secs(1));
        drop(other);
        assert_eq!((conduct.stalled(), conduct.left()), (Duration::ZERO, Duration::ZERO));
    }

    #[tokio::test]
    async fn taking_back_is_abuse_when_it_is_most_of_what_is_done() {
        let conduct = Arc::new(Conduct::new());
        for _ in 0..10 {
            conduct.begin().taken_back();
        }
        assert!(!conduct.is_abusive(10) && conduct.is_abusive(9));
        let answered: Vec<_> = (0..10).map(|_| conduct.begin()).collect();
        assert!(!conduct.is_abusive(9), "half of twenty");
        drop(answered);
    }
}
