//! `cache-proxy monitor`: asks endpoints of a running node again and again, through its cache and past it.

mod args;
mod show;
mod text;

use std::{num::NonZeroUsize, process::ExitCode};

use edge_cache_probe::{Monitor, MonitorSnapshot, State};
use tokio::time::{MissedTickBehavior, interval};

pub(crate) use self::args::Args;
use self::{args::Checked, show::Show};
use crate::{client::Client, exit::UsageError, shutdown::Signals};

/// A check failed in the last round.
const SOME_DOWN: u8 = 2;
/// More idle connections than checks that are asked at once: a round opens none where the last one left some.
const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// `cache-proxy monitor`.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Checked { target, config, rounds } = args.check()?;
    let mut signals = Signals::listen()?;
    let client = Client::new(target, CONNECTIONS, config.timeout);
    let monitor = Monitor::new(&config, client).map_err(|error| UsageError(error.to_string()))?;
    let mut show = Show::start(args.json, &monitor.snapshot());
    let mut due = interval(config.every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut left = rounds;
    while left != Some(0) {
        let round = async {
            due.tick().await;
            monitor.round().await
        };
        let finished = tokio::select! {
            biased;
            () = signals.next() => break,
            finished = round => finished,
        };
        if show.round(&finished, &monitor.snapshot()).is_err() {
            // Nobody reads any more.
            break;
        }
        left = left.map(|left| left - 1);
    }
    let snapshot = monitor.snapshot();
    show.end(&snapshot);
    Ok(code(&snapshot))
}

fn code(snapshot: &MonitorSnapshot) -> ExitCode {
    if snapshot.is_down() {
        return SOME_DOWN.into();
    }
    if snapshot.checks.iter().any(|check| check.state == State::Unknown) {
        eprintln!("cache-proxy: it ended before everything had been asked once");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
