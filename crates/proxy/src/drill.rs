//! `cache-proxy drill`: an outage on purpose, under load, and whether what is promised for it held.
//!
//! It starts a private Postgres, Redis and `cache-proxy serve`, sends them an open-loop load, breaks what the scenario says at a known
//! second and mends it at another. What it prints is measured: latency runs from a request's *intended* start, a failure is counted and
//! never timed, and a promise that could not be measured counts as broken.

mod args;
mod exhaustion;
mod fault;
mod observed;
mod outage;
mod phases;
mod plot;
mod promises;
mod readings;
mod report;
mod rolling;
mod warm;
mod watch;
mod way;

use std::process::ExitCode;

use anyhow::bail;

pub(crate) use self::args::Args;
use self::args::Scenario;
use self::report::{Report, render};
use crate::exit;
use crate::load::process::allow_files;
use crate::load::publish::publish;
use crate::shutdown::Signals;

/// Most connections that the pool may hold: `connections_max` of the server under load.
const POOL: u64 = 10;
/// Exit code where a promise is broken.
const BROKEN: u8 = 2;

/// Runs the scenario and prints what it found; the verdict comes last.
///
/// # Errors
/// When a server cannot be started, broken, mended or watched, or the result cannot be written.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Err(rule) = args.check() {
        eprintln!("error: {rule}");
        return Ok(exit::USAGE.into());
    }
    allow_files(args.clients())?;
    let mut signals = Signals::listen()?;
    let outcome = tokio::select! {
        outcome = drill(&args) => outcome?,
        // Dropping what runs ends its servers, so that an interrupted drill leaves nothing behind.
        () = signals.next() => bail!("interrupted"),
    };
    publish(&outcome.text, &outcome.json, args.json.as_deref())?;
    Ok(if outcome.held { ExitCode::SUCCESS } else { BROKEN.into() })
}

/// What a drill comes to.
struct Outcome {
    /// For people.
    text: String,
    /// Everything measured.
    json: String,
    /// Whether all promises held.
    held: bool,
}

async fn drill(args: &Args) -> anyhow::Result<Outcome> {
    let observed = match args.scenario {
        Scenario::RollingRestart => return rolling::run(args).await,
        Scenario::Exhaustion => exhaustion::run(args).await?,
        Scenario::RedisDown | Scenario::RedisStalled | Scenario::OriginDown | Scenario::OriginSlow => {
            outage::run(args).await?
        }
    };
    let report = Report::new(args, &observed);
    Ok(Outcome { text: render(&report), json: report.json()?, held: report.held() })
}

fn progress(what: std::fmt::Arguments<'_>) {
    eprintln!("drill: {what} …");
}
