use std::{
    env,
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use edge_cache_origin::database::{Database, DatabaseConfig};
use nix::{
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    Client, Samples,
    output::Output,
    wait::{PATIENCE, within},
};

/// How `cache-proxy` is to be started.
#[derive(Debug)]
#[must_use = "nothing runs before `start` or `to_end`"]
pub struct ProxyBuilder {
    command: Command,
    admin: bool,
    folder: TempDir,
    logs_to: Option<std::io::PipeWriter>,
}

/// A running `cache-proxy`, killed when dropped. After a panic it shows what the process logged.
#[derive(Debug)]
pub struct Proxy {
    /// Where clients connect.
    pub address: SocketAddr,
    admin: Option<SocketAddr>,
    child: Child,
    stdout: Output,
    stderr: Output,
    folder: TempDir,
}

/// A `cache-proxy` that has ended by itself.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// The binary beside this test's.
fn program() -> PathBuf {
    let own = env::current_exe().expect("this test is a file");
    let beside = own.parent().expect("a program stands in a folder");
    // Tests stand in a folder of their own beside the programs.
    let folder = if beside.ends_with("deps") { beside.parent().unwrap_or(beside) } else { beside };
    let program = folder.join("cache-proxy");
    assert!(program.is_file(), "{} is missing: `cargo build -p cache-proxy` makes it", program.display());
    program
}

impl ProxyBuilder {
    fn new() -> Self {
        let mut command = Command::new(program());
        for (name, _) in env::vars_os().filter(|(name, _)| is_foreign(name)) {
            command.env_remove(name);
        }
        // Killed, it cannot tidy up: what it leaves behind goes with this folder.
        let folder = tempfile::tempdir().expect("a temporary folder");
        command.env("TMPDIR", folder.path());
        Self { command, admin: false, folder, logs_to: None }
    }

    /// `cache-proxy ARGS`, without listeners.
    pub fn bare(args: &[&str]) -> Self {
        Self::new().args(args)
    }

    /// `cache-proxy demo` on free ports.
    pub fn demo() -> Self {
        Self::bare(&["demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).with_admin()
    }

    /// `cache-proxy serve --origin URL` on free ports.
    pub fn serve(origin: &str) -> Self {
        Self::serve_with_admin_at(origin, "127.0.0.1:0")
    }

    /// The same with operators at another address.
    pub fn serve_with_admin_at(origin: &str, admin: &str) -> Self {
        Self::bare(&["serve", "--origin", origin, "--listen", "127.0.0.1:0", "--admin", admin]).with_admin()
    }

    /// `cache-proxy serve --config FILE` with `toml`, on free ports.
    ///
    /// # Panics
    /// When there is no place for the file.
    pub fn config(toml: &str) -> Self {
        let this = Self::new().with_admin();
        let file = this.folder.path().join("cache-proxy.toml");
        std::fs::write(&file, toml).expect("the folder takes files");
        let file = file.to_str().expect("a path of plain letters");
        this.args(&["serve", "--config", file, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
    }

    /// `cache-proxy serve --config FILE`, where the file itself says where to listen: an admin listener among that.
    ///
    /// # Panics
    /// When the path is not of plain letters.
    pub fn config_file(file: &Path) -> Self {
        let file = file.to_str().expect("a path of plain letters");
        Self::bare(&["serve", "--config", file]).with_admin()
    }

    fn with_admin(mut self) -> Self {
        self.admin = true;
        self
    }

    /// Further arguments.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// A variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// It waits for Redis, for the database, and for what another request fetches, as long as a test does at most: for tests that are about none
    /// of these limits, which a busy machine must not decide.
    pub fn patient(self) -> Self {
        const LIMITS: [&str; 6] = [
            "REDIS__READ_TIMEOUT",
            "REDIS__WRITE_TIMEOUT",
            "DATABASE__ACQUIRE_TIMEOUT",
            "DATABASE__QUEUE_TIMEOUT",
            "DATABASE__STATEMENT_TIMEOUT",
            "CACHE__WAIT_MAX",
        ];
        let patience = format!("{}s", PATIENCE.as_secs());
        LIMITS.iter().fold(self, |this, limit| this.env(&format!("CACHE_PROXY__{limit}"), &patience))
    }

    /// It logs to `pipe`, of which the test knows who reads it.
    pub fn logs_to(mut self, pipe: std::io::PipeWriter) -> Self {
        self.logs_to = Some(pipe);
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// When it does not; with what it said.
    pub async fn start(self) -> Proxy {
        let admin = self.admin;
        let mut proxy = self.spawn();
        proxy.address = proxy.announced("listening http://").await;
        if admin {
            proxy.admin = Some(proxy.announced("admin http://").await);
        }
        proxy
    }

    /// Starts it, for what listens nowhere: its address leads nowhere.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn spawn(mut self) -> Proxy {
        let logs = self.logs_to.map_or_else(Stdio::piped, Stdio::from);
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(logs);
        let mut child = self.command.spawn().expect("the program can be run");
        // With it goes this process's end of the pipe.
        drop(self.command);
        let stdout = Output::of(child.stdout.take().expect("stdout is a pipe"));
        let stderr = match child.stderr.take() {
            Some(pipe) => Output::of(pipe),
            None => Output::of(std::io::empty()),
        };
        let unbound = SocketAddr::from(([0, 0, 0, 0], 0));
        // From here on it is killed whatever goes wrong.
        Proxy { address: unbound, admin: None, child, stdout, stderr, folder: self.folder }
    }

    /// Starts it and waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not.
    pub async fn to_end(self) -> Ended {
        self.to_end_within(PATIENCE).await
    }

    /// The same for what takes its time.
    ///
    /// # Panics
    /// When it does not end within `patience`.
    pub async fn to_end_within(self, patience: Duration) -> Ended {
        self.spawn().ended_within(patience).await
    }
}

/// Whether a variable would steer the child: it is to run as the test says and not as the shell around says.
fn is_foreign(name: &OsString) -> bool {
    name.to_str().is_none_or(|name| name.starts_with("CACHE_PROXY") || name == "RUST_LOG" || name == "DATABASE_URL")
}

/// Processor time of a server, to the nanosecond.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    /// Of all its threads.
    pub all: Duration,
    /// Of those that answer requests.
    pub serving: Duration,
}

impl Proxy {
    /// The address that it printed after `start`.
    ///
    /// # Panics
    /// When it ended without printing one.
    pub async fn announced(&self, start: &str) -> SocketAddr {
        let line = self.stdout.line(|line| line.starts_with(start)).await;
        let line = line.unwrap_or_else(|| panic!("no `{start}…` but: {}", self.stderr.text()));
        line[start.len()..].parse().expect("an address follows")
    }

    /// A client.
    #[must_use]
    pub const fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// A GET, answered.
    pub async fn get(&self, target: &str) -> crate::Answer {
        self.client().get(target).send().await
    }

    /// A client of the admin listener.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn admin(&self) -> Client {
        Client::new(self.admin.expect("it was started with an admin listener"))
    }

    /// Where operators connect.
    ///
    /// # Panics
    /// When there is no admin listener.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.expect("it was started with an admin listener")
    }

    /// Halts the process.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn pause(&self) {
        kill(self.pid(), Signal::SIGSTOP).expect("it runs");
    }

    /// Lets a halted process go on.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn resume(&self) {
        kill(self.pid(), Signal::SIGCONT).expect("it runs");
    }

    /// Sends SIGHUP: it reads its configuration again.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn hang_up(&self) {
        kill(self.pid(), Signal::SIGHUP).expect("it runs");
    }

    /// The number of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("process ids are small"))
    }

    /// The metrics as they are now.
    ///
    /// # Panics
    /// When there is no admin listener.
    pub async fn metrics(&self) -> Samples {
        Samples::scrape(self.admin.expect("it was started with an admin listener")).await
    }

    /// Purges as `body` says.
    ///
    /// # Panics
    /// When the purge is refused.
    pub async fn purge(&self, body: serde_json::Value) {
        let answer = self.admin().post("/purge", &body).send().await;
        assert!(answer.status.is_success(), "{answer:?}");
    }

    /// Writes another configuration and has it read.
    ///
    /// # Panics
    /// When it was started without one, or has ended.
    pub fn reload(&self, toml: &str) {
        std::fs::write(self.folder.path().join("cache-proxy.toml"), toml).expect("the folder takes files");
        kill(self.pid(), Signal::SIGHUP).expect("it runs");
    }

    /// What it has printed.
    #[must_use]
    pub fn printed(&self) -> String {
        self.stdout.text()
    }

    /// Waits for a line of its log that contains `text`.
    ///
    /// # Panics
    /// When none comes.
    pub async fn logged(&self, text: &str) -> String {
        let line = self.stderr.line(|line| line.contains(text)).await;
        line.unwrap_or_else(|| panic!("it ended without logging `{text}`"))
    }

    /// The most memory that the process has held, in bytes, and not to the byte: the kernel keeps this mark without adding
    /// up what each processor has counted, but adds it up for what is resident now. So what was resident at some moment
    /// may be somewhat above it, and a later mark below an earlier one.
    ///
    /// # Panics
    /// When the system does not tell.
    #[must_use]
    pub fn memory_peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel counts memory");
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number of KiB");
        kib << 10
    }

    /// Processor time that its threads have used; those that have ended are not counted.
    ///
    /// # Panics
    /// When the system does not tell.
    #[must_use]
    pub fn cpu_time(&self) -> CpuTime {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let of = |thread: std::io::Result<std::fs::DirEntry>| {
            let path = thread.ok()?.path();
            let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
            let nanos = text.split_whitespace().next()?.parse().ok()?;
            let serves = std::fs::read_to_string(path.join("comm")).ok()?.starts_with("serve-");
            Some((Duration::from_nanos(nanos), serves))
        };
        threads.filter_map(of).fold(CpuTime::default(), |all, (time, serves)| CpuTime {
            all: all.all + time,
            serving: all.serving + if serves { time } else { Duration::ZERO },
        })
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn terminate(&self) {
        kill(self.pid(), Signal::SIGTERM).expect("it runs");
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not.
    pub async fn ended(self) -> Ended {
        self.ended_within(PATIENCE).await
    }

    /// The same for what takes its time.
    ///
    /// # Panics
    /// When it does not end within `patience`.
    pub async fn ended_within(mut self, patience: Duration) -> Ended {
        let look = async || self.child.try_wait().expect("it is a child of ours");
        let status = within(patience, "the process ends", look).await;
        Ended { code: status.code(), stdout: self.stdout.all().await, stderr: self.stderr.all().await }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // One that has ended already needs no killing.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("--- cache-proxy {} logged:\n{}", self.child.id(), self.stderr.text());
        }
    }
}

/// Lets this process open as many files as it may: each client of a crowd needs one.
///
/// # Panics
/// When the limit cannot be read or raised.
pub fn allow_files() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit can be read");
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("a soft limit can be raised");
    }
}

/// A connection of the test's own to `url`, which waits as long as a test does.
///
/// # Panics
/// When the database does not answer.
pub async fn pooled_database(url: &str) -> Database {
    let config = DatabaseConfig { url: url.to_owned(), connections_max: 2, ..patient_database() };
    Database::connect(config).await.expect("the database answers")
}

/// A database whose limits of time are those of a test: for tests that are about none of them.
#[must_use]
pub fn patient_database() -> DatabaseConfig {
    DatabaseConfig {
        acquire_timeout: PATIENCE,
        queue_timeout: PATIENCE,
        statement_timeout: PATIENCE,
        ..DatabaseConfig::default()
    }
}
