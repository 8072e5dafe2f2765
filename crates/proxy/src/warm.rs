//! `cache-proxy warm`: asks running proxies, or the stack in this process, for what readers will ask for. A job for cron and for deploy pipelines.

mod args;
mod ask;
mod direct;
mod hot_set;
mod progress;
mod resume;
mod said;
mod sources;
mod sql;
mod summary;
mod watch;

use std::process::ExitCode;

use edge_cache_warmer::{Ask, Go, Replay, ReplayError, Report, Target, Wanted, run as warm};
use tokio_util::sync::CancellationToken;

pub(crate) use self::args::Args;
use self::{args::Checked, direct::Direct, progress::Progress, watch::Watch};
use crate::{client::Client, dial::Dialer, exit::UsageError, load::publish::publish, shutdown::Signals};

/// More failed than `--max-failed` allows.
const SOME_FAILED: u8 = 2;

/// `cache-proxy warm`.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let checked = args.check()?;
    let wanted = sources::wanted(&args, &checked).await?;
    let mut signals = Signals::listen()?;
    let journal = resume::journal(&args, &checked)?;
    let mut watch = Watch::new(journal, Progress::start());
    let report = match args.config.as_ref().filter(|_| args.direct) {
        None => until_signal(targets(&checked, &wanted)?, &checked, &mut watch, &mut signals).await,
        Some(config) => {
            let direct = Direct::start(config).await?;
            let asker = direct.asker(checked.options.limits.timeout);
            let authority = checked.authority.as_deref().unwrap_or_default();
            let targets = vec![Target {
                name: "direct".to_owned(),
                asker,
                replays: replays(&wanted, checked.scheme, authority)?,
            }];
            let report = until_signal(targets, &checked, &mut watch, &mut signals).await;
            direct.end().await;
            report
        }
    };
    let resumable = watch.end(&report);
    let json = serde_json::to_string_pretty(&report)? + "\n";
    publish(&summary::text(&report, resumable), &json, args.json.as_deref())?;
    Ok(code(&report, args.max_failed))
}

/// Warms until it is done, or a signal comes.
async fn until_signal<A: Ask>(
    targets: Vec<Target<A>>,
    checked: &Checked,
    watch: &mut Watch,
    signals: &mut Signals,
) -> Report {
    let cancel = CancellationToken::new();
    let running = warm(targets, &checked.options, watch, || Go::Go, &cancel);
    tokio::pin!(running);
    tokio::select! {
        report = &mut running => report,
        () = signals.next() => {
            cancel.cancel();
            running.await
        }
    }
}

fn code(report: &Report, max_failed: u64) -> ExitCode {
    match report {
        report if report.interrupted => ExitCode::FAILURE,
        report if report.failed_count() > max_failed => SOME_FAILED.into(),
        _ => ExitCode::SUCCESS,
    }
}

/// Everything that is wanted, of each target: with the target's own authority, unless another was named.
fn targets(checked: &Checked, wanted: &[Wanted]) -> anyhow::Result<Vec<Target<Client>>> {
    let one = |node: &Dialer| {
        let authority = checked.authority.as_deref().unwrap_or(node.address().authority().as_str());
        let limits = &checked.options.limits;
        let asker = Client::new(node.clone(), limits.concurrency, limits.timeout);
        Ok(Target { name: node.to_string(), asker, replays: replays(wanted, checked.scheme, authority)? })
    };
    checked.targets.iter().map(one).collect()
}

fn replays(wanted: &[Wanted], scheme: &str, authority: &str) -> Result<Vec<Replay>, UsageError> {
    let replays: Result<Vec<Replay>, ReplayError> = wanted.iter().map(|one| one.at(scheme, authority)).collect();
    replays.map_err(|error| UsageError(error.to_string()))
}
