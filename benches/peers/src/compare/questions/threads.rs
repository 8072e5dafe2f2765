use crate::{
    bench::Bench,
    load::{Load, Loader, turn_together},
    rounds::{self, Fetches, Subject},
    server::Server,
    servers::{self, CacheProxy},
};

use super::fill;

const BYTES: u64 = 1024;
const KEYS: u64 = 1000;

/// Servers that are asked together.
struct Arrangement {
    name: String,
    servers: Vec<Server>,
    /// Those of the loaders.
    cores: Vec<usize>,
}

/// What a hit costs with two serving threads: beside one, and beside two processes of one thread each, which share nothing but the machine.
pub(crate) fn ask(bench: &mut Bench) -> anyhow::Result<()> {
    let (server, loader) = (bench.args.server_core, bench.args.loader_core);
    let (alone, both) = (vec![server], vec![server, loader]);
    let origin = servers::origin(bench)?;
    let mut all = Vec::new();
    for (what, processes, threads, loaders) in [
        ("1", vec![&alone], 1, vec![loader]),
        ("2", vec![&both], 2, both.clone()),
        ("2 x 1", vec![&alone, &vec![loader]], 1, both.clone()),
    ] {
        let floors = processes.iter().map(|cores| servers::floor_on(BYTES, threads, cores));
        let caches = processes.iter().map(|cores| {
            let cache = CacheProxy { threads, ..CacheProxy::default() }.start_on(bench, &origin, cores)?;
            fill(bench, &cache, &Load::items(BYTES, KEYS, bench.args.requests))?;
            Ok(cache)
        });
        for (name, servers) in
            [("floor", floors.collect::<anyhow::Result<_>>()?), ("cache-proxy", caches.collect::<anyhow::Result<_>>()?)]
        {
            all.push(Arrangement { name: format!("{name}, {what}"), servers, cores: loaders.clone() });
        }
    }
    // Two loaders for each, so that all are asked in the same way.
    let load = Load::items(BYTES, KEYS, bench.args.requests);
    let half = Load { connections: load.connections / 2, requests: load.requests / 2, ..load };
    let of = |arrangement: &Arrangement| match arrangement.servers[0].counted {
        None => half.clone().constant(),
        Some(_) => half.clone(),
    };
    let mut subjects = Vec::new();
    for arrangement in &all {
        let Arrangement { name, servers, .. } = arrangement;
        let subject = Subject::new(&servers[0], of(arrangement), Fetches::None);
        subjects.push(Subject { name: name.clone(), ..subject });
    }
    let turns = rounds::interleaved(bench, bench.args.rounds, subjects.len(), |at, _| {
        let Arrangement { servers, cores, .. } = &all[at];
        let loader = |which: usize| Loader::ready(bench, cores, &servers[which % servers.len()], &subjects[at].load);
        turn_together(vec![loader(0)?, loader(1)?], servers)
    })?;
    let title = format!("A hit of {BYTES} bytes with one and with two serving threads");
    let bases = ["floor, 1", "floor, 2 x 1", "cache-proxy, 1", "cache-proxy, 2 x 1"];
    let mut table = rounds::tabulate(&title, &subjects, &turns, &bases);
    table.note("With two threads, and with two processes of one thread each (2 x 1), servers and loaders share both cores: what two threads cost beside one is then");
    table.note("mostly what the loaders take from the servers' caches, and what they cost beside two processes is what they share. Compare processor time there, not rates.");
    bench.show("threads", table);
    Ok(())
}
