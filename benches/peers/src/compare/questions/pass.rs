use crate::{
    bench::Bench,
    load::Load,
    rounds::{self, Fetches, Subject},
    servers::{self, CacheProxy, Room},
};

const BYTES: u64 = 1024;
const KEYS: u64 = 1000;

/// What it costs to pass on what may not be stored. The origin and the loader share a core; only the proxy's time counts.
pub(crate) fn ask(bench: &mut Bench) -> anyhow::Result<()> {
    let origin = servers::origin(bench)?;
    let floor = servers::floor(bench, BYTES)?;
    let mut proxies = vec![servers::bare_proxy(bench, &origin)?];
    if bench.wants("cache-proxy") {
        proxies.push(CacheProxy::default().start(bench, &origin)?);
    }
    proxies.extend(servers::of_the_system(bench, &origin, Room::default())?);
    let load = Load::private(BYTES, KEYS, bench.args.requests / 2);
    let mut subjects = vec![Subject::new(&floor, load.clone().constant(), Fetches::None)];
    subjects.extend(proxies.iter().map(|proxy| Subject::new(proxy, load.clone(), Fetches::Each)));
    let title = format!("Passing on {BYTES} bytes that may not be stored: {} connections", load.connections);
    rounds::compare_at_both(bench, ("pass", &title), subjects, (&["floor", "bare-proxy", "haproxy"], 0))
}
