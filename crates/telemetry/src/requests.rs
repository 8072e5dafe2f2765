//! The last requests, to be asked about one by one.

use std::{
    fmt::Write,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use edge_cache_core::{Outcome, RequestId, Step, Timestamp, Trail};
use http::{Method, StatusCode};
use parking_lot::Mutex;

use crate::finished::Finished;

/// Bytes kept of a URL, and of a `Cache-Status`; the rest is cut off.
const TEXT_MAX: usize = 512;

/// The last answered requests: a ring of fixed size. Clones share it.
#[derive(Clone, Debug)]
pub struct Requests(Arc<Ring>);

#[derive(Debug)]
struct Ring {
    slots: Box<[Mutex<Slot>]>,
    /// How many have been put in.
    next: AtomicU64,
}

/// A place in the ring, whose texts are written over.
#[derive(Debug, Default)]
struct Slot {
    turn: u64,
    kept: Option<Kept>,
    url: String,
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
    route: Arc<str>,
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
    pub route: Arc<str>,
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
    /// A ring for this many; at least one.
    #[must_use]
    pub fn new(kept: usize) -> Self {
        let slots = (0..kept.max(1)).map(|_| Mutex::default()).collect();
        Self(Arc::new(Ring { slots, next: AtomicU64::new(0) }))
    }

    pub(crate) fn push(&self, request: &Finished) {
        let turn = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mut slot = self.0.slots[self.at(turn)].lock();
        let Slot { turn: of, kept, url, cache_status } = &mut *slot;
        *of = turn;
        *kept = Some(Kept {
            id: request.context.id,
            trace: request.context.trace,
            at: request.at,
            took: request.took,
            client: request.client,
            method: request.method.clone(),
            status: request.status,
            route: request.route.clone(),
            outcome: request.outcome,
            age: request.age,
            body_bytes: request.body_bytes,
            trail: request.trail.clone(),
        });
        url.clear();
        let host = request.host.as_ref().and_then(|host| host.to_str().ok());
        push_cut(url, request.uri.authority().map(|authority| authority.as_str()).or(host).unwrap_or_default());
        push_cut(url, request.uri.path_and_query().map_or("*", |target| target.as_str()));
        cache_status.clear();
        match (&request.cache_status.first, request.cache_status.more.as_slice()) {
            (Some(only), []) => push_cut(cache_status, only.to_str().unwrap_or("?")),
            _ => {
                write!(cache_status, "{}", request.cache_status).expect("it is a String");
                cut(cache_status);
            }
        }
    }

    fn at(&self, turn: u64) -> usize {
        usize::try_from(turn % self.0.slots.len() as u64).expect("below a usize")
    }

    /// The last `n` requests, the newest first.
    #[must_use]
    pub fn last(&self, n: usize) -> Vec<SeenRequest> {
        let next = self.0.next.load(Ordering::Relaxed);
        let n = (n as u64).min(next).min(self.0.slots.len() as u64);
        // Whoever overtakes this reader takes a place that then holds a later turn.
        (1..=n).filter_map(|back| seen(&self.0.slots[self.at(next - back)].lock(), Some(next - back))).collect()
    }

    /// The request of this name, as long as it is kept.
    #[must_use]
    pub fn get(&self, id: RequestId) -> Option<SeenRequest> {
        self.0.slots.iter().find_map(|slot| {
            let slot = slot.lock();
            if slot.kept.as_ref()?.id == id { seen(&slot, None) } else { None }
        })
    }
}

fn seen(slot: &Slot, turn: Option<u64>) -> Option<SeenRequest> {
    let kept = slot.kept.as_ref().filter(|_| turn.is_none_or(|turn| turn == slot.turn))?.clone();
    let Kept { id, trace, at, took, client, method, status, route, outcome, age, body_bytes, trail } = kept;
    Some(SeenRequest {
        id,
        trace,
        at,
        took,
        client,
        method,
        url: slot.url.clone(),
        status,
        route,
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

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(TEXT_MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::finished;

    #[test]
    fn the_last_are_kept_and_found_by_name() {
        let requests = Requests::new(3);
        assert!(requests.last(10).is_empty());
        for id in 1..=5 {
            requests.push(&finished(id, &format!("/p/{id}")));
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
        requests.push(&finished(1, &format!("/{}", "x".repeat(5000))));
        assert_eq!(requests.last(1)[0].url.len(), TEXT_MAX);
    }

    #[test]
    fn what_a_fill_adds_later_is_told() {
        let requests = Requests::new(1);
        let (trail, _) = Trail::of(&mut http::Extensions::new());
        requests.push(&Finished { trail: Some(trail.clone()), ..finished(1, "/") });
        trail.note("memory", "kept");
        assert_eq!(requests.get(RequestId(1)).unwrap().steps[0].what, "kept");
    }
}
