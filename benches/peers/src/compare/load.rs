use std::{io::Write, process::Stdio};

use anyhow::Context;
use edge_cache_peers::report::{READY, Report};

use crate::{
    bench::{Bench, own},
    process::Process,
    server::Server,
    system::CpuTime,
};

/// What the loader is to ask.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) rate: Option<f64>,
    pub(crate) connections: usize,
    pub(crate) requests: u64,
    /// Path and query, with `{}` where the key belongs.
    pub(crate) target: String,
    pub(crate) bytes: u64,
    pub(crate) keys: u64,
    pub(crate) first: u64,
    /// One key after the other instead of any.
    pub(crate) in_sequence: bool,
    /// For a server that knows one answer.
    pub(crate) constant: bool,
}

impl Load {
    /// `requests` for any of `keys` items of `bytes`, on 64 connections that ask again when they have an answer.
    pub(crate) fn items(bytes: u64, keys: u64, requests: u64) -> Self {
        let target = format!("/item/{{}}?bytes={bytes}");
        Self {
            rate: None,
            connections: 64,
            requests,
            target,
            bytes,
            keys,
            first: 0,
            in_sequence: false,
            constant: false,
        }
    }

    /// The same of what may not be stored.
    pub(crate) fn private(bytes: u64, keys: u64, requests: u64) -> Self {
        Self { target: format!("/private/{{}}?bytes={bytes}"), ..Self::items(bytes, keys, requests) }
    }

    /// For the floor, which knows one answer.
    pub(crate) fn constant(self) -> Self {
        Self { constant: true, ..self }
    }

    /// Each key once.
    pub(crate) fn fill(&self) -> Self {
        Self { rate: None, connections: 16, requests: self.keys, in_sequence: true, ..self.clone() }
    }

    fn args(&self, server: &Server) -> Vec<String> {
        let mut args = vec![(if self.rate.is_some() { "open" } else { "closed" }).to_owned()];
        let mut set = |name: &str, value: &dyn ToString| args.extend([format!("--{name}"), value.to_string()]);
        set("address", &server.address);
        set("connections", &self.connections);
        set("requests", &self.requests);
        set("target", &self.target);
        set("bytes", &self.bytes);
        set("keys", &self.keys);
        set("first", &self.first);
        set("order", &if self.in_sequence { "sequence" } else { "random" });
        if let Some(rate) = self.rate {
            set("rate", &rate);
        }
        if self.constant {
            args.push("--constant".to_owned());
        }
        args
    }
}

/// What one turn found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) report: Report,
    /// Processor time of the server, in nanoseconds.
    pub(crate) cpu: u64,
    /// Requests that reached what stands behind the server.
    pub(crate) fetched: u64,
}

impl Turn {
    /// Processor time per request, in microseconds.
    pub(crate) fn cpu_micros(&self) -> f64 {
        self.cpu as f64 / 1e3 / self.report.requests.max(1) as f64
    }
}

/// Lets the loader ask `server`.
pub(crate) fn turn(bench: &Bench, server: &Server, load: &Load) -> anyhow::Result<Turn> {
    Loader::start(bench, &[bench.args.loader_core], load.args(server))?.turn(server)
}

/// A loader that has opened its connections and waits.
#[derive(Debug)]
pub(crate) struct Loader(Process);

impl Loader {
    pub(crate) fn start(bench: &Bench, cores: &[usize], args: Vec<String>) -> anyhow::Result<Self> {
        bench.go_on()?;
        let mut process = Process::start(&own("load")?, &args, &[], cores, Stdio::inherit())?;
        let line = process.line().with_context(|| format!("load {}", args.join(" ")))?;
        anyhow::ensure!(line == READY, "the loader said `{line}`");
        Ok(Self(process))
    }

    /// Like `turn`, on any cores.
    pub(crate) fn ready(bench: &Bench, cores: &[usize], server: &Server, load: &Load) -> anyhow::Result<Self> {
        Self::start(bench, cores, load.args(server))
    }

    /// What became of the requests that opened the connections; for a loader that has no more to do.
    pub(crate) fn idle(&mut self) -> anyhow::Result<Report> {
        let line = self.go()?;
        serde_json::from_str(&line).with_context(|| format!("the loader said `{line}`"))
    }

    fn go(&mut self) -> anyhow::Result<String> {
        self.begin()?;
        self.0.line()
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let stdin = self.0.stdin().context("the loader listens no more")?;
        stdin.write_all(b"go\n")?;
        stdin.flush()?;
        Ok(())
    }

    /// The turn itself; counters are read right before and after it. The connections stay open until this is dropped.
    pub(crate) fn turn(&mut self, server: &Server) -> anyhow::Result<Turn> {
        let fetched = server.fetched()?;
        let cpu = CpuTime::of(server.pid())?;
        let line = self.go().with_context(|| format!("the loader of {}", server.name))?;
        let cpu = CpuTime::of(server.pid())?.since(&cpu);
        let report = serde_json::from_str(&line).with_context(|| format!("the loader said `{line}`"))?;
        Ok(Turn { report, cpu, fetched: server.fetched()? - fetched })
    }
}

/// A turn of several loaders at once, and of all servers that they ask.
pub(crate) fn turn_together(mut loaders: Vec<Loader>, servers: &[Server]) -> anyhow::Result<Turn> {
    let fetched = || servers.iter().map(Server::fetched).sum::<anyhow::Result<u64>>();
    let times = || servers.iter().map(|server| CpuTime::of(server.pid())).collect::<anyhow::Result<Vec<_>>>();
    let (fetched_before, before) = (fetched()?, times()?);
    loaders.iter_mut().try_for_each(Loader::begin)?;
    let lines = loaders.iter_mut().map(|loader| loader.0.line()).collect::<anyhow::Result<Vec<_>>>()?;
    let cpu = times()?.iter().zip(&before).map(|(after, before)| after.since(before)).sum();
    let read = |line: &String| serde_json::from_str(line).with_context(|| format!("the loader said `{line}`"));
    let reports = lines.iter().map(read).collect::<anyhow::Result<Vec<Report>>>()?;
    let report = reports.into_iter().reduce(Report::beside).context("a turn needs a loader")?;
    Ok(Turn { report, cpu, fetched: fetched()? - fetched_before })
}
