//! The last few of something, the newest first.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// A bounded list.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    kept: Mutex<VecDeque<T>>,
    most: usize,
}

impl<T: Clone> Recent<T> {
    pub(crate) const fn new(most: usize) -> Self {
        Self { kept: Mutex::new(VecDeque::new()), most }
    }

    pub(crate) fn push(&self, new: T) {
        let mut kept = self.kept.lock();
        kept.truncate(self.most.saturating_sub(1));
        kept.push_front(new);
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.kept.lock().iter().cloned().collect()
    }
}
