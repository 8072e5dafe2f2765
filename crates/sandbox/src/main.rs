//! `sandbox`: a private Postgres and a private Redis to try things on, gone when it ends.
//!
//! Prints one line for each server, its URL and its process id, then waits for Ctrl-C or for the end
//! of its input.

use edge_cache_sandbox::{Error, Postgres, Redis};
use std::{io, process::ExitCode, thread};
use tokio::sync::oneshot;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let (postgres, redis) = tokio::try_join!(Postgres::start(), Redis::start())?;
    println!("{} {}", postgres.url(), postgres.pid().unwrap_or_default());
    println!("{} {}", redis.url(), redis.pid().unwrap_or_default());
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = end_of_input() => {}
    }
    Ok(())
}

/// Read on a thread of its own: tokio's stdin would keep the runtime from ending on Ctrl-C.
async fn end_of_input() {
    let (held, released) = oneshot::channel::<()>();
    thread::spawn(move || {
        // An input that cannot be read has ended as well.
        drop(io::copy(&mut io::stdin(), &mut io::sink()));
        drop(held);
    });
    drop(released.await);
}
