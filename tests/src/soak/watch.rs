//! What a node takes: memory and descriptors.

use std::{fs, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::world::{NODES, World};

/// A look at one node.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    node: usize,
    life: u64,
    kib: u64,
}

/// Looks once a second until it is asked.
#[derive(Debug)]
pub(super) struct Watch {
    looks: Arc<std::sync::Mutex<Vec<Look>>>,
    _task: AbortOnDropHandle<()>,
}

/// Parts of the run whose memory is told one by one.
const PARTS: usize = 30;

/// Memory of one node, from after the warm-up to the end of the load: what it asked the system for, without the pages of the program itself, which come with what is
/// run for the first time.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Median of a sixth of the run after the warm-up, KiB.
    pub first_kib: u64,
    /// Median of the last sixth, KiB.
    pub last_kib: u64,
    /// Medians of each thirtieth of all that, KiB.
    pub parts_kib: Vec<u64>,
}

impl Memory {
    /// By what share it grew.
    #[must_use]
    pub fn drift(&self) -> f64 {
        if self.first_kib == 0 { 0.0 } else { self.last_kib as f64 / self.first_kib as f64 - 1.0 }
    }
}

impl Watch {
    pub(super) fn begin(world: &Arc<World>) -> Self {
        let looks = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (into, world) = (Arc::clone(&looks), Arc::clone(world));
        let task = tokio::spawn(async move {
            loop {
                for (node, of) in world.nodes.iter().enumerate() {
                    let (process, life) = of.process();
                    let Some(kib) = resident_kib(process) else { continue };
                    into.lock().expect("nobody panics with it").push(Look { at: Instant::now(), node, life, kib });
                }
                sleep(Duration::from_secs(1)).await;
            }
        });
        Self { looks, _task: AbortOnDropHandle::new(task) }
    }

    /// The memory of each node between two moments, by windows of `sixth` at both ends.
    pub(super) fn memory(&self, from: Instant, to: Instant, sixth: Duration) -> [Memory; NODES] {
        let looks = self.looks.lock().expect("nobody panics with it").clone();
        let between = |node: usize, from: Instant, to: Instant| {
            let of_node = looks.iter().filter(|look| look.node == node && look.life == 0);
            median(of_node.filter(|look| look.at >= from && look.at <= to).map(|look| look.kib).collect())
        };
        std::array::from_fn(|node| Memory {
            first_kib: between(node, from, from + sixth),
            last_kib: between(node, to.checked_sub(sixth).unwrap_or(from), to),
            parts_kib: parts(from, to).map(|(from, to)| between(node, from, to)).collect(),
        })
    }
}

fn parts(from: Instant, to: Instant) -> impl Iterator<Item = (Instant, Instant)> {
    let part = to.duration_since(from) / PARTS as u32;
    (0..PARTS as u32).map(move |at| (from + part * at, from + part * (at + 1)))
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

fn resident_kib(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Files and sockets that a process has open.
pub(super) fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_growth_between_medians() {
        assert_eq!(median(vec![9, 1, 5]), 5);
        let memory = Memory { first_kib: 100, last_kib: 107, parts_kib: Vec::new() };
        assert!((memory.drift() - 0.07).abs() < 1e-9);
        assert!(resident_kib(std::process::id()).unwrap() > 0);
        assert!(descriptors(std::process::id()) > 2);
    }
}
