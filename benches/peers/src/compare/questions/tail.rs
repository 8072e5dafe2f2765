use edge_cache_peers::report::Report;
use serde_json::json;

use super::fill;
use crate::{
    bench::Bench,
    load::{self, Load, Turn},
    rounds::{self, SHARE, Turns},
    server::Server,
    servers::{self, CacheProxy, Room},
    stats::Spread,
    table::{Table, with_quartiles, with_range},
};

const BYTES: u64 = 1024;
const KEYS: u64 = 1000;
const CONNECTIONS: usize = 1000;
/// Rounds that find the peaks.
const PEAK_ROUNDS_MAX: usize = 5;

/// How long the slowest hits take, at seven tenths of what each server can do, and of what all of them can.
pub(crate) fn ask(bench: &mut Bench) -> anyhow::Result<()> {
    let origin = servers::origin(bench)?;
    let mut all = vec![servers::floor(bench, BYTES)?];
    if bench.wants("cache-proxy") {
        all.push(CacheProxy::default().start(bench, &origin)?);
    }
    all.extend(servers::of_the_system(bench, &origin, Room::default())?);
    let load = Load { connections: CONNECTIONS, ..Load::items(BYTES, KEYS, bench.args.requests) };
    let mut loads = Vec::new();
    for server in &all {
        let constant = server.counted.is_none();
        if !constant {
            fill(bench, server, &load)?;
        }
        loads.push(if constant { load.clone().constant() } else { load.clone() });
    }
    let peaks = rounds::interleaved(bench, bench.args.rounds.min(PEAK_ROUNDS_MAX), all.len(), |at, _| {
        Ok(load::turn(bench, &all[at], &loads[at])?.report)
    })?;
    let peaks: Vec<Peak> = peaks.iter().map(|reports| Peak::of(reports)).collect();
    let slowest = peaks.iter().map(|peak| peak.rate).fold(f64::INFINITY, f64::min);
    let own: Vec<f64> = peaks.iter().map(|peak| peak.rate * SHARE).collect();
    let common = vec![slowest * SHARE; all.len()];
    for (of, rates) in [("its own peak", own), ("the slowest one's peak", common)] {
        let turns = rounds::interleaved(bench, bench.args.rounds, all.len(), |at, _| {
            let requests = (rates[at] * bench.args.seconds) as u64;
            load::turn(bench, &all[at], &Load { rate: Some(rates[at]), requests, ..loads[at].clone() })
        })?;
        let title = format!("Latency at {SHARE} of {of}: open loop, {CONNECTIONS} connections, {BYTES} bytes");
        bench.show("tail", tabulate(&title, &all, &peaks, &rates, &turns));
    }
    Ok(())
}

/// The most that a server answers when it is asked as fast as it answers.
struct Peak {
    rate: f64,
    /// How much of its core the loader took for that; near to 1, it was the loader's peak and not the server's.
    loader_busy: f64,
}

impl Peak {
    fn of(reports: &[Report]) -> Self {
        let median = |figure: fn(&Report) -> f64| Spread::of(reports.iter().map(figure)).median;
        Self { rate: median(Report::rate), loader_busy: median(Report::loader_busy) }
    }
}

fn tabulate(title: &str, all: &[Server], peaks: &[Peak], rates: &[f64], turns: &[Turns]) -> Table {
    let columns = [
        "server",
        "peak/s",
        "loader busy then",
        "asked/s",
        "answered/s",
        "p50 us",
        "p95 us",
        "p99 us (min..max)",
        "p99 x floor (quartiles)",
    ];
    let mut table = Table::new(title, columns);
    let micros = |nanos: u64| nanos as f64 / 1e3;
    for (at, (server, own)) in all.iter().zip(turns).enumerate() {
        let spread = |figure: &dyn Fn(&Turn) -> f64| Spread::of(own.iter().map(figure));
        let answered = spread(&|turn| turn.report.rate());
        let [p50, p95, p99] =
            [spread(&|t| micros(t.report.p50)), spread(&|t| micros(t.report.p95)), spread(&|t| micros(t.report.p99))];
        let ratio = rounds::ratio(own, &turns[0], |turn| micros(turn.report.p99));
        let cells = [
            server.name.clone(),
            format!("{:.0}", peaks[at].rate),
            format!("{:.0} %", 100.0 * peaks[at].loader_busy),
            format!("{:.0}", rates[at]),
            format!("{:.0}", answered.median),
            format!("{:.0}", p50.median),
            format!("{:.0}", p95.median),
            with_range(p99, 0),
            with_quartiles(ratio, 2),
        ];
        let rounds: Vec<_> = own.iter().map(|turn| json!(turn.report)).collect();
        let json = json!({
            "server": server.name, "peak": peaks[at].rate, "loader_busy_at_peak": peaks[at].loader_busy, "rate": rates[at], "p50_micros": p50, "p95_micros": p95,
            "p99_micros": p99, "p99_ratio": ratio, "rounds": rounds,
        });
        table.row(cells, json);
        let bad: u64 = own.iter().map(|turn| turn.report.bad()).sum();
        let fetched: u64 = own.iter().map(|turn| turn.fetched).sum();
        if bad + fetched > 0 {
            table.fault(format!("{}: {bad} answers were wrong or missing, {fetched} no hits", server.name));
        }
    }
    table
}
