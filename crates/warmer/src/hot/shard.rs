use std::collections::{HashMap, hash_map::Entry as Slot};

use edge_cache_core::CacheKey;

use super::{Hot, is_impersonal};

/// Keys longer than this are not counted: memory is bounded in bytes too.
const FIELDS_BYTES_MAX: usize = 4096;

/// Counters of some keys, of a fixed number.
pub(super) struct Shard {
    /// Which counter is whose, by the lower half of the key's digest: two keys that share it share a counter, which costs one of them its
    /// place and nothing else.
    places: HashMap<u64, u32, std::hash::BuildHasherDefault<Identity>>,
    /// Apart from the rest, so that the smallest is found quickly.
    hits: Vec<u32>,
    counters: Vec<Counter>,
    keys_max: usize,
    /// Where to look for the least, and what it is at least: counts only grow until they are halved.
    next: usize,
    least: u32,
}

struct Counter {
    key: CacheKey,
    over: u32,
    /// Of `hits`, those that were not news yet.
    new: u32,
    cost_millis: u32,
    lifetime_secs: u32,
}

impl Shard {
    pub(super) fn new(keys_max: usize) -> Self {
        Self { places: HashMap::default(), hits: Vec::new(), counters: Vec::new(), keys_max, next: 0, least: 0 }
    }

    pub(super) fn record(
        &mut self,
        digest: u128,
        key: impl FnOnce() -> CacheKey,
        cost_millis: u32,
        lifetime_secs: u32,
    ) {
        match self.places.entry(digest as u64) {
            Slot::Occupied(place) => {
                let at = *place.get() as usize;
                let counter = &mut self.counters[at];
                self.hits[at] = self.hits[at].saturating_add(1);
                counter.new = counter.new.saturating_add(1);
                (counter.cost_millis, counter.lifetime_secs) = (cost_millis, lifetime_secs);
            }
            Slot::Vacant(free) => {
                let key = key();
                // Looked at when a key comes in only: one that did is of the kind that may.
                if !is_impersonal(&key) || key.fields().len() > FIELDS_BYTES_MAX {
                    return;
                }
                let counter = |over| Counter { key, over, new: 1, cost_millis, lifetime_secs };
                if self.counters.len() < self.keys_max {
                    free.insert(u32::try_from(self.counters.len()).expect("a shard has far fewer counters"));
                    self.hits.push(1);
                    self.counters.push(counter(0));
                    return;
                }
                // Whoever comes in takes the place, and the count, of the least.
                let at = least(&self.hits, &mut self.next, &mut self.least);
                let least = self.hits[at];
                free.insert(u32::try_from(at).expect("a shard has far fewer counters"));
                let gone = std::mem::replace(&mut self.counters[at], counter(least));
                self.places.remove(&(gone.key.digest() as u64));
                self.hits[at] = least.saturating_add(1);
            }
        }
    }

    /// Adds to a key that is counted; no news.
    pub(super) fn add(&mut self, key: &CacheKey, hits: u32) {
        if let Some(place) = self.places.get(&(key.digest() as u64)) {
            let at = *place as usize;
            self.hits[at] = self.hits[at].saturating_add(hits);
        }
    }

    pub(super) fn all(&self) -> Vec<Hot> {
        (0..self.counters.len()).map(|at| self.hot(at)).collect()
    }

    pub(super) fn news(&mut self) -> Vec<Hot> {
        let mut news = self.all();
        for (hot, counter) in news.iter_mut().zip(&mut self.counters) {
            (hot.hits, hot.over) = (std::mem::take(&mut counter.new), 0);
        }
        news
    }

    pub(super) fn get(&self, key: &CacheKey) -> Option<Hot> {
        let at = *self.places.get(&(key.digest() as u64))? as usize;
        (self.counters[at].key == *key).then(|| self.hot(at))
    }

    fn hot(&self, at: usize) -> Hot {
        let Counter { key, over, cost_millis, lifetime_secs, .. } = &self.counters[at];
        Hot {
            key: key.clone(),
            hits: self.hits[at],
            over: *over,
            cost_millis: *cost_millis,
            lifetime_secs: *lifetime_secs,
        }
    }

    pub(super) fn decay(&mut self) {
        self.least /= 2;
        for (hits, counter) in self.hits.iter_mut().zip(&mut self.counters) {
            *hits /= 2;
            counter.over /= 2;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.counters.len()
    }
}

/// The place of the least of `hits`, none of which is below `least`: looked for from `next` on, so that a flood of keys, each of which comes once, does not
/// look at all of them for each.
fn least(hits: &[u32], next: &mut usize, least: &mut u32) -> usize {
    let (before, after) = hits.split_at((*next).min(hits.len()));
    let is_least = |hits: &u32| *hits == *least;
    let known =
        after.iter().position(is_least).map(|at| before.len() + at).or_else(|| before.iter().position(is_least));
    let at = known.unwrap_or_else(|| {
        let (at, new) = hits.iter().copied().enumerate().min_by_key(|(_, hits)| *hits).unwrap_or((0, 0));
        *least = new;
        at
    });
    *next = at + 1;
    at
}

/// A digest is uniform: it is used as it is.
#[derive(Default)]
pub(super) struct Identity(u64);

impl std::hash::Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not reached by `u64`; correct all the same.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use edge_cache_core::KeyParts;
    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    use super::*;

    fn key(name: u32) -> CacheKey {
        CacheKey::new(&KeyParts { scheme: "http", authority: "h", tenant: "", path: &format!("/{name}"), query: "" })
    }

    #[test]
    fn whoever_comes_in_takes_the_place_of_the_least() {
        for seed in 0..50 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let keys_max = rng.random_range(1..8);
            let mut shard = Shard::new(keys_max);
            for new in 0..400 {
                match rng.random_range(0..10) {
                    0 => shard.decay(),
                    1..6 if shard.len() == keys_max => {
                        let least = shard.hits.iter().copied().min();
                        let key = key(1_000 + new);
                        shard.record(key.digest(), || key.clone(), 1, 1);
                        assert_eq!(
                            shard.get(&key).map(|hot| (hot.hits, hot.over)),
                            least.map(|least| (least + 1, least))
                        );
                    }
                    _ => {
                        let key = key(rng.random_range(0..10));
                        shard.record(key.digest(), || key.clone(), 1, 1);
                        shard.add(&key, rng.random_range(0..4));
                    }
                }
            }
        }
    }
}
