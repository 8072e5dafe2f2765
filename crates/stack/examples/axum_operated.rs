//! What a server in production has besides the layer: a way to purge, metrics, and an end that loses nothing. `cargo run -p edge-cache --example axum_operated`.

use std::{error::Error, future::Future, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use edge_cache::{EdgeCache, Metrics, Purge, Target};
use tokio::{net::TcpListener, time::timeout};

type BoxError = Box<dyn Error + Send + Sync>;

/// Longest time that what is under way gets at the end.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let (clients, operators) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    let (site, admin) = (format!("http://{}", clients.local_addr()?), format!("http://{}", operators.local_addr()?));
    println!("curl -si {site}/books      # a miss; again: edge-memory; hit");
    println!("curl -s {admin}/purge -H 'content-type: application/json' -d '[\"{site}/books\"]'");
    println!("curl -s {admin}/metrics");
    let stopped = async { drop(tokio::signal::ctrl_c().await) };
    serve(clients, operators, stopped).await
}

/// Serves until `stopped`.
pub(crate) async fn serve(
    clients: TcpListener,
    operators: TcpListener,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> Result<(), BoxError> {
    // From a file with the keys of `config/cache-proxy.toml`: `EdgeCache::builder().settings(&Settings::load(path)?)?.build()?`.
    let cache = EdgeCache::builder().build()?;
    let housekeeping = tokio::spawn(cache.clone().housekeeping());
    // A listener of its own, which only operators reach: whoever can purge can send everybody to the origin.
    let operating = tokio::spawn(axum::serve(operators, for_operators(cache.clone())).into_future());
    axum::serve(clients, for_clients(&cache)).with_graceful_shutdown(stopped).await?;
    // Writes that still run are purged for, and fills are kept.
    let all_ended = timeout(PATIENCE, cache.drain()).await.is_ok();
    drop(timeout(PATIENCE, cache.keep(all_ended)).await);
    // With Redis: the other nodes need not wait for this one any more.
    drop(timeout(PATIENCE, cache.leave()).await);
    operating.abort();
    housekeeping.abort();
    Ok(())
}

fn for_clients(cache: &EdgeCache) -> Router {
    Router::new().route("/books", get(list)).layer(cache.layer())
}

fn for_operators(cache: EdgeCache) -> Router {
    Router::new().route("/metrics", get(metrics)).route("/purge", post(purge)).with_state(cache)
}

async fn list() -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "max-age=600")], "The Left Hand of Darkness\n")
}

async fn metrics(State(cache): State<EdgeCache>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], cache.metrics().render())
}

/// URLs, absolute as clients name them.
async fn purge(State(cache): State<EdgeCache>, Json(urls): Json<Vec<String>>) -> Result<String, (StatusCode, String)> {
    let wrong = |why: &dyn Error| (StatusCode::BAD_REQUEST, format!("{why}\n"));
    let targets: Vec<_> =
        urls.iter().map(|url| Target::url(url)).collect::<Result<_, _>>().map_err(|why| wrong(&why))?;
    let receipt = cache.purger().purge(&Purge::hard(targets)).await.map_err(|why| wrong(&why))?;
    Ok(format!("purged, here and {}\n", if receipt.acknowledged { "everywhere" } else { "soon everywhere" }))
}
