//! Which copy of a counter a thread writes to. Counters that several threads write would pass from one core's cache to the other's with each
//! request, and cost more than all else that is noted of it.

use std::{
    cell::OnceCell,
    marker::PhantomData,
    sync::{
        OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use parking_lot::Mutex;

/// More copies than that are not worth their memory, 1.5 KiB for each route: so many that have one thread each, and so many that any thread may write to.
const OWN_MAX: usize = 32;
const SHARED_MAX: usize = 8;

/// Copies that belong to one thread each: enough for a server with a thread for each core and another runtime beside it. What further threads count goes to those
/// that they share.
fn owned() -> usize {
    (2 * cores()).min(OWN_MAX)
}

/// How many copies of a counter there are.
pub(crate) fn shards() -> usize {
    owned() + cores().min(SHARED_MAX)
}

fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// A thread's place among the copies. It stays with its thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    copy: usize,
    is_own: bool,
    _of_this_thread: PhantomData<*const ()>,
}

impl Lane {
    /// That of this thread.
    pub(crate) fn mine() -> Self {
        thread_local! {
            static MINE: OnceCell<Claim> = const { OnceCell::new() };
        }
        // A thread that is ending has given its copy back.
        MINE.try_with(|mine| mine.get_or_init(Claim::new).lane).unwrap_or_else(|_| Self::shared())
    }

    fn shared() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let copy = owned() + NEXT.fetch_add(1, Relaxed) % (shards() - owned());
        Self { copy, is_own: false, _of_this_thread: PhantomData }
    }

    /// Counts in a copy that this lane leads to. Where no other thread counts there, that takes no locked instruction, which is ten
    /// times as long as another.
    pub(crate) fn add(self, count: &AtomicU64, more: u64) {
        if self.is_own {
            count.store(count.load(Relaxed).wrapping_add(more), Relaxed);
        } else {
            count.fetch_add(more, Relaxed);
        }
    }
}

/// What a thread holds until it ends.
struct Claim {
    lane: Lane,
}

/// Copies whose threads have ended, and the first one that never had any.
static FREE: Mutex<(Vec<usize>, usize)> = Mutex::new((Vec::new(), 0));

impl Claim {
    fn new() -> Self {
        let mut free = FREE.lock();
        let (given_back, next) = &mut *free;
        let copy = given_back.pop().or_else(|| {
            let new = (*next < owned()).then_some(*next);
            *next += usize::from(new.is_some());
            new
        });
        let own = |copy| Lane { copy, is_own: true, _of_this_thread: PhantomData };
        Self { lane: copy.map_or_else(Lane::shared, own) }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.lane.is_own {
            // Whoever locks next has seen what this thread counted.
            FREE.lock().0.push(self.lane.copy);
        }
    }
}

/// A copy for each lane, each in cache lines of its own.
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

    /// The copy that a lane leads to.
    pub(crate) fn at(&self, lane: Lane) -> &T {
        &self.0[lane.copy].0
    }

    /// All of them, to be added up.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|alone| &alone.0)
    }
}

impl Sharded<AtomicU64> {
    /// Counts on this thread.
    pub(crate) fn add(&self, lane: Lane, more: u64) {
        lane.add(self.at(lane), more);
    }

    /// What all threads counted.
    pub(crate) fn sum(&self) -> u64 {
        self.all().fold(0, |sum, count| sum.wrapping_add(count.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};

    use super::*;

    #[test]
    fn what_all_threads_count_adds_up() {
        const THREADS: usize = 20;
        let counts = Arc::new(Sharded::new(AtomicU64::default));
        // Twice: those that come later count where others did.
        for _ in 0..2 {
            let all_are_there = Arc::new(Barrier::new(THREADS));
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    let (counts, all_are_there) = (Arc::clone(&counts), Arc::clone(&all_are_there));
                    thread::spawn(move || {
                        let lane = Lane::mine();
                        all_are_there.wait();
                        for _ in 0..10_000 {
                            counts.add(lane, 1);
                        }
                        lane.is_own.then_some(lane.copy)
                    })
                })
                .collect();
            let mut own: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect();
            assert!(!own.is_empty() && own.len() <= owned());
            own.sort_unstable();
            assert!(own.windows(2).all(|two| two[0] != two[1]), "two threads own one copy: {own:?}");
        }
        assert_eq!(counts.sum(), 2 * 20 * 10_000);
    }

    #[test]
    fn a_thread_that_ends_counts_on() {
        struct AtTheEnd(Arc<Sharded<AtomicU64>>);
        impl Drop for AtTheEnd {
            fn drop(&mut self) {
                self.0.add(Lane::mine(), 1);
            }
        }
        thread_local! {
            static LAST: OnceCell<AtTheEnd> = const { OnceCell::new() };
        }
        let counts = Arc::new(Sharded::new(AtomicU64::default));
        let theirs = Arc::clone(&counts);
        let thread = thread::spawn(move || {
            // Destroyed in the order in which they were first used, or the other way round.
            theirs.add(Lane::mine(), 1);
            LAST.with(|last| last.set(AtTheEnd(theirs)).is_ok())
        });
        assert!(thread.join().unwrap());
        assert_eq!(counts.sum(), 2);
    }
}
