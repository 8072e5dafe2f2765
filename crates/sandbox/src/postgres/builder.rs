//! From settings to a running server.

use super::{Postgres, Shared, ask, url};
use crate::{
    Error,
    blocking::blocking,
    locate::{self, Wanted},
    server::Server,
    user,
};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

const PROGRAMS: Wanted = Wanted { programs: &["postgres", "initdb"], package: "postgresql" };
const VERSIONS: &str = "/usr/lib/postgresql";
/// A socket's path has at most 107 bytes, and Postgres adds `/.s.PGSQL.65535`.
const SOCKET_FOLDER_MAX: usize = 107 - 15;

/// How a private Postgres is to be started.
#[derive(Clone, Debug, Default)]
pub struct PostgresBuilder {
    binaries: Option<PathBuf>,
    settings: Vec<(String, String)>,
}

impl PostgresBuilder {
    /// Takes `postgres` and `initdb` from this folder only. Default: the first folder of `$PATH`
    /// that holds both, then the newest version below `/usr/lib/postgresql`.
    #[must_use]
    pub fn binaries(mut self, folder: impl Into<PathBuf>) -> Self {
        self.binaries = Some(folder.into());
        self
    }

    /// Most connections at once, those kept for superusers included. Default: 100.
    #[must_use]
    pub fn max_connections(self, count: u16) -> Self {
        self.setting("max_connections", count.to_string())
    }

    /// Sets one server parameter; a later one wins, also over the parameters that this crate sets.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Makes a new cluster, starts the server and waits until it answers.
    ///
    /// # Errors
    /// [`Error::MissingBinary`], [`Error::NoUnprivilegedUser`], [`Error::BadName`], or what the
    /// server's own log says.
    pub async fn start(self) -> Result<Postgres, Error> {
        blocking(move || self.start_blocking()).await
    }

    fn start_blocking(self) -> Result<Postgres, Error> {
        let folders = self.binaries.map_or_else(
            || {
                let mut folders = locate::search_path();
                folders.extend(locate::versioned(Path::new(VERSIONS)));
                folders
            },
            |folder| vec![folder],
        );
        let binaries = locate::find(&PROGRAMS, folders)?;
        for (name, _) in &self.settings {
            checked(name)?;
        }
        let server = Server::new("postgres", user::unprivileged()?.as_ref(), "QUIT")?;
        let start = Start::new(binaries, server.folder(), self.settings);
        server.prepare("initdb", &start.initdb())?;
        let port = server.launch_anywhere(|port| start.command(port), |port, _| ask::is_ready(port, start.data()))?;
        ask::create_database(port, "pitchey")?;
        Ok(Postgres { url: url(port, "pitchey"), shared: Arc::new(Shared { server, start, port }) })
    }
}

/// A name that needs no quoting anywhere that it goes.
pub(crate) fn checked(name: &str) -> Result<&str, Error> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if first && name.len() <= 63 && name.chars().all(fine) { Ok(name) } else { Err(Error::BadName(name.to_owned())) }
}

/// What it takes to start the server, again and again.
#[derive(Debug)]
pub(super) struct Start {
    binaries: PathBuf,
    data: PathBuf,
    sockets: OsString,
    settings: Vec<(String, String)>,
}

impl Start {
    fn new(binaries: PathBuf, folder: &Path, settings: Vec<(String, String)>) -> Self {
        let short = folder.as_os_str().len() <= SOCKET_FOLDER_MAX;
        let sockets = if short { folder.into() } else { OsString::new() };
        Self { binaries, data: folder.join("data"), sockets, settings }
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    fn initdb(&self) -> Vec<OsString> {
        let mut command = vec![self.binaries.join("initdb").into()];
        command.extend(["-N", "-A", "trust", "--no-locale", "-E", "UTF8", "-U", "postgres", "-D"].map(OsString::from));
        command.push((&self.data).into());
        command
    }

    pub(super) fn command(&self, port: u16) -> Vec<OsString> {
        let mut command = vec![self.binaries.join("postgres").into(), "-D".into()];
        command.push((&self.data).into());
        let mut set = |name: &str, value: OsString| {
            let mut pair = OsString::from(format!("{name}="));
            pair.push(value);
            command.extend(["-c".into(), pair]);
        };
        set("port", port.to_string().into());
        set("listen_addresses", "127.0.0.1".into());
        set("unix_socket_directories", self.sockets.clone());
        for (name, value) in [("fsync", "off"), ("synchronous_commit", "off")] {
            set(name, value.into());
        }
        set("full_page_writes", "off".into());
        // In the data folder rather than in /dev/shm, where a killed server would leave it behind.
        set("dynamic_shared_memory_type", "mmap".into());
        for (name, value) in &self.settings {
            set(name, value.into());
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_need_quoting_are_refused() {
        for name in ["shared_buffers", "pg_trgm.limit", "client-output-buffer-limit", "_x"] {
            assert_eq!(checked(name).unwrap(), name);
        }
        for name in ["", "1st", "-c", "a b", "a=b", "a\"b", "ä", &"x".repeat(64)] {
            assert!(matches!(checked(name), Err(Error::BadName(_))), "{name}");
        }
    }

    #[test]
    fn a_long_folder_gets_no_socket() {
        let start = |folder: &str| Start::new("/bin".into(), Path::new(folder), Vec::new());
        assert_eq!(start("/tmp/x").sockets, "/tmp/x");
        assert_eq!(start(&format!("/{}", "x".repeat(100))).sockets, "");
    }
}
