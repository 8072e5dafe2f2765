use super::Outcome;
use crate::Replay;

/// Knows what an earlier run did, and hears what this one does. `()` knows and hears nothing.
pub trait Observer {
    /// Whether the job of this digest needs no asking.
    fn is_done(&self, digest: u128) -> bool {
        let _ = digest;
        false
    }

    /// So many jobs are left to do. Called once.
    fn begins(&mut self, jobs: usize) {
        let _ = jobs;
    }

    /// A job has come to its end. Called once for each.
    fn finished(&mut self, finished: &Finished<'_>) {
        let _ = finished;
    }
}

impl Observer for () {}

/// A job that has come to its end.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// The name of its target.
    pub target: &'a str,
    /// What was asked for.
    pub replay: &'a Replay,
    /// Of both.
    pub digest: u128,
    /// What came of it.
    pub outcome: &'a Outcome,
    /// Bytes of the body; 0 where there was no answer.
    pub body_bytes: u64,
}
