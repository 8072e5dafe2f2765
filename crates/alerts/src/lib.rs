//! Alerts that know no cache and no metrics: figures are given to them.
//!
//! [`Figures`] go in at even intervals. [`Engine`] holds them against the [`Rule`]s of an [`AlertConfig`] and gives the [`Notice`]s to be
//! sent: it fires after some evaluations in a row, recovers after as many, or when its figure has not been known for 15 evaluations, and keeps a cooldown and a bound on messages an hour.
//! [`Courier`] takes notices without waiting, [`Delivery`] posts them to Slack or to a webhook that takes JSON.
//!
//! ```
//! use edge_cache_alerts::{AlertConfig, Courier, Engine, Figure, Figures, Sender};
//! use tokio::time::Instant;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let config = AlertConfig { failures: 1, ..AlertConfig::default() };
//! config.validate()?;
//! let (courier, delivery) = Courier::new(&config, Sender { node: "edge-1".into(), page_url: None })?;
//! let work = tokio::spawn(delivery.run());
//!
//! let mut engine = Engine::new(&config);
//! let mut figures = Figures::new();
//! figures.set_over(Figure::ErrorRate, Some(0.07), 1_000);
//! let notices = engine.evaluate(Instant::now(), 1_767_225_600.0, &figures);
//! assert_eq!(notices[0].text, "error rate 7.0 % is above 5.0 %");
//! notices.iter().for_each(|notice| courier.send(notice));
//!
//! drop(courier); // What waits is still sent, then the work ends.
//! work.await.expect("it does not panic");
//! # Ok::<_, edge_cache_alerts::AlertConfigError>(()) }).unwrap();
//! ```
//!
//! # What a webhook takes
//! A `POST` of one JSON object, which may gain fields within a version; times are seconds since the Unix epoch, values are in the figure's
//! unit:
//! ```json
//! {"version": 1, "event": "fired", "rule": "error-rate-critical", "severity": "critical", "figure": "error-rate",
//!  "value": 0.07, "threshold": 0.05, "since": 1767225540.0, "at": 1767225600.0, "node": "edge-1",
//!  "text": "error rate 7.0 % is above 5.0 %", "suppressed": 0}
//! ```
//! `event` is `fired` or `recovered`. `still`, where it is there, names a warning that holds though the critical rule recovered: it counts as
//! fired. `page_url` is there if the node has a page to show. A message may come twice, where an answer was lost. Any 2xx takes it; 5xx and
//! 429 make the courier try again until the message is an hour old (`keep`), as does an answer that does not come; anything else does not, and
//! no redirection is followed. Messages come in their order. An alert that was over before the receiver could hear of it is not told.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
mod deliver;
mod engine;
mod figure;
mod message;
mod notice;
mod rule;
mod secret;
mod text;

pub use self::{
    config::{AlertConfig, AlertConfigError},
    deliver::{Channel, Courier, Delivery, DeliveryCounts},
    engine::Engine,
    figure::{Figure, Figures},
    message::Sender,
    notice::{Event, Firing, Notice},
    rule::{Rule, Severity},
    secret::Secret,
};
