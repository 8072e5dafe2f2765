//! Asking a cache from outside, and judging what comes.
//!
//! Two rooms over one seam. [`monitor`] asks chosen endpoints again and again, through the cache and past it: a database that is dead behind a
//! warm cache is seen. [`baseline`] measures latencies so that a later measurement can be told from noise. Neither has a socket: whoever
//! runs them implements [`Ask`], over a connection to a running proxy or over a service in this process.
//!
//! ```
//! use edge_cache_probe::{Answer, Ask, AskError, By, Monitor, MonitorConfig, Question, State, Way, monitor::CheckConfig};
//! use futures_util::future::{BoxFuture, FutureExt, ready};
//!
//! /// A cache that answers all by itself, whatever it is asked.
//! #[derive(Clone)]
//! struct Stubborn;
//!
//! impl Ask for Stubborn {
//!     fn ask(&self, _: &Question) -> BoxFuture<'static, Result<Answer, AskError>> {
//!         ready(Ok(Answer { status: http::StatusCode::OK, by: By::Cache, detail: None, body_bytes: 10 })).boxed()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let check = CheckConfig { name: "home".to_owned(), path: "/".to_owned(), ..CheckConfig::default() };
//! let config = MonitorConfig { authority: "pitchey.example".to_owned(), check: vec![check], ..MonitorConfig::default() };
//! let monitor = Monitor::new(&config, Stubborn)?;
//! monitor.round().await;
//! let states: Vec<_> = monitor.snapshot().checks.iter().map(|check| (check.way, check.state)).collect();
//! assert_eq!(states, [(Way::Through, State::Up), (Way::Past, State::Down)]);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ask;
pub mod baseline;
pub mod monitor;
mod outcome;
mod said;

pub use self::{
    ask::{Answer, Ask, AskError, Question, Way},
    monitor::{Monitor, MonitorConfig, MonitorSnapshot, State},
    outcome::{Class, Outcome, put},
    said::{By, said},
};
