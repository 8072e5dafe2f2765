//! The cache on a plain hyper server: `cargo run -p edge-cache --example hyper_server`.

use std::{convert::Infallible, error::Error};

use bytes::Bytes;
use edge_cache::{EdgeCache, tier::RequestBody};
use http::{HeaderValue, Request, Response, header::CACHE_CONTROL};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{Layer, service_fn};

type BoxError = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("try twice: curl -si http://{}/hello", listener.local_addr()?);
    serve(listener).await
}

/// Serves until the listener fails.
pub(crate) async fn serve(listener: TcpListener) -> Result<(), BoxError> {
    let cache = EdgeCache::builder().build()?;
    // Expired entries go when something is asked for; this makes them go without traffic too.
    tokio::spawn(cache.clone().housekeeping());
    // Made once: each connection gets a clone, and all clones share the cache.
    let service = cache.layer().layer(service_fn(hello));
    let http = auto::Builder::new(TokioExecutor::new());
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
        // How a connection ends is its client's business here.
        tokio::spawn(connection);
    }
}

/// A handler that says how long its answer may be kept; nothing else is needed.
async fn hello(request: Request<RequestBody<Incoming>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from(format!("hello from {}\n", request.uri().path())));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
    Ok(response)
}
