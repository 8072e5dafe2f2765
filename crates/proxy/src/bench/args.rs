//! What the command line of `cache-proxy bench` says.

use std::path::PathBuf;
use std::time::Duration;

use crate::load::cluster::Data;
use crate::load::mode::Mode;
use crate::load::plan::{Offer, Pacing};

/// Measures the stack side by side: open-loop load, the same requests in every mode.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Modes to measure, in this order, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Mode::ALL)]
    pub(crate) modes: Vec<Mode>,
    /// Reads offered each second, whatever the server answers.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    pub(crate) rate: u32,
    /// How the intended starts are spaced.
    #[arg(long, value_enum, default_value_t = Pacing::Poisson)]
    pub(crate) pacing: Pacing,
    /// Client connections, and so the most requests in flight at once.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) clients: u32,
    /// Seconds of load before counting begins.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub(crate) warmup: u32,
    /// Seconds of load that count.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) seconds: u32,
    /// Pitches to seed the database with.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(500..=1_000_000))]
    pub(crate) pitches: u32,
    /// Send the domain's writes beside the reads (about 138 for every 1 000 reads).
    #[arg(long)]
    pub(crate) writes: bool,
    /// Publish so many pitches each second, beside the reads; each writer looks at once whether its pitch is there.
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "writes", value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub(crate) publishes: u32,
    /// Also measure what one cold key costs when every client asks for it at once.
    #[arg(long)]
    pub(crate) cold: bool,
    /// Seed of the data and of the request sequence.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// `max_connections` of the private Postgres server.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(20..=2_000))]
    pub(crate) max_connections: u32,
    /// Write everything measured as JSON to this file, `-` for standard output (the table then goes to standard error).
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Args {
    /// How long load runs before counting begins.
    pub(crate) fn warmup(&self) -> Duration {
        Duration::from_secs(u64::from(self.warmup))
    }

    /// How long load is counted.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }

    /// The data that the load is about.
    pub(crate) fn data(&self) -> Data {
        let Self { pitches, seed, max_connections, .. } = *self;
        Data { pitches, seed, max_connections }
    }

    /// The load.
    pub(crate) fn offer(&self) -> Offer {
        let Self { rate, pacing, seed, writes, publishes, .. } = *self;
        Offer { rate, pacing, warmup: self.warmup(), window: self.window(), seed, writes, publishes }
    }
}
