//! One tier alone, on any Tower service and without a server: `cargo run -p edge-cache --example one_tier`.

use std::{convert::Infallible, error::Error, sync::Arc};

use bytes::Bytes;
use edge_cache::{
    MemoryConfig, MemoryStore,
    core::{headers::CACHE_STATUS, marker::Markers},
    tier::{KeyLayer, Keying, RequestBody, TierLayer},
};
use http::{HeaderValue, Request, Response, header::CACHE_CONTROL};
use http_body_util::{Empty, Full};
use tower::{ServiceBuilder, ServiceExt};

type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    for status in ask_twice().await? {
        println!("cache-status: {status}");
    }
    Ok(())
}

/// Asks the same question twice; returns what the tier said each time.
pub(crate) async fn ask_twice() -> Result<Vec<String>, BoxError> {
    // Purges are written to the markers; tiers that share them are purged together.
    let markers = Arc::new(Markers::alone(1));
    let service = ServiceBuilder::new()
        // A request without a key goes past every tier, so this layer comes first.
        .layer(KeyLayer::new(Keying::default()))
        .layer(TierLayer::new(MemoryStore::new(&MemoryConfig::default()), markers))
        // Other layers may stand here, between the tier and the handler.
        .service_fn(hello);
    let mut said = Vec::new();
    for _ in 0..2 {
        let request = Request::get("http://example.com/hello").body(Empty::<Bytes>::new())?;
        let response = service.clone().oneshot(request).await?;
        said.push(response.headers()[CACHE_STATUS].to_str()?.to_owned());
    }
    Ok(said)
}

async fn hello(_: Request<RequestBody<Empty<Bytes>>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from("hello\n"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    Ok(response)
}
