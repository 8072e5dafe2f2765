//! The floor: the least that a hyper server can do for a request. Whatever it is asked, it answers the same; or, to see what it costs to have more than fits
//! into the nearest cache, one of many answers by the number at the end of the path.

use std::{convert::Infallible, future, sync::Arc};

use clap::Parser;
use edge_cache_peers::{content, serving};
use http::Request;
use hyper::{body::Incoming, service::service_fn};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A bare hyper server that answers with constants.
#[derive(Debug, Parser)]
struct Args {
    /// Length of the body.
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// Different answers.
    #[arg(long, default_value_t = 1)]
    keys: u64,
    /// Serving threads, each with a runtime and a listener of its own.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.keys > 1 {
        let answers: Arc<[_]> = (0..args.keys).map(|key| content::constant(key, args.bytes)).collect();
        return serving::serve(args.threads, move || {
            let answers = Arc::clone(&answers);
            service_fn(move |asked: Request<Incoming>| {
                let key = asked.uri().path().rsplit('/').next().and_then(|key| key.parse::<usize>().ok());
                future::ready(Ok::<_, Infallible>(answers[key.unwrap_or_default() % answers.len()]()))
            })
        });
    }
    let answer = content::constant(0, args.bytes);
    serving::serve(args.threads, move || {
        let answer = answer.clone();
        service_fn(move |_| future::ready(Ok::<_, Infallible>(answer())))
    })
}
