//! Waits for the signal to stop.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

/// Resolves at SIGTERM or SIGINT. Call it before anything is announced, so that no signal is missed.
pub(crate) fn signalled() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
