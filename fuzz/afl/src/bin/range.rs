//! The target `range` of `edge-cache-fuzz`.

fn main() {
    afl::fuzz!(|data: &[u8]| edge_cache_fuzz::range(data));
}
