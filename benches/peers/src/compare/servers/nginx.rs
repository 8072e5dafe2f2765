use nix::unistd::Uid;

use super::Room;
use crate::{
    bench::{Bench, installed},
    server::{Launch, Server, free_address},
};

/// nginx with one worker and its proxy cache; the folder of the entries is in memory.
pub(super) fn start(bench: &Bench, origin: &Server, room: Room) -> anyhow::Result<Option<Server>> {
    let Some(program) = installed("nginx").filter(|_| bench.wants("nginx")) else { return Ok(None) };
    let address = free_address()?;
    let launch = Launch::new("nginx", program, &[bench.args.server_core])?.counted(origin.address);
    let folder = launch.folder().to_string_lossy().into_owned();
    // Started by root it would give its worker to a user who may not write here.
    let user = if Uid::effective().is_root() { "user root;" } else { "" };
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|kind| format!("  {kind}_temp_path {folder}/{kind};\n")).concat();
    let config = format!(
        "{user}\ndaemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log {folder}/error.log;\n\
         events {{\n  worker_connections {connections};\n}}\n\
         http {{\n  access_log off;\n{temporary}\
         \x20 proxy_cache_path {folder}/entries levels=1:2 keys_zone=entries:256m max_size={size}m inactive=1d use_temp_path=off;\n\
         \x20 open_file_cache max=10000 inactive=1h;\n  open_file_cache_valid 1h;\n  sendfile on;\n  tcp_nodelay on;\n\
         \x20 keepalive_timeout 300s;\n  keepalive_requests 1000000000;\n\
         \x20 upstream origin {{\n    server {origin};\n    keepalive 64;\n    keepalive_requests 1000000000;\n  }}\n\
         \x20 server {{\n    listen {address} backlog=16384;\n    location / {{\n      proxy_pass http://origin;\n\
         \x20     proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      proxy_set_header Host $host;\n\
         \x20     proxy_cache entries;\n    }}\n  }}\n}}\n",
        connections = room.connections * 2,
        size = room.mebibytes,
        origin = origin.address,
    );
    let file = launch.file("nginx.conf", &config)?;
    let errors = format!("{folder}/error.log");
    launch.args(["-p", &folder, "-e", &errors, "-c", &file]).silent(address).map(Some)
}
