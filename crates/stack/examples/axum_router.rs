//! The cache on an axum router, with reads that name their tags and a write that names what it made stale:
//! `cargo run -p edge-cache --example axum_router`.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, RwLock},
};

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header::CACHE_CONTROL},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use edge_cache::{
    EdgeCache,
    core::headers::{CACHE_GROUP_INVALIDATION, CACHE_TAG},
};
use tokio::net::TcpListener;

type BoxError = Box<dyn Error + Send + Sync>;
type Shelf = Arc<RwLock<BTreeMap<u32, String>>>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}/books", listener.local_addr()?);
    println!("curl -si -XPUT -d 'The Left Hand of Darkness' {base}/7");
    println!("curl -si {base}      # a miss; again: edge-memory; hit; after another PUT: a miss");
    serve(listener).await
}

/// Serves until the listener fails.
pub(crate) async fn serve(listener: TcpListener) -> Result<(), BoxError> {
    let cache = EdgeCache::builder().build()?;
    tokio::spawn(cache.clone().housekeeping());
    Ok(axum::serve(listener, app(&cache)).await?)
}

/// Handlers as in any axum application; the cache is one line.
pub(crate) fn app(cache: &EdgeCache) -> Router {
    Router::new()
        .route("/books", get(list))
        .route("/books/{id}", put(write).get(read))
        .layer(cache.layer())
        .with_state(Shelf::default())
}

async fn list(State(shelf): State<Shelf>) -> impl IntoResponse {
    let titles: Vec<String> = shelf.read().expect("no handler panics").values().cloned().collect();
    ([(CACHE_CONTROL, "max-age=600"), (CACHE_TAG, "books")], titles.join("\n"))
}

async fn read(State(shelf): State<Shelf>, Path(id): Path<u32>) -> Response {
    match shelf.read().expect("no handler panics").get(&id) {
        Some(title) => ([(CACHE_CONTROL, "max-age=600")], title.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The cache purges the URL that is written to by itself; that the list shows the title too, only the handler knows.
async fn write(State(shelf): State<Shelf>, Path(id): Path<u32>, title: String) -> impl IntoResponse {
    shelf.write().expect("no handler panics").insert(id, title);
    (StatusCode::NO_CONTENT, [(CACHE_GROUP_INVALIDATION, "\"books\"")])
}
