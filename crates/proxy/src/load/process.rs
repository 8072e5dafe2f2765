//! This process: the files that it may open, and what a report says of the run.

use anyhow::{Context, bail};
use edge_cache_core::{Clock, SystemClock, Timestamp};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files that a process opens beside its connections, generously.
const FILES_BESIDE: u64 = 256;

/// Raises the number of files this process and its children may open, as far as the machine allows.
///
/// # Errors
/// When that is not enough for `clients` connections.
pub(crate) fn allow_files(clients: u32) -> anyhow::Result<()> {
    let needed = u64::from(clients) + FILES_BESIDE;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("the limit of open files cannot be read")?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("the limit of open files cannot be raised")?;
    }
    if hard < needed {
        bail!("{needed} open files are needed and {hard} are allowed: lower --clients or raise `ulimit -n`");
    }
    Ok(())
}

/// The arguments alone: the program's path is this machine's business.
pub(crate) fn command() -> String {
    let arguments = std::env::args().skip(1);
    std::iter::once("cache-proxy".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Now, as an HTTP date.
pub(crate) fn date() -> String {
    let since_epoch = SystemClock.now().since(Timestamp::EPOCH);
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since_epoch)
}
