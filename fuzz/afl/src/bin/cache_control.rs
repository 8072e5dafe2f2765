//! The target `cache_control` of `edge-cache-fuzz`.

fn main() {
    afl::fuzz!(|data: &[u8]| edge_cache_fuzz::cache_control(data));
}
