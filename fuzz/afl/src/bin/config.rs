//! The target `config` of `edge-cache-fuzz`.

fn main() {
    afl::fuzz!(|data: &[u8]| edge_cache_fuzz::config(data));
}
