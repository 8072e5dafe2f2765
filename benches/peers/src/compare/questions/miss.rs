use crate::{
    bench::Bench,
    load::Load,
    rounds::{self, Fetches, Subject},
    servers::{self, CacheProxy, Room},
};

const BYTES: u64 = 1024;
/// Room for every key that a run asks for: what must make room for it is another question.
const MEBIBYTES: u64 = 4096;

/// What a miss costs that is stored: processor time with many connections, latency with one.
pub(crate) fn ask(bench: &mut Bench) -> anyhow::Result<()> {
    let origin = servers::origin(bench)?;
    let floor = servers::floor(bench, BYTES)?;
    let mut proxies = vec![servers::bare_proxy(bench, &origin)?];
    if bench.wants("bare-cache") {
        proxies.push(servers::bare_cache(bench, &origin, MEBIBYTES << 20)?);
    }
    if bench.wants("cache-proxy") {
        let variant = CacheProxy { memory_bytes: MEBIBYTES << 20, ..CacheProxy::default() };
        proxies.push(variant.start(bench, &origin)?);
    }
    proxies.extend(servers::of_the_system(bench, &origin, Room { mebibytes: MEBIBYTES, ..Room::default() })?);
    let bases = ["floor", "bare-proxy", "bare-cache", "haproxy"];
    let asked = |connections, requests, first| {
        let load = Load { connections, first, in_sequence: true, ..Load::items(BYTES, u64::MAX, requests) };
        let mut subjects = vec![Subject::new(&floor, load.clone().constant(), Fetches::None)];
        subjects.extend(proxies.iter().map(|proxy| Subject::new(proxy, load.clone(), Fetches::Each)));
        (format!("A miss of {BYTES} bytes, stored: each key once, connections: {connections}"), subjects)
    };
    // The keys of each part begin where no other turn's do.
    let (title, subjects) = asked(64, bench.args.requests / 2, 0);
    rounds::compare_at_both(bench, ("miss", &title), subjects, (&bases, 1 << 33))?;
    let (title, subjects) = asked(1, bench.args.requests / 8, 1 << 32);
    let mut table = rounds::compare(bench, &title, &subjects, &bases)?;
    table.note("One connection: p50 and p99 are what a miss takes, with nothing queued.");
    bench.show("miss", table);
    Ok(())
}
