use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Room for a number of messages in any hour, wherever it begins.
#[derive(Debug)]
pub(super) struct Room {
    max: usize,
    /// When each was sent that still takes room.
    sent: VecDeque<Instant>,
}

impl Room {
    pub(super) fn new(max: u32) -> Self {
        Self { max: usize::try_from(max).unwrap_or(usize::MAX), sent: VecDeque::new() }
    }

    /// Takes room for one, if there is any.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        while self.sent.front().is_some_and(|sent| now.saturating_duration_since(*sent) >= HOUR) {
            self.sent.pop_front();
        }
        let free = self.sent.len() < self.max;
        if free {
            self.sent.push_back(now);
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_an_hour_after_it_was_taken() {
        let (began, mut room) = (Instant::now(), Room::new(2));
        let mut take = |secs| room.take(began + Duration::from_secs(secs));
        assert_eq!(
            [0, 1800, 3599, 3600, 3601, 5399, 5400].map(&mut take),
            [true, true, false, true, false, false, true]
        );
    }
}
