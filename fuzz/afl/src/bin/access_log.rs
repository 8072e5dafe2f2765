//! The target `access_log` of `edge-cache-fuzz`.

fn main() {
    afl::fuzz!(|data: &[u8]| edge_cache_fuzz::access_log(data));
}
