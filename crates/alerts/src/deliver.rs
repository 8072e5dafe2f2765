//! Delivery: one lane for each receiver, so that one that is down holds up nobody else.

mod backoff;
mod lane;
mod post;
mod queue;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use futures_util::future::join_all;
use http::{HeaderValue, Uri};
use tokio::sync::watch;

use self::{backoff::Backoff, lane::Lane, post::Post};
use crate::{AlertConfig, AlertConfigError, Notice, Secret, Sender, config::address};

/// A receiver of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// An incoming webhook of Slack.
    Slack,
    /// A webhook that takes JSON.
    Webhook,
}

impl Channel {
    /// As it is written in logs and metrics: `slack`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Webhook => "webhook",
        }
    }
}

/// What came of messages to one receiver, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Messages that the receiver took.
    pub sent: u64,
    /// Messages that were given up: refused, or not taken until they were too old.
    pub failed: u64,
    /// Messages that were dropped: too many waited, or an alert was over before the receiver heard of it, which counts for both of its
    /// messages.
    pub suppressed: u64,
}

/// Takes notices to be sent, without waiting. Clones feed the same queues.
#[derive(Clone)]
pub struct Courier {
    lanes: Arc<[Arc<Lane>]>,
    wake: watch::Sender<()>,
}

/// What sends them; to be spawned.
pub struct Delivery {
    lanes: Arc<[Arc<Lane>]>,
    wake: watch::Receiver<()>,
}

impl Courier {
    /// A courier to the receivers that `config` names, perhaps none, and the work to be spawned for it. Nothing is connected to yet.
    ///
    /// # Errors
    /// A URL or a credential of `config` that cannot be used.
    pub fn new(config: &AlertConfig, sender: Sender) -> Result<(Self, Delivery), AlertConfigError> {
        Self::build(config, sender, Backoff::default(), post::connector())
    }

    fn build(
        config: &AlertConfig,
        sender: Sender,
        backoff: Backoff,
        connector: post::Connector,
    ) -> Result<(Self, Delivery), AlertConfigError> {
        config.validate_urls()?;
        let sender = Arc::new(sender);
        let lane = |channel, url: &Secret, authorization: &Secret| {
            let post = Post::new(&connector, target(url)?, credential(authorization), config.timeout);
            Some(Arc::new(Lane::new(channel, url.redacted(), post, config.keep, backoff.clone(), Arc::clone(&sender))))
        };
        let slack = lane(Channel::Slack, &config.slack, &Secret::default());
        let webhook = lane(Channel::Webhook, &config.webhook, &config.authorization);
        let lanes: Arc<[_]> = slack.into_iter().chain(webhook).collect();
        let (wake, woken) = watch::channel(());
        Ok((Self { lanes: Arc::clone(&lanes), wake }, Delivery { lanes, wake: woken }))
    }

    /// Gives a notice to every receiver's queue of 64, which keeps their order: what waits, waits behind what is tried again. Where one is
    /// full, the oldest in it that tells of no recovery is dropped and counted. So are a recovery and the alert that it ends, if the
    /// receiver cannot have heard of that: nobody needs to hear of what came and went.
    pub fn send(&self, notice: &Notice) {
        self.lanes.iter().for_each(|lane| lane.push(notice.clone()));
        self.wake.send_replace(());
    }

    /// What came of the messages, by receiver.
    pub fn counts(&self) -> impl Iterator<Item = (Channel, DeliveryCounts)> {
        self.lanes.iter().map(|lane| (lane.channel, lane.counts()))
    }
}

impl Delivery {
    /// Sends what is given to the couriers until all of them are dropped, and then what is left: for as long as that takes, at most until
    /// each message is as old as [`keep`](AlertConfig::keep) lets it be, and an attempt for each. Dropped earlier, it gives up what is not sent.
    pub async fn run(self) {
        let Self { lanes, wake } = self;
        join_all(lanes.iter().map(|lane| lane.run(wake.clone()))).await;
        // With no receiver there is nothing to do, which is no reason to look like a worker that stopped.
        let mut wake = wake;
        while wake.changed().await.is_ok() {}
    }
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.counts()).finish()
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lanes.iter().map(|lane| lane.channel)).finish()
    }
}

fn target(url: &Secret) -> Option<Uri> {
    address(url).ok()
}

fn credential(authorization: &Secret) -> Option<HeaderValue> {
    let text = Some(authorization.reveal()).filter(|text| !text.is_empty())?;
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
