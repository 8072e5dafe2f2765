//! Follows the feeds of nodes: server-sent events over HTTP/1.1, found again when they are cut.

mod backoff;
mod connection;
mod loss;
mod sse;
#[cfg(test)]
mod tests;

use std::time::Duration;

use http::HeaderValue;
use tokio::sync::mpsc;

pub(super) use self::loss::Loss;
use self::{backoff::Backoff, connection::Connection};
use super::model::{Hello, History, Now};
use crate::dial::Dialer;

/// What a node says, and that it does not.
#[derive(Debug)]
pub(super) enum Event {
    /// It answered.
    Hello(Hello),
    /// What was before.
    History(History),
    /// What is.
    Now(Box<Now>),
    /// It does not, or no longer; another try follows.
    Lost(Loss),
}

/// Where a feed is, and how it is asked for.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The admin listener.
    pub(super) node: Dialer,
    /// The value of `Authorization`.
    pub(super) token: Option<HeaderValue>,
    pub(super) patience: Patience,
}

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the head of an answer.
    pub(super) answer: Duration,
    /// For the next of what comes every second.
    pub(super) silence: Duration,
    /// From the first failure to the next try; twice as long each time, up to `retry_most`.
    pub(super) retry_first: Duration,
    pub(super) retry_most: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(5),
            silence: Duration::from_secs(10),
            retry_first: Duration::from_millis(250),
            retry_most: Duration::from_secs(5),
        }
    }
}

/// Tells what the node says, as number `number`, until nobody listens.
pub(super) async fn follow(source: Source, number: usize, events: mpsc::Sender<(usize, Event)>) {
    let mut backoff = Backoff::new(source.patience.retry_first, source.patience.retry_most);
    loop {
        let loss = tokio::select! {
            loss = listen(&source, number, &events, &mut backoff) => loss,
            () = events.closed() => return,
        };
        if events.send((number, Event::Lost(loss))).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next()) => {}
            () = events.closed() => return,
        }
    }
}

/// One connection, until it is lost.
async fn listen(source: &Source, number: usize, events: &mpsc::Sender<(usize, Event)>, backoff: &mut Backoff) -> Loss {
    let mut connection = match Connection::open(source).await {
        Ok(connection) => connection,
        Err(loss) => return loss,
    };
    loop {
        let event = match connection.next().await {
            Ok(event) => event,
            Err(loss) => return loss,
        };
        // Whoever tells what is now is well; a greeting alone is not enough.
        if matches!(event, Event::Now(_)) {
            backoff.reset();
        }
        if events.send((number, event)).await.is_err() {
            // Nobody listens: `follow` sees it too, and the reason is never told.
            return Loss::Ended;
        }
    }
}
