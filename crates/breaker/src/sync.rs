//! The lock and the shared pointer: under the model checker its own, which try every order of threads.

#[cfg(not(all(test, edge_cache_loom)))]
mod real {
    pub(crate) use std::sync::Arc;

    pub(crate) use parking_lot::Mutex;
}

#[cfg(all(test, edge_cache_loom))]
mod real {
    pub(crate) use loom::sync::Arc;

    /// Locks as `parking_lot`'s does: without poisoning.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("nobody panics who holds the lock")
        }
    }
}

pub(crate) use self::real::{Arc, Mutex};
