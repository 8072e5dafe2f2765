use super::fill;
use crate::{
    bench::Bench,
    load::Load,
    rounds::{self, Fetches, Subject},
    server::Server,
    servers::{self, CacheProxy, Room},
};

const KEYS: u64 = 1000;

/// What a hit costs, by length of the body.
pub(crate) fn ask(bench: &mut Bench) -> anyhow::Result<()> {
    let origin = servers::origin(bench)?;
    let caches = caches(bench, &origin)?;
    for bytes in [1024, 16_384] {
        let (floor, many) = (servers::floor(bench, bytes)?, servers::floor_of_many(bench, bytes, KEYS)?);
        let load = Load::items(bytes, KEYS, bench.args.requests);
        let mut subjects = vec![
            Subject::new(&floor, load.clone().constant(), Fetches::None),
            Subject::new(&many, load.clone(), Fetches::None),
        ];
        for cache in &caches {
            fill(bench, cache, &load)?;
            subjects.push(Subject::new(cache, load.clone(), Fetches::None));
        }
        let title =
            format!("A hit of {bytes} bytes: {KEYS} keys, {} connections, one serving thread", load.connections);
        let bases = ["floor", "floor, an answer each", "haproxy", "tower-http-cache"];
        rounds::compare_at_both(bench, ("hit", &title), subjects, (&bases, 0))?;
    }
    Ok(())
}

/// All caches that are compared, in front of `origin`.
fn caches(bench: &Bench, origin: &Server) -> anyhow::Result<Vec<Server>> {
    let variants = [
        CacheProxy::default(),
        CacheProxy { name: "cache-proxy, access log", access_log: true, ..CacheProxy::default() },
        CacheProxy { name: "cache-proxy, telemetry off", telemetry: false, ..CacheProxy::default() },
    ];
    let wanted = variants.into_iter().filter(|variant| bench.wants(variant.name));
    let mut caches = wanted.map(|variant| variant.start(bench, origin)).collect::<anyhow::Result<Vec<_>>>()?;
    caches.extend(servers::crates(bench)?);
    caches.extend(servers::of_the_system(bench, origin, Room::default())?);
    Ok(caches)
}
