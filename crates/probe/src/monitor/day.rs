//! Counts of the last 24 hours, in ten-minute pieces: the same memory whatever happens.

use std::time::Duration;

use super::Day;
use crate::Class;

const PIECE: Duration = Duration::from_secs(600);
const PIECES: usize = 144;

/// A ring of pieces. Each knows which piece of time it counts, so that what is old needs no sweeping.
#[derive(Clone, Debug)]
pub(super) struct Ring(Box<[Piece; PIECES]>);

#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    number: u64,
    checks: u32,
    failures: u32,
    connection_errors: u32,
}

impl Ring {
    pub(super) fn new() -> Self {
        Self(Box::new([Piece::default(); PIECES]))
    }

    /// Counts one result, `since` after the beginning.
    pub(super) fn add(&mut self, class: Class, since: Duration) {
        let number = number(since);
        let piece = &mut self.0[place(number)];
        if piece.number != number {
            *piece = Piece { number, ..Piece::default() };
        }
        piece.checks = piece.checks.saturating_add(1);
        piece.failures = piece.failures.saturating_add(u32::from(class != Class::Ok));
        piece.connection_errors = piece.connection_errors.saturating_add(u32::from(class == Class::Connection));
    }

    /// The present piece and the 143 before it.
    pub(super) fn sum(&self, since: Duration) -> Day {
        let now = number(since);
        let mut day = Day::default();
        for piece in self.0.iter().filter(|piece| piece.number + PIECES as u64 > now) {
            day.add(piece.checks.into(), piece.failures.into(), piece.connection_errors.into());
        }
        day
    }
}

fn number(since: Duration) -> u64 {
    since.as_secs() / PIECE.as_secs()
}

fn place(number: u64) -> usize {
    usize::try_from(number % PIECES as u64).expect("below the number of pieces")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_older_than_a_day_is_forgotten_and_nothing_younger() {
        let mut ring = Ring::new();
        ring.add(Class::Connection, at(0));
        ring.add(Class::Ok, at(HOUR));
        let day = ring.sum(at(24 * HOUR - 1));
        assert_eq!((day.checks, day.successes, day.failures, day.connection_errors), (2, 1, 1, 1));
        assert_eq!(day.uptime, Some(0.5));
        let day = ring.sum(at(24 * HOUR));
        assert_eq!((day.checks, day.failures, day.uptime), (1, 0, Some(1.0)));
        assert_eq!(ring.sum(at(25 * HOUR)), Day::default());
    }

    #[test]
    fn a_piece_that_comes_round_again_begins_at_nothing() {
        let mut ring = Ring::new();
        for _ in 0..3 {
            ring.add(Class::Status, at(5));
        }
        ring.add(Class::Ok, at(24 * HOUR + 5));
        let day = ring.sum(at(24 * HOUR + 5));
        assert_eq!((day.checks, day.failures), (1, 0));
    }

    #[test]
    fn a_whole_day_of_two_minute_rounds_is_counted() {
        let mut ring = Ring::new();
        for round in 0..2 * 720 {
            ring.add(if round % 4 == 0 { Class::Timeout } else { Class::Ok }, at(round * 120));
        }
        let day = ring.sum(at(2 * 720 * 120 - 1));
        assert_eq!((day.checks, day.failures, day.connection_errors, day.uptime), (720, 180, 0, Some(0.75)));
    }
}
