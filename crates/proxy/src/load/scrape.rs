//! Single requests beside the load: the server's counters, and what the load learns from.

use std::net::SocketAddr;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Request};
use http_body_util::Full;
use tokio::time::timeout;

use super::client::{Client, PATIENCE};
use super::metrics::Counters;

/// Reads the counters from the admin listener.
///
/// # Errors
/// When it does not answer.
pub(crate) async fn scrape(admin: SocketAddr) -> anyhow::Result<Counters> {
    let text = get(&mut Client::new(admin), admin, "/metrics", None).await?;
    Ok(Counters::parse(&String::from_utf8_lossy(&text)))
}

/// The body of a GET.
///
/// # Errors
/// When there is no answer in time, or it is no success; the message names the path.
pub(crate) async fn get(
    client: &mut Client,
    address: SocketAddr,
    path: &str,
    token: Option<&HeaderValue>,
) -> anyhow::Result<Bytes> {
    let mut request = Request::get(path).header(HOST, address.to_string());
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, token);
    }
    let request = request.body(Full::<Bytes>::default()).with_context(|| format!("GET {path}: no valid request"))?;
    let answer = timeout(PATIENCE, client.send(request, true)).await;
    let answer = answer.map_err(|_| anyhow!("GET {path}: no answer in {PATIENCE:?}"))?;
    let answer = answer.map_err(|failure| anyhow!("GET {path}: {failure}"))?;
    if !answer.status().is_success() {
        bail!("GET {path}: status {}", answer.status());
    }
    Ok(answer.into_body())
}
