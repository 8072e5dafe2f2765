use serde_json::json;

use crate::{
    bench::Bench,
    load::{Loader, Turn},
    rounds,
    server::Server,
    servers::{self, CacheProxy},
    stats::Spread,
    system::Memory,
    table::{Table, mebibytes, with_quartiles, with_range},
};

/// A gigabyte each: fewer rounds tell enough.
const ROUNDS_MAX: usize = 5;

/// One way to get a big body.
struct Way<'a> {
    name: &'static str,
    server: &'a Server,
    target: Target,
    bytes: u64,
    offset: Option<u64>,
    /// Requests that reach the origin in a turn.
    fetches: u64,
}

enum Target {
    /// The same in every round.
    Same(String),
    /// With the number of the round after it, so that no cache has it.
    New(String),
}

struct Found {
    turn: Turn,
    /// How far the most that was resident lay above what was resident before, in bytes.
    grown: u64,
}

/// How fast a big body streams through a cache, and how much of it lies in memory meanwhile.
pub(crate) fn ask(bench: &mut Bench) -> anyhow::Result<()> {
    let bytes = bench.args.big << 20;
    let origin = servers::origin(bench)?;
    // For itself, on the core where everything else that is measured runs.
    let direct = servers::origin_on(bench.args.server_core)?;
    let bare = servers::bare_proxy(bench, &origin)?;
    let small = CacheProxy::default().start(bench, &origin)?;
    let memory_bytes = 2 * bytes + (256 << 20);
    let large = CacheProxy { memory_bytes, body_bytes_max: bytes, ..CacheProxy::default() }.start(bench, &origin)?;
    let whole = format!("/big?bytes={bytes}");
    let way = |name, server, target| Way { name, server, target, bytes, offset: None, fetches: 1 };
    let unstored = format!("{whole}&store=no&n=");
    let middle = bytes / 4;
    let ways = [
        way("origin itself", &direct, Target::Same(unstored.clone())),
        way("bare-proxy", &bare, Target::Same(unstored.clone())),
        way("cache-proxy, not to be stored", &small, Target::New(unstored)),
        way("cache-proxy, too long to be stored", &small, Target::New(format!("{whole}&n="))),
        Way { fetches: 0, ..way("cache-proxy, hit", &large, Target::Same(whole.clone())) },
        Way {
            fetches: 0,
            offset: Some(middle),
            bytes: bytes / 2,
            ..way("cache-proxy, hit, half of it", &large, Target::Same(whole))
        },
    ];
    let found = rounds::interleaved(bench, bench.args.rounds.min(ROUNDS_MAX), ways.len(), |at, round| {
        let way = &ways[at];
        // The first round, which does not count, fills.
        take(bench, way, round)
    })?;
    bench.show("big", tabulate(bytes, &ways, &found));
    Ok(())
}

fn take(bench: &Bench, way: &Way<'_>, round: usize) -> anyhow::Result<Found> {
    let target = match &way.target {
        Target::Same(target) => target.clone(),
        Target::New(target) => format!("{target}{round}"),
    };
    let mut args = vec!["big".to_owned()];
    let mut set = |name: &str, value: &dyn ToString| args.extend([format!("--{name}"), value.to_string()]);
    set("address", &way.server.address);
    set("target", &target);
    set("bytes", &way.bytes);
    if let Some(offset) = way.offset {
        set("offset", &offset);
    }
    let mut loader = Loader::start(bench, &[bench.args.loader_core], args)?;
    Memory::reset_peak(way.server.pid())?;
    let before = Memory::of(way.server.pid())?.resident;
    let turn = loader.turn(way.server)?;
    let grown = Memory::of(way.server.pid())?.peak.saturating_sub(before);
    Ok(Found { turn, grown })
}

fn tabulate(bytes: u64, ways: &[Way<'_>], found: &[Vec<Found>]) -> Table {
    let columns = [
        "way",
        "GB/s (min..max)",
        "x bare-proxy (quartiles)",
        "CPU ms/GB",
        "first byte ms",
        "peak grew by",
        "wrong",
        "fetched",
    ];
    let title = format!("A body of {} on one connection", mebibytes(bytes as f64));
    let mut table = Table::new(&title, columns);
    // Of whole bodies and of halves alike.
    let rate = |found: &Found| found.turn.report.bytes as f64 / found.turn.report.nanos.max(1) as f64;
    for (way, own) in ways.iter().zip(found) {
        let spread = |figure: &dyn Fn(&Found) -> f64| Spread::of(own.iter().map(figure));
        let rates = spread(&rate);
        let ratio = rounds::ratio(own, &found[1], rate);
        let cpu = spread(&|found| found.turn.cpu as f64 / found.turn.report.bytes.max(1) as f64 * 1e3);
        let first = spread(&|found| found.turn.report.p50 as f64 / 1e6);
        let grown = spread(&|found| found.grown as f64);
        let bad: u64 = own.iter().map(|found| found.turn.report.bad()).sum();
        let fetched: u64 = own.iter().map(|found| found.turn.fetched).sum();
        let cells = [
            way.name.to_owned(),
            with_range(rates, 2),
            with_quartiles(ratio, 2),
            format!("{:.0}", cpu.median),
            format!("{:.2}", first.median),
            mebibytes(grown.max),
            bad.to_string(),
            fetched.to_string(),
        ];
        let json = json!({
            "way": way.name, "gigabytes_per_second": rates, "ratio": ratio, "cpu_millis_per_gigabyte": cpu,
            "first_byte_millis": first, "peak_grew_by_bytes": grown, "wrong": bad, "fetched": fetched,
        });
        table.row(cells, json);
        if bad > 0 {
            table.fault(format!("{}: {bad} bodies were wrong", way.name));
        }
        let expected = way.fetches * own.len() as u64;
        if way.server.counted.is_some() && fetched != expected {
            table.fault(format!("{}: {fetched} requests were fetched, not {expected}", way.name));
        }
    }
    table
}
