//! A private Redis.

use crate::{
    Error,
    blocking::blocking,
    locate::{self, Wanted},
    postgres::checked,
    process::Process,
    server::Server,
};
use nix::sys::signal::Signal;
use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const REDIS: Wanted = Wanted { programs: &["redis-server"], package: "redis-server" };
const VALKEY: Wanted = Wanted { programs: &["valkey-server"], package: "valkey-server" };
/// For one connection that asks whether the server is there; a local server needs a fraction.
const PROBE: Duration = Duration::from_secs(1);

/// How a private Redis is to be started.
#[derive(Clone, Debug, Default)]
pub struct RedisBuilder {
    valkey: bool,
    binaries: Option<PathBuf>,
    settings: Vec<(String, String)>,
    /// The directive that names a second port.
    second_port: Option<&'static str>,
    /// What a sentinel watches.
    sentinel: Option<String>,
}

impl RedisBuilder {
    /// Takes `redis-server` from this folder only. Default: from `$PATH`, then `/usr/bin` and
    /// `/usr/local/bin`.
    #[must_use]
    pub fn binaries(mut self, folder: impl Into<PathBuf>) -> Self {
        self.binaries = Some(folder.into());
        self
    }

    /// Starts Valkey, which speaks the same protocol.
    #[must_use]
    pub fn valkey(mut self) -> Self {
        self.valkey = true;
        self
    }

    /// Sets one directive of `redis.conf`, such as `maxmemory`; a later one wins.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Serves TLS too, on [`second_port`](Redis::second_port): with this certificate and key, to clients that show one signed by `ca`.
    #[must_use]
    pub fn tls(mut self, certificate: &Path, key: &Path, ca: &Path) -> Self {
        self.second_port = Some("tls-port");
        let settings = [("tls-cert-file", certificate), ("tls-key-file", key), ("tls-ca-cert-file", ca)];
        settings.into_iter().fold(self, |this, (name, file)| this.setting(name, file.display().to_string()))
    }

    /// A node of a cluster, without slots and without other nodes; its bus is on [`second_port`](Redis::second_port).
    #[must_use]
    pub fn cluster(mut self) -> Self {
        self.second_port = Some("cluster-port");
        // Whoever tests says when a replica takes over: on a busy machine a short timeout would.
        self.setting("cluster-enabled", "yes").setting("cluster-replica-no-failover", "yes")
    }

    /// A sentinel that watches the server on `primary` under the name `mymaster`, alone to decide that it is down. `auth` are lines of its
    /// configuration, such as `sentinel auth-pass mymaster …`. On a busy machine a server may be silent for a while: it takes one for dead after a
    /// minute, until it is [told](Redis::down_after) to be quicker.
    #[must_use]
    pub fn sentinel(mut self, primary: u16, auth: &str) -> Self {
        self.sentinel = Some(format!(
            "sentinel monitor mymaster 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds mymaster 60000\n\
             sentinel failover-timeout mymaster 2000\n{auth}\n"
        ));
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    /// [`Error::MissingBinary`], [`Error::BadName`], or what the server's own log says.
    pub async fn start(self) -> Result<Redis, Error> {
        blocking(move || self.start_blocking()).await
    }

    fn start_blocking(self) -> Result<Redis, Error> {
        let folders = self.binaries.map_or_else(
            || {
                let mut folders = locate::search_path();
                folders.extend(["/usr/bin", "/usr/local/bin"].map(PathBuf::from));
                folders
            },
            |folder| vec![folder],
        );
        let wanted = if self.valkey { VALKEY } else { REDIS };
        let program = locate::find(&wanted, folders)?.join(wanted.programs[0]);
        let mut settings = Vec::new();
        for (name, value) in &self.settings {
            settings.push((checked(name)?.to_owned(), value.clone()));
        }
        let server = Server::new("redis-server", None, "KILL")?;
        let (second_port, sentinel) = (self.second_port, self.sentinel);
        let start = Start { program, folder: server.folder().to_owned(), settings, second_port, sentinel };
        let port = server.launch_anywhere(|port| Ok(start.command(port)), answers)?;
        let url = format!("redis://127.0.0.1:{port}/0");
        Ok(Redis { url, shared: Arc::new(Shared { server, start, port }) })
    }
}

/// What it takes to start the server, again and again.
#[derive(Debug)]
struct Start {
    program: PathBuf,
    folder: PathBuf,
    settings: Vec<(String, String)>,
    second_port: Option<&'static str>,
    sentinel: Option<String>,
}

/// The second port goes with the first: a server that finds either taken tries another pair.
const fn second(port: u16) -> u16 {
    port ^ 1
}

impl Start {
    fn command(&self, port: u16) -> Vec<OsString> {
        let mut command = vec![OsString::from(&self.program)];
        if let Some(watches) = &self.sentinel {
            // It writes down in this file what it learns. Without the file it does not start, and says so.
            let file = self.folder.join("sentinel.conf");
            drop(std::fs::write(&file, watches));
            command.extend([file.into(), "--sentinel".into()]);
        }
        let mut set = |name: &str, value: OsString| {
            command.push(format!("--{name}").into());
            command.push(value);
        };
        set("port", port.to_string().into());
        set("bind", "127.0.0.1".into());
        set("dir", (&self.folder).into());
        if self.sentinel.is_none() {
            set("save", "".into());
            set("appendonly", "no".into());
        }
        if let Some(name) = self.second_port {
            set(name, second(port).to_string().into());
        }
        for (name, value) in &self.settings {
            set(name, value.into());
        }
        command
    }
}

#[derive(Debug)]
struct Shared {
    server: Server,
    start: Start,
    port: u16,
}

/// A private Redis on 127.0.0.1, without persistence or password. Dropping it ends it.
#[derive(Debug)]
pub struct Redis {
    shared: Arc<Shared>,
    url: String,
}

impl Redis {
    /// Settings other than the usual.
    #[must_use]
    pub fn builder() -> RedisBuilder {
        RedisBuilder::default()
    }

    /// Starts an empty server and waits until it answers.
    ///
    /// # Errors
    /// As [`RedisBuilder::start`].
    pub async fn start() -> Result<Self, Error> {
        Self::builder().start().await
    }

    /// `redis://127.0.0.1:PORT/0`; the same for the life of this value.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port on 127.0.0.1; the same for the life of this value.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// The other port: of TLS, or of the cluster's bus.
    #[must_use]
    pub fn second_port(&self) -> u16 {
        second(self.port())
    }

    /// The server's process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.shared.server.process().map(|process| process.pid)
    }

    /// Processor time used since the last start; zero while it does not run.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        self.shared.server.cpu_time()
    }

    /// Everything the server has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.shared.server.log()
    }

    /// Ends the server with SIGKILL; when this returns its port refuses. No error if it has ended.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::TimedOut`].
    pub async fn kill(&self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.server.stop(Signal::SIGKILL)).await
    }

    /// Kills the server if it runs and starts it on the same port, empty.
    ///
    /// # Errors
    /// As [`RedisBuilder::start`]; [`Error::Ended`] also when another process has taken the port.
    pub async fn restart(&self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let Shared { server, start, port } = &*shared;
            server.stop(Signal::SIGKILL)?;
            server.launch(&start.command(*port), |process| answers(*port, process))
        })
        .await
    }

    /// Has a sentinel take its server for dead once that was silent for so long: a short time right before it is killed.
    ///
    /// # Errors
    /// [`Error::Io`], also where this is no sentinel.
    pub async fn down_after(&self, silence: Duration) -> Result<(), Error> {
        let port = self.port();
        blocking(move || set_down_after(port, silence).map_err(Error::io("tell the sentinel when its server is down")))
            .await
    }

    /// Halts the server: it still accepts connections (the kernel does) and never answers.
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

/// Whether the server on `port` is this process: another Redis may have had the port first.
fn answers(port: u16, process: Process) -> bool {
    process_id(port).is_ok_and(|text| text.trim() == process.pid.to_string())
}

fn ask(port: u16, line: &[u8], patience: Duration) -> io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(line)?;
    Ok(stream)
}

fn set_down_after(port: u16, silence: Duration) -> io::Result<()> {
    let line = format!("SENTINEL SET mymaster down-after-milliseconds {}\r\n", silence.as_millis());
    let stream = ask(port, line.as_bytes(), Duration::from_secs(30))?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.trim() == "+OK" { Ok(()) } else { Err(io::Error::other(answer)) }
}

fn process_id(port: u16) -> io::Result<String> {
    let stream = ask(port, b"INFO server\r\n", PROBE)?;
    // A sentinel knows no QUIT: the line that is looked for ends the reading.
    for line in BufReader::new(stream.take(64 << 10)).lines() {
        if let Some(id) = line?.strip_prefix("process_id:") {
            return Ok(id.to_owned());
        }
    }
    Ok(String::new())
}
