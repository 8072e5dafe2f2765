//! Warming a cache: asking for what its readers will ask for, before they do.
//!
//! This crate knows what to ask for (the [hot set](hot), a [`plan`] file, an access [`log`]), at what pace, what came of it, and how to go on after an
//! interruption ([`journal`]). It does not know how to ask: whoever runs it implements [`Ask`], over a connection to a running
//! proxy or over a service in this process. The cache decides for itself what it stores and under which key; so what is warmed is what
//! readers find.
//!
//! ```
//! use edge_cache_warmer::{Ask, AskError, FromCache, Go, How, Options, Replay, Target, Told, Wanted, run};
//! use futures_util::future::{BoxFuture, FutureExt, ready};
//!
//! /// A cache that has everything.
//! #[derive(Clone)]
//! struct Full;
//!
//! impl Ask for Full {
//!     fn ask(&self, _: &Replay, _: How) -> BoxFuture<'static, Result<Told, AskError>> {
//!         ready(Ok(Told { status: http::StatusCode::OK, from_cache: FromCache::Fresh, body_bytes: 10 })).boxed()
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let replay = Wanted::path("/api/pitches/trending?limit=10").at("http", "pitchey.example")?;
//! let targets = vec![Target { name: String::new(), asker: Full, replays: vec![replay] }];
//! let report = run(targets, &Options::default(), &mut (), || Go::Go, &Default::default()).await;
//! assert_eq!((report.fresh, report.warmed), (1, 0));
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod hot;
pub mod journal;
pub mod layer;
pub mod log;
pub mod plan;
mod replay;
mod run;
mod wanted;

pub use self::{
    hot::{Hot, HotSet},
    layer::{Warm, WarmLayer},
    replay::{ALLOWED_HEADERS, Replay, ReplayError, split_scheme},
    run::{
        Ask, AskError, Failure, Finished, FromCache, Go, How, Limits, Observer, Options, Outcome, Reason, Report,
        Target, Told, run,
    },
    wanted::Wanted,
};
