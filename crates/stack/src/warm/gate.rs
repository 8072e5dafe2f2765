//! Whether a node that has just started is warm enough to be sent requests.

use std::sync::Arc;

use parking_lot::Mutex;

/// Why a node is ready, or not yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// Nobody warms it: it is ready from the start.
    #[default]
    Unwarmed,
    /// It is being warmed.
    Warming,
    /// It holds enough of what is hot.
    Warm,
    /// It has been warmed for as long as is waited for that.
    TimedOut,
}

impl Readiness {
    /// Whether to send it requests.
    #[must_use]
    pub const fn is_ready(self) -> bool {
        !matches!(self, Self::Warming)
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unwarmed => "unwarmed",
            Self::Warming => "warming",
            Self::Warm => "warm",
            Self::TimedOut => "timed out",
        }
    }
}

/// How far the warming of a start is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warmth {
    /// Whether it is over.
    pub readiness: Readiness,
    /// Of what is hot, the keys that memory held fresh when they were last looked at.
    pub held: usize,
    /// Keys that are hot.
    pub hot: usize,
}

/// Opens once. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate(Arc<Mutex<Warmth>>);

impl Gate {
    pub(super) fn warmth(&self) -> Warmth {
        *self.0.lock()
    }

    /// Somebody begins to warm.
    pub(super) fn close(&self) {
        self.0.lock().readiness = Readiness::Warming;
    }

    /// Notes how far it is, and opens where that is far enough.
    pub(super) fn note(&self, held: usize, hot: usize, share: f64) {
        let mut warmth = self.0.lock();
        (warmth.held, warmth.hot) = (held, hot);
        if warmth.readiness == Readiness::Warming && held as f64 >= share * hot as f64 {
            warmth.readiness = Readiness::Warm;
        }
    }

    /// Opens it, if it is closed.
    pub(super) fn open(&self, why: Readiness) {
        let mut warmth = self.0.lock();
        if warmth.readiness == Readiness::Warming {
            warmth.readiness = why;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_at_its_share_or_when_time_is_up_and_stays_open() {
        let gate = Gate::default();
        assert!(gate.warmth().readiness.is_ready(), "nobody warms");
        gate.close();
        gate.note(8, 10, 0.9);
        assert!(!gate.warmth().readiness.is_ready());
        gate.note(9, 10, 0.9);
        assert_eq!(gate.warmth(), Warmth { readiness: Readiness::Warm, held: 9, hot: 10 });
        gate.note(1, 10, 0.9);
        gate.open(Readiness::TimedOut);
        assert_eq!(gate.warmth().readiness, Readiness::Warm, "what is open stays open");
        gate.close();
        gate.open(Readiness::TimedOut);
        assert!(gate.warmth().readiness.is_ready());
        gate.close();
        gate.note(0, 0, 1.0);
        assert_eq!(gate.warmth().readiness, Readiness::Warm, "nothing is hot");
    }
}
