//! The least that a hyper server and a hyper client can do to pass a request on: one thread, kept connections, nothing
//! looked at.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use clap::Parser;
use edge_cache_peers::{passing::Origin, serving};
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Empty};
use hyper::{body::Incoming, service::service_fn};

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
    let origin = Args::parse().origin;
    serving::serve(1, move || {
        let origin = Origin::new(origin);
        service_fn(move |request| pass(origin.clone(), request))
    })
}

async fn pass(
    origin: Origin,
    request: Request<Incoming>,
) -> Result<Response<Either<Incoming, Empty<Bytes>>>, Infallible> {
    Ok(match origin.pass(request).await {
        Some(answer) => answer.map(Either::Left),
        None => {
            let mut answer = Response::new(Either::Right(Empty::new()));
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        }
    })
}
