use crate::{
    bench::{Bench, own},
    server::{Launch, Server},
};

/// The floor, on the core of servers.
pub(crate) fn floor(bench: &Bench, bytes: u64) -> anyhow::Result<Server> {
    floor_on(bytes, 1, &[bench.args.server_core])
}

/// The floor with `threads` on `cores`.
pub(crate) fn floor_on(bytes: u64, threads: usize, cores: &[usize]) -> anyhow::Result<Server> {
    launch_floor(bytes, threads, cores)?.announced("")
}

/// The floor with nothing between, to measure how long it takes.
pub(crate) fn floor_at_once(bench: &Bench, bytes: u64) -> anyhow::Result<Server> {
    launch_floor(bytes, 1, &[bench.args.server_core])?.announced_at_once("")
}

/// The floor with an answer for each of `keys`: what it costs to have them, before anything is looked up.
pub(crate) fn floor_of_many(bench: &Bench, bytes: u64, keys: u64) -> anyhow::Result<Server> {
    let args = ["--bytes".to_owned(), bytes.to_string(), "--keys".to_owned(), keys.to_string()];
    Launch::new("floor, an answer each", own("floor")?, &[bench.args.server_core])?.args(args).announced("")
}

fn launch_floor(bytes: u64, threads: usize, cores: &[usize]) -> anyhow::Result<Launch> {
    let args = ["--bytes".to_owned(), bytes.to_string(), "--threads".to_owned(), threads.to_string()];
    Ok(Launch::new("floor", own("floor")?, cores)?.args(args))
}

/// The origin: on the loader's core, so that servers have theirs for themselves.
pub(crate) fn origin(bench: &Bench) -> anyhow::Result<Server> {
    origin_on(bench.args.loader_core)
}

/// The origin on a core where it is to be measured itself.
pub(crate) fn origin_on(core: usize) -> anyhow::Result<Server> {
    Launch::new("origin", own("origin")?, &[core])?.announced("")
}

/// The caches that are crates: each in front of a handler in its own process, which counts how often it is asked.
pub(crate) fn crates(bench: &Bench) -> anyhow::Result<Vec<Server>> {
    let all = [("tower-http-cache", "tower_http_cache"), ("http-cache-tower-server", "http_cache_tower_server")];
    let wanted = all.into_iter().filter(|(name, _)| bench.wants(name));
    let start = |(name, program)| {
        let mut server = Launch::new(name, own(program)?, &[bench.args.server_core])?.announced("")?;
        server.counted = Some(server.address);
        Ok(server)
    };
    wanted.map(start).collect()
}

/// The least that a hyper server and a hyper client can do to pass a request on.
pub(crate) fn bare_proxy(bench: &Bench, origin: &Server) -> anyhow::Result<Server> {
    let launch = Launch::new("bare-proxy", own("bare_proxy")?, &[bench.args.server_core])?;
    launch.args(["--origin".to_owned(), origin.address.to_string()]).counted(origin.address).announced("")
}

/// The least that a cache over hyper and moka can do for a miss, with `memory` bytes for what it keeps.
pub(crate) fn bare_cache(bench: &Bench, origin: &Server, memory: u64) -> anyhow::Result<Server> {
    let launch = Launch::new("bare-cache", own("bare_cache")?, &[bench.args.server_core])?;
    let args = ["--origin".to_owned(), origin.address.to_string(), "--memory".to_owned(), memory.to_string()];
    launch.args(args).counted(origin.address).announced("")
}
