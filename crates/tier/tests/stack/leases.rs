//! Two nodes that fill one store, and tell each other who does.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use edge_cache_core::{
    CacheKey, Entry, FillLease, Lease, Store, StoreError, TierName,
    marker::{Fence, Markers, News},
};
use edge_cache_memory::{MemoryConfig, MemoryStore};
use edge_cache_policy::Mode;
use tokio::sync::oneshot;
use tower::Layer;

use crate::origin::{Bench, Origin, answer, ask, get};

/// Tells that the lease is asked for, and waits until it may be had.
type Meanwhile = (oneshot::Sender<()>, oneshot::Receiver<()>);

/// One node's way to the store. Its first lease is given after what happens meanwhile.
#[derive(Clone)]
struct Way {
    store: MemoryStore,
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

impl Store for Way {
    type Get = <MemoryStore as Store>::Get;
    type Put = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

    fn name(&self) -> TierName {
        TierName::Redis
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn body_bytes_max(&self) -> u64 {
        self.store.body_bytes_max()
    }

    fn get(&self, key: &CacheKey) -> Self::Get {
        self.store.get(key)
    }

    fn put(&self, key: CacheKey, entry: Entry, keep: Duration) -> Self::Put {
        Box::pin(self.store.put(key, entry, keep))
    }

    fn lease(&self, _: &CacheKey, _: Fence, _: bool) -> Pin<Box<dyn Future<Output = Lease> + Send>> {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        Box::pin(async move {
            let Some((asked, given_back)) = meanwhile else { return Lease::Granted(FillLease::new(|| {})) };
            asked.send(()).unwrap();
            given_back.await.unwrap();
            Lease::Granted(FillLease::new(|| {}).following(true))
        })
    }

    fn remove(&self, key: &CacheKey) -> Self::Put {
        Box::pin(self.store.remove(key))
    }
}

fn bench() -> Bench {
    let markers = Markers::shared(Duration::from_secs(5), true);
    markers.apply(&News { incarnation: 5, base: 100, seq: 100, strict: true, ..News::default() }, &markers.position());
    Bench::with_markers(Mode::Guarded, [], markers)
}

fn way() -> Way {
    Way { store: MemoryStore::new(&MemoryConfig::default()), meanwhile: Arc::default() }
}

impl Way {
    /// Runs `meanwhile` between the first look at the store and the lease.
    async fn with<T>(&self, asking: impl Future<Output = T>, meanwhile: impl Future<Output = ()>) -> T {
        let ((asked, is_asked), (give_back, given_back)) = (oneshot::channel(), oneshot::channel());
        *self.meanwhile.lock().unwrap() = Some((asked, given_back));
        let (answer, ()) = tokio::join!(asking, async {
            is_asked.await.unwrap();
            meanwhile.await;
            give_back.send(()).unwrap();
        });
        answer
    }
}

#[tokio::test]
async fn what_another_node_filled_between_the_look_and_the_lease_is_not_asked_for_again() {
    for headers in [&[("cache-control", "max-age=600")][..], &[("cache-control", "max-age=600"), ("vary", "accept")]] {
        let (bench, way) = (bench(), way());
        let origin = Origin::new(move |n, _| async move { answer(200, headers, format!("body {n}")) });
        let node = |way: &Way| bench.outside(bench.tier(way.clone()).layer(origin.clone()));
        let (other, one) = (node(&Way { meanwhile: Arc::default(), ..way.clone() }), node(&way));
        let meanwhile = async {
            assert_eq!(ask(&other, get("/a")).await.text, "body 0");
            // Now it is stored as well.
            assert!(ask(&other, get("/a")).await.cache_status().contains("hit"));
        };
        assert_eq!(way.with(ask(&one, get("/a")), meanwhile).await.text, "body 0");
        assert_eq!(origin.calls(), 1);
    }
}

#[tokio::test]
async fn whoever_finds_nothing_after_another_gave_its_lease_back_fills() {
    let (bench, way) = (bench(), way());
    let origin = Origin::fixed(&[("cache-control", "max-age=600")]);
    let node = bench.outside(bench.tier(way.clone()).layer(origin.clone()));
    assert_eq!(way.with(ask(&node, get("/a")), async {}).await.status, 200);
    assert_eq!(origin.calls(), 1);
}
