use std::net::SocketAddr;

use clap::{Parser, Subcommand, ValueEnum};

/// Asks a server and says in JSON how it answered.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Each connection asks again when it has its answer.
    Closed(Many),
    /// Requests are due at a fixed rate whatever becomes of those before, and latency runs from when they were due.
    Open {
        #[command(flatten)]
        args: Many,
        /// Requests per second.
        #[arg(long)]
        rate: f64,
    },
    /// Asks once on each connection and holds them.
    Idle(Many),
    /// One download, of which every read is checked.
    Big(One),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Many {
    #[arg(long)]
    pub(crate) address: SocketAddr,
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
    /// How many are asked in the turn, over all connections.
    #[arg(long, default_value_t = 0)]
    pub(crate) requests: u64,
    /// Path and query, with `{}` where the key belongs.
    #[arg(long)]
    pub(crate) target: String,
    /// Length that each body must have.
    #[arg(long, default_value_t = 1024)]
    pub(crate) bytes: u64,
    /// How many keys are asked for, and the first of them.
    #[arg(long, default_value_t = 1000)]
    pub(crate) keys: u64,
    #[arg(long, default_value_t = 0)]
    pub(crate) first: u64,
    #[arg(long, value_enum, default_value_t = Order::Random)]
    pub(crate) order: Order,
    /// Where every answer is item 0 whatever was asked for.
    #[arg(long)]
    pub(crate) constant: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Order {
    /// One key after the other, over and over.
    Sequence,
    /// Any key, each as often as any other.
    Random,
}

#[derive(Debug, clap::Args)]
pub(crate) struct One {
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// Path and query.
    #[arg(long)]
    pub(crate) target: String,
    /// Length that the body must have.
    #[arg(long)]
    pub(crate) bytes: u64,
    /// Offset of the first byte, where only a part is asked for: `bytes` from there on.
    #[arg(long)]
    pub(crate) offset: Option<u64>,
}
