//! A cache without limits: it forgets by lifetime and by purge alone.

use std::collections::HashMap;
use std::time::Duration;

use edge_cache_pitchey::endpoints;

use crate::load::read::{Key, List, Order};

const SECOND_US: u64 = 1_000_000;

/// How long a "not found" is kept, as the origin says with it.
const NOT_FOUND_S: u64 = 5;

/// Freshness lifetime and stale-while-revalidate window of a question in µs, as the origin declares them.
fn lifetimes_us(key: &Key) -> (u64, u64) {
    if let Key::Unknown(_) = key {
        return (NOT_FOUND_S * SECOND_US, 0);
    }
    let name = match key {
        Key::List(list) => match list.order {
            Order::Trending => "trending",
            Order::New => "new",
            Order::Featured => "featured",
            Order::Public => "public",
            Order::BrowseViews | Order::BrowseDate | Order::BrowseGenre => "browse",
            Order::TabTrending | Order::TabNew | Order::TabPopular => "browse",
        },
        Key::Search(_) | Key::SearchOnce(_) => "search",
        Key::Autocomplete(_) => "autocomplete",
        Key::Detail(_) | Key::Unknown(_) => "detail",
        Key::Creator(_) => "creator",
        Key::Categories => "categories",
        Key::Facets => "facets",
        Key::Config => "config",
        Key::Content(_) => "content",
        Key::Stats => "stats",
    };
    let endpoint = endpoints().iter().find(|endpoint| endpoint.name == name);
    let endpoint = endpoint.expect("the mix asks only declared endpoints, a test says so");
    let us = |duration: Duration| duration.as_micros() as u64;
    (us(endpoint.ttl), us(endpoint.stale_while_revalidate))
}

/// When each question was last filled.
#[derive(Debug, Default)]
pub(super) struct InfiniteCache {
    lists: HashMap<List, u64>,
    others: HashMap<Key, u64>,
}

impl InfiniteCache {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Whether the read is answered without waiting for the origin. A miss fills; a stale answer refreshes.
    pub(super) fn read(&mut self, key: Key, now_us: u64) -> bool {
        let (fresh_us, stale_us) = lifetimes_us(&key);
        let known = match &key {
            Key::List(list) => self.lists.get_mut(list),
            key => self.others.get_mut(key),
        };
        let Some(filled_us) = known else {
            match key {
                Key::List(list) => self.lists.insert(list, now_us),
                key => self.others.insert(key, now_us),
            };
            return false;
        };
        let age_us = now_us - *filled_us;
        if age_us < fresh_us {
            return true;
        }
        *filled_us = now_us;
        age_us < fresh_us + stale_us
    }

    /// Forgets one question.
    pub(super) fn purge(&mut self, key: &Key) {
        self.others.remove(key);
    }

    /// Forgets the lists that match.
    pub(super) fn purge_lists(&mut self, matches: impl Fn(&List) -> bool) {
        self.lists.retain(|list, _| !matches(list));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(key: &Key, seconds: &[u64]) -> Vec<bool> {
        let mut cache = InfiniteCache::new();
        seconds.iter().map(|second| cache.read(key.clone(), second * SECOND_US)).collect()
    }

    #[test]
    fn every_question_has_a_declared_lifetime() {
        let orders = [
            Order::Trending,
            Order::New,
            Order::Featured,
            Order::Public,
            Order::BrowseViews,
            Order::BrowseDate,
            Order::BrowseGenre,
            Order::TabTrending,
            Order::TabNew,
            Order::TabPopular,
        ];
        let mut keys: Vec<Key> = orders.iter().map(|&order| Key::List(List::top(order, 4))).collect();
        keys.extend([
            Key::Search(0),
            Key::SearchOnce(0),
            Key::Autocomplete("ab".to_owned()),
            Key::Detail(1),
            Key::Unknown(1),
        ]);
        keys.extend([Key::Creator(1), Key::Categories, Key::Facets, Key::Config, Key::Content(0), Key::Stats]);
        assert!(keys.iter().all(|key| lifetimes_us(key).0 > 0));
    }

    #[test]
    fn fresh_then_stale_then_gone() {
        assert_eq!(hits(&Key::Search(1), &[0, 59]), [false, true]);
        assert_eq!(hits(&Key::Search(1), &[0, 179]), [false, true], "stale, and revalidated");
        assert_eq!(hits(&Key::Search(1), &[0, 180]), [false, false]);
    }

    #[test]
    fn a_stale_answer_starts_a_new_lifetime() {
        assert_eq!(hits(&Key::Search(1), &[0, 170, 229, 340]), [false, true, true, true]);
    }

    #[test]
    fn not_found_is_kept_for_a_moment() {
        assert_eq!(hits(&Key::Unknown(3), &[0, 4, 6]), [false, true, false]);
    }

    #[test]
    fn a_purged_question_is_a_miss() {
        let mut cache = InfiniteCache::new();
        assert!(!cache.read(Key::Detail(1), 0));
        cache.purge(&Key::Detail(1));
        assert!(!cache.read(Key::Detail(1), 1));
        assert!(cache.read(Key::Detail(1), 2));
    }
}
