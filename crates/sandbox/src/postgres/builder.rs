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
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

const PROGRAMS: Wanted = Wanted { programs: &["postgres", "initdb"], package: "postgresql" };
const COPYING: Wanted = Wanted { programs: &["pg_basebackup"], package: "postgresql-client" };
const VERSIONS: &str = "/usr/lib/postgresql";
const CERTIFICATE: &str = "server.crt";
const KEY: &str = "server.key";
/// For names of slots: a slot outlives its replica, so none may come twice.
static SLOTS: AtomicU32 = AtomicU32::new(1);
/// A socket's path has at most 107 bytes, and Postgres adds `/.s.PGSQL.65535`.
const SOCKET_FOLDER_MAX: usize = 107 - 15;

/// How a private Postgres is to be started.
#[derive(Clone, Debug, Default)]
pub struct PostgresBuilder {
    binaries: Option<PathBuf>,
    settings: Vec<(String, String)>,
    tls: Option<Tls>,
    /// The port of the server to follow.
    source: Option<u16>,
}

/// In PEM.
#[derive(Clone)]
struct Tls {
    certificate: String,
    key: String,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl PostgresBuilder {
    /// For a server that follows the one on `port` and is otherwise as it is.
    pub(super) fn following(port: u16, start: &Start) -> Self {
        let Start { binaries, settings, tls, .. } = start;
        Self { binaries: Some(binaries.clone()), settings: settings.clone(), tls: tls.clone(), source: Some(port) }
    }

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

    /// Takes TLS from clients that ask for it, with this certificate (what signed it may follow) and
    /// its key, both in PEM. Others are still served without.
    #[must_use]
    pub fn tls(mut self, certificate: &str, key: &str) -> Self {
        self.tls = Some(Tls { certificate: certificate.to_owned(), key: key.to_owned() });
        self
    }

    /// Makes a new cluster, or a copy of the one to follow, starts the server and waits until it
    /// answers.
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
        let start = Start::new(binaries, server.folder(), self.settings, self.tls);
        if let Some(Tls { certificate, key }) = &start.tls {
            server.write(CERTIFICATE, certificate)?;
            server.write(KEY, key)?;
        }
        match self.source {
            None => server.prepare("initdb", &start.initdb())?,
            Some(source) => server.prepare("pg_basebackup", &start.copy(source)?)?,
        }
        let port =
            server.launch_anywhere(|port| Ok(start.command(port)), |port, _| ask::is_ready(port, start.data()))?;
        if self.source.is_none() {
            ask::create_database(port, "pitchey")?;
        }
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
    folder: PathBuf,
    sockets: OsString,
    settings: Vec<(String, String)>,
    tls: Option<Tls>,
}

impl Start {
    fn new(binaries: PathBuf, folder: &Path, settings: Vec<(String, String)>, tls: Option<Tls>) -> Self {
        let short = folder.as_os_str().len() <= SOCKET_FOLDER_MAX;
        let sockets = if short { folder.into() } else { OsString::new() };
        Self { binaries, data: folder.join("data"), folder: folder.to_owned(), sockets, settings, tls }
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

    /// The slot keeps what the copy has not yet, also while it is stopped.
    fn copy(&self, source: u16) -> Result<Vec<OsString>, Error> {
        let mut folders = vec![self.binaries.clone()];
        // Where the server is a link, what came with it lies beside the file itself.
        if let Ok(program) = self.binaries.join("postgres").canonicalize() {
            folders.extend(program.parent().map(Path::to_owned));
        }
        let program = locate::find(&COPYING, folders)?.join(COPYING.programs[0]);
        let mut command = vec![program.into(), "-d".into()];
        // Without the timeout a paused server would be waited for without end.
        command.push(format!("host=127.0.0.1 port={source} user=postgres connect_timeout=60").into());
        let slot = format!("replica_{}", SLOTS.fetch_add(1, Ordering::Relaxed));
        command.extend(["-R", "-X", "stream", "-c", "fast", "-N", "-C", "-S", &slot, "-D"].map(OsString::from));
        command.push((&self.data).into());
        Ok(command)
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
        // A replica that never comes back must not fill the disk of a server that goes on.
        set("max_slot_wal_keep_size", "1GB".into());
        if self.tls.is_some() {
            set("ssl", "on".into());
            set("ssl_cert_file", self.folder.join(CERTIFICATE).into());
            set("ssl_key_file", self.folder.join(KEY).into());
        }
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
        let start = |folder: &str| Start::new("/bin".into(), Path::new(folder), Vec::new(), None);
        assert_eq!(start("/tmp/x").sockets, "/tmp/x");
        assert_eq!(start(&format!("/{}", "x".repeat(100))).sockets, "");
    }
}
