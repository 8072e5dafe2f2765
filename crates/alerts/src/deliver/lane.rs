use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{sync::watch, time::sleep};
use tracing::{debug, warn};

use super::{
    Channel, DeliveryCounts,
    backoff::Backoff,
    post::{Post, PostError},
    queue::Queue,
};
use crate::{Notice, Sender, message};

/// The way to one receiver: what waits for it, and what came of what was sent.
pub(super) struct Lane {
    pub(super) channel: Channel,
    /// Scheme and host, for logs.
    host: String,
    post: Post,
    attempts: u32,
    backoff: Backoff,
    sender: Arc<Sender>,
    queue: Mutex<Queue>,
    sent: AtomicU64,
    failed: AtomicU64,
    suppressed: AtomicU64,
}

impl Lane {
    pub(super) fn new(
        channel: Channel,
        host: String,
        post: Post,
        attempts: u32,
        backoff: Backoff,
        sender: Arc<Sender>,
    ) -> Self {
        let count = || AtomicU64::new(0);
        let (sent, failed, suppressed, queue) = (count(), count(), count(), Mutex::default());
        Self { channel, host, post, attempts, backoff, sender, queue, sent, failed, suppressed }
    }

    pub(super) fn push(&self, notice: Notice) {
        if self.queue.lock().push(notice) {
            self.suppressed.fetch_add(1, Relaxed);
            warn!(channel = self.channel.name(), host = self.host, "too many alerts wait: one was dropped");
        }
    }

    pub(super) fn counts(&self) -> DeliveryCounts {
        let [sent, failed, suppressed] = [&self.sent, &self.failed, &self.suppressed].map(|count| count.load(Relaxed));
        DeliveryCounts { sent, failed, suppressed }
    }

    /// Sends what comes until nobody can send any more, and then what is left.
    pub(super) async fn run(&self, mut wake: watch::Receiver<()>) {
        // It fails only once the last wake-up was heard too: nothing is left behind.
        while wake.changed().await.is_ok() {
            self.drain().await;
        }
    }

    async fn drain(&self) {
        loop {
            let next = self.queue.lock().pop();
            let Some((notice, dropped)) = next else { return };
            let body = match self.channel {
                Channel::Slack => message::slack(&notice, dropped, &self.sender),
                Channel::Webhook => message::json(&notice, dropped, &self.sender),
            };
            self.deliver(&notice, body).await;
        }
    }

    async fn deliver(&self, notice: &Notice, body: Bytes) {
        let (channel, host, rule) = (self.channel.name(), &self.host, &notice.rule);
        for attempt in 1.. {
            let error = match self.post.send(body.clone()).await {
                Ok(()) => {
                    self.sent.fetch_add(1, Relaxed);
                    debug!(channel, host, rule, attempt, "alert sent");
                    return;
                }
                Err(error) => error,
            };
            let cause = causes(&error);
            if !error.is_passing() || attempt >= self.attempts {
                self.failed.fetch_add(1, Relaxed);
                warn!(channel, host, rule, attempt, error = %cause, "alert not sent");
                return;
            }
            debug!(channel, host, rule, attempt, error = %cause, "alert not sent yet");
            sleep(self.backoff.wait(attempt, error.retry_after())).await;
        }
    }
}

/// The error and what caused it, in one line. None of them knows the path of the URL.
fn causes(error: &PostError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
