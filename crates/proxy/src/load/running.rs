//! A load that runs beside whoever watches its server.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::catalogue::Catalogue;
use super::generator::{self, Job};
use super::plan::Plan;
use super::recorder::Recorder;

/// A load under way. Dropping it stops the load: whoever is interrupted leaves no generator behind.
#[derive(Debug)]
pub(crate) struct Running {
    /// The start that every intended start counts from.
    pub(crate) start: Instant,
    generator: JoinHandle<anyhow::Result<Recorder>>,
    _guard: DropGuard,
}

impl Running {
    /// Connects `clients` clients to `address` and begins to send them `plan`.
    ///
    /// # Errors
    /// When the clients cannot connect.
    pub(crate) async fn begin(
        (plan, catalogue): (&Arc<Plan>, &Arc<Catalogue>),
        address: SocketAddr,
        clients: u32,
        recorder: Recorder,
    ) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let (started, starts) = oneshot::channel();
        let (plan, catalogue) = (Arc::clone(plan), Arc::clone(catalogue));
        let job = Job { plan, catalogue, address, clients: clients as usize, recorder, stop, started };
        let generator = spawn_blocking(move || generator::run(job));
        match starts.await {
            Ok(start) => Ok(Self { start, generator, _guard: guard }),
            Err(_) => {
                let ended = generator.await.context("the generator panicked")?;
                Err(ended.err().unwrap_or_else(|| anyhow!("the generator ended before it began")))
            }
        }
    }

    /// What was recorded, once every request is answered or given up.
    ///
    /// # Errors
    /// When the generator failed.
    pub(crate) async fn ended(self) -> anyhow::Result<Recorder> {
        self.generator.await.context("the generator panicked")?
    }
}
