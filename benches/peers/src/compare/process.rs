use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::Context;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{bench::installed, system};

/// How long a process may take to end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(5);

/// A process that ends at the latest when this does, however this ends.
#[derive(Debug)]
pub(crate) struct Process {
    child: Option<Child>,
    pid: Pid,
    stdout: BufReader<ChildStdout>,
    stdin: Option<ChildStdin>,
}

impl Process {
    /// Starts `program` on `cores`. What it says on standard error goes to `errors`.
    pub(crate) fn start(
        program: &Path,
        args: &[String],
        env: &[(&str, String)],
        cores: &[usize],
        errors: Stdio,
    ) -> anyhow::Result<Self> {
        // The kernel then ends it even if this process is killed.
        let mut command = match installed("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "TERM"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        Self::spawn(command.args(args).envs(env.iter().map(|(name, value)| (name, value))), program, cores, errors)
    }

    /// The same, with nothing between the start and the program itself.
    pub(crate) fn start_bare(
        program: &Path,
        args: &[String],
        env: &[(&str, String)],
        cores: &[usize],
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(args).envs(env.iter().map(|(name, value)| (name, value)));
        Self::spawn(&mut command, program, cores, Stdio::null())
    }

    fn spawn(command: &mut Command, program: &Path, cores: &[usize], errors: Stdio) -> anyhow::Result<Self> {
        // It is to run as is said here and not as the shell around says.
        for (name, _) in std::env::vars_os() {
            let foreign = name.to_string_lossy();
            if foreign.starts_with("CACHE_PROXY") || foreign == "RUST_LOG" || foreign == "TOKIO_WORKER_THREADS" {
                let given = command.get_envs().any(|(given, _)| given == name);
                if !given {
                    command.env_remove(&name);
                }
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let child = system::on_cores(cores, || command.spawn())?;
        let mut child = child.with_context(|| format!("{} cannot be started", program.display()))?;
        let pid = Pid::from_raw(child.id().try_into().context("a process id")?);
        let stdout = BufReader::new(child.stdout.take().context("its standard output")?);
        let stdin = child.stdin.take();
        Ok(Self { child: Some(child), pid, stdout, stdin })
    }

    pub(crate) const fn pid(&self) -> Pid {
        self.pid
    }

    /// The next line that it prints; an error if it ends instead.
    pub(crate) fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line)?;
        anyhow::ensure!(read > 0, "it ended without a word");
        Ok(line.trim_end().to_owned())
    }

    /// Where it reads from.
    pub(crate) fn stdin(&mut self) -> Option<&mut ChildStdin> {
        self.stdin.as_mut()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // One that has ended already needs no signal.
        kill(self.pid, Signal::SIGTERM).ok();
        let (tell, ended) = mpsc::channel();
        let waiting = thread::spawn(move || {
            drop(child.wait());
            tell.send(()).ok();
        });
        if ended.recv_timeout(PATIENCE).is_err() {
            kill(self.pid, Signal::SIGKILL).ok();
        }
        drop(waiting.join());
    }
}

/// Where a server's standard error goes.
pub(crate) fn errors(folder: &Path) -> anyhow::Result<Stdio> {
    Ok(File::create(folder.join("errors"))?.into())
}
