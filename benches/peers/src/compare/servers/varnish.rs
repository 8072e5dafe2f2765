use super::Room;
use crate::{
    bench::{Bench, installed},
    server::{Launch, Server, free_address},
};

/// Varnish with its entries in memory. It serves by many threads, which share the core of servers as the others do.
pub(crate) fn start(bench: &Bench, origin: &Server, room: Room) -> anyhow::Result<Option<Server>> {
    let Some(program) = installed("varnishd").filter(|_| bench.wants("varnish")) else { return Ok(None) };
    let address = free_address()?;
    let launch = Launch::new("varnish", program, &[bench.args.server_core])?.counted(origin.address);
    let (host, port) = (origin.address.ip(), origin.address.port());
    let vcl = format!("vcl 4.1;\nbackend origin {{\n  .host = \"{host}\";\n  .port = \"{port}\";\n}}\n");
    let file = launch.file("default.vcl", &vcl)?;
    let work = launch.folder().join("work").to_string_lossy().into_owned();
    let storage = format!("malloc,{}m", room.mebibytes);
    let args = ["-F", "-j", "none", "-n", &work, "-a", &address.to_string(), "-f", &file, "-s", &storage];
    // One pool for one core; its threads are there from the beginning and stay.
    let tuning = ["thread_pools=1", "thread_pool_min=200", "timeout_idle=300", "listen_depth=16384"];
    let tuning = tuning.iter().flat_map(|parameter| ["-p", parameter]);
    launch.args(args.into_iter().chain(tuning)).silent(address).map(Some)
}
