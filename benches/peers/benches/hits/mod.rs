//! Who is asked for hits, and how. What all do alike is done for all: making the request, being ready, reading the body to its end.

use std::{
    convert::Infallible,
    fmt::Debug,
    future,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    pin::pin,
};

use bytes::Bytes;
use edge_cache::EdgeCache;
use edge_cache_benches::{Asked, SIZES, is_memory_hit, request_for};
use edge_cache_peers::{content, crates, layered::Handler};
use http::{HeaderMap, Response, Uri};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::runtime::{self, Runtime};
use tower::{Layer, Service, ServiceExt, service_fn};

/// Different keys, each with an answer of its own.
pub(crate) const KEYS: u64 = 1000;

/// Hands each subject to `measure`: its name, and what asks it as often as it is told.
pub(crate) fn each(measure: impl FnMut(&str, &mut dyn FnMut(u64))) {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("threads are to be had");
    let mut hits = Hits { runtime, measure };
    for size in SIZES {
        let constant = content::constant(0, size.1);
        hits.of("handler", size, service_fn(move |_| future::ready(Ok::<_, Infallible>(constant()))));
        let cache = EdgeCache::builder().build().expect("the defaults are valid");
        hits.behind("stack", size, cache.layer(), is_memory_hit);
        // This one says nothing of what it did.
        hits.behind("tower-http-cache", size, crates::tower_http_cache(), |_| true);
        let says_hit = |headers: &HeaderMap| headers.get("x-cache").is_some_and(|said| said == "HIT");
        hits.behind("http-cache-tower-server", size, crates::http_cache_tower_server(), says_hit);
    }
}

struct Hits<M> {
    runtime: Runtime,
    measure: M,
}

impl<M: FnMut(&str, &mut dyn FnMut(u64))> Hits<M> {
    /// Fills what `layer` makes of the handler, and measures that. The handler can tell hits from others: it is asked for each key
    /// once, and no more.
    fn behind<L, S, B>(
        &mut self,
        name: &str,
        (size, len): (&str, usize),
        layer: L,
        says_hit: impl Fn(&HeaderMap) -> bool,
    ) where
        L: Layer<Handler, Service = S>,
        S: Service<Asked, Response = Response<B>, Error: Debug>,
        B: Body<Data = Bytes, Error: Debug>,
    {
        let handler = Handler::default();
        let mut service = layer.layer(handler.clone());
        let targets = targets(len);
        self.runtime.block_on(async {
            for target in &targets {
                assert_eq!(read(ask(&mut service, target).await).await, len);
                // Who stores in a task of its own gets to it now.
                tokio::task::yield_now().await;
            }
            assert_eq!(handler.asked(), KEYS, "{name} takes two keys for one");
            for target in &targets {
                let answer = ask(&mut service, target).await;
                assert!(says_hit(answer.headers()), "{name}: {:?}", answer.headers());
                assert_eq!(read(answer).await, len);
            }
        });
        self.of(name, (size, len), service);
        assert_eq!(handler.asked(), KEYS, "{name} did not answer with hits alone");
    }

    fn of<S, B>(&mut self, name: &str, (size, len): (&str, usize), mut service: S)
    where
        S: Service<Asked, Response = Response<B>, Error: Debug>,
        B: Body<Data = Bytes, Error: Debug>,
    {
        let targets = targets(len);
        let mut next = targets.iter().cycle();
        (self.measure)(&format!("{name}/{size}"), &mut |turns| {
            self.runtime.block_on(async {
                for _ in 0..turns {
                    let target = next.next().expect("a circle has no end");
                    assert_eq!(read(ask(&mut service, target).await).await, len);
                }
            });
        });
    }
}

/// All keys, shuffled in the same way for everybody.
fn targets(len: usize) -> Vec<Uri> {
    let mut numbers: Vec<u64> = (0..KEYS).collect();
    numbers.sort_by_cached_key(|number| BuildHasherDefault::<DefaultHasher>::default().hash_one(number));
    let target = |number| format!("/item/{number}?bytes={len}").parse().expect("a path and a query");
    numbers.into_iter().map(target).collect()
}

async fn ask<S, B>(service: &mut S, target: &Uri) -> Response<B>
where
    S: Service<Asked, Response = Response<B>, Error: Debug>,
{
    let ready = service.ready().await.expect("no service is ever dead");
    ready.call(request_for(target.clone())).await.expect("neither the handler nor a cache fails")
}

/// The length of the whole body.
async fn read<B>(answer: Response<B>) -> usize
where
    B: Body<Data = Bytes, Error: Debug>,
{
    let mut body = pin!(answer.into_body());
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        len += frame.expect("no body breaks off").into_data().map_or(0, |data| data.len());
    }
    len
}
