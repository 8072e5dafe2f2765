//! Following: what other nodes purge is heard at once, and asked for again and again, because a message may be lost.

use std::{sync::atomic::Ordering, time::Duration};

use edge_cache_core::marker::Heard;
use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{RedisBackplane, scripts::record};

/// Questions for news in one lease: one may fail, and the next, before the lease is over.
const BEATS: u32 = 5;
/// How much later a confirmation comes for each node: one answer then confirms many purges.
const GATHER_A_NODE: Duration = Duration::from_micros(200);
const GATHER_MAX: Duration = Duration::from_millis(5);
const SUBSCRIBE_WAIT: Duration = Duration::from_secs(1);
const RESUBSCRIBE_PAUSE_MIN: Duration = Duration::from_millis(50);
const RESUBSCRIBE_PAUSE_MAX: Duration = Duration::from_secs(2);

impl RedisBackplane {
    /// Follows without end: spawn it, and drop it to stop.
    pub async fn follow(self) {
        tokio::join!(self.beat(), self.listen());
    }

    async fn beat(&self) {
        let mut beat = interval(self.0.config.lease / BEATS);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut away = false;
        loop {
            tokio::select! {
                _ = beat.tick() => {}
                () = self.0.wake.notified() => {
                    let nodes = u32::try_from(self.0.nodes.load(Ordering::Acquire)).unwrap_or(u32::MAX);
                    sleep(GATHER_A_NODE.saturating_mul(nodes).min(GATHER_MAX)).await;
                }
            }
            match self.sync().await {
                Ok(()) if away => {
                    away = false;
                    self.0.back.notify_waiters();
                    tracing::info!("back in step with redis");
                }
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "redis gives no news: its copies are not used, and what is held only until the lease is over"
                    );
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    async fn listen(&self) {
        let mut pause = RESUBSCRIBE_PAUSE_MIN;
        loop {
            if self.hear().await {
                pause = RESUBSCRIBE_PAUSE_MIN;
            }
            self.0.subscribed.store(false, Ordering::Release);
            // What was announced meanwhile is missing.
            self.0.wake.notify_one();
            sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            pause = (pause * 2).min(RESUBSCRIBE_PAUSE_MAX);
        }
    }

    /// Listens until the connection is lost, or news come again after there were none: they may come from another server, while the machine of one that was only
    /// stopped keeps this connection open, and says nothing. Tells whether there was a connection.
    async fn hear(&self) -> bool {
        let mut back = std::pin::pin!(self.0.back.notified());
        let Ok(Ok(subscription)) = timeout(SUBSCRIBE_WAIT, self.0.link.subscribe(self.0.scripts.channel())).await
        else {
            return false;
        };
        self.0.subscribed.store(true, Ordering::Release);
        self.0.wake.notify_one();
        let mut messages = std::pin::pin!(subscription);
        loop {
            let message = tokio::select! {
                message = messages.next() => message,
                () = &mut back => return true,
            };
            let Some(message) = message else { return true };
            let Some(record) = record(message.get_payload_bytes()) else {
                // Of another version: what it says is in the markers too.
                self.0.wake.notify_one();
                continue;
            };
            match self.0.markers.hear(&record) {
                Heard::Nothing => {}
                Heard::Applied if self.is_waited_for() => self.0.wake.notify_one(),
                Heard::Applied => {}
                Heard::Gap => {
                    self.0.gaps.fetch_add(1, Ordering::Relaxed);
                    self.0.wake.notify_one();
                }
            }
        }
    }
}
