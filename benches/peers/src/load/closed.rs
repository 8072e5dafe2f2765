use std::time::Instant;

use edge_cache_peers::report::Report;

use crate::{
    connections::{Connections, How},
    target::Target,
};

/// Asks `requests` times, on all connections at once.
pub(crate) fn run(connections: &mut Connections, target: &mut Target, requests: u64) -> anyhow::Result<Report> {
    let mut tally = Tally::new()?;
    let mut sent = 0;
    let mut ended = Vec::new();
    let start = Instant::now();
    for at in 0..connections.len() {
        if sent < requests {
            connections.send(at, target, Instant::now())?;
            sent += 1;
        }
    }
    while tally.ended() < requests {
        connections.wait(None, &mut ended)?;
        let now = Instant::now();
        for one in &ended {
            tally.count(one.how, now.duration_since(one.since), target.bytes())?;
            if sent < requests {
                connections.send(one.connection, target, Instant::now())?;
                sent += 1;
            }
        }
    }
    Ok(tally.report(start.elapsed()))
}

/// What became of requests.
#[derive(Debug)]
pub(crate) struct Tally {
    report: Report,
    latencies: hdrhistogram::Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self { report: Report::default(), latencies: hdrhistogram::Histogram::new(3)? })
    }

    /// How many have ended.
    pub(crate) const fn ended(&self) -> u64 {
        self.report.requests + self.report.failed
    }

    pub(crate) fn count(&mut self, how: How, latency: std::time::Duration, bytes: u64) -> anyhow::Result<()> {
        match how {
            How::Failed => self.report.failed += 1,
            How::Right | How::Wrong => {
                self.report.requests += 1;
                self.report.bytes += bytes;
                self.report.wrong += u64::from(matches!(how, How::Wrong));
                self.latencies.record(latency.as_nanos() as u64)?;
            }
        }
        Ok(())
    }

    pub(crate) fn report(self, took: std::time::Duration) -> Report {
        Report { nanos: took.as_nanos() as u64, ..self.report }.with_latencies(&self.latencies)
    }
}
