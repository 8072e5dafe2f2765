//! The server under test: this very executable as a child process.

use std::fs::File;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::mode::Mode;

/// Migrations are done by then, so that it only has to bind.
const START: Duration = Duration::from_secs(30);
/// Nothing is in flight any more when it is told to stop.
const STOP: Duration = Duration::from_secs(30);
const LOG_LINES: usize = 20;

/// A running `cache-proxy serve`. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    /// Where it answers.
    pub(crate) address: SocketAddr,
    /// Where it is watched.
    pub(crate) admin: SocketAddr,
}

impl Server {
    /// Starts it in a mode and waits until both listeners are bound.
    ///
    /// # Errors
    /// When it ends or stays silent instead; the message has the end of its log.
    pub(crate) async fn start(mode: Mode, database_url: &str, redis_url: &str) -> anyhow::Result<Self> {
        let started = Self::start_in(folder()?, &mode.config(database_url, redis_url)).await;
        started.with_context(|| format!("mode {}", mode.label()))
    }

    /// Starts it with a configuration in a folder, which may be that of one that has [ended](Self::end), and waits until both listeners are
    /// bound.
    ///
    /// # Errors
    /// When it ends or stays silent instead; the message has the end of its log.
    pub(crate) async fn start_in(folder: TempDir, text: &str) -> anyhow::Result<Self> {
        let config = folder.path().join("config.toml");
        std::fs::write(&config, text).context("the server's configuration cannot be written")?;
        let log = File::create(folder.path().join("log")).context("the server's log cannot be written")?;
        let program = std::env::current_exe().context("this program's own path is unknown")?;
        let mut command = Command::new(program);
        // What the surrounding shell overrides must not decide what is measured.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CACHE_PROXY_")) {
            command.env_remove(name);
        }
        command.arg("serve").arg("--config").arg(&config);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        let mut child = command.spawn().context("the server cannot be started")?;
        let stdout = child.stdout.take().expect("its standard output is piped");
        match timeout(START, announced(BufReader::new(stdout))).await {
            Ok(Ok((address, admin))) => Ok(Self { child, folder, address, admin }),
            Ok(Err(error)) => Err(error.context(format!("the server did not start{}", tail(&folder)))),
            Err(_) => bail!("the server was not ready in {START:?}{}", tail(&folder)),
        }
    }

    /// Its process id, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// When it had ended before, stops with a failure, or does not stop in time (it is killed then).
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.end().await.map(drop)
    }

    /// [Stops](Self::stop) it and leaves its folder, with what it has left there for the next one.
    ///
    /// # Errors
    /// As `stop`.
    pub(crate) async fn end(mut self) -> anyhow::Result<TempDir> {
        let pid =
            self.pid().ok_or_else(|| anyhow!("the server had ended before it was told to{}", tail(&self.folder)))?;
        let pid = Pid::from_raw(i32::try_from(pid).context("a process id out of range")?);
        kill(pid, Signal::SIGTERM).context("the server cannot be told to stop")?;
        match timeout(STOP, self.child.wait()).await {
            Ok(status) => {
                let status = status.context("the server's end cannot be observed")?;
                if !status.success() {
                    bail!("the server stopped with {status}{}", tail(&self.folder));
                }
                Ok(self.folder)
            }
            Err(_) => {
                self.child.kill().await.context("the server cannot be killed")?;
                bail!("the server did not stop in {STOP:?} and was killed{}", tail(&self.folder))
            }
        }
    }
}

/// A folder of its own for a server.
///
/// # Errors
/// When there is no room for one.
pub(crate) fn folder() -> anyhow::Result<TempDir> {
    tempfile::Builder::new().prefix("cache-proxy-bench-").tempdir().context("no temporary folder")
}

/// The two addresses that the server prints once it is bound; whatever it prints later is read and dropped.
async fn announced(
    stdout: impl tokio::io::AsyncBufRead + Unpin + Send + 'static,
) -> anyhow::Result<(SocketAddr, SocketAddr)> {
    let mut lines = stdout.lines();
    let (mut address, mut admin) = (None, None);
    loop {
        let line = lines.next_line().await.context("its output cannot be read")?;
        let line = line.ok_or_else(|| anyhow!("it ended"))?;
        address = address.or_else(|| after(&line, "listening http://"));
        admin = admin.or_else(|| after(&line, "admin http://"));
        if let (Some(address), Some(admin)) = (address, admin) {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok((address, admin));
        }
    }
}

fn after(line: &str, prefix: &str) -> Option<SocketAddr> {
    line.trim().strip_prefix(prefix)?.trim_end_matches('/').parse().ok()
}

fn tail(folder: &TempDir) -> String {
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
    if last.is_empty() { String::new() } else { format!("; its log ends:\n{}", last.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_read_among_other_lines() {
        let output: &[u8] = b"hello\nadmin http://127.0.0.1:9901\nlistening http://127.0.0.1:8080\nmore\n";
        let (address, admin) = announced(output).await.unwrap();
        assert_eq!((address.port(), admin.port()), (8080, 9901));
    }

    #[tokio::test]
    async fn an_end_before_both_addresses_is_an_error() {
        assert!(announced(&b"listening http://127.0.0.1:8080\n"[..]).await.is_err());
    }
}
