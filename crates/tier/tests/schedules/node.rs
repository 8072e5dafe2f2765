//! A node: real tiers and markers, and a way to the hub that is slow, loses things, and is cut from time to time.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use edge_cache_core::{
    BoxError, CacheKey, Entry, Head, NoEvents, SharedClock, Store, StoreError, TierName,
    marker::{Guard, Heard, Markers, Published, Ticket},
};
use edge_cache_memory::{MemoryConfig, MemoryStore};
use edge_cache_policy::Mode;
use edge_cache_testkit::FixedRng;
use edge_cache_tier::{
    Audit, Backplane, InvalidateLayer, KeyLayer, Keying, Numbered, Purger, Receipt, TierConfig, TierLayer,
};
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};
use tower::{Layer, ServiceExt, util::BoxCloneSyncService};

use crate::{
    dice::Dice,
    hub::{Hub, LeftOut},
    origin::Origin,
};

/// The lease.
pub(crate) const BOUND: Duration = Duration::from_millis(1000);
/// How long an answer is waited for.
const ASKING_MAX: Duration = Duration::from_millis(700);
const LEASE_OVER: Duration = Duration::from_millis(1070);

pub(crate) type Service = BoxCloneSyncService<Request<Full<Bytes>>, Response<Bytes>, std::convert::Infallible>;

#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) id: usize,
    pub(crate) purger: Purger,
    pub(crate) service: Service,
    pub(crate) way: Way,
}

/// The way to the hub.
#[derive(Clone)]
pub(crate) struct Way {
    id: usize,
    hub: Arc<Hub>,
    markers: Arc<Markers>,
    dice: Arc<Mutex<Dice>>,
    cut: Arc<AtomicBool>,
    /// When it was cut last until, so far.
    mended: Arc<Mutex<Option<Instant>>>,
    wake: Arc<Notify>,
    known_since: Arc<Mutex<(u128, Option<Instant>)>>,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Way")
    }
}

impl Node {
    pub(crate) fn new(id: usize, hub: &Arc<Hub>, origin: &Origin, clock: &SharedClock, seed: u64) -> Self {
        let bound = if hub.left_out == LeftOut::Lease { Duration::from_secs(3600) } else { BOUND };
        let markers = Arc::new(Markers::shared(bound, true).with_monotonic(crate::monotonic));
        let way = Way {
            id,
            hub: Arc::clone(hub),
            markers: Arc::clone(&markers),
            dice: Arc::new(Mutex::new(Dice::new(seed))),
            cut: Arc::default(),
            mended: Arc::default(),
            wake: Arc::default(),
            known_since: Arc::default(),
        };
        let config = TierConfig { lease_wait: Duration::ZERO, ..TierConfig::default() };
        let (rng, events) = (Arc::new(FixedRng(0.0)), Arc::new(NoEvents));
        let memory = MemoryStore::new(&MemoryConfig {
            capacity_bytes: 1 << 20,
            body_bytes_max: 1 << 16,
            ..MemoryConfig::default()
        });
        let memory = TierLayer::build(memory, Arc::clone(&markers), config, clock.clone(), rng.clone(), events.clone());
        let shared = TierLayer::build(way.clone(), Arc::clone(&markers), config, clock.clone(), rng, events.clone());
        let keying = Keying { mode: Mode::Guarded, ..Keying::default() };
        let purger = Purger::new(markers, keying.clone(), clock.clone(), events, Some(Arc::new(way.clone())));
        let tiers = memory.layer(shared.layer(origin.clone()));
        let service = KeyLayer::new(keying).layer(InvalidateLayer::new(purger.clone()).layer(tiers));
        let service = ServiceExt::<Request<Full<Bytes>>>::and_then(service, whole);
        Self { id, purger, service: BoxCloneSyncService::new(service), way }
    }
}

async fn whole<B>(response: Response<B>) -> Result<Response<Bytes>, std::convert::Infallible>
where
    B: http_body::Body<Data = Bytes>,
{
    let (parts, body) = response.into_parts();
    #[expect(clippy::disallowed_methods, reason = "the origin of this test is small")]
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    Ok(Response::from_parts(parts, body))
}

impl Way {
    fn roll(&self, below: u64) -> u64 {
        self.dice.lock().unwrap().below(below)
    }

    /// There and back takes a while each; `None` when something is lost on the way, or the way is cut.
    async fn over<T>(&self, what: impl FnOnce(&Hub) -> T) -> Option<T> {
        sleep(Duration::from_millis(self.roll(8))).await;
        if self.cut.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(100)).await;
            return None;
        }
        let answer = what(&self.hub);
        // An answer may be long on its way.
        let slow = if self.roll(4) == 0 { 600 } else { 8 };
        sleep(Duration::from_millis(self.roll(slow))).await;
        (!self.cut.load(Ordering::SeqCst)).then_some(answer)
    }

    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
        *self.mended.lock().unwrap() = Some(Instant::now());
    }

    /// Whether it was cut a moment ago: it may not be in step again.
    pub(crate) fn was_cut_of_late(&self) -> bool {
        self.is_cut() || self.mended.lock().unwrap().is_some_and(|mended| mended.elapsed() < BOUND)
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }

    async fn sync(&self) -> bool {
        let mut asked = self.markers.position();
        let (fence, synced) = (asked.fence, asked.synced);
        let settled = {
            let known = self.known_since.lock().unwrap();
            known.0 == fence.incarnation && known.1.is_some_and(|since| since.elapsed() > LEASE_OVER)
        };
        let asking = self.over(|hub| hub.sync(self.id, fence.incarnation, synced, settled));
        let Ok(Some(news)) = timeout(ASKING_MAX, asking).await else { return false };
        {
            let mut known = self.known_since.lock().unwrap();
            if known.0 != news.incarnation {
                *known = (news.incarnation, Some(Instant::now()));
            }
        }
        if self.hub.left_out == LeftOut::LeaseFromAsking {
            asked.at = self.markers.monotonic();
        }
        let again = news.seq > synced;
        self.markers.apply(&news, &asked);
        if again {
            self.wake.notify_one();
        }
        for ticket in self.markers.waiting(ASKING_MAX) {
            let incarnation = self.markers.position().fence.incarnation;
            let numbered = self.over(|hub| hub.purge(incarnation, ticket.kind, &ticket.tags)).await.flatten();
            let Some(numbered) = numbered else { return false };
            self.markers.settle(&ticket, numbered.incarnation, numbered.seq);
        }
        true
    }

    /// Asks for news again and again.
    pub(crate) async fn beat(self) {
        loop {
            // Whoever could not ask asks again at the next beat.
            let _asked = self.sync().await;
            drop(timeout(BOUND / 5, self.wake.notified()).await);
        }
    }

    /// Hears what is announced; some of it is lost.
    pub(crate) async fn listen(self) {
        let mut announced = self.hub.listen();
        loop {
            let Ok(record) = announced.recv().await else { continue };
            sleep(Duration::from_millis(self.roll(6))).await;
            if self.is_cut() || self.roll(3) == 0 {
                continue;
            }
            if self.markers.hear(&record) != Heard::Nothing {
                self.wake.notify_one();
            }
        }
    }

    async fn acknowledge(self, numbered: crate::hub::Numbered, began: Instant) -> Result<(), BoxError> {
        let lost = || BoxError::from("lost");
        match self.hub.left_out {
            LeftOut::Waiting => return Ok(()),
            LeftOut::FullLease => {}
            _ if !numbered.settled => {
                sleep(LEASE_OVER.saturating_sub(began.elapsed())).await;
                let kept = self.over(|hub| hub.check(numbered.incarnation, numbered.seq)).await.flatten();
                return kept.map(drop).ok_or_else(lost);
            }
            _ => {}
        }
        let wait = if self.hub.left_out == LeftOut::FullLease { BOUND / 2 } else { LEASE_OVER };
        loop {
            sleep(Duration::from_millis(2)).await;
            let nodes = self.over(|hub| hub.check(numbered.incarnation, numbered.seq)).await;
            let nodes = nodes.ok_or_else(|| BoxError::from("away"))?.ok_or_else(lost)?;
            let silent: Vec<_> = nodes
                .iter()
                .filter(|(node, (confirmed, _))| {
                    **node != self.id && numbered.nodes.contains_key(node) && *confirmed < numbered.seq
                })
                .collect();
            if silent.is_empty() {
                return Ok(());
            }
            if began.elapsed() >= wait {
                for (node, (_, spoken)) in silent {
                    if numbered.nodes.get(node).is_some_and(|(_, before)| before == spoken) {
                        self.hub.strike(*node, *spoken);
                    }
                }
                return Ok(());
            }
        }
    }
}

impl Backplane for Way {
    fn publish(&self, ticket: &Ticket, _: Option<&Guard>) -> BoxFuture<'static, Result<Numbered, BoxError>> {
        let (this, ticket) = (self.clone(), ticket.clone());
        Box::pin(async move {
            let away = || BoxError::from("away");
            let incarnation = this.markers.position().fence.incarnation;
            let mut numbered =
                this.over(|hub| hub.purge(incarnation, ticket.kind, &ticket.tags)).await.ok_or_else(away)?;
            let mut began = Instant::now();
            if numbered.is_none() {
                if !this.sync().await {
                    return Err(away());
                }
                let incarnation = this.markers.position().fence.incarnation;
                numbered = this.over(|hub| hub.purge(incarnation, ticket.kind, &ticket.tags)).await.ok_or_else(away)?;
                began = Instant::now();
            }
            let numbered = numbered.ok_or_else(away)?;
            let published = Published { incarnation: numbered.incarnation, seq: numbered.seq, guard_holds: false };
            Ok(Numbered { published, acknowledged: Box::pin(this.acknowledge(numbered, began)) })
        })
    }

    fn audit(&self, _: &Audit, _: &Receipt) {}
}

impl Store for Way {
    type Get = Pin<Box<dyn Future<Output = Result<Option<Entry>, StoreError>> + Send>>;
    type Put = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

    fn name(&self) -> TierName {
        TierName::Redis
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn body_bytes_max(&self) -> u64 {
        1 << 16
    }

    fn get(&self, key: &CacheKey) -> Self::Get {
        let (this, key) = (self.clone(), key.clone());
        Box::pin(async move {
            let found = this.over(|hub| hub.get(&key)).await;
            let found = found.ok_or(StoreError::Unavailable { tier: TierName::Redis, source: "away".into() })?;
            Ok(found.map(|entry| match this.hub.left_out {
                LeftOut::FenceOfCopy => {
                    let fence = this.markers.start().fence;
                    let head = Head { fence, ..Head::clone(entry.head()) };
                    Entry::new(head, entry.body().clone(), edge_cache_core::marker::Start::promoted(fence))
                }
                _ => entry,
            }))
        })
    }

    fn put(&self, key: CacheKey, entry: Entry, _: Duration) -> Self::Put {
        let this = self.clone();
        Box::pin(async move {
            // A write may be long on its way.
            sleep(Duration::from_millis(this.roll(60))).await;
            // One that is lost is a miss later on.
            this.over(|hub| hub.put(key, entry)).await.unwrap_or_default();
            Ok(())
        })
    }

    fn remove(&self, key: &CacheKey) -> Self::Put {
        let (this, key) = (self.clone(), key.clone());
        Box::pin(async move {
            this.over(|hub| hub.remove(&key)).await.unwrap_or_default();
            Ok(())
        })
    }
}
