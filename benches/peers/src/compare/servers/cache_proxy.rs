use std::{fmt::Write, path::Path, process::Command};

use crate::{
    bench::Bench,
    server::{Launch, Server},
};

/// How `cache-proxy` is set up: as it comes, but for what is said here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheProxy {
    pub(crate) name: &'static str,
    pub(crate) telemetry: bool,
    pub(crate) access_log: bool,
    pub(crate) threads: usize,
    /// Budget of its memory tier, and its longest body.
    pub(crate) memory_bytes: u64,
    pub(crate) body_bytes_max: u64,
}

impl Default for CacheProxy {
    fn default() -> Self {
        let (memory_bytes, body_bytes_max) = (256 << 20, 1 << 20);
        Self { name: "cache-proxy", telemetry: true, access_log: false, threads: 1, memory_bytes, body_bytes_max }
    }
}

/// How it says where it listens.
const ANNOUNCEMENT: &str = "listening http://";

impl CacheProxy {
    /// Starts it on the core of servers.
    pub(crate) fn start(self, bench: &Bench, origin: &Server) -> anyhow::Result<Server> {
        self.launch(bench, origin, &[bench.args.server_core])?.announced(ANNOUNCEMENT)
    }

    /// Starts it on `cores`.
    pub(crate) fn start_on(self, bench: &Bench, origin: &Server, cores: &[usize]) -> anyhow::Result<Server> {
        self.launch(bench, origin, cores)?.announced(ANNOUNCEMENT)
    }

    /// Starts it with nothing between, to measure how long it takes.
    pub(crate) fn start_at_once(self, bench: &Bench, origin: &Server) -> anyhow::Result<Server> {
        self.launch(bench, origin, &[bench.args.server_core])?.announced_at_once(ANNOUNCEMENT)
    }

    fn launch(self, bench: &Bench, origin: &Server, cores: &[usize]) -> anyhow::Result<Launch> {
        let program = bench.args.cache_proxy.canonicalize()?;
        let (threads, variable) = self.threads(&program)?;
        let launch = Launch::new(self.name, program, cores)?.counted(origin.address);
        let file = launch.file("cache-proxy.toml", &(threads + &self.settings(origin, &launch)?))?;
        let launch = launch.args(["serve", "--config", &file, "--listen", "127.0.0.1:0"]);
        Ok(match variable {
            Some((name, value)) => launch.env(name, &value),
            None => launch,
        })
    }

    /// How many threads serve: by its setting, or, in versions that have none, by the runtime's own variable.
    fn threads(self, program: &Path) -> anyhow::Result<(String, Option<(&'static str, String)>)> {
        let defaults = Command::new(program).args(["config", "--print-defaults"]).output()?;
        let defaults: toml::Table = toml::from_str(&String::from_utf8(defaults.stdout)?)?;
        let listen = defaults.get("listen").and_then(toml::Value::as_table);
        if listen.is_some_and(|listen| listen.contains_key("threads")) {
            return Ok((format!("[listen]\nthreads = {}\n", self.threads), None));
        }
        Ok((String::new(), Some(("TOKIO_WORKER_THREADS", self.threads.to_string()))))
    }

    fn settings(self, origin: &Server, launch: &Launch) -> anyhow::Result<String> {
        let mut toml = String::new();
        writeln!(toml, "[origin]\nurl = \"http://{}\"", origin.address)?;
        writeln!(toml, "[memory]\ncapacity_bytes = {}\nbody_bytes_max = {}", self.memory_bytes, self.body_bytes_max)?;
        // More than any question opens.
        writeln!(toml, "[limits]\nconnections_max = 20000")?;
        writeln!(toml, "[telemetry]\nenabled = {}", self.telemetry)?;
        if self.access_log {
            writeln!(toml, "access_log = \"{}\"", launch.folder().join("access.log").display())?;
        }
        Ok(toml)
    }
}
