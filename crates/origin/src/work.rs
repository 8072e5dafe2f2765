//! What the work of a request is worth, known to whatever runs on its behalf.

use std::borrow::Cow;

use edge_cache_core::{Deadline, Priority, RequestId, Trail};
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
    pub fn run<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        // Not `async`: its future would have room for this one twice.
        WORK.scope(self, future)
    }

    /// How urgent the running work is.
    pub(crate) fn urgency() -> Priority {
        WORK.try_with(|work| work.priority).unwrap_or_default()
    }

    /// When the running work is of no use any more.
    pub(crate) fn end() -> Option<Instant> {
        WORK.try_with(|work| work.deadline.map(|Deadline(at)| at.into())).ok().flatten()
    }

    /// Notes a step of the work that is running, where anybody wants to know.
    pub(crate) fn note<W: Into<Cow<'static, str>>>(who: &'static str, what: impl FnOnce() -> W) {
        // Work that is nobody's, as a health check, has no trail.
        Self::noted(|trail| trail.note(who, what()));
    }

    /// The same of a moment that is known, with words that are made when somebody reads them.
    pub(crate) fn note_later(at: Instant, who: &'static str, say: impl Fn() -> String + Send + Sync + 'static) {
        Self::noted(|trail| trail.note_later(at.into_std(), who, say));
    }

    fn noted(note: impl FnOnce(&Trail)) {
        // Where no work is running, there is nothing to note.
        WORK.try_with(|work| work.trail.as_ref().map(note)).ok();
    }

    /// The request that the running work is for, for log lines.
    #[must_use]
    pub fn request() -> Option<RequestId> {
        WORK.try_with(|work| work.trail.as_ref().and_then(Trail::id)).ok().flatten()
    }
}
