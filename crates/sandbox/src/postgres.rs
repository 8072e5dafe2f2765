//! A private Postgres.

pub(crate) mod ask;
mod builder;

pub use builder::PostgresBuilder;
pub(crate) use builder::checked;

use crate::{
    Error,
    blocking::blocking,
    server::{PATIENCE, Server},
};
use builder::Start;
use nix::sys::signal::Signal;
use std::{sync::Arc, time::Duration};

/// How a server is stopped; the first three as `pg_ctl stop` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Waits until every client has left; with clients that stay, that times out.
    Smart,
    /// Ends the sessions, rolls back what is open and shuts down in order.
    Fast,
    /// Ends at once; the next start recovers from the log.
    Immediate,
    /// SIGKILL to every process of the server.
    Kill,
}

impl Mode {
    fn signal(self) -> Signal {
        match self {
            Self::Smart => Signal::SIGTERM,
            Self::Fast => Signal::SIGINT,
            Self::Immediate => Signal::SIGQUIT,
            Self::Kill => Signal::SIGKILL,
        }
    }
}

#[derive(Debug)]
struct Shared {
    server: Server,
    start: Start,
    port: u16,
}

/// A private Postgres on 127.0.0.1 with an empty database `pitchey`. Dropping it ends it.
///
/// The superuser `postgres` needs no password. Nothing is synced to disk: what is committed survives
/// [`stop`](Self::stop), not a power cut.
#[derive(Debug)]
pub struct Postgres {
    shared: Arc<Shared>,
    url: String,
}

impl Postgres {
    /// Settings other than the usual.
    #[must_use]
    pub fn builder() -> PostgresBuilder {
        PostgresBuilder::default()
    }

    /// Starts a server and waits until it answers; about a second.
    ///
    /// # Errors
    /// As [`PostgresBuilder::start`].
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// A copy that follows this server as its hot standby: it has every database and the settings of
    /// this one, streams what is committed, and refuses writes until it is
    /// [promoted](Self::promote). Returns as soon as it answers; what was committed just before may
    /// arrive later.
    ///
    /// This server keeps up to 1 GB of log (`max_slot_wal_keep_size`) for a replica that is halted,
    /// stopped or gone. While one is halted, [`Mode::Smart`], [`Mode::Fast`] and
    /// [`restart`](Self::restart) wait for it here, up to `wal_sender_timeout`.
    ///
    /// # Errors
    /// As [`PostgresBuilder::start`]; [`Error::Ended`] also where this server does not run, is halted,
    /// or is itself a replica of a server that was not started with `full_page_writes = on`.
    pub async fn replica(&self) -> Result<Self, Error> {
        self.replica_builder().start().await
    }

    /// Settings other than those of this server for a [`replica`](Self::replica), such as
    /// `recovery_min_apply_delay`.
    #[must_use]
    pub fn replica_builder(&self) -> PostgresBuilder {
        PostgresBuilder::following(self.port(), &self.shared.start)
    }

    /// Makes a replica a server of its own: when this returns it takes writes and follows no more.
    /// The server that it followed is left as it is.
    ///
    /// # Errors
    /// [`Error::Postgres`] where it is no replica or does not run, [`Error::TimedOut`] after a minute.
    pub async fn promote(&self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || match ask::promote(shared.port, PATIENCE)? {
            true => Ok(()),
            false => Err(shared.server.timed_out("being promoted")),
        })
        .await
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

    /// The process id of the postmaster while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.shared.server.process().map(|process| process.pid)
    }

    /// The process ids of the postmaster, first, and of its workers and sessions; empty while it
    /// does not run.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.shared.server.family().into_iter().map(|process| process.pid).collect()
    }

    /// Processor time (user and system) used since the last start by all processes of the server,
    /// also by sessions that have ended; zero while it does not run. Steps of about 10 ms.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        self.shared.server.cpu_time()
    }

    /// Everything the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.shared.server.log()
    }

    /// Creates an empty database; its URL.
    ///
    /// # Errors
    /// [`Error::BadName`]; [`Error::Postgres`] where the server refuses, as for a name that exists.
    pub async fn create_database(&self, name: &str) -> Result<String, Error> {
        let (port, name) = (self.port(), checked(name)?.to_owned());
        blocking(move || {
            ask::create_database(port, &name)?;
            Ok(url(port, &name))
        })
        .await
    }

    /// Stops the server and waits until it has ended. No error if it has ended already.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after a minute, [`Error::Io`].
    pub async fn stop(&self, mode: Mode) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.server.stop(mode.signal())).await
    }

    /// Stops the server ([`Mode::Fast`]) if it runs and starts it on the same port with its data.
    ///
    /// # Errors
    /// As [`PostgresBuilder::start`]; [`Error::Ended`] also when another process has taken the port.
    pub async fn restart(&self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let Shared { server, start, port } = &*shared;
            server.stop(Signal::SIGINT)?;
            server.launch(&start.command(*port), |_| ask::is_ready(*port, start.data()))
        })
        .await
    }

    /// Halts every process of the server: connections are still accepted (by the kernel), and
    /// nothing is answered.
    ///
    /// # Errors
    /// [`Error::NotRunning`] or [`Error::Io`].
    pub async fn pause(&self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.server.pause()).await
    }

    /// Lets a halted server go on; no error if it was not halted.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn resume(&self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.server.resume()).await
    }
}

pub(crate) fn url(port: u16, database: &str) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/{database}")
}
