//! A private PgBouncer.

mod builder;

pub use builder::PgBouncerBuilder;

use crate::{Error, Mode, Postgres, blocking::blocking, postgres::ask, server::Server};
use builder::Start;
use nix::sys::signal::Signal;
use std::{sync::Arc, time::Duration};

#[derive(Debug)]
struct Shared {
    server: Server,
    start: Start,
    port: u16,
}

impl Shared {
    fn launch(&self) -> Result<(), Error> {
        let command = self.start.command(&self.server, self.port)?;
        self.server.launch(&command, |_| ask::is_pooler(self.port, self.start.file()))
    }
}

/// A private PgBouncer on 127.0.0.1 in front of a [`Postgres`], for every database of it. Dropping
/// it ends it; whether the Postgres behind it still runs makes no difference to that.
///
/// No role needs a password, and each is the same role behind it. The console (the database
/// `pgbouncer`) is open to `postgres`.
#[derive(Debug)]
pub struct PgBouncer {
    shared: Arc<Shared>,
    url: String,
}

impl PgBouncer {
    /// Settings other than the usual.
    #[must_use]
    pub fn builder(postgres: &Postgres) -> PgBouncerBuilder {
        PgBouncerBuilder::new(postgres.port())
    }

    /// Starts a pool per transaction and waits until its console answers.
    ///
    /// # Errors
    /// As [`PgBouncerBuilder::start`].
    pub async fn in_front_of(postgres: &Postgres) -> Result<Self, Error> {
        Self::builder(postgres).start().await
    }

    /// `postgres://postgres@127.0.0.1:PORT/pitchey`; the same for the life of this value.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port on 127.0.0.1; the same for the life of this value.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// The process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.shared.server.process().map(|process| process.pid)
    }

    /// Processor time used since the last start; zero while it does not run.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        self.shared.server.cpu_time()
    }

    /// Everything it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.shared.server.log()
    }

    /// Stops it and waits until it has ended: [`Mode::Smart`] lets open transactions end first, with
    /// `pool_mode = session` open sessions; every other mode cuts them off, since it has nothing to
    /// put in order. No error if it has ended already.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after a minute, [`Error::Io`].
    pub async fn stop(&self, mode: Mode) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.server.stop(signal(mode))).await
    }

    /// Kills it if it runs and starts it on the same port, with a pool that is empty.
    ///
    /// # Errors
    /// As [`PgBouncerBuilder::start`]; [`Error::Ended`] also when another process has taken the port.
    pub async fn restart(&self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            shared.server.stop(Signal::SIGKILL)?;
            shared.launch()
        })
        .await
    }

    /// Halts it: connections are still accepted (by the kernel), and nothing is passed on.
    ///
    /// # Errors
    /// [`Error::NotRunning`] or [`Error::Io`].
    pub async fn pause(&self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.server.pause()).await
    }

    /// Lets a halted one go on; no error if it was not halted.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn resume(&self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.server.resume()).await
    }
}

/// Of its signals only these two mean the same in every version.
fn signal(mode: Mode) -> Signal {
    match mode {
        Mode::Smart => Signal::SIGINT,
        Mode::Fast | Mode::Immediate | Mode::Kill => Signal::SIGKILL,
    }
}
