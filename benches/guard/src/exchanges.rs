//! Requests and answers without a server.

use std::{hint::black_box, ops::Range};

use allocation_counter::measure;
use edge_cache::{Arrival, Cached, EdgeCache, Hit};
use edge_cache_benches::{Asked, Handler, answer, exchange, request_for};
use http::HeaderMap;
use tokio::runtime::{Builder, Runtime};
use tower::Layer;

use crate::kind::Kind;

const KEYS: usize = 1000;

/// Rounds before anything is counted. What the threads keep at hand of hits fills up slowly.
const fn rounds(kind: Kind) -> usize {
    match kind {
        Kind::Hit | Kind::Written => 40,
        Kind::Miss | Kind::Pass => 3,
    }
}

/// A cache in front of a handler that has its answer ready, and the requests that are counted.
pub(crate) struct Ready {
    kind: Kind,
    cached: Cached<Handler>,
    asked: Vec<Asked>,
    runtime: Runtime,
}

impl Ready {
    /// # Panics
    /// When what is to be counted does not come of the requests.
    pub(crate) fn new(kind: Kind) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("threads are to be had");
        let mut cached = cached(kind == Kind::Pass);
        // Each round of misses is for keys of its own.
        let of_round = |round| {
            let first = if kind == Kind::Miss { round * KEYS } else { 0 };
            requests(first..first + KEYS)
        };
        let within = runtime.enter();
        for round in 0..rounds(kind) {
            for asked in of_round(round) {
                let said = answer(&mut cached, asked);
                assert!(round == 0 || says(said.headers(), kind), "{:?} is no {}", said.headers(), kind.as_str());
            }
        }
        drop(within);
        Self { kind, cached, asked: of_round(rounds(kind)), runtime }
    }

    /// One exchange for each key. Not inlined: callgrind knows by its name what to count.
    #[inline(never)]
    pub(crate) fn measured(&mut self) {
        let _within = self.runtime.enter();
        let mut out = Vec::with_capacity(8 << 10);
        for asked in self.asked.drain(..) {
            black_box(match self.kind {
                Kind::Written => written(&self.cached, asked, &mut out),
                Kind::Hit | Kind::Miss | Kind::Pass => exchange(&mut self.cached, asked),
            });
        }
    }

    /// The exchanges that [`measured`](Self::measured) makes.
    pub(crate) const fn len() -> usize {
        KEYS
    }
}

/// The bytes of the answer, which is a hit.
fn written(cached: &Cached<Handler>, asked: Asked, out: &mut Vec<u8>) -> usize {
    let (mut parts, _) = asked.into_parts();
    let arrival = Arrival::now(&parts.extensions);
    let hit = cached.at_once(&mut parts, true, &arrival).filter(Hit::is_whole).expect("it is in memory");
    out.clear();
    let mut body = hit.write(out);
    out.len() + body.take().map_or(0, |body| body.len())
}

/// The cache, in front of answers of 1 KiB that may be stored, or not.
pub(crate) fn cached(is_private: bool) -> Cached<Handler> {
    let handler = Handler::new(1024);
    let handler = if is_private { handler.private() } else { handler };
    EdgeCache::builder().build().expect("the defaults are valid").layer().layer(handler)
}

/// One for each key.
pub(crate) fn requests(keys: Range<usize>) -> Vec<Asked> {
    let target = |key| format!("/api/pitches/{key}?limit=10").parse().expect("a target");
    keys.map(|key| request_for(target(key))).collect()
}

fn says(headers: &HeaderMap, kind: Kind) -> bool {
    let said = headers.get_all("cache-status").iter().next_back();
    said.is_some_and(|said| said.as_bytes().starts_with(kind.says().as_bytes()))
}

/// Allocations of one exchange, in the mean.
pub(crate) fn allocations(kind: Kind) -> f64 {
    let mut ready = Ready::new(kind);
    measure(|| ready.measured()).count_total as f64 / KEYS as f64
}
