use crate::{
    bench::Bench,
    load::{Load, Loader},
    rounds::{self, Fetches, Subject},
    servers::{self, CacheProxy},
};

use super::fill;

const BYTES: u64 = 1024;
const KEYS: u64 = 1000;

/// What a hit costs with two serving threads. There the loader runs on the same two cores.
pub(crate) fn ask(bench: &mut Bench) -> anyhow::Result<()> {
    let (server, loader) = (bench.args.server_core, bench.args.loader_core);
    let both = [server, loader];
    let origin = servers::origin(bench)?;
    let mut all = Vec::new();
    for (threads, cores) in [(1, &both[..1]), (2, &both[..])] {
        let mut floor = servers::floor_on(BYTES, threads, cores)?;
        floor.name = format!("floor, {threads}");
        all.push((floor, cores));
        let mut cache = CacheProxy { threads, ..CacheProxy::default() }.start_on(bench, &origin, cores)?;
        cache.name = format!("cache-proxy, {threads}");
        all.push((cache, cores));
    }
    let load = Load::items(BYTES, KEYS, bench.args.requests);
    let mut subjects = Vec::new();
    for (server, _) in &all {
        let constant = server.counted.is_none();
        if !constant {
            fill(bench, server, &load)?;
        }
        let load = if constant { load.clone().constant() } else { load.clone() };
        subjects.push(Subject::new(server, load, Fetches::None));
    }
    let turns = rounds::interleaved(bench, bench.args.rounds, subjects.len(), |at, _| {
        let cores = if all[at].1.len() == 1 { vec![loader] } else { both.to_vec() };
        Loader::ready(bench, &cores, subjects[at].server, &subjects[at].load)?.turn(subjects[at].server)
    })?;
    let title = format!("A hit of {BYTES} bytes with one and with two serving threads");
    let mut table = rounds::tabulate(&title, &subjects, &turns, &["floor, 1", "floor, 2", "cache-proxy, 1"]);
    table.note("With two, servers and loader share both cores: compare processor time, not rates.");
    bench.show("threads", table);
    Ok(())
}
