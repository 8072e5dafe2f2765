use super::Room;
use crate::{
    bench::{Bench, installed},
    server::{Launch, Server, free_address},
};

/// The longest object that is compared and kept.
const OBJECT_BYTES_MAX: u64 = 1 << 17;
/// What `total-max-size` takes at most.
const MEBIBYTES_MAX: u64 = 4095;

/// HAProxy with one thread and its cache.
pub(super) fn start(bench: &Bench, origin: &Server, room: Room) -> anyhow::Result<Option<Server>> {
    let Some(program) = installed("haproxy").filter(|_| bench.wants("haproxy")) else { return Ok(None) };
    let address = free_address()?;
    let launch = Launch::new("haproxy", program, &[bench.args.server_core])?.counted(origin.address);
    let config = format!(
        "global\n  nbthread 1\n  maxconn {connections}\n  no strict-limits\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 300s\n  timeout server 60s\n  http-reuse always\n\
         cache entries\n  total-max-size {size}\n  max-object-size {OBJECT_BYTES_MAX}\n  max-age 86400\n\
         frontend clients\n  bind {address} backlog 16384\n  default_backend origin\n\
         backend origin\n  http-request cache-use entries\n  http-response cache-store entries\n  server origin {origin}\n",
        connections = room.connections,
        size = room.mebibytes.min(MEBIBYTES_MAX),
        origin = origin.address,
    );
    let file = launch.file("haproxy.cfg", &config)?;
    launch.args(["-db", "-f", &file]).silent(address).map(Some)
}
