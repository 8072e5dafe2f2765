//! The loader: one thread that asks, checks every answer and takes the time.
//!
//! It connects, asks once on each connection, prints `ready`, and waits for a line on standard input: so whoever drives it
//! reads counters when nothing but the turn itself lies between. Then it prints a line of JSON and holds its connections
//! until standard input ends.

mod answer;
mod args;
mod big;
mod closed;
mod connections;
mod open;
mod target;

use std::io::{self, Write};

use anyhow::Context;
use clap::Parser;
use edge_cache_peers::report::{READY, Report};
use nix::time::{ClockId, clock_gettime};

use crate::{args::Command, connections::Connections, target::Target};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    match args::Args::parse().command {
        Command::Closed(args) => {
            let (mut connections, mut target) = connected(&args)?;
            turn(|| closed::run(&mut connections, &mut target, args.requests))
        }
        Command::Open { args, rate } => {
            let (mut connections, mut target) = connected(&args)?;
            turn(|| open::run(&mut connections, &mut target, args.requests, rate))
        }
        Command::Idle(args) => {
            let (connections, _) = connected(&args)?;
            turn(|| Ok(connections.opened))
        }
        Command::Big(args) => {
            let mut download = big::Download::connect(&args)?;
            turn(|| download.run())
        }
    }
}

/// Opens all connections and asks once on each, so that a server has accepted them before the turn.
fn connected(args: &args::Many) -> anyhow::Result<(Connections, Target)> {
    let mut target = Target::new(args);
    let mut connections = Connections::open(args.address, args.connections)?;
    connections.opened = closed::run(&mut connections, &mut target, args.connections as u64)?;
    Ok((connections, target))
}

/// One turn as the driver wants it, between two lines of its.
fn turn(run: impl FnOnce() -> anyhow::Result<Report>) -> anyhow::Result<()> {
    say(READY)?;
    let mut line = String::new();
    io::stdin().read_line(&mut line).context("standard input")?;
    let cpu = cpu_nanos()?;
    let report = run()?;
    let report = Report { loader_cpu_nanos: cpu_nanos()? - cpu, ..report };
    say(&serde_json::to_string(&report)?)?;
    io::copy(&mut io::stdin(), &mut io::sink()).context("standard input")?;
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

fn cpu_nanos() -> anyhow::Result<u64> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(std::time::Duration::from(time).as_nanos() as u64)
}
