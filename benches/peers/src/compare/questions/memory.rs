use serde_json::json;

use super::fill;
use crate::{
    bench::Bench,
    load::{self, Load},
    rounds::{self, Fetches, Subject},
    server::{self, Server},
    servers::{self, CacheProxy, Room},
    system::Memory,
    table::{Table, mebibytes},
};

const BYTES: u64 = 1024;
const FEW: u64 = 1000;

/// What many small entries need, and what a hit among them costs.
pub(crate) fn ask(bench: &mut Bench) -> anyhow::Result<()> {
    let entries = bench.args.entries;
    let origin = servers::origin(bench)?;
    // Four times what the bodies need, and some more: nothing is to be thrown away.
    let room = Room { mebibytes: ((entries * BYTES * 4) >> 20) + 256, ..Room::default() };
    let mut caches = Vec::new();
    if bench.wants("cache-proxy") {
        let variant = CacheProxy { memory_bytes: room.mebibytes << 20, ..CacheProxy::default() };
        caches.push(variant.start(bench, &origin)?);
    }
    // nginx keeps files and HAProxy a block of memory that is taken at the start: their resident memory says nothing.
    caches.extend(servers::varnish(bench, &origin, room)?);
    let title = format!("Memory of {entries} entries: bodies of {BYTES} bytes, eight header fields");
    let columns = ["server", "kept", "grown by", "bytes/entry", "of these head, body, key", "x exact"];
    let mut table = Table::new(&title, columns);
    for cache in &caches {
        measure(bench, cache, &mut table)?;
    }
    bench.show("memory", table);
    cost(bench, &caches)
}

/// Fills one cache, and looks at what that took.
fn measure(bench: &Bench, cache: &Server, table: &mut Table) -> anyhow::Result<()> {
    let entries = bench.args.entries;
    let few = Load::items(BYTES, FEW, FEW);
    // From elsewhere, so that none of these is among those that are counted.
    fill(bench, cache, &Load { first: 1 << 32, ..few })?;
    let before = Memory::of(cache.pid())?.resident;
    let load = Load::items(BYTES, entries, entries).fill();
    let filled = load::turn(bench, cache, &load)?;
    let after = Memory::of(cache.pid())?.resident;
    let again = load::turn(bench, cache, &load)?;
    let kept = entries.saturating_sub(again.fetched);
    let exact = exact(cache, entries / 2)? as f64;
    let grown = after.saturating_sub(before);
    let each = grown as f64 / kept.max(1) as f64;
    let json = json!({
        "server": cache.name, "entries": entries, "kept": kept, "grown_bytes": grown,
        "exact_bytes_per_entry": exact, "bytes_per_entry": each, "ratio": each / exact,
    });
    let cells = [
        cache.name.clone(),
        kept.to_string(),
        mebibytes(grown as f64),
        format!("{each:.0}"),
        format!("{exact:.0}"),
        format!("{:.3}", each / exact),
    ];
    table.row(cells, json);
    for turn in [filled, again] {
        if turn.report.bad() > 0 {
            table.fault(format!("{}: {} answers were wrong or missing", cache.name, turn.report.bad()));
        }
    }
    Ok(())
}

/// Bytes that an entry is made of: names and values of what the origin sends, its body, and the key.
fn exact(cache: &Server, number: u64) -> anyhow::Result<u64> {
    let target = format!("/item/{number}?bytes={BYTES}");
    let Some(origin) = cache.counted else { return Ok(0) };
    let head = server::head(origin, &target)?;
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    // Whether the connection is kept is not part of the answer.
    let fields = fields.filter(|(name, _)| !name.eq_ignore_ascii_case("connection"));
    let head: usize = fields.map(|(name, value)| name.len() + value.len()).sum();
    let key = "http://".len() + edge_cache_peers::HOST.len() + target.len();
    Ok(head as u64 + BYTES + key as u64)
}

/// What a hit costs among many entries and among few, in one cache and by turns.
fn cost(bench: &mut Bench, caches: &[Server]) -> anyhow::Result<()> {
    let floor = servers::floor(bench, BYTES)?;
    let (few, many) = (FEW, bench.args.entries);
    let load = |keys| Load::items(BYTES, keys, bench.args.requests);
    let mut subjects = vec![Subject::new(&floor, load(few).constant(), Fetches::None)];
    for cache in caches {
        for keys in [few, many] {
            let subject = Subject::new(cache, load(keys), Fetches::None);
            subjects.push(Subject { name: format!("{}, {keys} keys", cache.name), ..subject });
        }
    }
    let base = subjects.get(1).map_or(String::new(), |subject| subject.name.clone());
    let title = format!("A hit among {many} entries of {BYTES} bytes: any {few} of them, or any");
    let table = rounds::compare(bench, &title, &subjects, &["floor", &base])?;
    bench.show("memory", table);
    Ok(())
}
