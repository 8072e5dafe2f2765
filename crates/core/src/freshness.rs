//! Absolute instants of an entry's life, set once from the origin's answer.

use std::time::Duration;

use crate::Timestamp;

/// When an entry was born, how long it is fresh, and until when it may be used stale.
///
/// All wall-clock instants: a promotion between tiers copies them, so nothing turns fresh by moving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// When the representation left its origin: `now − born` is the current age (RFC 9111 §4.2.3).
    pub born: Timestamp,
    /// When this cache received it.
    pub stored: Timestamp,
    /// End of the freshness lifetime (RFC 9111 §4.2.1), jitter already taken off.
    pub fresh_until: Timestamp,
    /// Until when it may be served while a revalidation runs (RFC 5861 §3); `fresh_until` where it may not.
    pub revalidate_until: Timestamp,
    /// Until when it may be served when the origin fails (RFC 5861 §4); `fresh_until` where it may not.
    pub error_until: Timestamp,
    /// Whether nothing in the answer forbids to serve it stale when a client says that will do (RFC 9111 §4.2.4).
    pub stale_allowed: bool,
}

/// What may be done with an entry now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Serve it; `ttl` is left.
    Fresh {
        /// Time to the end of freshness.
        ttl: Duration,
    },
    /// Serve it while one revalidation runs (RFC 5861 §3).
    StaleWhileRevalidate,
    /// Serve it only if the origin fails in this request (RFC 5861 §4).
    StaleIfError,
    /// Only good for its validators.
    Expired,
}

impl Freshness {
    /// Judges the entry at `now`.
    #[must_use]
    pub fn judge(&self, now: Timestamp) -> Judgement {
        if now < self.fresh_until {
            Judgement::Fresh { ttl: self.fresh_until.since(now) }
        } else if now < self.revalidate_until {
            Judgement::StaleWhileRevalidate
        } else if now < self.error_until {
            Judgement::StaleIfError
        } else {
            Judgement::Expired
        }
    }

    /// Current age (RFC 9111 §4.2.3).
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Duration {
        now.since(self.born)
    }

    /// Seconds of freshness left, negative once stale: the `ttl` of RFC 9211 §2.5.
    #[must_use]
    pub const fn ttl_secs(&self, now: Timestamp) -> i64 {
        self.fresh_until.as_millis().saturating_sub(now.as_millis()).div_euclid(1000)
    }

    /// Whether it may be used at all when the origin fails.
    #[must_use]
    pub fn serves_errors(&self, now: Timestamp) -> bool {
        now < self.error_until.max(self.revalidate_until)
    }

    /// The last instant at which the entry can be of any use without its validators.
    #[must_use]
    pub fn last_use(&self) -> Timestamp {
        self.fresh_until.max(self.revalidate_until).max(self.error_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn judged_by_instants() {
        let f = Freshness {
            born: at(90),
            stored: at(100),
            fresh_until: at(160),
            revalidate_until: at(190),
            error_until: at(400),
            stale_allowed: true,
        };
        assert_eq!(f.judge(at(100)), Judgement::Fresh { ttl: Duration::from_secs(60) });
        assert_eq!(f.judge(at(160)), Judgement::StaleWhileRevalidate);
        assert_eq!(f.judge(at(190)), Judgement::StaleIfError);
        assert_eq!(f.judge(at(400)), Judgement::Expired);
        assert_eq!(f.age(at(100)), Duration::from_secs(10));
        assert_eq!(f.ttl_secs(at(165)), -5);
        assert!(f.serves_errors(at(399)) && !f.serves_errors(at(400)));
        assert_eq!(f.last_use(), at(400));
    }
}
