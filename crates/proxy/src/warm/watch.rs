//! What is done while a run goes on: noted, and shown.

use edge_cache_warmer::{Finished, Observer, Outcome, Report, journal::Journal};

use super::progress::Progress;

/// Hears of every job.
#[derive(Debug)]
pub(super) struct Watch {
    journal: Option<Journal>,
    progress: Progress,
}

impl Watch {
    pub(super) const fn new(journal: Option<Journal>, progress: Progress) -> Self {
        Self { journal, progress }
    }

    /// The run is over. Returns whether the same command would go on from here.
    ///
    /// A run that has come to its end begins anew next time, also where something failed: what is fresh is passed over then anyway, and what was
    /// done is not warm for ever.
    pub(super) fn end(self, report: &Report) -> bool {
        self.progress.end();
        match self.journal {
            Some(journal) if report.is_complete() => {
                let path = journal.path().display().to_string();
                if let Err(error) = journal.remove() {
                    eprintln!("cache-proxy: journal {path}: cannot be removed: {error}");
                }
                false
            }
            journal => journal.is_some(),
        }
    }
}

impl Observer for Watch {
    fn is_done(&self, digest: u128) -> bool {
        self.journal.as_ref().is_some_and(|journal| journal.is_done(digest))
    }

    fn begins(&mut self, jobs: usize) {
        self.progress.begins(jobs);
    }

    fn finished(&mut self, finished: &Finished<'_>) {
        let failed = matches!(finished.outcome, Outcome::Failed(_));
        if let Some(journal) = &mut self.journal
            && !failed
            && let Err(error) = journal.add(finished.digest)
        {
            eprintln!("cache-proxy: journal {}: cannot be written: {error}", journal.path().display());
            self.journal = None;
        }
        self.progress.step(failed);
    }
}
