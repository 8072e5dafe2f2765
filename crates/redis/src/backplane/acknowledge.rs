//! When a purge may be called done.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{BackplaneError, Delivery, RedisBackplane, millis, scripts::Peer};
use crate::config::lease_over;

/// The longest pause between two looks at who has confirmed.
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// How long one WAIT for replicas may take, and how many there are.
const WAIT_REPLICAS: Duration = Duration::from_millis(100);
const REPLICA_TRIES: usize = 100;

/// Why no node serves any more what a purge has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// `fast`: each node hears of it within moments, or stops when its lease is over.
    Fast,
    /// There is no other node.
    Alone,
    /// Every node has confirmed it.
    Confirmed,
    /// So many nodes were silent until their leases were over, and are struck off; the others have confirmed it.
    Silent(usize),
    /// Redis had begun anew, and did not know all nodes: every lease of before is over.
    LeasesOver,
}

impl RedisBackplane {
    /// Waits until no node can serve what the purge of `delivery` has taken, and looks that Redis still keeps it.
    ///
    /// Under `strict`, that is when every node has confirmed it, or has been silent until its lease is over. Under `fast` it is at once:
    /// each node hears of it within moments, or stops serving what it holds when its lease is over.
    ///
    /// # Errors
    /// It is not acknowledged: Redis lost it and cannot be reached to keep it again.
    pub async fn acknowledge(&self, mut delivery: Delivery) -> Result<Certainty, BackplaneError> {
        loop {
            match self.confirmed(&delivery).await {
                Err(BackplaneError::Lost) => {
                    // Redis lost it while it was waited for: the purge begins again.
                    delivery = self.publish(&delivery.ticket, None).await?;
                    self.0.markers.settle(&delivery.ticket, delivery.published.incarnation, delivery.published.seq);
                }
                other => return other,
            }
        }
    }

    async fn confirmed(&self, delivery: &Delivery) -> Result<Certainty, BackplaneError> {
        let (numbered, config) = (&delivery.numbered, &self.0.config);
        let strict = config.is_strict() && numbered.strict;
        let others = |peers: &[Peer]| -> Vec<Peer> {
            let silent = |peer: &&Peer| peer.node != self.0.node && peer.confirmed < numbered.seq;
            peers.iter().filter(silent).cloned().collect()
        };
        let first = others(&numbered.peers);
        let alone = numbered.settled && first.is_empty();
        if !strict || alone {
            // Nobody has to be waited for, so there was no time in which Redis could have lost it.
            self.reach_replicas(delivery).await?;
            return Ok(if strict { Certainty::Alone } else { Certainty::Fast });
        }
        let waited = self.0.markers.monotonic().saturating_sub(delivery.at);
        let until = |limit: Duration| Instant::now() + limit.saturating_sub(Duration::from_millis(waited));
        if !numbered.settled {
            // Who held a lease of the order before may not have registered yet.
            sleep_until(until(config.grace(numbered.lease_millis))).await;
            self.check(delivery).await?;
            self.reach_replicas(delivery).await?;
            return Ok(Certainty::LeasesOver);
        }
        let deadline = until(lease_over(numbered.lease_millis));
        let mut pause = Duration::from_millis(1);
        loop {
            sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
            pause = (pause * 2).min(PAUSE_MAX);
            let peers = self.check(delivery).await?;
            let silent: Vec<Peer> = others(&peers).into_iter().filter(|peer| knew(&first, peer)).collect();
            if silent.is_empty() {
                self.reach_replicas(delivery).await?;
                return Ok(Certainty::Confirmed);
            }
            if Instant::now() >= deadline {
                for peer in silent.iter().filter(|peer| first.contains(peer)) {
                    tracing::warn!(node = peer.node, "a node has been silent for longer than its lease: struck off");
                    let mut link = self.0.link.clone();
                    self.bounded(self.0.scripts.strike(&mut link, peer)).await?;
                }
                self.reach_replicas(delivery).await?;
                return Ok(Certainty::Silent(silent.len()));
            }
        }
    }

    /// Who has confirmed what, if Redis still keeps the purge.
    async fn check(&self, delivery: &Delivery) -> Result<Vec<Peer>, BackplaneError> {
        let (incarnation, seq) = (delivery.published.incarnation, delivery.published.seq);
        let mut link = self.0.link.clone();
        self.given(self.0.scripts.check(&mut link, incarnation, seq)).await
    }

    /// Waits until as many replicas have the purge as are wanted, and Redis still keeps it.
    async fn reach_replicas(&self, delivery: &Delivery) -> Result<(), BackplaneError> {
        let wanted = self.0.config.wait_replicas;
        if wanted == 0 {
            return Ok(());
        }
        let at = (delivery.published.incarnation, delivery.published.seq);
        let mut replicas = 0;
        for _ in 0..REPLICA_TRIES {
            let mut link = self.0.waiting.clone();
            let asked = (wanted, millis(WAIT_REPLICAS));
            replicas = self.given(self.0.scripts.check_with_replicas(&mut link, at, asked)).await?;
            if replicas >= wanted {
                return Ok(());
            }
        }
        Err(BackplaneError::Replicas { wanted, replicas })
    }
}

/// Whether `peer` was there when the purge got its number: who came later read it before its first lease.
fn knew(first: &[Peer], peer: &Peer) -> bool {
    first.iter().any(|known| known.node == peer.node)
}
