//! From settings to a running PgBouncer.

use super::{PgBouncer, Shared};
use crate::{
    Error,
    blocking::blocking,
    locate::{self, Wanted},
    postgres::{ask, checked, url},
    server::Server,
    user,
};
use std::{
    ffi::OsString,
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

const PROGRAM: Wanted = Wanted { programs: &["pgbouncer"], package: "pgbouncer" };
/// Where Debian puts it, which is not in the path of ordinary users.
const FOLDER: &str = "/usr/sbin";
const FILE: &str = "pgbouncer.ini";
const USERS: &str = "users";

/// How a private PgBouncer is to be started.
#[derive(Clone, Debug)]
pub struct PgBouncerBuilder {
    behind: u16,
    binaries: Option<PathBuf>,
    settings: Vec<(String, String)>,
}

impl PgBouncerBuilder {
    pub(super) fn new(behind: u16) -> Self {
        Self { behind, binaries: None, settings: Vec::new() }
    }

    /// Takes `pgbouncer` from this folder only. Default: from `$PATH`, then `/usr/sbin`.
    #[must_use]
    pub fn binaries(mut self, folder: impl Into<PathBuf>) -> Self {
        self.binaries = Some(folder.into());
        self
    }

    /// Sets one parameter of the section `[pgbouncer]`, such as `pool_mode` (here `transaction`
    /// unless set) or `default_pool_size`; a later one wins, also over those that this crate sets.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Starts it and waits until its console answers.
    ///
    /// # Errors
    /// [`Error::MissingBinary`], [`Error::NoUnprivilegedUser`], [`Error::BadName`], or what its own
    /// log says.
    pub async fn start(self) -> Result<PgBouncer, Error> {
        blocking(move || self.start_blocking()).await
    }

    fn start_blocking(self) -> Result<PgBouncer, Error> {
        let folders = self.binaries.map_or_else(
            || {
                let mut folders = locate::search_path();
                folders.push(FOLDER.into());
                folders
            },
            |folder| vec![folder],
        );
        let program = locate::find(&PROGRAM, folders)?.join(PROGRAM.programs[0]);
        for (name, value) in &self.settings {
            checked(name)?;
            if value.contains(['\n', '\r']) {
                return Err(Error::BadName(value.clone()));
            }
        }
        // Nothing of it is worth an orderly end.
        let server = Server::new("pgbouncer", user::unprivileged()?.as_ref(), "KILL")?;
        server.write(USERS, "\"postgres\" \"\"\n")?;
        let (file, users) = (server.folder().join(FILE), server.folder().join(USERS));
        let start = Start { program, file, users, behind: self.behind, settings: self.settings };
        let port = server
            .launch_anywhere(|port| start.command(&server, port), |port, _| ask::is_pooler(port, start.file()))?;
        Ok(PgBouncer { url: url(port, "pitchey"), shared: Arc::new(Shared { server, start, port }) })
    }
}

/// What it takes to start it, again and again.
#[derive(Debug)]
pub(super) struct Start {
    program: PathBuf,
    file: PathBuf,
    users: PathBuf,
    behind: u16,
    settings: Vec<(String, String)>,
}

impl Start {
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Writes its file first: it takes its port from nowhere else.
    pub(super) fn command(&self, server: &Server, port: u16) -> Result<Vec<OsString>, Error> {
        server.write(FILE, &self.text(port))?;
        Ok(vec![self.program.clone().into(), self.file.clone().into()])
    }

    fn text(&self, port: u16) -> String {
        let mut text = format!("[databases]\n* = host=127.0.0.1 port={}\n\n[pgbouncer]\n", self.behind);
        let mut set = |name: &str, value: &str| {
            writeln!(text, "{name} = {value}").expect("a String takes everything");
        };
        set("listen_addr", "127.0.0.1");
        set("listen_port", &port.to_string());
        set("unix_socket_dir", "");
        set("auth_type", "trust");
        set("auth_file", &self.users.to_string_lossy());
        // Roles that a test creates are looked up by this one.
        set("auth_user", "postgres");
        set("admin_users", "postgres");
        set("pool_mode", "transaction");
        for (name, value) in &self.settings {
            set(name, value);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_stands_behind_those_of_the_crate_so_that_it_wins() {
        let start = Start {
            program: "/bin/pgbouncer".into(),
            file: "/x/pgbouncer.ini".into(),
            users: "/x/users".into(),
            behind: 5432,
            settings: vec![("pool_mode".into(), "session".into())],
        };
        let text = start.text(6432);
        assert!(text.starts_with("[databases]\n* = host=127.0.0.1 port=5432\n"));
        assert!(text.contains("\nlisten_port = 6432\n"));
        assert!(text.ends_with("\npool_mode = transaction\npool_mode = session\n"));
    }
}
