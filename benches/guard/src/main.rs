//! What does one request cost, counted: instructions (callgrind) and allocations of a hit in memory, also of one that is written, of a miss that is stored and of what is passed on,
//! of the whole stack in process with telemetry and logs on, over 1 000 keys. Compared with what was recorded in `recorded.toml`: more by a twentieth
//! is a failure, and so is less, which is to be recorded. Beside it, what an entry asks of the allocator for as long as it is kept.
//!
//! What is counted is `Cached::call` to the end of the body, as an embedding server has it, in front of a handler that has its answer ready; and for a hit that is written,
//! as `cache-proxy` has it, `Cached::at_once` and `Hit::write`. hyper, what `cache-proxy` adds for a connection, and the way to an origin are not part of it.
//!
//! `cargo run --release -p edge-cache-guard`, with `--record` to write down what was counted. Instructions depend on the compiler and on the
//! machine's libc, so they are compared on the platform that CI runs on; it needs `valgrind`.

mod entries;
mod exchanges;
mod instructions;
mod kind;
mod recorded;

use anyhow::ensure;
use clap::{Parser, Subcommand};
use edge_cache::telemetry::{LogFormat, init_logs};

use self::{
    kind::Kind,
    recorded::{Cost, Kept, Recorded},
};

#[derive(Debug, Parser)]
struct Args {
    /// Writes down what was counted instead of comparing it.
    #[arg(long)]
    record: bool,
    /// Keeps callgrind's figures in this folder, for `callgrind_annotate`.
    #[arg(long)]
    profile: Option<std::path::PathBuf>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Only exchanges of one kind, for callgrind to count.
    #[command(hide = true)]
    Exchange { kind: Kind },
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // As in `cache-proxy`: whoever listens makes spans cost something.
    let _logs = init_logs("info", LogFormat::Text).map_err(anyhow::Error::from_boxed)?;
    if let Some(What::Exchange { kind }) = args.what {
        exchanges::Ready::new(kind).measured();
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let profile = args.profile.as_deref().unwrap_or(folder.path());
    let cost = |kind| {
        let cost =
            Cost { allocations: exchanges::allocations(kind), instructions: instructions::count(kind, profile)? };
        println!("a {}: {:.2} allocations, {:.0} instructions", kind.as_str(), cost.allocations, cost.instructions);
        anyhow::Ok(cost)
    };
    let (hit, written, miss, pass) = (cost(Kind::Hit)?, cost(Kind::Written)?, cost(Kind::Miss)?, cost(Kind::Pass)?);
    let counted = Recorded { hit, written, miss, pass, entry: Kept { bytes: entries::bytes() } };
    println!("an entry: {:.0} bytes", counted.entry.bytes);
    if args.record {
        return counted.record();
    }
    let recorded = Recorded::read()?;
    let wrong = counted.differs_from(&recorded);
    ensure!(
        wrong.is_empty(),
        "{}; `cargo run --release -p edge-cache-guard -- --record` if it is meant to",
        wrong.join("; ")
    );
    Ok(())
}
