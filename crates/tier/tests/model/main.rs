//! No sequence of requests, replies and clock steps makes the cache give what a plain model of RFC 9111 would not.
//!
//! The model keeps a list of everything the origin ever said and asks of each answer, from that list alone, whether a shared cache
//! may give it. It knows no tiers, flights or stores, and does not share a line with them.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "shared with the other suite of this crate")]
#[path = "../stack/origin.rs"]
mod origin;
mod rfc9111;
mod script;

use std::{sync::Arc, time::Duration};

use edge_cache_core::Disconnected;
use edge_cache_policy::Mode;
use http::Request;
use parking_lot::Mutex;
use proptest::prelude::*;
use tower::Layer;

use self::{
    origin::{Answer, BASE, Bench, Origin, answer, ask},
    rfc9111::{Given, History, Said},
    script::{Method, Reply, Step, steps},
};

/// Seconds on the clock that the cache's own follows.
#[derive(Clone, Copy)]
struct Clock(tokio::time::Instant);

impl Clock {
    fn now(self) -> u64 {
        u64::try_from(BASE.as_secs()).unwrap() + self.0.elapsed().as_secs()
    }
}

/// An origin that says what the step at hand has, and writes down what it said.
fn scripted(clock: Clock, history: Arc<Mutex<History>>, reply: Arc<Mutex<Reply>>) -> Origin {
    Origin::new(move |_, req: Request<()>| {
        let (history, reply) = (Arc::clone(&history), reply.lock().clone());
        Box::pin(async move {
            let requested = clock.now();
            tokio::time::sleep(Duration::from_secs(reply.takes)).await;
            let said = Said::new(&req, &reply, requested, clock.now());
            let (status, headers, text) = history.lock().note(said, &reply);
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let mut response = answer(status, &headers, text);
            if reply.hangs_up {
                response = answer(502, &[("cache-control", "no-store")], "");
                response.extensions_mut().insert(Disconnected);
            }
            response
        }) as Answer
    })
}

async fn run(steps: &[Step], two_tiers: bool) -> Result<(), TestCaseError> {
    let history = Arc::<Mutex<History>>::default();
    let reply = Arc::new(Mutex::new(Reply::default()));
    let bench = Bench::new(Mode::Rfc);
    let clock = Clock(tokio::time::Instant::now());
    let origin = scripted(clock, Arc::clone(&history), Arc::clone(&reply));
    let (outer, inner) = (bench.memory(), bench.memory());
    let single = bench.outside(outer.layer(origin.clone()));
    let double = bench.outside(outer.layer(inner.layer(origin.clone())));
    for (at, step) in steps.iter().enumerate() {
        tokio::time::advance(Duration::from_secs(step.after)).await;
        *reply.lock() = step.reply.clone();
        let before = history.lock().len();
        let began = clock.now();
        let got = if two_tiers { ask(&double, step.request()).await } else { ask(&single, step.request()).await };
        let given = Given {
            step,
            began,
            answered: clock.now(),
            asked: before..history.lock().len(),
            status: got.status.as_u16(),
            id: got.header("x-id").map(str::to_owned),
            text: got.text.clone(),
            age: got.header("age").and_then(|age| age.parse().ok()),
        };
        let verdict = history.lock().judge(&given);
        prop_assert!(
            verdict.is_ok(),
            "step {at} {step:?}\ngave {got:?}\n{}\nhistory {:#?}",
            verdict.unwrap_err(),
            history.lock()
        );
        // Refreshes behind an answer come to their end before the next step.
        outer.drain().await;
        inner.drain().await;
        if step.method != Method::Get {
            history.lock().note_write(before, got.status.as_u16());
        }
    }
    Ok(())
}

fn check(steps: &[Step], two_tiers: bool) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run(steps, two_tiers))
}

/// A thousand sequences a run; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { 1000 };
    ProptestConfig { cases, failure_persistence: None, ..asked }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn one_tier_gives_only_what_the_rfc_allows(steps in steps()) {
        check(&steps, false)?;
    }

    #[test]
    fn two_tiers_give_only_what_the_rfc_allows(steps in steps()) {
        check(&steps, true)?;
    }
}
