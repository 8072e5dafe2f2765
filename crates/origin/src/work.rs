//! What the work of a request is worth, known to whatever runs on its behalf.

use edge_cache_core::{Deadline, Priority};
use tokio::{task_local, time::Instant};

/// How urgent the work is, and until when it is of use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// How urgent it is.
    pub priority: Priority,
    /// When it is of no use any more; `None` for never.
    pub deadline: Option<Deadline>,
}

task_local! {
    static WORK: Work;
}

impl Work {
    /// What the extensions of a request say.
    #[must_use]
    pub fn of(extensions: &http::Extensions) -> Self {
        Self { priority: extensions.get().copied().unwrap_or_default(), deadline: extensions.get().copied() }
    }

    /// Runs `future` as this work: statements that it sends queue by its priority and end at its deadline. Tasks that it spawns are work of
    /// their own.
    pub async fn run<F: Future>(self, future: F) -> F::Output {
        WORK.scope(self, future).await
    }

    /// The work that is running.
    pub(crate) fn current() -> Self {
        WORK.try_with(|work| *work).unwrap_or_default()
    }

    pub(crate) fn until(self) -> Option<Instant> {
        self.deadline.map(|Deadline(at)| at.into())
    }
}
