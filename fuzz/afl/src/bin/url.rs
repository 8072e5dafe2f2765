//! The target `url` of `edge-cache-fuzz`.

fn main() {
    afl::fuzz!(|data: &[u8]| edge_cache_fuzz::url(data));
}
