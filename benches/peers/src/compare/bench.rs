use std::{
    env,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use anyhow::Context;
use serde_json::{Map, Value};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::{args::Args, system, table::Table};

/// What all questions share.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) args: Args,
    /// All that was found, by question.
    pub(crate) answers: Map<String, Value>,
    /// Why the figures are not to be relied on, if they are not.
    pub(crate) faults: Vec<String>,
    stop: Arc<AtomicBool>,
}

impl Bench {
    pub(crate) fn new(args: Args) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        // Servers end with what holds them: whoever interrupts this lets it return instead of killing it.
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, stop.clone())?;
        }
        system::allow_files()?;
        let path = &args.cache_proxy;
        let missing =
            "is missing: `cargo build --release -p cache-proxy` makes it; `--cache-proxy PATH` says where it is";
        anyhow::ensure!(path.is_file(), "{} {missing}", path.display());
        Ok(Self { args, answers: Map::new(), faults: Vec::new(), stop })
    }

    /// Returns an error once somebody wants this to end.
    pub(crate) fn go_on(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.stop.load(Relaxed), "interrupted");
        Ok(())
    }

    /// Whether a server is to take part.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.args.only.is_empty() || self.args.only.iter().any(|only| name.starts_with(only.as_str()))
    }

    /// Shows and keeps a table.
    pub(crate) fn show(&mut self, question: &str, table: Table) {
        println!("\n{table}");
        self.faults.extend(table.faults.iter().map(|fault| format!("{question}: {fault}")));
        let tables = self.answers.entry(question).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(tables) = tables {
            tables.push(table.json);
        }
    }
}

/// A program of this package: they are built together.
pub(crate) fn own(name: &str) -> anyhow::Result<PathBuf> {
    let program = env::current_exe()?.with_file_name(name);
    anyhow::ensure!(program.is_file(), "{} is missing: `cargo build --release` makes all programs", program.display());
    Ok(program)
}

/// A program of the system; servers often stand where only root's `PATH` leads.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A folder for what a server writes, in memory where the system has a place for that: disks are not compared here.
pub(crate) fn folder() -> anyhow::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
    tempfile::Builder::new().prefix("peers-").tempdir_in(parent).context("no folder for a server")
}
