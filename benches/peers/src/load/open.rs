use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use edge_cache_peers::report::Report;

use crate::{closed::Tally, connections::Connections, target::Target};

/// Shorter than this the poll cannot wait: it counts in milliseconds, and rounds up.
const SHORTEST_WAIT: Duration = Duration::from_millis(2);

/// Asks `requests` times at `rate`. What is due while all connections are taken is late, and its latency says so.
pub(crate) fn run(
    connections: &mut Connections,
    target: &mut Target,
    requests: u64,
    rate: f64,
) -> anyhow::Result<Report> {
    let mut tally = Tally::new()?;
    let mut ended = Vec::new();
    // The one that has rested longest is next, so that all of them take part.
    let mut free: VecDeque<usize> = (0..connections.len()).collect();
    let start = Instant::now();
    let due = |number: u64| start + Duration::from_secs_f64(number as f64 / rate);
    let mut sent = 0;
    while tally.ended() < requests {
        while sent < requests && due(sent) <= Instant::now() {
            let Some(at) = free.pop_front() else { break };
            connections.send(at, target, due(sent))?;
            sent += 1;
        }
        let wait = if sent == requests || free.is_empty() {
            None
        } else {
            // Nearer than the poll can wait for, it is asked again and again: this core is the loader's own.
            Some(due(sent).saturating_duration_since(Instant::now()).saturating_sub(SHORTEST_WAIT))
        };
        connections.wait(wait, &mut ended)?;
        let now = Instant::now();
        for one in &ended {
            tally.count(one.how, now.duration_since(one.since), target.bytes())?;
            free.push_back(one.connection);
        }
    }
    Ok(tally.report(start.elapsed()))
}
