//! How urgent the work of a request is, until when it is of use, and how hard the origin is pressed.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};

use parking_lot::Mutex;

/// How urgent a request to the origin is (request extension; without it a request is [`Interactive`](Self::Interactive)). What is less
/// urgent waits longer and is refused first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Somebody waits and would have nothing.
    #[default]
    Interactive,
    /// Somebody waits, and something stale would do.
    Covered,
    /// Nobody waits: what is still good is asked for anew.
    Refresh,
    /// Nobody has asked yet.
    Warm,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Interactive, Self::Covered, Self::Refresh, Self::Warm];

    /// The metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Covered => "covered",
            Self::Refresh => "refresh",
            Self::Warm => "warm",
        }
    }
}

/// When the answer to a request is of no use any more (request extension): the origin's work for it ends then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

/// Since when all of a request's body has come (request extension, of requests that have one): what tells an origin that takes its time from a client that does. Clones
/// share it.
#[derive(Clone, Debug, Default)]
pub struct Upload(Arc<UploadState>);

#[derive(Debug, Default)]
struct UploadState {
    ended: OnceLock<Instant>,
    /// When the last piece was taken, unless more is waited for.
    taken: Mutex<Option<Instant>>,
}

impl Upload {
    /// Notes that it came to its end at `now`; only the first time counts.
    pub fn end(&self, now: Instant) {
        self.0.ended.get_or_init(|| now);
    }

    /// When it did; `None` while it comes.
    #[must_use]
    pub fn ended(&self) -> Option<Instant> {
        self.0.ended.get().copied()
    }

    /// Notes that a piece was taken at `now`: whoever takes it has the rest to ask for.
    pub fn take(&self, now: Instant) {
        *self.0.taken.lock() = Some(now);
    }

    /// Notes that its client is waited for: there is more to come, and nothing to be taken.
    pub fn wait(&self) {
        *self.0.taken.lock() = None;
    }

    /// When the last piece was taken; `None` while its client is waited for.
    #[must_use]
    pub fn taken(&self) -> Option<Instant> {
        *self.0.taken.lock()
    }

    /// Whether its client is waited for.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.ended().is_none() && self.taken().is_none()
    }
}

/// Where a request came from (request extension), as the server that took it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub std::net::IpAddr);

/// Marks what this process asks of itself (request extension), as its monitor and whoever keeps it warm: it is no client's, and is not counted
/// among theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnRequest;

/// How hard the origin is pressed: what the cache leaves undone grows with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Everything is done.
    #[default]
    Calm,
    /// Nothing is asked for that nobody waits for: no refresh behind a hit; whoever warms asks the level himself.
    Trim,
    /// And what is stale within the limits that its answer declares for errors is served without asking.
    Stretch,
    /// And the origin has as much to do as it may: whoever needs it queues, the most urgent first.
    Queue,
}

impl Level {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Calm, Self::Trim, Self::Stretch, Self::Queue];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Trim => "trim",
            Self::Stretch => "stretch",
            Self::Queue => "queue",
        }
    }

    /// The next harder one.
    #[must_use]
    pub fn harder(self) -> Self {
        Self::ALL.get(self as usize + 1).copied().unwrap_or(Self::Queue)
    }

    /// The next easier one.
    #[must_use]
    pub fn easier(self) -> Self {
        Self::ALL[(self as usize).saturating_sub(1)]
    }
}

/// The level at this moment, as whoever watches the origin set it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Pressure(Arc<AtomicU8>);

impl Pressure {
    /// The level.
    #[must_use]
    pub fn level(&self) -> Level {
        Level::ALL[usize::from(self.0.load(Ordering::Relaxed)).min(Level::ALL.len() - 1)]
    }

    /// Sets it.
    pub fn set(&self, level: Level) {
        self.0.store(level as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_go_up_and_down_by_one_and_stay_at_the_ends() {
        assert_eq!(Level::Calm.harder(), Level::Trim);
        assert_eq!(Level::Queue.harder(), Level::Queue);
        assert_eq!((Level::Stretch.easier(), Level::Calm.easier()), (Level::Trim, Level::Calm));
        let (pressure, shared) = (Pressure::default(), Pressure::default());
        assert_eq!(pressure.level(), Level::Calm);
        for level in Level::ALL {
            pressure.clone().set(level);
            assert_eq!((pressure.level(), shared.level()), (level, Level::Calm));
        }
    }
}
