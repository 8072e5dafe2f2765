//! Processor time of a process, and what the machine is.

use std::time::Duration;

use serde::Serialize;

/// `/proc` counts processor time in ticks of 10 ms: `USER_HZ` is part of the kernel's interface.
const TICK: Duration = Duration::from_millis(10);

/// User and system time that a process has used; zero once it is gone.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    ticks(&stat).map_or(Duration::ZERO, |ticks| TICK * ticks)
}

/// Fields 14 and 15 of the stat line; the name in field 2 may hold blanks and parentheses.
fn ticks(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(next()? + next()?)
}

/// What the figures were measured on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) cpu: String,
    pub(crate) kernel: String,
    /// Whether the generator was built with optimisations.
    pub(crate) optimised: bool,
}

impl Machine {
    /// Reads it from `/proc`; what cannot be read is said to be unknown.
    pub(crate) fn read() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let memory_kib = field(&text("/proc/meminfo"), "MemTotal")
            .and_then(|value| value.split_whitespace().next()?.parse::<f64>().ok());
        let unknown = || "unknown".to_owned();
        let kernel = text("/proc/sys/kernel/osrelease").trim().to_owned();
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: (memory_kib.unwrap_or(0.0) / f64::from(1 << 20) * 10.0).round() / 10.0,
            cpu: field(&text("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
            kernel: if kernel.is_empty() { unknown() } else { kernel },
            optimised: !cfg!(debug_assertions),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cores, memory_gib, cpu, kernel, optimised } = self;
        let build = if *optimised { "optimised build" } else { "DEBUG BUILD: the figures say nothing about a release" };
        write!(
            f,
            "{cores} cores, {memory_gib} GiB, {cpu}, Linux {kernel}, {build}; servers and generator share the machine"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 900 0 0 0 17 5 3 2 20 0 1 0 100 1000 10";
        assert_eq!(ticks(stat), Some(22));
        assert_eq!(ticks(""), None);
    }

    #[test]
    fn a_process_that_is_gone_has_used_nothing() {
        assert_eq!(cpu_time(u32::MAX), Duration::ZERO);
    }

    #[test]
    fn this_machine_has_a_core_and_a_kernel() {
        let machine = Machine::read();
        assert!(machine.cores > 0 && machine.kernel != "unknown");
    }
}
