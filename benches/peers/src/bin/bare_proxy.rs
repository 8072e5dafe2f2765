//! The least that a hyper server and a hyper client can do to pass a request on: one thread, kept connections, nothing
//! looked at.

use std::{convert::Infallible, net::SocketAddr};

use clap::Parser;
use edge_cache_peers::serving;
use http::{
    Request, Response, StatusCode, Uri,
    uri::{Authority, Scheme},
};
use http_body_util::{Either, Empty};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Passes every request on to an origin.
#[derive(Debug, Parser)]
struct Args {
    /// ADDRESS:PORT of the origin.
    #[arg(long)]
    origin: SocketAddr,
}

fn main() -> anyhow::Result<()> {
    let origin: Authority = Args::parse().origin.to_string().parse()?;
    serving::serve(1, move || {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build::<_, Incoming>(connector);
        let origin = origin.clone();
        service_fn(move |request| pass(client.clone(), origin.clone(), request))
    })
}

async fn pass(
    client: Client<HttpConnector, Incoming>,
    origin: Authority,
    mut request: Request<Incoming>,
) -> Result<Response<Either<Incoming, Empty<bytes::Bytes>>>, Infallible> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(origin);
    let answer = match Uri::from_parts(parts) {
        Ok(uri) => {
            *request.uri_mut() = uri;
            client.request(request).await.ok()
        }
        Err(_) => None,
    };
    Ok(answer.map_or_else(failed, |answer| answer.map(Either::Left)))
}

fn failed() -> Response<Either<Incoming, Empty<bytes::Bytes>>> {
    let mut answer = Response::new(Either::Right(Empty::new()));
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}
