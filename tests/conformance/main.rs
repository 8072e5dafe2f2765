//! The public suite of HTTP caches (cache-tests.fyi) against `cache-proxy serve` as a plain shared cache.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod expected;
mod suite;

use edge_cache_sandbox::Redis;
use edge_cache_tests::ProxyBuilder;

use self::{
    expected::Expected,
    suite::{Suite, summary},
};

/// It has 350. A run of much fewer would show little.
const TESTS_MIN: usize = 300;

/// What is listed in `expected.json` fails, and nothing else.
async fn conforms(args: &[&str]) {
    let (expected, suite) = (Expected::read(), Suite::installed());
    let origin = suite.origin().await;
    let proxy = ProxyBuilder::serve(&origin.url).args(&["--policy", "rfc"]).args(args).start().await;
    let verdicts = suite.run(&format!("http://{}", proxy.address)).await;
    println!("passed: {}", summary(&verdicts));
    assert!(verdicts.len() > TESTS_MIN, "only {} tests ran", verdicts.len());
    let surprises = expected.surprises(&verdicts);
    assert!(surprises.is_empty(), "{} surprises:\n{}", surprises.len(), surprises.join("\n"));
}

#[tokio::test]
async fn memory_alone() {
    conforms(&[]).await;
}

#[tokio::test]
async fn memory_and_redis() {
    let redis = Redis::start().await.unwrap();
    conforms(&["--redis", redis.url()]).await;
}
