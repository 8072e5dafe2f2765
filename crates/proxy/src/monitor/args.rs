//! What the command line of `cache-proxy monitor` says.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use edge_cache_probe::{
    MonitorConfig,
    monitor::{CheckConfig, MonitorConfigError},
};
use edge_cache_warmer::split_scheme;
use serde::Deserialize;

use crate::{
    dial::{Dialer, TlsArgs},
    exit::UsageError,
};

const AFTER: &str = "\
Each check is asked through the cache, as readers ask, and past it with `Cache-Control: no-cache`, so that an origin that is dead
behind a warm cache is seen. Nodes heed that from the clients in cache.trusted alone: list the address of this one.

With several checks: --check home=/ --check 'trending=/api/pitches/trending?limit=10'

Exit codes: 0 all of the last round was up, 1 it ended before everything had been asked, 2 something of the last round failed,
64 wrong use.";

/// Asks endpoints of a running node again and again, and sums up the last 24 hours at the end (Ctrl-C).
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Args {
    /// A running node: http://HOST:PORT or https://HOST:PORT
    #[arg(long, value_name = "URL")]
    target: String,
    #[command(flatten)]
    tls: TlsArgs,
    /// What is asked: a name, and a path with its query; well are 2xx and 3xx
    #[arg(long, value_name = "NAME=PATH")]
    check: Vec<String>,
    /// A file whose `[monitor]` says what is asked, as `[[monitor.check]]`; what the command line says comes before it, its checks beside
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The Host that readers name, which is part of the cache's key [default: the file's, or the target's own]
    #[arg(long, value_name = "HOST")]
    authority: Option<String>,
    /// From the beginning of one round to that of the next [default: the file's, or 2min]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    every: Option<Duration>,
    /// Longest time for one whole answer [default: the file's, or 5s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// One round, and no more
    #[arg(long)]
    once: bool,
    /// So many rounds [default: until it is told to stop]
    #[arg(long, value_name = "N", conflicts_with = "once", value_parser = clap::value_parser!(u64).range(1..))]
    rounds: Option<u64>,
    /// Print each result, and the summary, as a line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// The same, once it is known to make sense.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) target: Dialer,
    pub(super) config: MonitorConfig,
    /// `None` for without end.
    pub(super) rounds: Option<u64>,
}

impl Args {
    /// # Errors
    /// Which option, or which key of the file, breaks which rule.
    pub(super) fn check(&self) -> Result<Checked, UsageError> {
        let target = self.tls.dialer("--target", &self.target)?;
        let mut config = self.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let of_file = config.check.len();
        for check in &self.check {
            config.check.push(named(check)?);
        }
        if config.check.is_empty() {
            let rule = "there is nothing to ask for: name it as --check NAME=PATH, or with --config FILE as [[monitor.check]] in its [monitor]";
            return Err(UsageError(rule.to_owned()));
        }
        config.every = self.every.unwrap_or(config.every);
        config.timeout = self.timeout.unwrap_or(config.timeout);
        if let Some(authority) = &self.authority {
            config.authority.clone_from(authority);
        } else if config.authority.is_empty() {
            target.address().authority().as_str().clone_into(&mut config.authority);
        }
        if let ("http", host) = split_scheme(&config.authority)
            && target.address().is_secure()
        {
            // As the node sees it, for which the scheme is part of the key.
            config.authority = format!("https://{host}");
        }
        config.validate().map_err(|error| self.explain(&error, of_file))?;
        let rounds = if self.once { Some(1) } else { self.rounds };
        Ok(Checked { target, config, rounds })
    }

    /// Names the option where the command line set the key, and else the file.
    fn explain(&self, error: &MonitorConfigError, of_file: usize) -> UsageError {
        let MonitorConfigError { key, value, rule } = error;
        let number = || key.strip_prefix("check[")?.split_once(']')?.0.parse::<usize>().ok();
        let option = match key.as_str() {
            "every" if self.every.is_some() => format!("--every = {value}"),
            "timeout" if self.timeout.is_some() => format!("--timeout = {value}"),
            "authority" if self.authority.is_some() => format!("--authority = {value}"),
            _ => match number().and_then(|at| self.check.get(at.checked_sub(of_file)?)) {
                Some(check) => format!("--check {check}: {} = {value}", key.rsplit('.').next().unwrap_or(key)),
                None => {
                    let file = self.config.as_ref().map(|file| format!("{}: ", file.display())).unwrap_or_default();
                    return UsageError(format!("{file}{error}"));
                }
            },
        };
        UsageError(format!("{option}: {rule}"))
    }
}

fn named(check: &str) -> Result<CheckConfig, UsageError> {
    let wrong = || UsageError(format!("--check {check}: must be NAME=PATH, as home=/"));
    let (name, path) = check.split_once('=').ok_or_else(wrong)?;
    Ok(CheckConfig { name: name.to_owned(), path: path.to_owned(), ..CheckConfig::default() })
}

/// The `[monitor]` of a file, whatever else is in it: the configuration of a node will do.
fn read(file: &Path) -> Result<MonitorConfig, UsageError> {
    #[derive(Deserialize)]
    struct File {
        monitor: Option<MonitorConfig>,
    }
    let wrong = |rule: String| UsageError(format!("--config {}: {rule}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let File { monitor } = toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        wrong(format!("line {}: {message}", before.matches('\n').count() + 1))
    })?;
    monitor.ok_or_else(|| wrong("must have a section [monitor]".to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn checked(more: &[&str]) -> Result<Checked, String> {
        let line = ["monitor", "--target", "http://h:1"].iter().chain(more);
        Line::try_parse_from(line).unwrap().args.check().map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_comes_before_the_file_and_its_checks_beside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.toml");
        let text = "[origin]\nurl = \"http://o\"\n[monitor]\nauthority = \"a.example\"\nevery = \"1min\"\n\
                    [[monitor.check]]\nname = \"home\"\npath = \"/\"\npast = false\n";
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let Checked { target, config, rounds } =
            checked(&["--config", file, "--check", "a=/a?b=c", "--every", "5s"]).unwrap();
        assert_eq!((target.to_string().as_str(), config.authority.as_str(), rounds), ("http://h:1", "a.example", None));
        assert_eq!(config.every, Duration::from_secs(5));
        let paths: Vec<_> = config.check.iter().map(|check| (check.path.as_str(), check.past)).collect();
        assert_eq!(paths, [("/", false), ("/a?b=c", true)]);
        let alone = checked(&["--check", "a=/", "--once"]).unwrap();
        assert_eq!((alone.config.authority.as_str(), alone.rounds), ("h:1", Some(1)));
        std::fs::write(file, "[monitor]\nevry = 1\n").unwrap();
        let error = checked(&["--config", file]).unwrap_err();
        assert!(error.contains("x.toml: line 2: unknown field `evry`"), "{error}");
        std::fs::write(file, "[monitor]\nevery = \"1ms\"\n[[monitor.check]]\nname = \"a\"\npath = \"/\"\n").unwrap();
        let error = checked(&["--config", file]).unwrap_err();
        assert!(error.contains("x.toml: monitor.every = 1ms: must be from 100ms to 24h"), "{error}");
        std::fs::write(file, "[origin]\n").unwrap();
        assert!(checked(&["--config", file]).unwrap_err().contains("must have a section [monitor]"));
    }

    #[test]
    fn wrong_use_names_the_option_and_what_would_be_right() {
        for (line, error) in [
            (&[][..], "there is nothing to ask for: name it as --check NAME=PATH"),
            (&["--check", "home"], "--check home: must be NAME=PATH, as home=/"),
            (&["--check", "a=/", "--check", "b=x"], "--check b=x: path = \"x\": must begin with /"),
            (&["--check", "a=/", "--check", "a=/b"], "--check a=/b: name = \"a\": must be unique"),
            (&["--check", "a=/", "--every", "1ms"], "--every = 1ms: must be from 100ms to 24h"),
            (&["--check", "a=/", "--timeout", "0s"], "--timeout = 0s: must be above 0s"),
            (&["--check", "a=/", "--authority", "x/y"], "--authority = \"x/y\": must be HOST or HOST:PORT"),
            (&["--config", "/no/such.toml"], "--config /no/such.toml: cannot be read"),
        ] {
            let message = checked(line).unwrap_err();
            assert!(message.starts_with(error), "{message}");
        }
    }
}
