//! `cache-proxy monitor` and `cache-proxy baseline`: what they see of a running node and of the origin behind it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod baseline;
mod monitor;

use edge_cache_tests::{Origin, Proxy, ProxyBuilder};

/// A node that heeds what clients on this machine say of freshness.
async fn trusting(origin: &Origin) -> Proxy {
    let toml = format!("[origin]\nurl = \"{}\"\n[cache]\ntrusted = [\"127.0.0.1\"]\n", origin.url());
    ProxyBuilder::config(&toml).start().await
}

fn url(proxy: &Proxy) -> String {
    format!("http://{}", proxy.address)
}
