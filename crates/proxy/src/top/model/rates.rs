//! What is, and what was, second by second.

use std::time::Duration;

use serde::Serialize;

use super::{
    Sample,
    counts::{hit_rate, share, worst},
    sum::choose,
};
use crate::top::node::Node;

/// The rates of now are of so many last seconds: one alone says little where few requests come.
pub(crate) const WINDOW_SECONDS: f64 = 10.0;

/// Of the last [`WINDOW_SECONDS`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Rates {
    pub(crate) seconds: f64,
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) bytes_per_second: Option<f64>,
    pub(crate) fills_per_second: Option<f64>,
    pub(crate) hit_rate: Option<f64>,
    pub(crate) error_rate: Option<f64>,
    /// Of the worst second.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// Cores.
    pub(crate) cpu: Option<f64>,
    pub(crate) resident_bytes: Option<f64>,
    pub(crate) connections: Option<f64>,
    /// Of the requests, those that each tier served.
    pub(crate) memory_share: Option<f64>,
    pub(crate) redis_share: Option<f64>,
    pub(crate) disk_share: Option<f64>,
}

/// One column of a plot.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) hit_rate: Option<f64>,
}

/// The samples of `node` with their age, the newest at zero: clocks of nodes differ, so each counts from its own last.
fn aged(node: &Node) -> impl Iterator<Item = (f64, &Sample)> {
    let newest = node.samples.back().and_then(|sample| sample.at);
    node.samples
        .iter()
        .rev()
        .filter_map(move |sample| Some((newest? - sample.at?, sample)))
        .filter(|(age, _)| *age >= 0.0)
}

/// Counts of one node, or of one column.
#[derive(Clone, Debug, Default)]
struct Added {
    seconds: f64,
    requests: f64,
    served: f64,
    filled: f64,
}

impl Added {
    fn add(&mut self, sample: &Sample) {
        let of = |value: Option<f64>| value.unwrap_or(0.0);
        self.seconds += of(sample.seconds);
        self.requests += of(sample.requests);
        self.served += of(sample.hit) + of(sample.stale);
        self.filled += of(sample.coalesced) + of(sample.miss);
    }
}

/// Of now, summed.
pub(super) fn rates(nodes: &[&Node]) -> Rates {
    let mut rates = Rates::default();
    let [mut requests, mut served, mut filled, mut errors] = [0.0; 4];
    let [mut memory, mut redis, mut disk] = [0.0; 3];
    let plus = |sum: &mut Option<f64>, more: f64| *sum = Some(sum.unwrap_or(0.0) + more);
    for node in nodes {
        let mut added = Added::default();
        let [mut bytes, mut fills, mut cpu_seconds] = [0.0; 3];
        for (_, sample) in aged(node).take_while(|(age, _)| *age < WINDOW_SECONDS) {
            added.add(sample);
            errors += sample.error.unwrap_or(0.0);
            memory += sample.memory.unwrap_or(0.0);
            redis += sample.redis.unwrap_or(0.0);
            disk += sample.disk.unwrap_or(0.0);
            bytes += sample.bytes.unwrap_or(0.0);
            fills += sample.fills.unwrap_or(0.0);
            cpu_seconds += sample.cpu.unwrap_or(0.0) * sample.seconds.unwrap_or(0.0);
            rates.p50_ms = worst(rates.p50_ms, sample.p50);
            rates.p95_ms = worst(rates.p95_ms, sample.p95);
            rates.p99_ms = worst(rates.p99_ms, sample.p99);
        }
        requests += added.requests;
        served += added.served;
        filled += added.filled;
        rates.seconds = rates.seconds.max(added.seconds);
        if added.seconds > 0.0 {
            plus(&mut rates.requests_per_second, added.requests / added.seconds);
            plus(&mut rates.bytes_per_second, bytes / added.seconds);
            plus(&mut rates.fills_per_second, fills / added.seconds);
            plus(&mut rates.cpu, cpu_seconds / added.seconds);
        }
        if let Some(last) = node.samples.back() {
            last.resident.into_iter().for_each(|bytes| plus(&mut rates.resident_bytes, bytes));
            last.connections.into_iter().for_each(|open| plus(&mut rates.connections, open));
        }
    }
    rates.hit_rate = hit_rate(served, filled);
    rates.error_rate = share(errors, requests);
    rates.memory_share = share(memory, requests);
    rates.redis_share = share(redis, requests);
    rates.disk_share = share(disk, requests);
    rates
}

/// The past in `columns` of `each`, the newest last.
pub(crate) fn bars(nodes: &[Node], focus: Option<usize>, columns: usize, each: Duration) -> Vec<Figures> {
    let mut sums = vec![(Added::default(), None::<f64>); columns];
    for node in choose(nodes, focus).into_iter().filter(|node| node.is_live()) {
        let mut mine = vec![Added::default(); columns];
        for (age, sample) in aged(node) {
            let column = (age / each.as_secs_f64()) as usize;
            if column >= columns {
                break;
            }
            mine[columns - 1 - column].add(sample);
        }
        for ((sum, rate), mine) in sums.iter_mut().zip(mine) {
            if mine.seconds > 0.0 {
                *rate = Some(rate.unwrap_or(0.0) + mine.requests / mine.seconds);
            }
            sum.served += mine.served;
            sum.filled += mine.filled;
        }
    }
    let figures = |(sum, rate): (Added, Option<f64>)| Figures {
        requests_per_second: rate,
        hit_rate: hit_rate(sum.served, sum.filled),
    };
    sums.into_iter().map(figures).collect()
}
