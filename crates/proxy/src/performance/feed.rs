//! `GET /admin/performance/feed`: what was, once, and then what is, every second (server-sent events).

use std::{convert::Infallible, sync::Arc};

use axum::response::{
    IntoResponse, Response, Sse,
    sse::{Event, KeepAlive},
};
use futures_util::{StreamExt, stream};
use http::StatusCode;
use serde_json::json;
use tokio::sync::{Semaphore, broadcast::error::RecvError};

use super::{Performance, process};

/// Pages and terminals that look on at once; each costs the node a page of JSON a second.
const READERS_MAX: usize = 64;

/// The feed, for whoever may read it.
#[derive(Clone)]
pub(crate) struct Feed {
    performance: Performance,
    places: Arc<Semaphore>,
    node: Arc<str>,
}

impl Feed {
    pub(crate) fn new(performance: Performance, node: &str) -> Self {
        Self { performance, places: Arc::new(Semaphore::new(READERS_MAX)), node: node.into() }
    }

    pub(crate) fn answer(&self) -> Response {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return (StatusCode::SERVICE_UNAVAILABLE, format!("{READERS_MAX} look on already\n")).into_response();
        };
        let hello = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "node": &*self.node,
            "started": process::started(),
            "step": 1,
            "keep": 24 * 3600,
        });
        // From before the history is taken, so that no second is left out.
        let now = self.performance.0.now.subscribe();
        let history = self.performance.0.history.lock().json();
        let first = stream::iter([event("hello", hello.to_string()), event("history", history)]);
        let live = stream::unfold((now, place), |(mut now, place)| async move {
            let text = loop {
                match now.recv().await {
                    Ok(text) => break text,
                    // It goes on with the oldest row that is left.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            };
            Some((event("now", text.to_string()), (now, place)))
        });
        let events = first.chain(live).map(Ok::<_, Infallible>);
        Sse::new(events).keep_alive(KeepAlive::default()).into_response()
    }
}

fn event(name: &str, data: String) -> Event {
    Event::default().event(name).data(data)
}
