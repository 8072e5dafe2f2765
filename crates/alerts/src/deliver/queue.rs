use std::collections::VecDeque;

use tokio::time::Instant;

use crate::{Event, Notice};

/// Notices that wait for one receiver, beside the one that is being sent.
pub(super) const WAITING_MAX: usize = 64;

/// What waits, in order and bounded. What is being sent stays the first until it is known what came of it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Letter>,
    /// Whether the first is being sent: it may be heard at any moment.
    is_sending: bool,
    /// Dropped since the last that was sent: the next tells of them.
    dropped: u64,
}

/// A notice on its way.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) notice: Notice,
    /// Since when it waits.
    pub(super) since: Instant,
    /// Times that it was sent.
    pub(super) attempts: u32,
    /// Alerts before it that were dropped, of which it tells.
    pub(super) dropped: u64,
    /// Whether an attempt that failed may have been heard all the same.
    may_be_heard: bool,
}

/// What came of putting one in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It waits.
    Waits,
    /// It waits, and one had to go for it.
    Displaced,
    /// It ends what nobody heard of: neither waits.
    CameAndWent,
}

impl Queue {
    /// Puts one in. Of an alert that came and went while its receiver could not be reached nobody needs to hear. Where too many wait, one
    /// has to go: that the receiver learns of an end is worth more than that it learns of a beginning.
    pub(super) fn push(&mut self, notice: Notice, now: Instant) -> Pushed {
        if self.ends_unheard(&notice) {
            let began = self.waiting.iter().rposition(|letter| letter.notice.rule == notice.rule);
            if let Some(began) = began.filter(|at| self.is_unheard(*at)) {
                self.forget(began);
                self.dropped = self.dropped.saturating_add(1 + notice.suppressed);
                return Pushed::CameAndWent;
            }
        }
        self.waiting.push_back(Letter { notice, since: now, attempts: 0, dropped: 0, may_be_heard: false });
        let first = usize::from(self.is_sending);
        if self.waiting.len() - first <= WAITING_MAX {
            return Pushed::Waits;
        }
        let is_end = |letter: &Letter| letter.notice.event == Event::Recovered;
        let oldest = self.waiting.iter().skip(first).position(|letter| !is_end(letter)).unwrap_or(0);
        self.forget(first + oldest);
        self.dropped = self.dropped.saturating_add(1);
        Pushed::Displaced
    }

    /// The first, to be sent now; what came of it must be told next.
    pub(super) fn begin(&mut self) -> Option<Letter> {
        let letter = self.waiting.front_mut()?;
        letter.attempts = letter.attempts.saturating_add(1);
        letter.dropped = letter.dropped.saturating_add(std::mem::take(&mut self.dropped));
        self.is_sending = true;
        Some(letter.clone())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The one that was being sent was taken.
    pub(super) fn sent(&mut self) {
        self.is_sending = false;
        self.waiting.pop_front();
    }

    /// The one that was being sent is given up.
    pub(super) fn give_up(&mut self) {
        self.is_sending = false;
        self.forget(0);
    }

    /// The one that was being sent was not taken, and is to be sent again. True if that is needless, since its end came meanwhile: both are
    /// dropped.
    pub(super) fn put_back(&mut self, may_be_heard: bool) -> bool {
        self.is_sending = false;
        let Some(first) = self.waiting.front_mut() else { return false };
        first.may_be_heard |= may_be_heard;
        let rule = first.notice.rule.clone();
        let next = self.waiting.iter().skip(1).position(|letter| letter.notice.rule == rule).map(|at| at + 1);
        match next {
            Some(end) if self.is_unheard(0) && self.ends_unheard(&self.waiting[end].notice) => {
                self.forget(end);
                self.forget(0);
                self.dropped = self.dropped.saturating_add(1);
                true
            }
            _ => false,
        }
    }

    /// Whether it says nothing but that something is over.
    fn ends_unheard(&self, notice: &Notice) -> bool {
        notice.event == Event::Recovered && notice.still.is_none()
    }

    /// Whether it tells of a beginning that the receiver cannot know of.
    fn is_unheard(&self, at: usize) -> bool {
        let letter = &self.waiting[at];
        letter.notice.event == Event::Fired && !letter.may_be_heard && !(at == 0 && self.is_sending)
    }

    /// Takes one out; what it would have told of must be told all the same.
    fn forget(&mut self, at: usize) {
        if let Some(gone) = self.waiting.remove(at) {
            self.dropped = self.dropped.saturating_add(gone.dropped).saturating_add(gone.notice.suppressed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::tests::notice;

    /// A queue and what it is given at one moment.
    struct Bench(Queue, Instant);

    impl Bench {
        fn new() -> Self {
            Self(Queue::default(), Instant::now())
        }

        fn push(&mut self, event: Event, rule: &str) -> Pushed {
            self.0.push(notice(event, rule), self.1)
        }

        fn rules(&self) -> Vec<&str> {
            self.0.waiting.iter().map(|letter| letter.notice.rule.as_str()).collect()
        }
    }

    #[test]
    fn the_oldest_that_tells_of_no_recovery_goes_first() {
        let mut bench = Bench::new();
        bench.push(Event::Recovered, "first");
        bench.0.push(Notice { suppressed: 5, ..notice(Event::Fired, "second") }, bench.1);
        bench.push(Event::Fired, "third");
        (3..WAITING_MAX).for_each(|_| assert_eq!(bench.push(Event::Fired, "more"), Pushed::Waits));
        assert_eq!(bench.push(Event::Recovered, "last"), Pushed::Displaced);
        assert_eq!((bench.rules().len(), bench.rules()[WAITING_MAX - 1]), (WAITING_MAX, "last"));
        let kept = bench.0.begin().unwrap();
        assert_eq!((kept.notice.rule.as_str(), kept.dropped), ("first", 6), "itself and what it would have told of");
        bench.0.sent();
        let kept = bench.0.begin().unwrap();
        assert_eq!((kept.notice.rule.as_str(), kept.dropped), ("third", 0));
    }

    #[test]
    fn recoveries_are_bounded_too() {
        let mut bench = Bench::new();
        (0..WAITING_MAX).for_each(|_| assert_eq!(bench.push(Event::Recovered, "old"), Pushed::Waits));
        assert_eq!(bench.push(Event::Fired, "new"), Pushed::Displaced);
        assert!(bench.rules().iter().all(|rule| *rule == "old"));
        assert_eq!(bench.push(Event::Recovered, "newer"), Pushed::Displaced);
        assert_eq!((bench.rules().len(), bench.rules()[WAITING_MAX - 1]), (WAITING_MAX, "newer"));
    }

    #[test]
    fn what_is_being_sent_is_not_displaced() {
        let mut bench = Bench::new();
        bench.push(Event::Fired, "sending");
        bench.0.begin().unwrap();
        (0..WAITING_MAX).for_each(|_| assert_eq!(bench.push(Event::Fired, "more"), Pushed::Waits));
        assert_eq!(bench.push(Event::Fired, "last"), Pushed::Displaced);
        assert_eq!((bench.rules()[0], bench.rules().len()), ("sending", WAITING_MAX + 1));
    }

    #[test]
    fn what_came_and_went_unheard_is_dropped() {
        let mut bench = Bench::new();
        for rule in ["a", "b", "c"] {
            bench.push(Event::Fired, rule);
        }
        assert_eq!(bench.push(Event::Recovered, "b"), Pushed::CameAndWent);
        assert_eq!(bench.rules(), ["a", "c"]);
        assert_eq!(bench.push(Event::Recovered, "b"), Pushed::Waits, "of this beginning the receiver knows");
        assert_eq!(bench.0.begin().unwrap().dropped, 1, "one alert");
        assert!(!bench.0.put_back(false));
        assert_eq!(bench.push(Event::Recovered, "a"), Pushed::CameAndWent, "it fails");
        assert_eq!(bench.rules(), ["c", "b"]);
        assert_eq!(bench.0.begin().unwrap().dropped, 2);
    }

    #[test]
    fn while_it_is_being_sent_it_may_be_heard() {
        let mut bench = Bench::new();
        bench.push(Event::Fired, "a");
        bench.push(Event::Fired, "b");
        bench.0.begin().unwrap();
        assert_eq!(bench.push(Event::Recovered, "a"), Pushed::Waits);
        assert!(bench.0.put_back(false), "it was not");
        assert_eq!(bench.rules(), ["b"]);
        bench.0.begin().unwrap();
        assert_eq!(bench.push(Event::Recovered, "b"), Pushed::Waits);
        assert!(!bench.0.put_back(true), "its answer may be what was lost");
        assert_eq!(bench.rules(), ["b", "b"]);
        bench.0.begin().unwrap();
        assert!(!bench.0.put_back(false), "once heard is heard");
    }

    #[test]
    fn a_recovery_that_tells_of_a_warning_is_told() {
        let mut bench = Bench::new();
        bench.push(Event::Fired, "a");
        let still = Notice { still: Some("warning".to_owned()), ..notice(Event::Recovered, "a") };
        assert_eq!(bench.0.push(still, bench.1), Pushed::Waits);
        bench.0.begin().unwrap();
        assert!(!bench.0.put_back(false));
        assert_eq!(bench.rules(), ["a", "a"]);
    }
}
