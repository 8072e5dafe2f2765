//! What does one hit in memory cost, counted: instructions (callgrind) and allocations, of the whole stack in process with telemetry on, over
//! 1 000 keys. Compared with what was recorded in `recorded.toml`: more by a twentieth is a failure, and so is less, which is to be recorded.
//!
//! Beside it, what an entry asks of the allocator for as long as it is kept.
//!
//! What is counted of a hit is `Cached::call` to the end of the body, as an embedding server has it; hyper, and what `cache-proxy` adds for a connection, are not part of it.
//!
//! `cargo run --release -p edge-cache-guard`, with `--record` to write down what was counted. Instructions depend on the compiler and on the
//! machine's libc, so they are compared on the platform that CI runs on; it needs `valgrind`.

mod entries;
mod hits;
mod instructions;
mod recorded;

use anyhow::ensure;
use clap::{Parser, Subcommand};

use self::recorded::Counted;

#[derive(Debug, Parser)]
struct Args {
    /// Writes down what was counted instead of comparing it.
    #[arg(long)]
    record: bool,
    /// Keeps callgrind's figures in this file, for `callgrind_annotate`.
    #[arg(long)]
    profile: Option<std::path::PathBuf>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Only hits, for callgrind to count.
    #[command(hide = true)]
    Hits,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(What::Hits) = args.what {
        hits::Ready::new().measured();
        return Ok(());
    }
    let counted = Counted {
        allocations: hits::allocations(),
        instructions: instructions::count(args.profile)?,
        entry_bytes: entries::bytes(),
    };
    let Counted { allocations, instructions, entry_bytes } = counted;
    println!("a hit: {allocations:.2} allocations, {instructions:.0} instructions; an entry: {entry_bytes:.0} bytes");
    if args.record {
        return counted.record();
    }
    let recorded = Counted::recorded()?;
    let wrong = counted.differs_from(&recorded);
    ensure!(
        wrong.is_empty(),
        "{}; `cargo run --release -p edge-cache-guard -- --record` if it is meant to",
        wrong.join("; ")
    );
    Ok(())
}
