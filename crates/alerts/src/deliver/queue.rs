use std::collections::VecDeque;

use crate::{Event, Notice};

/// Notices that wait for one receiver.
pub(super) const WAITING_MAX: usize = 64;

/// What waits, in order and bounded.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Notice>,
    /// Dropped since the last that was taken out: the next tells of them.
    dropped: u64,
}

impl Queue {
    /// Puts one in; true if one had to go for it. That the receiver learns of an end is worth more than that it learns of a beginning.
    pub(super) fn push(&mut self, notice: Notice) -> bool {
        self.waiting.push_back(notice);
        if self.waiting.len() <= WAITING_MAX {
            return false;
        }
        let oldest = self.waiting.iter().position(|notice| notice.event != Event::Recovered).unwrap_or(0);
        let gone = self.waiting.remove(oldest);
        // What it would have told must be told all the same.
        self.dropped = self.dropped.saturating_add(1 + gone.map_or(0, |gone| gone.suppressed));
        true
    }

    /// Takes the first out, with how many were dropped or not told since the one before.
    pub(super) fn pop(&mut self) -> Option<(Notice, u64)> {
        self.waiting.pop_front().map(|notice| (notice, std::mem::take(&mut self.dropped)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::tests::notice;

    #[test]
    fn the_oldest_that_tells_of_no_recovery_goes_first() {
        let mut queue = Queue::default();
        assert!(!queue.push(notice(Event::Recovered, "first")));
        assert!(!queue.push(Notice { suppressed: 5, ..notice(Event::Fired, "second") }));
        assert!(!queue.push(notice(Event::Fired, "third")));
        (3..WAITING_MAX).for_each(|_| assert!(!queue.push(notice(Event::Fired, "more"))));
        assert!(queue.push(notice(Event::Recovered, "last")) && queue.waiting.len() == WAITING_MAX);
        let (kept, dropped) = queue.pop().unwrap();
        assert_eq!((kept.rule.as_str(), dropped), ("first", 6), "itself and what it would have told of");
        let (kept, dropped) = queue.pop().unwrap();
        assert_eq!((kept.rule.as_str(), dropped), ("third", 0));
        assert_eq!(queue.waiting.back().unwrap().rule, "last");
    }

    #[test]
    fn recoveries_are_bounded_too() {
        let mut queue = Queue::default();
        (0..WAITING_MAX).for_each(|_| assert!(!queue.push(notice(Event::Recovered, "old"))));
        assert!(queue.push(notice(Event::Fired, "new")) && queue.waiting.iter().all(|notice| notice.rule == "old"));
        assert!(queue.push(notice(Event::Recovered, "new")) && queue.waiting.len() == WAITING_MAX);
        assert_eq!(queue.waiting.back().unwrap().rule, "new");
    }
}
