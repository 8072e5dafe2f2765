//! What the command line of `cache-proxy baseline` says.

use std::{path::PathBuf, time::Duration};

use edge_cache_probe::{
    Way,
    baseline::{Effort, EffortError, Recording, Tolerance},
};
use edge_cache_warmer::{Replay, Wanted};

use crate::{
    dial::{Dialer, TlsArgs},
    exit::UsageError,
};

const AFTER_RECORD: &str = "\
The endpoints are asked in turn, one question at a time, over one connection each, in rounds that are spread in time: by
default it takes 15 s. At most 100000 answers, of all of them together.

Exit codes: 0 it is written, 1 an endpoint could not be measured or it was interrupted, 64 wrong use.";

const AFTER_COMPARE: &str = "\
A latency is worse (or better) where the 95 % interval of new / old excludes 1 and the change is above the tolerance; the same, where it is
below and the interval no wider than three tolerances to each side; else unsure. Intervals come from draws of whole rounds, since
answers of a round move together; rounds that follow one another make them wider. A difference below 50 µs is never worse or better: the
noise of clock and scheduler is as large. Errors are counted apart, and judged by Fisher's exact test.

Exit codes: 0 nothing is worse, 1 it could not be measured or was interrupted, 2 a latency is worse or errors are more,
64 wrong use.";

/// What is done about a baseline.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Measure, and write it to a file
    Record(RecordArgs),
    /// Measure the same anew, or take another file, and say what changed
    Compare(CompareArgs),
}

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_RECORD)]
pub(crate) struct RecordArgs {
    /// Where it is written, as JSON
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// A running node: http://HOST:PORT or https://HOST:PORT
    #[arg(long, value_name = "URL")]
    target: String,
    #[command(flatten)]
    tls: TlsArgs,
    /// What is asked: a path with its query; can be named several times
    #[arg(long, value_name = "PATH", required = true)]
    endpoint: Vec<String>,
    /// The Host that readers name, which is part of the cache's key [default: the target's own]
    #[arg(long, value_name = "HOST")]
    authority: Option<String>,
    /// Rounds: the more, the narrower the intervals
    #[arg(long, value_name = "N", default_value_t = 15)]
    rounds: u32,
    /// Questions to each endpoint in a round
    #[arg(long, value_name = "N", default_value_t = 30)]
    samples: u32,
    /// Questions to each endpoint before the first round, which do not count
    #[arg(long, value_name = "N", default_value_t = 30)]
    warmup: u32,
    /// Least time between the beginnings of two rounds: what they see of the machine's moods; 0s for none
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    pause: Duration,
    /// Longest time for one whole answer
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Measure the origin: ask past the cache, and take no stored answer; the node must list this client in cache.trusted
    #[arg(long)]
    past_cache: bool,
}

#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_COMPARE)]
pub(crate) struct CompareArgs {
    /// What was measured before
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// What was measured after, instead of measuring now
    #[arg(long, value_name = "FILE2", conflicts_with = "target")]
    pub(super) with: Option<PathBuf>,
    /// A running node [default: the one that was measured before]
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    #[command(flatten)]
    tls: TlsArgs,
    /// The least change that counts
    #[arg(long, value_name = "N%", default_value = "10%", value_parser = percentage)]
    pub(super) tolerance: Tolerance,
    /// Print it as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What is to be measured, once it is known to make sense.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) target: Dialer,
    /// The `Host`, where it is not the target's own.
    pub(super) authority: Option<String>,
    pub(super) replays: Vec<Replay>,
    pub(super) way: Way,
    pub(super) effort: Effort,
}

impl RecordArgs {
    /// # Errors
    /// Which option breaks which rule.
    pub(super) fn check(&self) -> Result<Plan, UsageError> {
        let Self { rounds, samples, warmup, pause, timeout, .. } = *self;
        let effort = Effort { rounds, samples, warmup, pause, timeout, ..Effort::default() };
        let way = if self.past_cache { Way::Past } else { Way::Through };
        if let Some(authority) = &self.authority {
            let usable = Wanted::path("/").at("http", authority);
            usable.map_err(|error| UsageError(format!("--authority: {error}")))?;
        }
        let target = self.tls.dialer("--target", &self.target)?;
        plan("--endpoint", target, self.authority.clone(), &self.endpoint, way, effort)
    }
}

impl CompareArgs {
    /// The same once more.
    ///
    /// # Errors
    /// Which option, or what in the file, breaks which rule.
    pub(super) fn again(&self, old: &Recording) -> Result<Plan, UsageError> {
        let target = self.tls.dialer("--target", self.target.as_deref().unwrap_or(&old.target))?;
        let paths: Vec<String> = old.endpoints.iter().map(|endpoint| endpoint.path.clone()).collect();
        let of_file = format!("{}: endpoint", self.file.display());
        plan(&of_file, target, old.authority.clone(), &paths, old.way, old.effort)
    }
}

/// What is wrong with a path is told of it as what `named` it.
fn plan(
    named: &str,
    target: Dialer,
    authority: Option<String>,
    paths: &[String],
    way: Way,
    effort: Effort,
) -> Result<Plan, UsageError> {
    let (scheme, host) = (target.address().scheme().as_str(), target.address().authority().as_str());
    let host = authority.as_deref().unwrap_or(host);
    let mut replays: Vec<Replay> = Vec::with_capacity(paths.len());
    for path in paths {
        let wrong = |rule: &dyn std::fmt::Display| UsageError(format!("{named} {path}: {rule}"));
        let replay = Wanted::path(path).at(scheme, host).map_err(|error| wrong(&error))?;
        if replays.contains(&replay) {
            return Err(wrong(&"must be named once"));
        }
        replays.push(replay);
    }
    effort.validate(replays.len()).map_err(|EffortError { key, value, rule }| {
        let options = key.split(" × ").map(|key| format!("--{key}")).collect::<Vec<_>>().join(" × ");
        UsageError(format!("{options} = {value}: {rule}"))
    })?;
    Ok(Plan { target, authority, replays, way, effort })
}

fn percentage(text: &str) -> Result<Tolerance, String> {
    let share = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    share.and_then(|share| Tolerance::new(share / 100.0)).ok_or_else(|| "must be from 0.1% to 1000%, as 10%".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use edge_cache_probe::baseline::DIFFERENCE_MIN_MICROS;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn recorded(more: &[&str]) -> Result<Plan, String> {
        let line = ["baseline", "record", "x.json", "--target", "http://h:1", "--endpoint", "/a"].iter().chain(more);
        match Line::try_parse_from(line).unwrap().command {
            Command::Record(args) => args.check().map_err(|error| error.to_string()),
            Command::Compare(_) => unreachable!("it says record"),
        }
    }

    #[test]
    fn what_is_measured_is_bounded_and_named_once() {
        let plan = recorded(&["--endpoint", "/b?c", "--past-cache", "--authority", "a.example"]).unwrap();
        assert_eq!((plan.effort, plan.way), (Effort::default(), Way::Past));
        assert_eq!(plan.replays[1].to_string(), "http://a.example/b?c");
        assert_eq!(recorded(&["--pause", "0s"]).unwrap().effort.pause, Duration::ZERO);
        assert!(AFTER_COMPARE.contains(&format!("below {DIFFERENCE_MIN_MICROS} µs")));
        for (line, error) in [
            (&["--samples", "0"][..], "--samples = 0: must be above zero"),
            (&["--rounds", "1001"], "--rounds = 1001: must be at most 1000"),
            (
                &["--rounds", "1000", "--samples", "101"],
                "--rounds × --samples = 101000: must be at most 100000 answers",
            ),
            (&["--endpoint", "b"], "--endpoint b: path `b`: must begin with `/`"),
            (&["--endpoint", "/a"], "--endpoint /a: must be named once"),
            (&["--authority", "a/b"], "--authority: authority `a/b`: must be HOST or HOST:PORT"),
            (&["--pause", "61s"], "--pause = 1m 1s: must be at most 1m"),
            (&["--timeout", "0s"], "--timeout = 0s: must be above 0s"),
        ] {
            let message = recorded(line).unwrap_err();
            assert!(message.starts_with(error), "{message}");
        }
    }

    #[test]
    fn a_tolerance_is_a_percentage() {
        assert_eq!(percentage("10%").unwrap().share(), 0.1);
        assert_eq!(percentage("2.5 %").unwrap().share(), 0.025);
        for wrong in ["10", "0%", "-1%", "x%", "", "NaN%", "inf%"] {
            assert!(percentage(wrong).is_err(), "{wrong}");
        }
    }
}
