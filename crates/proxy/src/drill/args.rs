//! What the command line of `cache-proxy drill` says.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::load::cluster::Data;
use crate::load::plan::{Offer, Pacing};

/// The data and the request sequence are the same every time.
const SEED: u64 = 1;
/// After as many seconds the hit rate of two nodes that began empty rises no more at the default rate.
const WARMUP: u32 = 60;

/// Breaks something on purpose, under load, and says whether what is promised for it held.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// What is broken.
    #[arg(value_enum)]
    pub(crate) scenario: Scenario,
    /// How long it stays broken; with `exhaustion` how long the full stack is under load, with `rolling-restart` from one restart to the next.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(2..=3_600))]
    pub(crate) seconds: u32,
    /// Reads offered each second, whatever the server answers [default: 500; exhaustion: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// With `rolling-restart`: load before the seconds that the restarts are compared with [default: 60]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    warmup: Option<u32>,
    /// With `rolling-restart`: a Redis that both nodes share; without it each has its memory alone.
    #[arg(long)]
    pub(crate) redis: bool,
    /// Client connections, and so the most requests in flight at once [default: 100; exhaustion: 1500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    clients: Option<u32>,
    /// Pitches to seed the database with.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(500..=1_000_000))]
    pub(crate) pitches: u32,
    /// Write everything measured as JSON to this file, `-` for standard output (the rest then goes to standard error).
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// Redis is killed, and started again, empty.
    RedisDown,
    /// Redis is halted: it accepts and never answers. Then it goes on.
    RedisStalled,
    /// Postgres is killed and started again. At the same moment everything stored is purged (softly).
    OriginDown,
    /// Every answer of Postgres comes half a second late.
    OriginSlow,
    /// 1 500 clients and a database with 20 connections: without cache and pool, then with them, from cold.
    Exhaustion,
    /// Two nodes behind a balancer are restarted one after the other: without warming, then with it.
    RollingRestart,
}

impl Scenario {
    /// As the command line spells it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RedisDown => "redis-down",
            Self::RedisStalled => "redis-stalled",
            Self::OriginDown => "origin-down",
            Self::OriginSlow => "origin-slow",
            Self::Exhaustion => "exhaustion",
            Self::RollingRestart => "rolling-restart",
        }
    }

    /// In one sentence.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::RedisDown => "Redis is killed, and started again, empty",
            Self::RedisStalled => "Redis is halted (it accepts and never answers), then it goes on",
            Self::OriginDown => {
                "Postgres is killed and everything stored is purged softly, so that each read has to ask for it; then it is started again"
            }
            Self::OriginSlow => "every answer of Postgres comes half a second late",
            Self::Exhaustion => {
                "a database with 20 connections under a crowd: a connection for each request and no cache; then pool and cache, from cold"
            }
            Self::RollingRestart => {
                "two nodes behind a balancer are restarted one after the other: without warming, then with it, under the same requests"
            }
        }
    }
}

impl Args {
    /// # Errors
    /// Which option breaks which rule.
    pub(crate) fn check(&self) -> Result<(), String> {
        let least = super::phases::COLD + 1;
        if self.scenario == Scenario::Exhaustion && self.seconds < least {
            return Err(format!("--seconds = {}: must be at least {least} for exhaustion", self.seconds));
        }
        if self.scenario != Scenario::RollingRestart && (self.redis || self.warmup.is_some()) {
            return Err("--redis, --warmup: for rolling-restart alone".to_owned());
        }
        Ok(())
    }

    /// Load before anything is compared, in seconds.
    pub(crate) fn warmup(&self) -> u32 {
        self.warmup.unwrap_or(WARMUP)
    }

    /// Reads offered each second.
    pub(crate) fn rate(&self) -> u32 {
        self.rate.unwrap_or(if self.scenario == Scenario::Exhaustion { 1_000 } else { 500 })
    }

    /// Client connections.
    pub(crate) fn clients(&self) -> u32 {
        self.clients.unwrap_or(if self.scenario == Scenario::Exhaustion { 1_500 } else { 100 })
    }

    /// The data, and the size of the server that holds it.
    pub(crate) fn data(&self) -> Data {
        let max_connections = if self.scenario == Scenario::Exhaustion { 20 } else { 100 };
        Data { pitches: self.pitches, seed: SEED, max_connections }
    }

    /// A load of `seconds`, all of which counts.
    pub(crate) fn offer(&self, seconds: u32) -> Offer {
        Offer {
            rate: self.rate(),
            pacing: Pacing::Poisson,
            warmup: Duration::ZERO,
            window: Duration::from_secs(u64::from(seconds)),
            seed: SEED,
            writes: false,
            publishes: 0,
        }
    }
}

#[cfg(test)]
impl Args {
    /// As the command line makes it.
    pub(crate) fn made_up(scenario: Scenario) -> Self {
        Self {
            scenario,
            seconds: 15,
            rate: None,
            warmup: None,
            redis: false,
            clients: None,
            pitches: 5_000,
            json: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_command_line_takes() {
        for &scenario in Scenario::value_variants() {
            assert_eq!(Scenario::from_str(scenario.name(), false), Ok(scenario));
        }
    }

    #[test]
    fn an_exhaustion_lasts_longer_than_its_cold_start() {
        let mut args = Args::made_up(Scenario::Exhaustion);
        assert_eq!(args.check(), Ok(()));
        args.seconds = 5;
        assert!(args.check().unwrap_err().contains("--seconds = 5: must be at least 6"));
        args.scenario = Scenario::RedisDown;
        assert_eq!(args.check(), Ok(()));
    }

    #[test]
    fn what_only_a_rolling_restart_takes_is_refused_elsewhere() {
        let mut args = Args::made_up(Scenario::RedisDown);
        args.redis = true;
        assert!(args.check().is_err());
        args.scenario = Scenario::RollingRestart;
        assert_eq!(args.check(), Ok(()));
    }
}
