use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::{
    bench,
    process::{self, Process},
};

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    /// Where requests that it does not answer by itself are counted.
    pub(crate) counted: Option<SocketAddr>,
    /// When its program was started.
    pub(crate) started: Instant,
    process: Process,
    _folder: TempDir,
}

/// A server to be started.
#[derive(Debug)]
pub(crate) struct Launch {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(&'static str, String)>,
    cores: Vec<usize>,
    counted: Option<SocketAddr>,
    folder: TempDir,
}

impl Launch {
    pub(crate) fn new(name: &str, program: PathBuf, cores: &[usize]) -> anyhow::Result<Self> {
        let (name, cores, folder) = (name.to_owned(), cores.to_vec(), bench::folder()?);
        Ok(Self { name, program, args: Vec::new(), env: Vec::new(), cores, counted: None, folder })
    }

    pub(crate) fn args<T: ToString>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.to_string()));
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    pub(crate) fn counted(mut self, origin: SocketAddr) -> Self {
        self.counted = Some(origin);
        self
    }

    /// Its folder, which goes with it.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into its folder.
    pub(crate) fn file(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.folder().join(name);
        fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// Starts one that prints `announcement` and its address.
    pub(crate) fn announced(self, announcement: &str) -> anyhow::Result<Server> {
        let (errors, started) = (process::errors(self.folder())?, Instant::now());
        let process = Process::start(&self.program, &self.args, &self.env, &self.cores, errors)?;
        self.announced_by(process, announcement, started)
    }

    /// The same with nothing between: to measure how long it takes.
    pub(crate) fn announced_at_once(self, announcement: &str) -> anyhow::Result<Server> {
        let started = Instant::now();
        let process = Process::start_bare(&self.program, &self.args, &self.env, &self.cores)?;
        self.announced_by(process, announcement, started)
    }

    fn announced_by(self, mut process: Process, announcement: &str, started: Instant) -> anyhow::Result<Server> {
        let address = loop {
            let line = process.line().with_context(|| self.complaint())?;
            if let Some(address) = line.strip_prefix(announcement) {
                break address.parse().with_context(|| format!("{} announced `{line}`", self.name))?;
            }
        };
        Ok(Server { name: self.name, address, counted: self.counted, started, process, _folder: self.folder })
    }

    /// Starts one that listens on `address` and says nothing.
    pub(crate) fn silent(self, address: SocketAddr) -> anyhow::Result<Server> {
        let (errors, started) = (process::errors(self.folder())?, Instant::now());
        let mut process = Process::start(&self.program, &self.args, &self.env, &self.cores, errors)?;
        while TcpStream::connect(address).is_err() {
            anyhow::ensure!(!process.has_ended() && started.elapsed() < PATIENCE, "{}", self.complaint());
            // There is no event to wait for: these servers tell nobody when they listen.
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Server { name: self.name, address, counted: self.counted, started, process, _folder: self.folder })
    }

    fn complaint(&self) -> String {
        let errors = fs::read_to_string(self.folder().join("errors")).unwrap_or_default();
        format!("{} does not listen: {errors}", self.name)
    }
}

impl Server {
    pub(crate) const fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// How many requests reached what stands behind it.
    pub(crate) fn fetched(&self) -> anyhow::Result<u64> {
        let Some(counted) = self.counted else { return Ok(0) };
        let body = get(counted, "/count")?;
        body.trim().parse().with_context(|| format!("the count is `{body}`"))
    }
}

/// The body of an answer.
pub(crate) fn get(address: SocketAddr, target: &str) -> anyhow::Result<String> {
    exchange(address, target).map(|(_, body)| body)
}

/// The head of an answer.
pub(crate) fn head(address: SocketAddr, target: &str) -> anyhow::Result<String> {
    exchange(address, target).map(|(head, _)| head)
}

/// Asks on a connection of its own, which ends with the answer.
fn exchange(address: SocketAddr, target: &str) -> anyhow::Result<(String, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", edge_cache_peers::HOST)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    anyhow::ensure!(head.starts_with("HTTP/1.1 200 "), "{target}: {head}");
    Ok((head.to_owned(), body.to_owned()))
}

/// An address that the kernel says is free, for servers that cannot say which they took.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
