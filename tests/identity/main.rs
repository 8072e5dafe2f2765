//! Routes that are declared not to depend on who asks, and do.
#![allow(clippy::unwrap_used, missing_docs)]

mod answers;
mod checks;
mod leaks;
mod pitchey;

use edge_cache_tests::{Answer, Arrived, Origin, Proxy, ProxyBuilder, eventually};

/// A node over `origin` whose route `pages` is declared free of identity, and asks about one request in `every` of a route. `rest` stands behind.
fn node(origin: &Origin, every: &str, rest: &str) -> ProxyBuilder {
    let toml = format!(
        "[origin]\nurl = \"{}\"\n[cache]\nidentity_check = \"{every}\"\n[[route]]\nname = \"pages\"\npath = \"/pages/*\"\nidentity = \"free\"\n{rest}\n",
        origin.url()
    );
    ProxyBuilder::config(&toml)
}

/// Who asks, as the request says.
fn who(request: &Arrived) -> String {
    format!("{}{}", request.seen.header("authorization"), request.seen.header("cookie"))
}

async fn ask(proxy: &Proxy, target: &str) -> Answer {
    proxy.get(target).await
}

async fn ask_as(proxy: &Proxy, cookie: &str, target: &str) -> Answer {
    proxy.client().get(target).header("cookie", cookie).send().await
}

async fn count(proxy: &Proxy, result: &str) -> f64 {
    proxy.metrics().await.sum("edge_cache_identity_checks_total", &[("result", result)])
}

/// Waits until that many samples have come to `result`.
async fn checked(proxy: &Proxy, result: &str, times: usize) {
    eventually(&format!("{times} samples are {result}"), async || {
        (count(proxy, result).await >= times as f64).then_some(())
    })
    .await;
}

/// Whether a route is known to depend on who asks.
async fn is_distrusted(proxy: &Proxy, route: &str) -> bool {
    proxy.metrics().await.sum("edge_cache_identity_distrusted", &[("route", route)]) > 0.0
}

async fn distrusted(proxy: &Proxy, route: &str) {
    eventually("it is found", async || is_distrusted(proxy, route).await.then_some(())).await;
}

/// What an answer says that went past the cache for its route's sake.
fn went_past(answer: &Answer) -> bool {
    answer.said_by("memory").contains("fwd=bypass") && answer.said_by("memory").contains("detail=distrusted")
}
