//! What is to be warmed, from every source that the command line names.

use std::{
    fs::File,
    io::{BufReader, ErrorKind},
    path::Path,
};

use anyhow::Context;
use edge_cache_warmer::{Wanted, log, plan};
use tokio::task::spawn_blocking;

use super::{Args, args::Checked, hot_set, sql};
use crate::exit::UsageError;

/// Where the shipped plan is, as seen from where the repository or its container is.
const PLAN: &str = "config/warm.toml";
const BUILT_IN: &str = include_str!("../../../../config/warm.toml");

/// All of it, in the order: plans, logs, queries, the hot set.
pub(super) async fn wanted(args: &Args, checked: &Checked) -> anyhow::Result<Vec<Wanted>> {
    let mut all = Vec::new();
    for file in &args.plan {
        let text = std::fs::read_to_string(file)
            .map_err(|error| UsageError(format!("--plan {}: cannot be read: {error}", file.display())))?;
        all.extend(parsed(&file.display().to_string(), &text)?);
    }
    if args.plan.is_empty() && args.from_log.is_empty() && args.sql.is_empty() && !args.hot_set {
        all.extend(usual_plan()?);
    }
    for file in &args.from_log {
        all.extend(from_log(file, args.log_top as usize).await?);
    }
    if let Some(url) = &args.database {
        all.extend(sql::wanted(url, &args.sql).await?);
    }
    let (top, scheme) = (args.hot_top as usize, checked.scheme);
    let hot = match (args.hot_set, &args.admin, &args.config) {
        (true, Some(admin), _) => hot_set::of_node(&args.tls.dialer("--admin", admin)?, top, scheme).await?,
        (true, None, Some(config)) => hot_set::of_redis(config, top, scheme).await?,
        _ => Vec::new(),
    };
    all.extend(hot);
    if all.is_empty() {
        return Err(UsageError("there is nothing to warm: no source names a URL".to_owned()).into());
    }
    for wanted in &mut all {
        wanted.default_headers(&checked.headers);
    }
    Ok(all)
}

fn parsed(file: &str, text: &str) -> Result<Vec<Wanted>, UsageError> {
    plan::parse(file, text).map_err(|error| UsageError(error.to_string()))
}

fn usual_plan() -> Result<Vec<Wanted>, UsageError> {
    match std::fs::read_to_string(PLAN) {
        Ok(text) => parsed(PLAN, &text),
        Err(error) if error.kind() == ErrorKind::NotFound => parsed("the built-in plan", BUILT_IN),
        Err(error) => Err(UsageError(format!("{PLAN}: cannot be read: {error}"))),
    }
}

async fn from_log(file: &Path, top: usize) -> anyhow::Result<Vec<Wanted>> {
    let path = file.to_owned();
    let read = move || match path.as_os_str() == "-" {
        true => Ok(log::read(std::io::stdin().lock())),
        false => File::open(&path).map(|file| log::read(BufReader::with_capacity(64 << 10, file))),
    };
    let wrong = |error: &dyn std::fmt::Display| UsageError(format!("--from-log {}: {error}", file.display()));
    let asked = spawn_blocking(read).await.context("the log's reader died")?;
    let asked = asked.map_err(|error| wrong(&format_args!("cannot be opened: {error}")))?;
    let asked = match asked {
        Err(log::LogError::Io(error)) => return Err(error).context(format!("--from-log {}", file.display())),
        asked => asked.map_err(|error| wrong(&error))?,
    };
    if asked.not_understood > 0 || asked.left_out > 0 {
        eprintln!(
            "cache-proxy: --from-log {}: of {} lines {} were not understood, and {} left out as too many",
            file.display(),
            asked.lines,
            asked.not_understood,
            asked.left_out
        );
    }
    Ok(asked.most(top).into_iter().map(|(target, _)| Wanted::path(target)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_plan_is_one_and_names_what_is_asked_for_most() {
        let wanted = parsed(PLAN, BUILT_IN).unwrap();
        assert!(wanted.contains(&Wanted::path("/api/pitches/trending?limit=10")));
        let distinct: std::collections::HashSet<_> = wanted.iter().map(|wanted| &wanted.path_and_query).collect();
        assert_eq!(distinct.len(), wanted.len(), "nothing is named twice");
    }
}
