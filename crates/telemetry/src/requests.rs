//! The last requests, to be asked about one by one.

use std::{
    cmp::Reverse,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use edge_cache_core::{Outcome, RequestId, Served, Step, Timestamp, Trail};
use http::{Method, StatusCode};
use parking_lot::Mutex;

use crate::{
    finished::{CLIENT_CLOSED_REQUEST, Finished},
    shard::{Lane, Sharded, shards},
};

/// Bytes kept of a URL, and of a `Cache-Status`; the rest is cut off.
const TEXT_MAX: usize = 512;
/// Plain hits get one place of so many.
const HITS: usize = 16;
/// Failures get so many more places.
const FAILURES: usize = 8;
/// How long whatever is kept stays: a flood would push each request out before anybody could ask for it. So what comes while all are younger is not kept,
/// which also spares it the way through a megabyte of memory that nobody reads.
const STAY: Duration = Duration::from_secs(1);

/// The last answered requests, in rings of fixed size. Clones share them.
///
/// Whatever is kept stays for a second after its end; of a flood that is more than fits, only what fits is kept. The last failures are kept a second time, in
/// a ring that always takes the next one, so that no flood of anything else pushes them out. Plain hits, which are many and tell little, have up to a sixteenth of the places; each thread
/// has a ring of its own for them.
#[derive(Clone, Debug)]
pub struct Requests(Arc<Rings>);

#[derive(Debug)]
struct Rings {
    told: Ring,
    failures: Ring,
    hits: Sharded<Ring>,
}

#[derive(Debug)]
struct Ring {
    slots: Box<[Mutex<Slot>]>,
    /// How many have been put in.
    next: AtomicU64,
    /// How long at least whatever is kept stays.
    stay: Duration,
    /// Until then, in milliseconds, nothing gives way.
    full_until: AtomicI64,
}

/// A place in the ring, whose texts are written over.
#[derive(Debug, Default)]
struct Slot {
    turn: u64,
    kept: Option<Kept>,
    url: String,
    route: String,
    cache_status: String,
}

#[derive(Clone, Debug)]
struct Kept {
    id: RequestId,
    trace: u128,
    at: Timestamp,
    took: Duration,
    client: Option<IpAddr>,
    method: Method,
    status: StatusCode,
    outcome: Outcome,
    age: Option<Duration>,
    body_bytes: u64,
    trail: Option<Trail>,
}

/// A request of the ring.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// Its name.
    pub id: RequestId,
    /// The trace that it is part of.
    pub trace: u128,
    /// When it came.
    pub at: Timestamp,
    /// How long it took, to the last byte.
    pub took: Duration,
    /// Whose it was.
    pub client: Option<IpAddr>,
    /// Its method.
    pub method: Method,
    /// Host, path and query, at most 512 bytes of them.
    pub url: String,
    /// The status of its answer.
    pub status: StatusCode,
    /// The route's name.
    pub route: String,
    /// What was done for it.
    pub outcome: Outcome,
    /// How old the stored answer was.
    pub age: Option<Duration>,
    /// Bytes of the body sent.
    pub body_bytes: u64,
    /// The answer's `Cache-Status`.
    pub cache_status: String,
    /// What was decided on the way; none for a plain hit. A fill that still runs adds to it.
    pub steps: Vec<Step>,
}

impl Requests {
    /// Rings for this many, at least one, an eighth as many failures, at least one, and up to a sixteenth as many plain hits.
    #[must_use]
    pub fn new(kept: usize) -> Self {
        let hits = Sharded::new(|| Ring::new(kept / HITS / shards(), STAY));
        Self(Arc::new(Rings {
            told: Ring::new(kept, STAY),
            failures: Ring::new(kept / FAILURES, Duration::ZERO),
            hits,
        }))
    }

    pub(crate) fn push(&self, request: &Finished<'_>) {
        let Rings { told, failures, hits } = &*self.0;
        if request.trail.is_none() && request.outcome.served == Served::Hit {
            return hits.at(Lane::mine()).push(request);
        }
        // A client that did not wait is no failure, and there may be floods of them.
        if request.outcome.served == Served::Error && request.status.as_u16() != CLIENT_CLOSED_REQUEST {
            failures.push(request);
        }
        told.push(request);
    }

    /// Whether a plain hit that came at `at` would be kept.
    pub(crate) fn has_room_for_hit(&self, at: Timestamp) -> bool {
        self.0.hits.at(Lane::mine()).has_room(at)
    }

    /// The last `n` requests, the newest first.
    #[must_use]
    pub fn last(&self, n: usize) -> Vec<SeenRequest> {
        let mut all: Vec<_> = self.rings().flat_map(|ring| ring.last(n)).collect();
        all.sort_by_key(|request| (Reverse(request.at), request.id.0));
        all.dedup_by_key(|request| request.id);
        all.truncate(n);
        all
    }

    /// The request of this name, as long as it is kept.
    #[must_use]
    pub fn get(&self, id: RequestId) -> Option<SeenRequest> {
        self.rings().find_map(|ring| ring.get(id))
    }

    fn rings(&self) -> impl Iterator<Item = &Ring> {
        let Rings { told, failures, hits } = &*self.0;
        [failures, told].into_iter().chain(hits.all())
    }
}

impl Ring {
    fn new(kept: usize, stay: Duration) -> Self {
        let slots = (0..kept.max(1)).map(|_| Mutex::default()).collect();
        Self { slots, next: AtomicU64::new(0), stay, full_until: AtomicI64::new(i64::MIN) }
    }

    fn push(&self, request: &Finished<'_>) {
        // Kept is what has just ended, whenever it began.
        if !self.has_room(request.at + request.took) {
            return;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let mut slot = self.slots[self.at(turn)].lock();
        if slot.kept.is_some() && slot.turn > turn {
            // Another one has gone all the way round meanwhile.
            return;
        }
        let Slot { turn: of, kept, url, route, cache_status } = &mut *slot;
        *of = turn;
        *kept = Some(Kept {
            id: request.context.id,
            trace: request.context.trace,
            at: request.at,
            took: request.took,
            client: request.client,
            method: request.method.clone(),
            status: request.status,
            outcome: request.outcome,
            age: request.age,
            body_bytes: request.body_bytes,
            trail: request.trail.cloned(),
        });
        url.clear();
        let host = request.host.and_then(|host| host.to_str().ok());
        push_cut(url, request.uri.authority().map(|authority| authority.as_str()).or(host).unwrap_or_default());
        push_cut(url, request.uri.path_and_query().map_or("*", |target| target.as_str()));
        route.clear();
        push_cut(route, request.route);
        cache_status.clear();
        push_cut(cache_status, request.cache_status);
        drop(slot);
        if !self.stay.is_zero()
            && let Some(oldest) = self.slots[self.at(turn + 1)].lock().kept.as_ref()
        {
            self.full_until.store((oldest.at + oldest.took + self.stay).as_millis(), Ordering::Relaxed);
        }
    }

    fn has_room(&self, now: Timestamp) -> bool {
        let left = self.full_until.load(Ordering::Relaxed).saturating_sub(now.as_millis());
        // More than that is left where the clock was set back.
        left <= 0 || left as u64 > self.stay.as_millis() as u64
    }

    fn at(&self, turn: u64) -> usize {
        usize::try_from(turn % self.slots.len() as u64).expect("below a usize")
    }

    fn last(&self, n: usize) -> Vec<SeenRequest> {
        let next = self.next.load(Ordering::Relaxed);
        let n = (n as u64).min(next).min(self.slots.len() as u64);
        // Whoever overtakes this reader takes a place that then holds a later turn.
        (1..=n).filter_map(|back| seen(&self.slots[self.at(next - back)].lock(), Some(next - back))).collect()
    }

    fn get(&self, id: RequestId) -> Option<SeenRequest> {
        self.slots.iter().find_map(|slot| {
            let slot = slot.lock();
            if slot.kept.as_ref()?.id == id { seen(&slot, None) } else { None }
        })
    }
}

fn seen(slot: &Slot, turn: Option<u64>) -> Option<SeenRequest> {
    let kept = slot.kept.as_ref().filter(|_| turn.is_none_or(|turn| turn == slot.turn))?.clone();
    let Kept { id, trace, at, took, client, method, status, outcome, age, body_bytes, trail } = kept;
    Some(SeenRequest {
        id,
        trace,
        at,
        took,
        client,
        method,
        url: slot.url.clone(),
        status,
        route: slot.route.clone(),
        outcome,
        age,
        body_bytes,
        cache_status: slot.cache_status.clone(),
        steps: trail.map(|trail| trail.steps()).unwrap_or_default(),
    })
}

fn push_cut(text: &mut String, more: &str) {
    let room = TEXT_MAX.saturating_sub(text.len());
    text.push_str(&more[..more.floor_char_boundary(room)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::finished;

    /// A miss, a second after the one before.
    fn told(id: u64, target: &str) -> Finished<'static> {
        let request = finished(id, target);
        let at = request.at + Duration::from_secs(id);
        Finished { outcome: Outcome { served: Served::Miss, tier: None }, at, ..request }
    }

    #[test]
    fn plain_hits_push_nothing_else_out() {
        let requests = Requests::new(32);
        requests.push(&told(1, "/miss"));
        for id in 2..1000 {
            requests.push(&finished(id, "/hit"));
        }
        assert_eq!(requests.get(RequestId(1)).unwrap().url, "shop.example/miss");
        assert!(requests.last(100).len() <= 1 + 32);
    }

    #[test]
    fn of_a_flood_of_plain_hits_some_are_kept_for_a_second() {
        let requests = Requests::new(HITS * shards() * 4);
        let hit = |id, after: u64| {
            let request = finished(id, "/hit");
            requests.push(&Finished { at: request.at + Duration::from_millis(after), ..request });
            requests.get(RequestId(id)).is_some()
        };
        assert!((0..4).all(|id| hit(id, id)), "there is room");
        assert!((4..1000).all(|id| !hit(id, 999)), "each of them has a second");
        assert!(hit(1000, 1000) && requests.get(RequestId(0)).is_none(), "the first one's is over");
        assert!(!hit(1001, 1000) && requests.get(RequestId(1)).is_some());
        assert!((0..4).all(|id| hit(2000 + id, 5000)));
    }

    #[test]
    fn of_a_flood_what_fits_is_kept_for_a_second_and_every_failure() {
        let requests = Requests::new(FAILURES);
        let push = |id, served| {
            let request = finished(id, "/");
            requests.push(&Finished { outcome: Outcome { served, tier: None }, ..request });
            requests.get(RequestId(id)).is_some()
        };
        assert!((1..=8).all(|id| push(id, Served::Miss)), "there is room");
        assert!(!push(9, Served::Miss) && !push(10, Served::Bypass), "each of them has a second");
        assert!(push(11, Served::Error) && push(12, Served::Error), "the last failure is always kept");
        assert!(requests.get(RequestId(11)).is_none() && requests.get(RequestId(1)).is_some());
        assert_eq!(requests.last(100).len(), 9);
        let left = finished(13, "/");
        let error = Outcome { served: Served::Error, tier: None };
        requests.push(&Finished {
            outcome: error,
            status: StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap(),
            ..left
        });
        assert!(requests.get(RequestId(12)).is_some() && requests.get(RequestId(13)).is_none(), "nobody failed");
        requests.push(&Finished { outcome: error, at: left.at + Duration::from_secs(1), ..finished(14, "/") });
        assert_eq!(requests.last(100).iter().filter(|seen| seen.id == RequestId(14)).count(), 1, "told once");
    }

    #[test]
    fn the_second_is_one_after_the_end() {
        let requests = Requests::new(1);
        let (second, began) = (Duration::from_secs(1), finished(1, "/").at);
        let push = |id, at, took| {
            requests.push(&Finished { at, took, ..told(id, "/") });
            requests.get(RequestId(id)).is_some()
        };
        assert!(push(1, began, second * 30));
        assert!(!push(2, began + second * 30, Duration::ZERO), "the first has just ended");
        assert!(push(3, began, second * 31), "it began with the first, and ended a second after it");
    }

    #[test]
    fn the_last_are_kept_and_found_by_name() {
        let requests = Requests::new(3);
        assert!(requests.last(10).is_empty());
        for id in 1..=5 {
            requests.push(&told(id, &format!("/p/{id}")));
        }
        let last: Vec<_> = requests.last(10).into_iter().map(|request| request.url).collect();
        assert_eq!(last, ["shop.example/p/5", "shop.example/p/4", "shop.example/p/3"]);
        assert_eq!(requests.last(1).len(), 1);
        assert_eq!(requests.get(RequestId(4)).unwrap().cache_status, "edge-memory; hit; ttl=31");
        assert!(requests.get(RequestId(2)).is_none());
    }

    #[test]
    fn long_texts_are_cut() {
        let requests = Requests::new(1);
        requests.push(&told(1, &format!("/{}", "x".repeat(5000))));
        assert_eq!(requests.last(1)[0].url.len(), TEXT_MAX);
    }

    #[test]
    fn what_a_fill_adds_later_is_told() {
        let requests = Requests::new(1);
        let trail = Trail::new(*finished(1, "/").context);
        requests.push(&Finished { trail: Some(&trail), ..finished(1, "/") });
        trail.note("memory", "kept");
        assert_eq!(requests.get(RequestId(1)).unwrap().steps[0].what, "kept");
    }
}
