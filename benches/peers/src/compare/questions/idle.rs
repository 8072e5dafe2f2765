use serde_json::json;

use crate::{
    bench::Bench,
    load::{Load, Loader},
    rounds,
    server::Server,
    servers::{self, CacheProxy, Room},
    stats::Spread,
    system::Memory,
    table::{Table, with_range},
};

const BYTES: u64 = 1024;
/// Connections that come and go before the count begins: what a server needs once is not what a connection needs.
const BEFORE: usize = 64;
/// Each time with servers that are new.
const ROUNDS_MAX: usize = 5;

/// What an idle connection needs.
pub(crate) fn ask(bench: &mut Bench) -> anyhow::Result<()> {
    let count = bench.args.idle;
    let load = Load { connections: count, ..Load::items(BYTES, 1, 0) };
    let mut found: Vec<(String, Vec<f64>)> = Vec::new();
    for _ in 0..bench.args.rounds.min(ROUNDS_MAX) {
        let origin = servers::origin(bench)?;
        let mut all = vec![servers::floor(bench, BYTES)?];
        if bench.wants("cache-proxy") {
            all.push(CacheProxy::default().start(bench, &origin)?);
        }
        all.extend(servers::of_the_system(bench, &origin, Room { connections: count + 1000, ..Room::default() })?);
        for server in &all {
            let load = if server.counted.is_none() { load.clone().constant() } else { load.clone() };
            let bytes = per_connection(bench, server, &load)?;
            match found.iter_mut().find(|(name, _)| *name == server.name) {
                Some((_, all)) => all.push(bytes),
                None => found.push((server.name.clone(), vec![bytes])),
            }
        }
    }
    let title = format!("Memory of an idle connection: {count} connections, each answered once before");
    let mut table = Table::new(&title, ["server", "bytes/connection (min..max)", "x floor (quartiles)"]);
    let floor = found.first().map(|(_, bytes)| bytes.clone()).unwrap_or_default();
    for (name, bytes) in &found {
        let (all, ratio) = (Spread::of(bytes.iter().copied()), rounds::ratio(bytes, &floor, |bytes| *bytes));
        let json = json!({ "server": name, "bytes_per_connection": all, "ratio": ratio, "rounds": bytes });
        table.row([name.clone(), with_range(all, 0), crate::table::with_quartiles(ratio, 2)], json);
    }
    bench.show("idle", table);
    Ok(())
}

fn per_connection(bench: &Bench, server: &Server, load: &Load) -> anyhow::Result<f64> {
    let cores = [bench.args.loader_core];
    let before = Load { connections: BEFORE, ..load.clone() };
    drop(Loader::ready(bench, &cores, server, &before)?);
    let before = Memory::of(server.pid())?.resident;
    let mut loader = Loader::ready(bench, &cores, server, load)?;
    let after = Memory::of(server.pid())?.resident;
    // It tells what became of the requests that opened the connections.
    let report = loader.idle()?;
    anyhow::ensure!(report.bad() == 0, "{} answered wrongly: {report:?}", server.name);
    Ok(after.saturating_sub(before) as f64 / load.connections as f64)
}
