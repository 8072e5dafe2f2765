//! The comparison: starts every server, drives them by turns, and prints what a request costs each.
//!
//! Servers run on one core and the loader on another. Turns are interleaved, so that whatever else the machine does meets
//! all of them alike, and ratios are taken within a round.

mod args;
mod bench;
mod load;
mod process;
mod questions;
mod rounds;
mod server;
mod servers;
mod stats;
mod system;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::{args::Args, bench::Bench};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let json = args.json.clone();
    let questions = args.questions();
    let mut bench = Bench::new(args)?;
    for question in questions {
        if let Err(error) = questions::ask(&mut bench, question) {
            // Whoever interrupts this interrupts what it waits for too, which then looks as if it had failed.
            bench.go_on()?;
            return Err(error);
        }
        // After each of them: what was found is not lost with a later one.
        if let Some(file) = &json {
            std::fs::write(file, serde_json::to_string_pretty(&bench.answers)?)?;
        }
    }
    if bench.faults.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nNot to be relied on:");
    for fault in &bench.faults {
        println!("  {fault}");
    }
    Ok(ExitCode::FAILURE)
}
