//! `cache-proxy bench`: the same open-loop load against four ways of answering it.
//!
//! It starts a private Postgres and Redis, seeds the database once, draws the whole request sequence before the first
//! request, and sends that sequence to a `cache-proxy serve` child in each mode, each over its own fresh copy of the data.
//! Latency runs from a request's *intended* start to the last byte, so that waiting for a slow server counts.

mod args;
mod bound;
mod catalogue;
mod client;
mod cluster;
mod cold;
mod learn;
mod load;
mod measure;
mod message;
mod metrics;
mod mix;
mod mode;
mod plan;
mod read;
mod recorder;
mod report;
mod scrape;
mod server;
mod usage;
mod write;
mod zipf;

#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use edge_cache_core::{Clock, SystemClock, Timestamp};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

pub(crate) use self::args::Args;
use self::bound::bound;
use self::catalogue::Catalogue;
use self::cluster::Cluster;
use self::measure::Bench;
use self::mode::Mode;
use self::plan::Plan;
use self::report::{Report, Settings, render};
use self::server::Server;
use self::usage::Machine;

/// Files that a process of the bench opens beside its connections, generously.
const FILES_BESIDE: u64 = 256;
/// Exit code of a wrong command line (`EX_USAGE`).
const USAGE: u8 = 64;

/// Runs the bench and prints what it found.
///
/// # Errors
/// When a server cannot be started, seeded, watched or stopped, or the result cannot be written.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Err(rule) = check(&args) {
        eprintln!("error: {rule}");
        return Ok(ExitCode::from(USAGE));
    }
    allow_files(u64::from(args.clients) + FILES_BESIDE)?;
    let report = tokio::select! {
        report = measure(&args) => report?,
        // Dropping the measurement ends its servers, so that an interrupted bench leaves nothing behind.
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.context("interrupts cannot be waited for")?;
            bail!("interrupted");
        }
    };
    let text = render(&report);
    if args.json_to_stdout() {
        eprint!("{text}");
        print!("{}", report.json()?);
    } else {
        print!("{text}");
        if let Some(path) = &args.json {
            std::fs::write(path, report.json()?).with_context(|| format!("{} cannot be written", path.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Args) -> Result<(), &'static str> {
    let repeated = (1..args.modes.len()).any(|at| args.modes[..at].contains(&args.modes[at]));
    if repeated {
        return Err("--modes: each mode can be measured once");
    }
    Ok(())
}

async fn measure(args: &Args) -> anyhow::Result<Report> {
    progress(format_args!("starting Postgres and seeding {} pitches", args.pitches));
    let (cluster, seeded) = Cluster::start(args).await?;
    let catalogue = Arc::new(learn_catalogue(&cluster, &seeded).await?);
    let plan = Arc::new(Plan::new(args, &catalogue));
    let bound = bound(&plan, &catalogue);
    let settings = Settings::new(args, plan.reads_counted());
    let bench = Bench { args, cluster: &cluster, catalogue, plan };
    let mut modes = Vec::new();
    for &mode in &args.modes {
        progress(format_args!("measuring {}: {} s warm-up, {} s counted", mode.label(), args.warmup, args.seconds));
        modes.push(bench.measure(mode).await.with_context(|| format!("mode {}", mode.label()))?);
    }
    cluster.stop().await?;
    Ok(Report {
        machine: Machine::read(),
        date: date(),
        command: command(),
        settings,
        bound,
        bound_rate: bound.rate(),
        modes,
    })
}

/// The data is learnt from a server of its own, so that no measured one has answered before.
async fn learn_catalogue(cluster: &Cluster, seeded: &edge_cache_pitchey::Seeded) -> anyhow::Result<Catalogue> {
    const NAME: &str = "bench_learn";
    let tokens = learn::tokens(seeded.tokens.iter().map(|(kind, token)| (&**kind, &**token)))?;
    let url = cluster.copy(NAME).await?;
    let server = Server::start(Mode::Pooled, &url, "").await?;
    let catalogue = learn::learn(server.address, tokens).await?;
    server.stop().await?;
    cluster.drop_copy(NAME).await?;
    Ok(catalogue)
}

/// Raises the number of files this process and its children may open, as far as the machine allows.
fn allow_files(needed: u64) -> anyhow::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("the limit of open files cannot be read")?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("the limit of open files cannot be raised")?;
    }
    if hard < needed {
        bail!("{needed} open files are needed and {hard} are allowed: lower --clients or raise `ulimit -n`");
    }
    Ok(())
}

fn progress(what: std::fmt::Arguments<'_>) {
    eprintln!("bench: {what} …");
}

/// The arguments alone: the program's path is this machine's business.
fn command() -> String {
    let arguments = std::env::args().skip(1);
    std::iter::once("cache-proxy".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn date() -> String {
    let since_epoch = SystemClock.now().since(Timestamp::EPOCH);
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since_epoch)
}
