use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// What a request costs cache-proxy, its peers, and a bare hyper server, side by side.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Args {
    /// What is to be answered.
    #[arg(value_enum, required = true)]
    asked: Vec<Question>,
    /// The cache-proxy to be measured, built with `cargo build --release -p cache-proxy`.
    #[arg(long, default_value = "target/release/cache-proxy")]
    pub(crate) cache_proxy: PathBuf,
    /// Rounds that count; one more before them does not.
    #[arg(long, default_value_t = 11)]
    pub(crate) rounds: usize,
    /// Requests of a turn.
    #[arg(long, default_value_t = 40_000)]
    pub(crate) requests: u64,
    /// Length of a turn at a fixed rate.
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// Entries of the question about memory.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) entries: u64,
    /// Connections of the question about idle ones.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) idle: usize,
    /// Megabytes (2^20) of the question about big bodies.
    #[arg(long, default_value_t = 1024)]
    pub(crate) big: u64,
    /// Only servers whose name begins with one of these; the floor is always there.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Core of the servers.
    #[arg(long, default_value_t = 0)]
    pub(crate) server_core: usize,
    /// Core of the loader, and of the origin behind the servers.
    #[arg(long, default_value_t = 1)]
    pub(crate) loader_core: usize,
    /// Where every figure of every round goes.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Question {
    /// All that follow.
    All,
    /// What a hit costs.
    Hit,
    /// What a hit costs with two serving threads.
    Threads,
    /// How long the slowest requests take at seven tenths of the peak.
    Tail,
    /// What it costs to pass on what may not be stored.
    Pass,
    /// What a miss costs that is stored.
    Miss,
    /// What a million entries need, and what a hit among them costs.
    Memory,
    /// How fast a big body streams, and what it needs.
    Big,
    /// What an idle connection needs.
    Idle,
    /// How soon the first answer comes.
    Start,
}

impl Args {
    /// What is asked, in the order in which it is answered.
    pub(crate) fn questions(&self) -> Vec<Question> {
        let all = self.asked.contains(&Question::All);
        let wanted = |question: &Question| *question != Question::All && (all || self.asked.contains(question));
        Question::value_variants().iter().copied().filter(wanted).collect()
    }
}
