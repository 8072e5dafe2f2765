//! `cache-proxy monitor` and `cache-proxy baseline`: what they see of a running node and of the origin behind it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod baseline;
mod monitor;

use edge_cache_tests::{Origin, Proxy, ProxyBuilder};

/// A node that heeds what clients on this machine say of freshness, and does not leave an origin that failed alone for long.
async fn trusting(origin: &Origin) -> Proxy {
    let cache = "[cache]\ntrusted = [\"127.0.0.1\"]\nretry_throttle = \"50ms\"\n";
    let toml = format!("[origin]\nurl = \"{}\"\n{cache}", origin.url());
    ProxyBuilder::config(&toml).start().await
}

fn url(proxy: &Proxy) -> String {
    format!("http://{}", proxy.address)
}
