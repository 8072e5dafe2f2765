//! What the work of a request is worth, known to whatever runs on its behalf.

use std::borrow::Cow;

use edge_cache_core::{Deadline, Priority, Trail};
use tokio::{task_local, time::Instant};

/// How urgent the work is, until when it is of use, and where what is decided for it is noted.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// How urgent it is.
    pub priority: Priority,
    /// When it is of no use any more; `None` for never.
    pub deadline: Option<Deadline>,
    /// Where its steps are noted; `None` for nowhere.
    pub trail: Option<Trail>,
}

task_local! {
    static WORK: Work;
}

impl Work {
    /// What the extensions of a request say.
    #[must_use]
    pub fn of(extensions: &http::Extensions) -> Self {
        Self {
            priority: extensions.get().copied().unwrap_or_default(),
            deadline: extensions.get().copied(),
            trail: extensions.get().cloned(),
        }
    }

    /// Runs `future` as this work: statements that it sends queue by its priority and end at its deadline. Tasks that it spawns are work of
    /// their own.
    pub async fn run<F: Future>(self, future: F) -> F::Output {
        WORK.scope(self, future).await
    }

    /// The work that is running.
    pub(crate) fn current() -> Self {
        WORK.try_with(Self::clone).unwrap_or_default()
    }

    /// Notes a step of the work that is running, where anybody wants to know.
    pub(crate) fn note<W: Into<Cow<'static, str>>>(who: &'static str, what: impl FnOnce() -> W) {
        // Work that is nobody's, as a health check, has no trail.
        if let Some(trail) = WORK.try_with(|work| work.trail.clone()).ok().flatten() {
            trail.note(who, what());
        }
    }

    pub(crate) fn until(&self) -> Option<Instant> {
        self.deadline.map(|Deadline(at)| at.into())
    }
}
