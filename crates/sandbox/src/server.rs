//! What all servers here have in common: one process under a supervisor, with a log.

use crate::{
    Error,
    port::{self, Reserved},
    process::Process,
    supervisor::Supervisor,
};
use nix::{sys::signal::Signal, unistd::User};
use std::{
    ffi::OsString,
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// A start or a stop that takes longer has failed. Generous: the machine may be busy compiling.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that is waited for.
const PAUSE: Duration = Duration::from_millis(5);
/// Ports tried before giving up; each is free with a probability near 1.
const PORTS_MAX: usize = 32;
/// The words of every server here for a port that is taken (the locale is set to C).
const TAKEN: &str = "Address already in use";

/// A supervised server. All methods block.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    supervisor: Mutex<Supervisor>,
    process: Mutex<Option<Process>>,
    folder: PathBuf,
    /// Its port, while it is stopped too.
    reserved: Mutex<Option<Reserved>>,
}

/// How a launch ended that did not fail.
enum Launch {
    Ready,
    PortTaken(String),
}

impl Server {
    pub(crate) fn new(name: &'static str, user: Option<&User>, end: &str) -> Result<Self, Error> {
        let supervisor = Supervisor::start(user, end)?;
        let folder = supervisor.folder().to_owned();
        Ok(Self {
            name,
            supervisor: Mutex::new(supervisor),
            process: Mutex::new(None),
            folder,
            reserved: Mutex::new(None),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The process, while it runs.
    pub(crate) fn process(&self) -> Option<Process> {
        lock(&self.process).filter(|process| process.is_alive())
    }

    fn running(&self) -> Result<Process, Error> {
        self.process().ok_or(Error::NotRunning(self.name))
    }

    /// The server and its direct children.
    pub(crate) fn family(&self) -> Vec<Process> {
        let Some(process) = self.process() else { return Vec::new() };
        let mut family = vec![process];
        family.extend(process.children());
        family
    }

    /// Writes a file into the folder that the server's user owns and nobody else can read: Postgres
    /// accepts no other key.
    pub(crate) fn write(&self, name: &str, contents: &str) -> Result<(), Error> {
        let write = || {
            let owner = fs::metadata(&self.folder)?;
            let options = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).to_owned();
            let mut file = options.open(self.folder.join(name))?;
            fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
            file.write_all(contents.as_bytes())
        };
        write().map_err(Error::io("write a file of a server"))
    }

    /// Runs a program to its end before the server starts.
    pub(crate) fn prepare(&self, name: &'static str, command: &[OsString]) -> Result<(), Error> {
        match lock(&self.supervisor).run(command)? {
            0 => Ok(()),
            _ => Err(Error::Ended { server: name, doing: "preparing", log: self.log_since(0) }),
        }
    }

    /// Starts the server on the first port that it can bind; that port.
    pub(crate) fn launch_anywhere(
        &self,
        command: impl Fn(u16) -> Result<Vec<OsString>, Error>,
        ready: impl Fn(u16, Process) -> bool,
    ) -> Result<u16, Error> {
        let mut log = String::new();
        for port in port::candidates().take(PORTS_MAX) {
            let Some(reserved) = Reserved::port(port).map_err(Error::io("reserve a port"))? else { continue };
            *lock(&self.reserved) = Some(reserved);
            match self.try_launch(&command(port)?, |process| ready(port, process))? {
                Launch::Ready => return Ok(port),
                Launch::PortTaken(said) => log = said,
            }
        }
        Err(Error::Ended { server: self.name, doing: "looking for a free port", log })
    }

    /// Starts the server where the command says.
    pub(crate) fn launch(&self, command: &[OsString], ready: impl Fn(Process) -> bool) -> Result<(), Error> {
        match self.try_launch(command, ready)? {
            Launch::Ready => Ok(()),
            Launch::PortTaken(log) => Err(Error::Ended { server: self.name, doing: "taking its port again", log }),
        }
    }

    fn try_launch(&self, command: &[OsString], ready: impl Fn(Process) -> bool) -> Result<Launch, Error> {
        let log_start = fs::metadata(self.log_file()).map_or(0, |meta| meta.len());
        let process = {
            // Held until the process is noted, so that two starts at once cannot lose one.
            let mut supervisor = lock(&self.supervisor);
            let pid = supervisor.spawn(command)?;
            let process = Process::find(pid);
            *lock(&self.process) = process;
            process
        };
        let deadline = Deadline::new();
        loop {
            match process.filter(|process| process.is_alive()) {
                None => {
                    let log = self.log_since(log_start);
                    if log.contains(TAKEN) {
                        return Ok(Launch::PortTaken(log));
                    }
                    return Err(Error::Ended { server: self.name, doing: "starting", log });
                }
                Some(process) if ready(process) => return Ok(Launch::Ready),
                Some(_) => self.look_again(&deadline, "starting")?,
            }
        }
    }

    /// Sends `signal` to the server (SIGKILL: to its children too) and waits until it has ended.
    /// A paused server is resumed to hear it. One that has ended already is no error.
    pub(crate) fn stop(&self, signal: Signal) -> Result<(), Error> {
        let Some(server) = self.process() else { return Ok(()) };
        let deadline = Deadline::new();
        let mut children = Vec::new();
        if signal == Signal::SIGKILL {
            // Halted, it cannot have further children or replace those that are killed.
            self.halt(server, &deadline)?;
            children = server.children();
            server.signal(signal)?;
            for child in &children {
                child.signal(signal)?;
            }
        } else {
            server.signal(signal)?;
            self.resume()?;
        }
        while server.is_alive() || children.iter().any(|child| child.is_alive()) {
            self.look_again(&deadline, "stopping")?;
        }
        Ok(())
    }

    /// Halts the server and its children; none of them runs when this returns.
    pub(crate) fn pause(&self) -> Result<(), Error> {
        let server = self.running()?;
        let deadline = Deadline::new();
        // The parent first: then no further child can appear.
        self.halt(server, &deadline)?;
        for child in server.children() {
            self.halt(child, &deadline)?;
        }
        Ok(())
    }

    fn halt(&self, process: Process, deadline: &Deadline) -> Result<(), Error> {
        process.signal(Signal::SIGSTOP)?;
        while !process.is_halted() {
            self.look_again(deadline, "pausing")?;
        }
        Ok(())
    }

    /// Undoes [`pause`](Self::pause).
    pub(crate) fn resume(&self) -> Result<(), Error> {
        self.family().into_iter().rev().try_for_each(|process| process.signal(Signal::SIGCONT))
    }

    /// Processor time used since the server's start.
    pub(crate) fn cpu_time(&self) -> Duration {
        self.family().into_iter().map(Process::cpu_time).sum()
    }

    fn look_again(&self, deadline: &Deadline, doing: &'static str) -> Result<(), Error> {
        if deadline.is_over() {
            return Err(self.timed_out(doing));
        }
        thread::sleep(PAUSE);
        Ok(())
    }

    pub(crate) fn timed_out(&self, doing: &'static str) -> Error {
        Error::TimedOut { server: self.name, doing, waited: PATIENCE, log: self.log_since(0) }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Everything the server has written.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last lines from this byte on.
    fn log_since(&self, start: u64) -> String {
        const LINES_MAX: usize = 20;
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
        let text = String::from_utf8_lossy(&bytes[start..]);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
    }
}

/// Real time, whatever the caller's runtime does with its clock.
struct Deadline(Instant);

impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "waits for another process, in real time")]
    fn new() -> Self {
        Self(Instant::now() + PATIENCE)
    }

    #[expect(clippy::disallowed_methods, reason = "waits for another process, in real time")]
    fn is_over(&self) -> bool {
        Instant::now() >= self.0
    }
}

/// Whoever panicked with the lock held left a whole value behind: it is only ever replaced.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
