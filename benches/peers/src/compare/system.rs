//! What the kernel tells about processes, and where they may run.

use std::{collections::HashMap, fs, time::Duration};

use anyhow::Context;
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::resource::{Resource, getrlimit, setrlimit},
    time::clock_getcpuclockid,
    unistd::Pid,
};

/// Lets this process, and those it starts, open as many files as they may.
pub(crate) fn allow_files() -> anyhow::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("the limit of open files")
}

/// Does `work` on `cores`: a process that it starts stays there, with all its threads.
pub(crate) fn on_cores<T>(cores: &[usize], work: impl FnOnce() -> T) -> anyhow::Result<T> {
    let this_thread = Pid::from_raw(0);
    let before = sched_getaffinity(this_thread)?;
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core)?;
    }
    sched_setaffinity(this_thread, &set).with_context(|| format!("cores {cores:?}"))?;
    let result = work();
    sched_setaffinity(this_thread, &before)?;
    Ok(result)
}

/// Processor time of a process and of all below it, process by process.
#[derive(Clone, Debug)]
pub(crate) struct CpuTime(HashMap<i32, u64>);

impl CpuTime {
    pub(crate) fn of(root: Pid) -> anyhow::Result<Self> {
        let of = |pid: Pid| {
            // To the nanosecond, and with the threads that have ended.
            let time = clock_getcpuclockid(pid).and_then(|clock| clock.now()).ok()?;
            Some((pid.as_raw(), Duration::from(time).as_nanos() as u64))
        };
        let all: HashMap<_, _> = tree(root).into_iter().filter_map(of).collect();
        anyhow::ensure!(all.contains_key(&root.as_raw()), "the server has ended");
        Ok(Self(all))
    }

    /// What was used since `before`, in nanoseconds. One that ended meanwhile is not counted.
    pub(crate) fn since(&self, before: &Self) -> u64 {
        let used = |(pid, nanos): (&i32, &u64)| nanos.saturating_sub(before.0.get(pid).copied().unwrap_or(0));
        self.0.iter().map(used).sum()
    }
}

/// A process and all below it.
fn tree(root: Pid) -> Vec<Pid> {
    let mut all = vec![root];
    let mut at = 0;
    while let Some(pid) = all.get(at) {
        at += 1;
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        let children = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
        let children: Vec<_> = children.collect();
        let numbers = children.iter().flat_map(|text| text.split_whitespace()).filter_map(|number| number.parse().ok());
        all.extend(numbers.map(Pid::from_raw));
    }
    all
}

/// Memory in bytes, over a process and all below it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: u64,
    /// The most that was resident, since the last `reset_peak`.
    pub(crate) peak: u64,
}

impl Memory {
    pub(crate) fn of(root: Pid) -> anyhow::Result<Self> {
        let mut sum = Self::default();
        for pid in tree(root) {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the server has ended")?;
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name))?;
                line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib << 10)
            };
            sum.resident += field("VmRSS:").context("the kernel does not tell how much is resident")?;
            sum.peak += field("VmHWM:").context("the kernel does not tell how much was resident")?;
        }
        Ok(sum)
    }

    /// Forgets what was resident up to now.
    pub(crate) fn reset_peak(root: Pid) -> anyhow::Result<()> {
        for pid in tree(root) {
            fs::write(format!("/proc/{pid}/clear_refs"), "5").context("the peak cannot be reset")?;
        }
        Ok(())
    }
}
