//! Processes as `/proc` shows them.

use crate::Error;
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, SysconfVar, sysconf},
};
use std::{fs, io, time::Duration};

/// One process, told apart from a later one with the same number by the time it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    started: u64,
}

/// What `/proc/PID/stat` says; times in clock ticks.
struct Stat {
    state: char,
    parent: u32,
    own_ticks: u64,
    reaped_ticks: u64,
    threads: u64,
    started: u64,
}

impl Process {
    /// The process that now has this number, also one that has ended and was not waited for.
    pub(crate) fn find(pid: u32) -> Option<Self> {
        stat(pid).map(|stat| Self { pid, started: stat.started })
    }

    fn stat(self) -> Option<Stat> {
        stat(self.pid).filter(|stat| stat.started == self.started)
    }

    /// Whether any part of it is left but the exit code; its sockets are closed when not.
    pub(crate) fn is_alive(self) -> bool {
        // The first thread can be gone while others, still ending, hold the files.
        self.stat().is_some_and(|stat| stat.threads > 1 || !matches!(stat.state, 'Z' | 'X'))
    }

    /// Whether a SIGSTOP has taken effect, or it has ended.
    pub(crate) fn is_halted(self) -> bool {
        self.stat().is_none_or(|stat| matches!(stat.state, 'T' | 'Z' | 'X'))
    }

    /// Its direct children.
    pub(crate) fn children(self) -> Vec<Self> {
        numbers()
            .filter_map(|pid| stat(pid).map(|stat| (pid, stat)))
            .filter(|(_, stat)| stat.parent == self.pid)
            .map(|(pid, stat)| Self { pid, started: stat.started })
            .collect()
    }

    /// Sends `signal`; that it has ended already is no error.
    pub(crate) fn signal(self, signal: Signal) -> Result<(), Error> {
        if !self.is_alive() {
            return Ok(());
        }
        match kill(pid_t(self.pid), signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
            Err(errno) => Err(Error::io("signal a server")(io::Error::from(errno))),
        }
    }

    /// Processor time of itself and of the children that it has waited for.
    pub(crate) fn cpu_time(self) -> Duration {
        self.stat().map_or(Duration::ZERO, |stat| ticks(stat.own_ticks + stat.reaped_ticks))
    }
}

fn pid_t(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).expect("the kernel numbers processes below 2^22"))
}

fn ticks(count: u64) -> Duration {
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    Duration::from_millis(count.saturating_mul(1_000) / per_second.unsigned_abs().max(1))
}

fn numbers() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn stat(pid: u32) -> Option<Stat> {
    // Read as bytes: a process may call itself anything.
    let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(&String::from_utf8_lossy(&bytes))
}

/// See proc_pid_stat(5). The name is in parentheses and may itself hold spaces and parentheses.
fn parse(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: u32::try_from(number(4)?).ok()?,
        own_ticks: number(14)? + number(15)?,
        // Signed in the kernel, and briefly negative on some; then nothing is lost by taking none.
        reaped_ticks: number(16).unwrap_or(0) + number(17).unwrap_or(0),
        threads: number(20)?,
        started: number(22)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_name_with_spaces_and_parentheses_is_read_over() {
        let line = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 0 0 0 11 12 13 14 20 0 3 0 99 1 1";
        let stat = parse(line).unwrap();
        assert_eq!((stat.state, stat.parent, stat.threads, stat.started), ('S', 7, 3, 99));
        assert_eq!((stat.own_ticks, stat.reaped_ticks), (23, 27));
        assert!(parse("42 (cut").is_none());
    }

    #[test]
    fn a_child_is_found_until_it_ends() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        let me = Process::find(std::process::id()).unwrap();
        assert!(process.is_alive());
        assert!(me.children().contains(&process));
        process.signal(Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        assert!(!process.is_alive());
        assert!(!me.children().contains(&process));
        process.signal(Signal::SIGKILL).unwrap();
    }

    #[test]
    fn another_process_with_the_same_number_is_not_it() {
        let me = Process::find(std::process::id()).unwrap();
        let other = Process { started: me.started + 1, ..me };
        assert!(me.is_alive() && !other.is_alive());
    }
}
