//! `sandbox`: a private Postgres and a private Redis to try things on, gone when it ends; with
//! `--pgbouncer` also a PgBouncer in front of the Postgres.
//!
//! Prints one line for each server, its URL and its process id, then waits for Ctrl-C or for the end
//! of its input.

use edge_cache_sandbox::{Error, PgBouncer, Postgres, Redis};
use std::{env, io, process::ExitCode, thread};
use tokio::sync::oneshot;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    if arguments.iter().any(|argument| argument != "--pgbouncer") {
        eprintln!("usage: sandbox [--pgbouncer]");
        return ExitCode::from(64);
    }
    match run(!arguments.is_empty()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(pooled: bool) -> Result<(), Error> {
    let (postgres, redis) = tokio::try_join!(Postgres::start(), Redis::start())?;
    println!("{} {}", postgres.url(), postgres.pid().unwrap_or_default());
    println!("{} {}", redis.url(), redis.pid().unwrap_or_default());
    let pooler = if pooled { Some(PgBouncer::in_front_of(&postgres).await?) } else { None };
    if let Some(pooler) = &pooler {
        println!("{} {}", pooler.url(), pooler.pid().unwrap_or_default());
    }
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
