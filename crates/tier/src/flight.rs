//! Coalescing: one fill per key, however many ask (request collapsing, single flight).

use std::{sync::Arc, time::Duration};

use dashmap::{DashMap, Entry as Slot};
use edge_cache_core::{CacheKey, Entry, Head, Priority, RequestId, marker::Start};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use crate::shared_body::SharedBody;

/// The fills that run now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flights(Arc<DashMap<CacheKey, Flight>>);

#[derive(Clone, Debug)]
struct Flight {
    tower: Arc<Tower>,
    /// Of whoever leads it.
    priority: Priority,
    led_by: Option<RequestId>,
}

/// Where those who wait hear of it. Most flights have nobody who waits, so it is no channel.
#[derive(Debug)]
struct Tower {
    landing: Mutex<Landing>,
    told: Notify,
    /// When one who waited went to ask as well.
    relieved: Mutex<Option<Instant>>,
}

impl Tower {
    fn tell(&self, landing: Landing) {
        *self.landing.lock() = landing;
        self.told.notify_waiters();
    }
}

/// How a fill came out, for those who wait.
#[derive(Clone, Debug)]
pub(crate) enum Landing {
    /// Not yet.
    Pending,
    /// With an answer for everybody.
    Shared(Arc<Landed>),
    /// With an answer for its leader only: each must ask for itself.
    Alone,
    /// With nothing that says anything of the others: look and join again.
    Again,
    /// With no answer, or the origin's own failure: whether what is stored may be served as when the origin is away.
    Failed(Away),
}

/// How an origin failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Away {
    /// It gave no answer at all.
    Yes,
    /// It answered with a server error.
    No,
}

/// An answer for everybody.
#[derive(Debug)]
pub(crate) struct Landed {
    pub(crate) body: LandedBody,
    /// The key it is stored under, and the names that select it, where the answer carries `Vary`.
    pub(crate) variant: Option<crate::variants::Variant>,
    /// Whether it is being kept.
    pub(crate) stored: bool,
    /// Where the node stood when the fill began.
    pub(crate) start: Start,
}

/// Its body.
#[derive(Debug)]
pub(crate) enum LandedBody {
    /// All there.
    Whole(Entry),
    /// Still coming, behind this head.
    Growing(Arc<Head>, Arc<SharedBody>),
}

impl Landed {
    pub(crate) fn head(&self) -> &Head {
        match &self.body {
            LandedBody::Whole(entry) => entry.head(),
            LandedBody::Growing(head, _) => head,
        }
    }
}

/// A place in a flight.
pub(crate) enum Join {
    /// The caller runs the fill.
    Lead(Lead),
    /// Another does.
    Wait(Waiting),
}

/// A waiter's place.
#[derive(Debug)]
pub(crate) struct Waiting {
    tower: Arc<Tower>,
    led_by: Option<RequestId>,
}

impl Waiting {
    /// The request whose fill it is.
    pub(crate) const fn led_by(&self) -> Option<RequestId> {
        self.led_by
    }

    /// Whether whoever asks this at `now`, having waited for long, is to ask further in as well: the leader may be stuck where another would not be. One in each
    /// `pause` is, so that an origin that takes its time is not asked by all who wait.
    pub(crate) fn relieves(&self, now: Instant, pause: Duration) -> bool {
        let mut last = self.tower.relieved.lock();
        let is_next = last.is_none_or(|last| now >= last + pause);
        if is_next {
            *last = Some(now);
        }
        is_next
    }

    /// How the flight came out.
    pub(crate) async fn landed(&self) -> Landing {
        loop {
            // Before it is looked, so that nothing is missed.
            let told = self.tower.told.notified();
            let landing = self.tower.landing.lock().clone();
            if !matches!(landing, Landing::Pending) {
                return landing;
            }
            told.await;
        }
    }
}

impl Flights {
    /// Nobody joins the flight that `waiting` waited for any more: its answer is of no use to those who come now.
    pub(crate) fn forget(&self, key: &CacheKey, waiting: &Waiting) {
        self.0.remove_if(key, |_, flight| Arc::ptr_eq(&flight.tower, &waiting.tower));
    }

    /// Joins the flight of `key`, or starts it. Who has somebody waiting does not wait for one that nobody asked for, which may stand last
    /// in the queue before the origin: he starts another, and who comes after him joins that.
    pub(crate) fn join(&self, key: &CacheKey, priority: Priority, by: Option<RequestId>) -> Join {
        let (landing, relieved) = (Mutex::new(Landing::Pending), Mutex::new(None));
        let tower = Arc::new(Tower { landing, told: Notify::new(), relieved });
        let new = Flight { tower: Arc::clone(&tower), priority, led_by: by };
        match self.0.entry(key.clone()) {
            Slot::Occupied(flight) if flight.get().priority < Priority::Warm || priority >= Priority::Refresh => {
                let Flight { tower, led_by, .. } = flight.get().clone();
                return Join::Wait(Waiting { tower, led_by });
            }
            Slot::Occupied(mut flight) => drop(flight.insert(new)),
            Slot::Vacant(free) => drop(free.insert(new)),
        }
        Join::Lead(Lead { flights: self.clone(), key: key.clone(), tower, open: true })
    }

    /// Starts a flight unless one runs.
    pub(crate) fn try_lead(&self, key: &CacheKey, priority: Priority, by: Option<RequestId>) -> Option<Lead> {
        match self.join(key, priority, by) {
            Join::Lead(lead) => Some(lead),
            Join::Wait(_) => None,
        }
    }
}

/// The duty to end a flight. Dropped without a landing (a panic, a cancelled task), it lands as failed and wakes everybody.
#[derive(Debug)]
pub(crate) struct Lead {
    flights: Flights,
    key: CacheKey,
    tower: Arc<Tower>,
    open: bool,
}

impl Lead {
    /// Tells those who wait. The flight can still be joined until it is [closed](Self::close).
    pub(crate) fn land(&self, landing: Landing) {
        self.tower.tell(landing);
    }

    /// Ends the flight: who comes later looks in the store, or starts a new one.
    pub(crate) fn close(&mut self) {
        if self.open {
            self.open = false;
            self.flights.0.remove_if(&self.key, |_, flight| Arc::ptr_eq(&flight.tower, &self.tower));
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.close();
        if matches!(*self.tower.landing.lock(), Landing::Pending) {
            self.tower.tell(Landing::Failed(Away::Yes));
        }
    }
}

#[cfg(test)]
mod tests {
    use edge_cache_core::KeyParts;

    use super::*;

    fn key() -> CacheKey {
        CacheKey::new(&KeyParts { scheme: "http", authority: "h", tenant: "", path: "/", query: "" })
    }

    #[tokio::test]
    async fn one_leads_and_the_rest_wait() {
        let flights = Flights::default();
        let lead = flights.try_lead(&key(), Priority::Interactive, None).unwrap();
        let Join::Wait(waiter) = flights.join(&key(), Priority::Interactive, None) else { panic!("a flight runs") };
        lead.land(Landing::Alone);
        assert!(matches!(waiter.landed().await, Landing::Alone));
        drop(lead);
        assert!(flights.try_lead(&key(), Priority::Interactive, None).is_some(), "the flight has ended");
    }

    #[tokio::test]
    async fn a_vanished_leader_wakes_everybody() {
        let flights = Flights::default();
        let lead = flights.try_lead(&key(), Priority::Interactive, None).unwrap();
        let Join::Wait(waiter) = flights.join(&key(), Priority::Interactive, None) else { panic!("a flight runs") };
        drop(lead);
        assert!(matches!(waiter.landed().await, Landing::Failed(Away::Yes)));
    }

    #[tokio::test]
    async fn nobody_who_is_waited_for_waits_for_what_nobody_asked_for() {
        let flights = Flights::default();
        let warm = flights.try_lead(&key(), Priority::Warm, None).unwrap();
        for as_little in [Priority::Warm, Priority::Refresh] {
            assert!(flights.try_lead(&key(), as_little, None).is_none(), "{as_little:?}");
        }
        let lead = flights.try_lead(&key(), Priority::Covered, None).expect("it does not wait");
        let Join::Wait(waiter) = flights.join(&key(), Priority::Interactive, None) else { panic!("one leads for all") };
        // Whoever was overtaken ends nobody else's flight.
        drop(warm);
        lead.land(Landing::Alone);
        assert!(matches!(waiter.landed().await, Landing::Alone));
        let refresh = flights.clone();
        drop(lead);
        let _refresh = refresh.try_lead(&key(), Priority::Refresh, None).unwrap();
        assert!(
            flights.try_lead(&key(), Priority::Interactive, None).is_none(),
            "a refresh is joined: it has begun already"
        );
    }

    #[test]
    fn closing_an_old_flight_leaves_the_new_one() {
        let flights = Flights::default();
        let mut old = flights.try_lead(&key(), Priority::Interactive, None).unwrap();
        old.close();
        let _new = flights.try_lead(&key(), Priority::Interactive, None).unwrap();
        drop(old);
        assert!(flights.try_lead(&key(), Priority::Interactive, None).is_none());
    }
}
