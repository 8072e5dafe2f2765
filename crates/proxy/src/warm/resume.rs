//! Where it is noted what is done.

use std::{env, path::PathBuf, sync::Arc};

use edge_cache::core::SystemClock;
use edge_cache_warmer::journal::{Journal, JournalError, run_digest};

use super::{Args, args::Checked};
use crate::exit::UsageError;

/// The journal of this run; `None` where there is to be none, or no place for one.
pub(super) fn journal(args: &Args, checked: &Checked) -> anyhow::Result<Option<Journal>> {
    if args.no_resume {
        return Ok(None);
    }
    let run = digest(args, checked);
    let open = |path: &PathBuf| Journal::open(path, run, args.resume_within, Arc::new(SystemClock));
    if let Some(path) = &args.resume {
        return match open(path) {
            Err(error @ JournalError::Foreign { .. }) => Err(UsageError(format!("--resume: {error}")).into()),
            journal => Ok(Some(journal?)),
        };
    }
    let mut folders = state_folders();
    // Nobody asked for it by name: where it cannot be had, the run is only not resumable.
    loop {
        let Some(folder) = folders.next() else {
            eprintln!("cache-proxy: there is no place to note what is done: an interrupted run begins anew");
            return Ok(None);
        };
        match open(&folder.join(format!("warm-{run:032x}.journal"))) {
            Ok(journal) => return Ok(Some(journal)),
            Err(error @ JournalError::Busy { .. }) => return Err(error.into()),
            Err(_) => {}
        }
    }
}

/// What makes it this run: who is asked for what, and how.
fn digest(args: &Args, checked: &Checked) -> u128 {
    let mut parts: Vec<String> = checked.targets.iter().map(|target| format!("target {target}")).collect();
    let config = args.config.as_ref().filter(|_| args.direct);
    // The same relative path is another file elsewhere.
    let file = |config: &PathBuf| std::fs::canonicalize(config).unwrap_or_else(|_| config.clone());
    parts.extend(config.map(|config| format!("direct {}", file(config).display())));
    if args.hot_set {
        parts.push(format!("hot set {:?} {:?}", args.admin, args.config.as_ref().map(file)));
    }
    parts.extend(args.database.iter().map(|url| format!("database {url}")));
    parts.push(format!("authority {:?} refresh {} verify {}", args.authority, args.refresh, !args.no_verify));
    parts.extend(args.plan.iter().map(|file| format!("plan {}", file.display())));
    parts.extend(args.from_log.iter().map(|file| format!("log {}", file.display())));
    parts.extend(args.sql.iter().map(|query| format!("sql {query}")));
    parts.extend(args.header.iter().map(|line| format!("header {line}")));
    run_digest(parts.iter().map(String::as_str))
}

fn state_folders() -> impl Iterator<Item = PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("cache-proxy")).into_iter().chain([env::temp_dir()])
}
