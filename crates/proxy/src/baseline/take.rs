//! Measuring.

use std::{
    io::{IsTerminal, stderr},
    num::NonZeroUsize,
    time::UNIX_EPOCH,
};

use anyhow::bail;
use edge_cache_core::{Clock, SystemClock, Timestamp};
use edge_cache_probe::{
    Class, Question,
    baseline::{Aim, Machine, Recording, measure},
    put,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Plan;
use crate::{
    client::Client,
    load::{process, usage},
    shutdown::Signals,
};

const STYLE: &str = "measuring {wide_bar} {pos}/{len} rounds, {eta} left";

/// Measures what `plan` says.
///
/// # Errors
/// When nobody answers, or a cache where the origin should, or a signal comes.
pub(super) async fn recording(plan: &Plan) -> anyhow::Result<Recording> {
    let mut signals = Signals::listen()?;
    let client = || Client::new(plan.target.clone(), NonZeroUsize::MIN, plan.effort.timeout);
    let aims: Vec<_> = plan.replays.iter().map(|replay| Aim { asker: client(), replay: replay.clone() }).collect();
    let when = now();
    let bar = progress();
    let measured = async {
        // With hundreds of questions it would be found out much later.
        reachable(&aims, plan).await?;
        let endpoints = measure(&aims, plan.way, &plan.effort, |round, of| {
            bar.set_length(of.into());
            bar.set_position(round.into());
        });
        anyhow::Ok(endpoints.await)
    };
    let endpoints = tokio::select! {
        biased;
        () = signals.next() => bail!("interrupted: nothing was measured"),
        measured = measured => measured?,
    };
    bar.finish_and_clear();
    let target = plan.target.to_string();
    let (authority, command) = (plan.authority.clone(), process::command());
    Ok(Recording::new(when, target, authority, plan.way, command, machine(), plan.effort, endpoints))
}

/// Asks each endpoint once: somebody must answer, and no cache in the place of the origin.
async fn reachable(aims: &[Aim<Client>], plan: &Plan) -> anyhow::Result<()> {
    let (mut reached, mut lost) = (false, None);
    for Aim { asker, replay } in aims {
        let body_bytes_max = plan.effort.body_bytes_max;
        let question = Question { replay: replay.clone(), way: plan.way, body_bytes_max };
        let outcome = put(asker, &question, &[], plan.effort.timeout).await;
        let error = outcome.error.unwrap_or_default();
        match outcome.class {
            Class::NotAsked => bail!("{} could not be measured past the cache: {error}", replay.path_and_query()),
            Class::Connection | Class::Timeout => lost = lost.or(Some(error)),
            Class::Ok | Class::Status | Class::Body => reached = true,
        }
    }
    match lost {
        Some(error) if !reached => bail!("{} could not be measured: {error}", plan.target),
        _ => Ok(()),
    }
}

fn now() -> String {
    let since_epoch = SystemClock.now().since(Timestamp::EPOCH);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch).to_string()
}

fn machine() -> Machine {
    let usage::Machine { cores, cpu, kernel, optimised, .. } = usage::Machine::read();
    Machine { cores, cpu, os: format!("{} {kernel}", std::env::consts::OS), optimised }
}

/// On a terminal.
fn progress() -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(STYLE).expect("the template is well formed, a test says so");
    ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_well_formed() {
        assert!(ProgressStyle::with_template(STYLE).is_ok());
    }
}
