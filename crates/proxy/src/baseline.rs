//! `cache-proxy baseline`: measures latencies, keeps them, and tells a later change from noise.

mod args;
mod file;
mod report;
mod take;

use std::process::ExitCode;

use anyhow::bail;
use edge_cache_probe::baseline::{Recording, compare as compare_endpoints};

pub(crate) use self::args::Command;
use self::args::{CompareArgs, RecordArgs};
use crate::exit::{UsageError, say};

/// Something became worse.
const WORSE: u8 = 2;

/// `cache-proxy baseline`.
pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Record(args) => record(args).await,
        Command::Compare(args) => compare(args).await,
    }
}

async fn record(args: RecordArgs) -> anyhow::Result<ExitCode> {
    let plan = args.check()?;
    // Before it takes minutes to find out.
    file::writable(&args.file)?;
    let recording = take::recording(&plan).await?;
    if let Some(endpoint) = recording.endpoints.iter().find(|endpoint| endpoint.good() == 0) {
        let errors = report::errors(endpoint);
        bail!("{} could not be measured: no answer was good ({errors}); nothing was written", endpoint.path);
    }
    file::write(&args.file, &recording)?;
    say(report::recorded(&recording, &args.file));
    Ok(ExitCode::SUCCESS)
}

async fn compare(args: CompareArgs) -> anyhow::Result<ExitCode> {
    let old = file::read(&args.file)?;
    let new = match &args.with {
        Some(with) => {
            let new = file::read(with)?;
            fits(&old, &new).map_err(|rule| UsageError(format!("--with {}: {rule}", with.display())))?;
            new
        }
        None => take::recording(&args.again(&old)?).await?,
    };
    if new.is_void() {
        bail!("{} could not be measured: nobody answered", new.target);
    }
    let of_new = |path: &str| new.endpoints.iter().find(|endpoint| endpoint.path == path);
    let pairs = old.endpoints.iter().filter_map(|endpoint| Some((endpoint, of_new(&endpoint.path)?)));
    let compared: Vec<_> = pairs.map(|(old, new)| compare_endpoints(old, new, args.tolerance)).collect();
    say(if args.json {
        report::json(&old, &new, &compared, args.tolerance)
    } else {
        report::text(&old, &new, &compared, args.tolerance)
    });
    let worse = compared.iter().any(edge_cache_probe::baseline::Comparison::is_worse);
    Ok(if worse { WORSE.into() } else { ExitCode::SUCCESS })
}

/// Whether one recording can be held against the other.
fn fits(old: &Recording, new: &Recording) -> Result<(), String> {
    if old.way != new.way {
        let (one, other) = (old.way.as_str(), new.way.as_str());
        return Err(format!("was measured {other} the cache, and must be {one} it, as what it is compared with"));
    }
    let missing = old.endpoints.iter().find(|one| new.endpoints.iter().all(|other| other.path != one.path));
    match missing {
        Some(endpoint) => Err(format!("must hold {}, as what it is compared with", endpoint.path)),
        None => Ok(()),
    }
}
