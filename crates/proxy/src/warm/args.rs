//! What the command line of `cache-proxy warm` says.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use edge_cache_warmer::{ALLOWED_HEADERS, Limits, Options, Wanted};
use http::{HeaderName, HeaderValue};

use crate::{
    dial::{Dialer, TlsArgs},
    exit::UsageError,
};

const AFTER: &str = "\
Sources can be mixed, and each can be named several times. A URL that is named twice is asked for once.
With several targets, each URL is asked of each of them, one target after the other; all limits hold for the whole run.

Exit codes: 0 everything is warm, 1 it could not be done or was interrupted, 2 more URLs failed than --max-failed allows,
64 wrong use.";

/// Warms the caches of running proxies, or the Redis that they share: asks for what readers will ask for, and proves that they will find it.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Args {
    /// URLs and templates of URLs, as TOML [default, where no source is named: config/warm.toml, or else the same, built in]
    #[arg(long, value_name = "FILE", help_heading = "What to warm")]
    pub(crate) plan: Vec<PathBuf>,
    /// What was asked for most by an access log, in the common or combined format; `-` for standard input
    #[arg(long, value_name = "FILE", help_heading = "What to warm")]
    pub(crate) from_log: Vec<PathBuf>,
    /// How much of each log: the N targets that were asked for most
    #[arg(long, value_name = "N", default_value_t = 1_000, help_heading = "What to warm", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) log_top: u32,
    /// A query whose first column is a path with its query, as /api/pitches/7; at most 100000 rows
    #[arg(long, value_name = "QUERY", requires = "database", help_heading = "What to warm")]
    pub(crate) sql: Vec<String>,
    /// The database of --sql: postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:FILE
    #[arg(long, value_name = "URL", requires = "sql", help_heading = "What to warm")]
    pub(crate) database: Option<String>,
    /// What is hot on the nodes, and costs most to fill: from the Redis of --config, or from the node of --admin
    #[arg(long, requires = "nodes", help_heading = "What to warm")]
    pub(crate) hot_set: bool,
    /// How much of it: the N hottest
    #[arg(long, value_name = "N", default_value_t = 1_000, help_heading = "What to warm", value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub(crate) hot_top: u32,
    /// The admin listener of a running node, http:// or https://HOST:PORT; the token is read from CACHE_PROXY_ADMIN_TOKEN
    #[arg(long, value_name = "URL", group = "nodes", requires = "hot_set", help_heading = "What to warm")]
    pub(crate) admin: Option<String>,
    /// The configuration of the nodes: where --hot-set finds Redis, and --direct the origin too
    #[arg(long, value_name = "FILE", group = "nodes", help_heading = "Where")]
    pub(crate) config: Option<PathBuf>,
    /// A header of every request that does not name it itself, as "accept-encoding: gzip": for answers that vary by it
    #[arg(long, value_name = "NAME: VALUE", help_heading = "What to warm")]
    pub(crate) header: Vec<String>,
    /// A running proxy: http://HOST:PORT or https://HOST:PORT; several, all of one scheme, are warmed one after the other
    #[arg(long, value_name = "URL", required_unless_present = "direct", help_heading = "Where")]
    pub(crate) target: Vec<String>,
    #[command(flatten)]
    pub(super) tls: TlsArgs,
    /// No running proxy: fill the Redis of --config from its origin, in this process; needs --authority
    #[arg(long, conflicts_with = "target", requires_all = ["config", "authority"], help_heading = "Where")]
    pub(crate) direct: bool,
    /// The Host that readers name, which is part of the cache's key [default: the target's own]
    #[arg(long, value_name = "HOST", help_heading = "Where")]
    pub(crate) authority: Option<String>,
    /// Most requests a second that may reach the origin; fractions are allowed
    #[arg(long, value_name = "N", default_value_t = 50.0, help_heading = "How")]
    pub(crate) rate: f64,
    /// Most requests in flight
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = "How", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) concurrency: u32,
    /// Longest time for one answer
    #[arg(long, value_name = "TIME", default_value = "5s", help_heading = "How", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    /// Ask the origin anew also for what is fresh; the proxies must list this client in cache.trusted
    #[arg(long, help_heading = "How")]
    pub(crate) refresh: bool,
    /// Do not read back what was warmed
    #[arg(long, help_heading = "How")]
    pub(crate) no_verify: bool,
    /// Where it is noted what is done, so that the same command goes on after an interruption
    /// [default: a file in $XDG_STATE_HOME/cache-proxy or ~/.local/state/cache-proxy, named by what the run is]
    #[arg(long, value_name = "FILE", help_heading = "How", verbatim_doc_comment)]
    pub(crate) resume: Option<PathBuf>,
    /// For how long what an interrupted run has done counts as done
    #[arg(long, value_name = "TIME", default_value = "10min", help_heading = "How", value_parser = humantime::parse_duration)]
    pub(crate) resume_within: Duration,
    /// Note nothing, and begin at the beginning
    #[arg(long, conflicts_with_all = ["resume", "resume_within"], help_heading = "How")]
    pub(crate) no_resume: bool,
    /// URLs that may fail before the exit code says so
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Result")]
    pub(crate) max_failed: u64,
    /// Write the report as JSON to this file, `-` for standard output (the text then goes to standard error)
    #[arg(long, value_name = "FILE", help_heading = "Result")]
    pub(crate) json: Option<PathBuf>,
}

/// The same, once it is known to make sense.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) targets: Vec<Dialer>,
    /// Of every URL, as the cache sees it.
    pub(super) scheme: &'static str,
    pub(super) authority: Option<String>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) options: Options,
}

impl Args {
    /// # Errors
    /// Which option breaks which rule.
    pub(super) fn check(&self) -> Result<Checked, UsageError> {
        let targets = self.target.iter().map(|url| self.tls.dialer("--target", url)).collect::<Result<Vec<_>, _>>()?;
        let secure = targets.first().is_some_and(|target| target.address().is_secure());
        if let Some(other) = targets.iter().find(|target| target.address().is_secure() != secure) {
            let rule = "all targets must be http://, or all https://: the scheme is part of the cache's key";
            return Err(UsageError(format!("--target {other}: {rule}")));
        }
        let scheme = if secure { "https" } else { "http" };
        if let Some(authority) = &self.authority {
            let usable = Wanted::path("/").at("http", authority);
            usable.map_err(|error| UsageError(format!("--authority: {error}")))?;
        }
        if self.config.is_some() && !self.direct && !self.hot_set {
            return Err(UsageError("--config: says something only to --hot-set and --direct".to_owned()));
        }
        let headers = self.header.iter().map(|line| header(line)).collect::<Result<_, _>>()?;
        if !(0.001..=100_000.0).contains(&self.rate) {
            return Err(UsageError(format!("--rate = {}: must be from 0.001 to 100000", self.rate)));
        }
        let minute = Duration::from_millis(1)..=Duration::from_secs(3600);
        if !minute.contains(&self.timeout) {
            let timeout = humantime::format_duration(self.timeout);
            return Err(UsageError(format!("--timeout = {timeout}: must be from 1ms to 1h")));
        }
        let limits = Limits {
            interval: Duration::from_secs_f64(1.0 / self.rate),
            concurrency: NonZeroUsize::new(self.concurrency as usize).unwrap_or(NonZeroUsize::MIN),
            timeout: self.timeout,
            ..Limits::default()
        };
        let options = Options { limits, refresh: self.refresh, verify: !self.no_verify };
        Ok(Checked { targets, scheme, authority: self.authority.clone(), headers, options })
    }
}

fn header(line: &str) -> Result<(HeaderName, HeaderValue), UsageError> {
    let wrong = |rule: &str| UsageError(format!("--header \"{line}\": {rule}"));
    let (name, value) = line.split_once(':').ok_or_else(|| wrong("must be \"NAME: VALUE\""))?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| wrong("must begin with a header's name"))?;
    let value = HeaderValue::try_from(value.trim()).ok().filter(|value| value.to_str().is_ok());
    let value = value.ok_or_else(|| wrong("the value must be visible text"))?;
    if !ALLOWED_HEADERS.contains(&name) {
        let known = ALLOWED_HEADERS.map(|name| name.to_string()).join(", ");
        return Err(wrong(&format!("must be one of {known}")));
    }
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_headers_that_select_a_variant_can_be_sent() {
        let (name, value) = header("Accept-Encoding:  gzip ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("accept-encoding", "gzip"));
        for (line, rule) in [
            ("cookie: x", "must be one of accept,"),
            ("accept", "must be \"NAME: VALUE\""),
            ("a b: c", "must begin with a header's name"),
            ("accept: \u{e4}", "the value must be visible text"),
        ] {
            assert!(header(line).unwrap_err().to_string().contains(rule), "{line}");
        }
    }
}
