//! The floor: the least that a hyper server can do for a request. Whatever it is asked, it answers the same.

use std::{convert::Infallible, future};

use clap::Parser;
use edge_cache_peers::{content, serving};
use hyper::service::service_fn;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A bare hyper server that answers everything with one constant.
#[derive(Debug, Parser)]
struct Args {
    /// Length of the body.
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// Serving threads, each with a runtime and a listener of its own.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let answer = content::constant(0, args.bytes);
    serving::serve(args.threads, move || {
        let answer = answer.clone();
        service_fn(move |_| future::ready(Ok::<_, Infallible>(answer())))
    })
}
