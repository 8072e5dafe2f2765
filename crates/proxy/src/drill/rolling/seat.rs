//! A place behind the balancer, which one process after another takes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Request;
use http::header::HOST;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::load::client::Client;

/// How often it is asked whether it wants requests.
const EVERY: Duration = Duration::from_millis(100);
/// Whoever does not say so in this time does not.
const PATIENCE: Duration = Duration::from_secs(1);

/// A process in a seat.
#[derive(Debug)]
pub(crate) struct Occupant {
    /// Where it answers.
    pub(crate) address: SocketAddr,
    /// Where it is watched.
    pub(crate) admin: SocketAddr,
    asked: AtomicU64,
}

impl Occupant {
    /// How often it has said whether it wants requests. Each time it asked its database, which no client wanted.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

/// A place behind the balancer.
#[derive(Debug)]
pub(crate) struct Seat {
    occupant: Mutex<Option<Arc<Occupant>>>,
    ready: watch::Sender<bool>,
}

impl Seat {
    /// Nobody sits there.
    pub(crate) fn empty() -> Arc<Self> {
        Arc::new(Self { occupant: Mutex::new(None), ready: watch::Sender::new(false) })
    }

    /// A process takes it. It gets requests once it says that it wants them.
    pub(crate) fn take(&self, address: SocketAddr, admin: SocketAddr) {
        self.put(Some(Arc::new(Occupant { address, admin, asked: AtomicU64::new(0) })));
    }

    /// The process is gone.
    pub(crate) fn leave(&self) {
        self.put(None);
    }

    /// Who sits there, ready or not.
    pub(crate) fn occupant(&self) -> Option<Arc<Occupant>> {
        self.lock().clone()
    }

    /// Who sits there and wants requests.
    pub(super) fn wanting(&self) -> Option<Arc<Occupant>> {
        if *self.ready.borrow() { self.occupant() } else { None }
    }

    /// Ends when whoever sits there wants requests.
    pub(crate) async fn ready(&self) {
        let mut ready = self.ready.subscribe();
        // It cannot fail: the sender is in this very seat.
        drop(ready.wait_for(|ready| *ready).await);
    }

    /// Asks whoever sits there, without end.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut line: Option<(SocketAddr, Client)> = None;
        loop {
            ticks.tick().await;
            let Some(occupant) = self.occupant() else { continue };
            let (_, client) = match line.take() {
                Some(line) if line.0 == occupant.admin => line,
                _ => (occupant.admin, Client::new(occupant.admin)),
            };
            let mut client = client;
            let wants = wants(&mut client, &occupant).await;
            line = Some((occupant.admin, client));
            self.note(&occupant, wants);
        }
    }

    fn put(&self, occupant: Option<Arc<Occupant>>) {
        let mut place = self.lock();
        *place = occupant;
        self.ready.send_replace(false);
    }

    /// What one process says tells nothing of the next.
    fn note(&self, of: &Arc<Occupant>, wants: bool) {
        let place = self.lock();
        if place.as_ref().is_some_and(|occupant| Arc::ptr_eq(occupant, of)) {
            self.ready.send_if_modified(|ready| std::mem::replace(ready, wants) != wants);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Occupant>>> {
        // Nobody panics while holding it: it is held for an assignment.
        self.occupant.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wants(client: &mut Client, occupant: &Occupant) -> bool {
    let request = Request::get("/health/ready").header(HOST, occupant.admin.to_string());
    let Ok(request) = request.body(Default::default()) else { return false };
    match timeout(PATIENCE, client.send(request, false)).await {
        Ok(Ok(answer)) => {
            occupant.asked.fetch_add(1, Ordering::Relaxed);
            answer.status().is_success()
        }
        Ok(Err(_)) => false,
        Err(_) => {
            client.hang_up();
            false
        }
    }
}
