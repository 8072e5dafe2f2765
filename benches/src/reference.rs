//! Caches to measure the memory tier against: an exact LRU and a look into the future. Both know a key as its place in the table of weights
//! and hold no values: only what they would have answered counts.

use std::collections::{BTreeMap, BTreeSet};

/// Keeps what was used last, within a budget of bytes.
#[derive(Debug)]
pub struct Lru<'a> {
    weights: &'a [u64],
    room: u64,
    now: usize,
    /// When each key that is held was last used.
    used: Vec<Option<usize>>,
    oldest: BTreeMap<usize, usize>,
}

impl<'a> Lru<'a> {
    /// An empty one for keys of these weights.
    #[must_use]
    pub fn new(weights: &'a [u64], capacity: u64) -> Self {
        Self { weights, room: capacity, now: 0, used: vec![None; weights.len()], oldest: BTreeMap::new() }
    }

    /// Asks for a key and keeps it; whether it was held.
    pub fn ask(&mut self, key: usize) -> bool {
        self.now += 1;
        let before = self.used[key].replace(self.now);
        match before {
            Some(before) => _ = self.oldest.remove(&before),
            None => self.make_room(self.weights[key]),
        }
        self.oldest.insert(self.now, key);
        before.is_some()
    }

    fn make_room(&mut self, weight: u64) {
        while self.room < weight {
            let (_, evicted) = self.oldest.pop_first().expect("no key is heavier than the whole cache");
            self.used[evicted] = None;
            self.room += self.weights[evicted];
        }
        self.room -= weight;
    }
}

/// Belady's MIN (farthest next use), within a budget of bytes: what is missed replaces those whose next use is farthest, and is not kept
/// where that would cost one that is used before it. With equal sizes nothing does better; with unequal ones, where the optimum is NP-hard,
/// it is a strong reference and not a proven bound.
#[derive(Debug)]
pub struct Belady<'a> {
    weights: &'a [u64],
    room: u64,
    now: usize,
    /// For each request, the one that asks for the same key again.
    next: Vec<usize>,
    /// When each key that is held is used again.
    due: Vec<Option<usize>>,
    farthest: BTreeSet<(usize, usize)>,
}

/// The next use of what is not used again.
const NEVER: usize = usize::MAX;

impl<'a> Belady<'a> {
    /// An empty one for keys of these weights, which is going to be asked for `trace`.
    #[must_use]
    pub fn new(weights: &'a [u64], capacity: u64, trace: &[usize]) -> Self {
        let mut later = vec![NEVER; weights.len()];
        let mut next = vec![NEVER; trace.len()];
        for (at, key) in trace.iter().enumerate().rev() {
            next[at] = std::mem::replace(&mut later[*key], at);
        }
        let due = vec![None; weights.len()];
        Self { weights, room: capacity, now: 0, next, due, farthest: BTreeSet::new() }
    }

    /// Asks for the key that is next in the trace; whether it was held.
    pub fn ask(&mut self, key: usize) -> bool {
        let next = self.next[self.now];
        self.now += 1;
        if let Some(due) = self.due[key].take() {
            self.farthest.remove(&(due, key));
            self.hold(key, next);
            return true;
        }
        if self.make_room(self.weights[key], next) {
            self.hold(key, next);
        }
        false
    }

    fn hold(&mut self, key: usize, next: usize) {
        self.due[key] = Some(next);
        self.farthest.insert((next, key));
    }

    /// Makes room for what is used next at `next`, or changes nothing and says no.
    fn make_room(&mut self, weight: u64, next: usize) -> bool {
        let (mut room, mut evicted) = (self.room, 0);
        for (due, key) in self.farthest.iter().rev() {
            if room >= weight || *due <= next {
                break;
            }
            room += self.weights[*key];
            evicted += 1;
        }
        if room < weight {
            return false;
        }
        for _ in 0..evicted {
            let (_, key) = self.farthest.pop_last().expect("it was just seen");
            self.due[key] = None;
        }
        self.room = room - weight;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lru(weights: &[u64], capacity: u64, trace: &[usize]) -> Vec<bool> {
        let mut lru = Lru::new(weights, capacity);
        trace.iter().map(|key| lru.ask(*key)).collect()
    }

    fn belady(weights: &[u64], capacity: u64, trace: &[usize]) -> Vec<bool> {
        let mut belady = Belady::new(weights, capacity, trace);
        trace.iter().map(|key| belady.ask(*key)).collect()
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let trace = [0, 1, 0, 2, 0, 1];
        assert_eq!(lru(&[1, 1, 1], 2, &trace), [false, false, true, false, true, false]);
        // Room is counted in bytes: the heavy one costs both others.
        assert_eq!(lru(&[1, 1, 2], 2, &[0, 1, 2, 0, 1, 1]), [false, false, false, false, false, true]);
    }

    #[test]
    fn what_is_used_last_of_all_goes_first() {
        // The example of every textbook, where LRU has twelve faults of three frames. It counts nine for MIN, which there must keep all it
        // reads; a cache need not, and the fewest it can have is eight.
        let trace = [7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1];
        let faults = |hits: Vec<bool>| hits.iter().filter(|hit| !**hit).count();
        assert_eq!(faults(belady(&[1; 8], 3, &trace)), 8);
        assert_eq!(faults(lru(&[1; 8], 3, &trace)), 12);
    }

    #[test]
    fn what_would_cost_a_nearer_use_is_not_kept() {
        let trace = [0, 1, 2, 0, 1, 2];
        assert_eq!(belady(&[1, 1, 2], 2, &trace), [false, false, false, true, true, false]);
    }
}
