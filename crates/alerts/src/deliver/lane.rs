use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::{debug, warn};

use super::{
    Channel, DeliveryCounts,
    backoff::Backoff,
    post::{Post, PostError},
    queue::{Letter, Pushed, Queue},
};
use crate::{Notice, Sender, message};

/// The way to one receiver: what waits for it, and what came of what was sent.
pub(super) struct Lane {
    pub(super) channel: Channel,
    /// Scheme and host, for logs.
    host: String,
    post: Post,
    /// How old a message may become.
    keep: Duration,
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
        keep: Duration,
        backoff: Backoff,
        sender: Arc<Sender>,
    ) -> Self {
        let count = || AtomicU64::new(0);
        let (sent, failed, suppressed, queue) = (count(), count(), count(), Mutex::default());
        Self { channel, host, post, keep, backoff, sender, queue, sent, failed, suppressed }
    }

    pub(super) fn push(&self, notice: Notice) {
        let (channel, host, rule) = (self.channel.name(), &self.host, notice.rule.clone());
        let pushed = self.queue.lock().push(notice, Instant::now());
        match pushed {
            Pushed::Waits => {}
            Pushed::Displaced => {
                self.suppressed.fetch_add(1, Relaxed);
                warn!(channel, host, "too many alerts wait: one was dropped");
            }
            Pushed::CameAndWent => self.came_and_went(&rule),
        }
    }

    pub(super) fn counts(&self) -> DeliveryCounts {
        let [sent, failed, suppressed] = [&self.sent, &self.failed, &self.suppressed].map(|count| count.load(Relaxed));
        DeliveryCounts { sent, failed, suppressed }
    }

    /// Sends what comes until nobody can send any more, and then what is left.
    pub(super) async fn run(&self, mut wake: watch::Receiver<()>) {
        let mut not_before = Instant::now();
        // It fails only once the last wake-up was heard too: nothing is left behind.
        while wake.changed().await.is_ok() {
            while !self.queue.lock().is_empty() {
                sleep_until(not_before).await;
                let letter = self.queue.lock().begin();
                // It may have gone while this slept.
                let Some(letter) = letter else { break };
                not_before = Instant::now() + self.attempt(letter).await;
            }
        }
    }

    /// Sends what is the first of the queue, once. Gives how long the receiver is to be left alone.
    async fn attempt(&self, letter: Letter) -> Duration {
        let Letter { notice, since, attempts: attempt, dropped, .. } = letter;
        let body = match self.channel {
            Channel::Slack => message::slack(&notice, dropped, &self.sender),
            Channel::Webhook => message::json(&notice, dropped, &self.sender),
        };
        let (channel, host, rule) = (self.channel.name(), &self.host, &notice.rule);
        let Err(error) = self.post.send(body).await else {
            self.queue.lock().sent();
            self.sent.fetch_add(1, Relaxed);
            debug!(channel, host, rule, attempt, "alert sent");
            return Duration::ZERO;
        };
        let (cause, asked) = (causes(&error), error.retry_after());
        let wait = self.backoff.wait(attempt, asked);
        if !error.is_passing() || since.elapsed() + wait >= self.keep {
            self.queue.lock().give_up();
            self.failed.fetch_add(1, Relaxed);
            warn!(channel, host, rule, attempt, error = %cause, "alert not sent");
            // The next has a beginning of its own, but not before the receiver wants it.
            return if asked.is_some() { wait } else { Duration::ZERO };
        }
        debug!(channel, host, rule, attempt, error = %cause, "alert not sent yet");
        let is_over = self.queue.lock().put_back(error.may_have_arrived());
        if is_over {
            self.came_and_went(rule);
        }
        wait
    }

    fn came_and_went(&self, rule: &str) {
        self.suppressed.fetch_add(2, Relaxed);
        let (channel, host) = (self.channel.name(), &self.host);
        debug!(channel, host, rule, "an alert was over before it could be sent");
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
