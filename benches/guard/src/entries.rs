//! What is kept.

use allocation_counter::measure;
use edge_cache_benches::{fill, warmed};
use tokio::runtime::Builder;

use crate::hits::requests;

const ENTRIES: usize = 20_000;

/// Bytes that an entry with a body of 1 KiB asks of the allocator for as long as it is kept, in the mean, with all that the cache notes of
/// its key elsewhere, as whether it is hot.
pub(crate) fn bytes() -> f64 {
    let mut cached = warmed(1024);
    let runtime = Builder::new_current_thread().build().expect("threads are to be had");
    // Asked for and given back within what is counted: requests leave nothing.
    let fill_all = || requests(ENTRIES).into_iter().for_each(|asked| runtime.block_on(fill(&mut cached, asked)));
    let kept = measure(fill_all);
    kept.bytes_current as f64 / ENTRIES as f64
}
