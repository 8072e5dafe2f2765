//! What the process takes of its machine.

use std::{fs, sync::OnceLock, time::Duration};

use edge_cache::{
    core::{Clock, SystemClock},
    telemetry::{Metrics, Reading, catalogue},
};
use nix::sys::resource::{UsageWho, getrusage};
use tokio::time::Instant;

/// Processor time that this process has used, in user and kernel mode.
pub(crate) fn cpu() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    let of = |time: nix::sys::time::TimeVal| {
        let micros = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_usec());
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    };
    of(usage.user_time()) + of(usage.system_time())
}

/// Bytes of this process in RAM; zero where the system does not tell.
pub(crate) fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Open file descriptors; zero where the system does not tell.
pub(crate) fn descriptors() -> u64 {
    // One of them is the folder that is being read.
    fs::read_dir("/proc/self/fd").map_or(0, |all| all.count().saturating_sub(1) as u64)
}

static STARTED: OnceLock<(Instant, f64)> = OnceLock::new();

/// The moment when the process was first asked, near enough to its start, by two clocks.
fn start() -> (Instant, f64) {
    *STARTED.get_or_init(|| {
        let unix = SystemClock.now().as_millis() as f64 / 1000.0;
        (Instant::now(), unix)
    })
}

/// When the process began, as a Unix time.
pub(crate) fn started() -> f64 {
    start().1
}

/// How long the process has run, by a clock that nobody sets.
pub(crate) fn uptime() -> Duration {
    start().0.elapsed()
}

/// Shows them in the metrics.
pub(crate) fn watch(metrics: &Metrics) {
    start();
    metrics.read_at_scrape(Reading::seconds(&catalogue::PROCESS_CPU, cpu));
    metrics.read_at_scrape(Reading::gauge(&catalogue::PROCESS_RESIDENT, || resident_bytes() as f64));
    metrics.read_at_scrape(Reading::gauge(&catalogue::PROCESS_DESCRIPTORS, || descriptors() as f64));
    metrics.read_at_scrape(Reading::gauge(&catalogue::PROCESS_START, started));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen() {
        let before = cpu();
        let mut sum = 0_u64;
        while cpu() == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(resident_bytes() > 1 << 20 && descriptors() > 2);
    }
}
