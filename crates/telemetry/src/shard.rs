//! Which copy of a counter a thread writes to. Counters that several threads write would pass from one core's cache to the other's with each
//! request, and cost more than all else that is noted of it.

use std::{
    cell::Cell,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// More copies than that are not worth their memory.
const SHARDS_MAX: usize = 8;

/// How many copies of a counter there are: one a core.
pub(crate) fn shards() -> usize {
    static SHARDS: OnceLock<usize> = OnceLock::new();
    *SHARDS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from).min(SHARDS_MAX))
}

/// The copy of this thread.
pub(crate) fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % shards());
        }
        mine.get()
    })
}

/// A copy for each shard, each in cache lines of its own.
#[derive(Debug)]
pub(crate) struct Sharded<T>(Box<[Alone<T>]>);

/// Two lines: processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Alone<T>(T);

impl<T> Sharded<T> {
    pub(crate) fn new(mut make: impl FnMut() -> T) -> Self {
        Self((0..shards()).map(|_| Alone(make())).collect())
    }

    /// The copy that this thread writes to.
    pub(crate) fn mine(&self) -> &T {
        &self.0[shard()].0
    }

    /// All of them, to be added up.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|alone| &alone.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicU64};

    use super::*;

    #[test]
    fn what_all_threads_count_adds_up() {
        let counts = Arc::new(Sharded::new(AtomicU64::default));
        let threads: Vec<_> = (0..20)
            .map(|_| {
                let counts = Arc::clone(&counts);
                thread::spawn(move || {
                    for _ in 0..1000 {
                        counts.mine().fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(counts.all().map(|count| count.load(Ordering::Relaxed)).sum::<u64>(), 20_000);
    }
}
