//! What is kept.

use allocation_counter::measure;
use edge_cache_benches::answer;
use tokio::runtime::Builder;

use crate::exchanges::{cached, requests};

const ENTRIES: usize = 20_000;

/// Bytes that an entry with a body of 1 KiB asks of the allocator for as long as it is kept, in the mean, with all that the cache notes of
/// its key elsewhere, as whether it is hot.
pub(crate) fn bytes() -> f64 {
    let mut cached = cached(false);
    let runtime = Builder::new_current_thread().enable_time().build().expect("threads are to be had");
    let _within = runtime.enter();
    // Asked for and given back within what is counted: requests leave nothing.
    let fill_all = || requests(0..ENTRIES).into_iter().for_each(|asked| drop(answer(&mut cached, asked)));
    measure(fill_all).bytes_current as f64 / ENTRIES as f64
}
