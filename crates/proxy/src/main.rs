//! `cache-proxy`: the edge cache in front of any HTTP origin, or with the Pitchey handlers in the same process.

mod admin;
mod baseline;
mod bench;
mod body;
mod check;
mod cli;
mod client;
mod demo;
mod dial;
mod drill;
mod exit;
mod files;
mod listener;
mod live;
mod load;
mod monitor;
mod operate;
mod origin;
mod outbox;
mod performance;
mod reload;
mod serve;
mod server;
mod shutdown;
mod top;
mod warm;
mod warming;
mod watching;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = match cli::Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            let asked_for = !error.use_stderr();
            // Printing fails only where nobody can be told.
            drop(error.print());
            return if asked_for { ExitCode::SUCCESS } else { exit::USAGE.into() };
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&error.into()),
    };
    let result = runtime.block_on(async {
        match command {
            cli::Command::Demo(args) => demo::run(args).await.map(|()| ExitCode::SUCCESS),
            cli::Command::Serve(args) => serve::run(args).await.map(|()| ExitCode::SUCCESS),
            cli::Command::Check(args) => check::check(&args).map(|()| ExitCode::SUCCESS),
            cli::Command::Config(args) => check::print(&args).map(|()| ExitCode::SUCCESS),
            cli::Command::Ready(args) => operate::ready(args).await,
            cli::Command::Purge(args) => operate::purge(args).await,
            cli::Command::Explain(args) => operate::explain(args).await,
            cli::Command::Request(args) => operate::request(args).await,
            cli::Command::Top(args) => top::run(args).await,
            cli::Command::Warm(args) => warm::run(*args).await,
            cli::Command::Monitor(args) => monitor::run(*args).await,
            cli::Command::Baseline(command) => baseline::run(*command).await,
            cli::Command::Sql(args) => outbox::sql::run(args).await.map(|()| ExitCode::SUCCESS),
            cli::Command::Bench(args) => bench::run(*args).await,
            cli::Command::Drill(args) => drill::run(*args).await,
        }
    });
    // What still runs in the background must not hold up the exit.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| exit::report(&error))
}
