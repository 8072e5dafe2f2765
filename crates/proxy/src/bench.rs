//! `cache-proxy bench`: the same open-loop load against four ways of answering it.
//!
//! It starts a private Postgres and Redis, seeds the database once, draws the whole request sequence before the first
//! request, and sends that sequence to a `cache-proxy serve` child in each mode, each over its own fresh copy of the data.
//! Latency runs from a request's *intended* start to the last byte, so that waiting for a slow server counts.

mod args;
mod bound;
mod cold;
mod measure;
mod report;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};

pub(crate) use self::args::Args;
use self::bound::bound;
use self::measure::Bench;
use self::report::{Report, Settings, render};
use crate::exit;
use crate::load::cluster::Cluster;
use crate::load::plan::Plan;
use crate::load::process::{allow_files, command, date};
use crate::load::publish::publish;
use crate::load::usage::Machine;

/// Runs the bench and prints what it found.
///
/// # Errors
/// When a server cannot be started, seeded, watched or stopped, or the result cannot be written.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Err(rule) = check(&args) {
        eprintln!("error: {rule}");
        return Ok(exit::USAGE.into());
    }
    allow_files(args.clients)?;
    let report = tokio::select! {
        report = measure(&args) => report?,
        // Dropping the measurement ends its servers, so that an interrupted bench leaves nothing behind.
        interrupted = tokio::signal::ctrl_c() => {
            interrupted.context("interrupts cannot be waited for")?;
            bail!("interrupted");
        }
    };
    publish(&render(&report), &report.json()?, args.json.as_deref())?;
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
    let (cluster, seeded) = Cluster::start(args.data()).await?;
    let catalogue = Arc::new(cluster.catalogue(&seeded).await?);
    let plan = Arc::new(Plan::new(&args.offer(), &catalogue));
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

fn progress(what: std::fmt::Arguments<'_>) {
    eprintln!("bench: {what} …");
}
