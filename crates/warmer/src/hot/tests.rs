use edge_cache_core::KeyParts;

use super::*;

fn key(path: &str) -> CacheKey {
    CacheKey::new(&KeyParts { scheme: "http", authority: "h", tenant: "", path, query: "" })
}

fn head(fill_millis: u32) -> Head {
    edge_cache_testkit::head(300, fill_millis)
}

fn paths(hot: &[Hot]) -> Vec<String> {
    hot.iter().map(|hot| hot.key.parts().path.to_owned()).collect()
}

#[test]
fn what_costs_more_is_hotter() {
    let hot = HotSet::new(64);
    for (path, hits, cost) in [("/cheap", 100, 1), ("/dear", 10, 50), ("/rare", 1, 1)] {
        (0..hits).for_each(|_| hot.record(&key(path), &head(cost)));
    }
    let top = hot.top(10);
    assert_eq!(paths(&top), ["/dear", "/cheap", "/rare"]);
    assert_eq!((top[0].hits, top[0].over, top[0].cost_millis, top[0].lifetime_secs), (10, 0, 50, 300));
    assert_eq!(paths(&hot.top(1)), ["/dear"]);
    assert_eq!(hot.get(&key("/cheap")).map(|hot| hot.hits), Some(100));
    assert_eq!(hot.get(&key("/never")), None);
}

#[test]
fn memory_is_bounded_and_what_is_hot_outlives_any_number_of_others() {
    let hot = HotSet::new(160);
    // One request in ten is for the hot key; each of the others is a key of its own.
    for n in 0..20_000 {
        let path = if n % 10 == 0 { "/hot".to_owned() } else { format!("/{n}") };
        hot.record(&key(&path), &head(1));
    }
    assert!(hot.len() <= 160);
    let found = hot.get(&key("/hot")).unwrap();
    assert!(found.hits - found.over <= 2_000 && found.hits >= 2_000, "{found:?}");
    assert_eq!(paths(&hot.top(1)), ["/hot"]);
}

#[test]
fn what_was_hot_makes_room() {
    let hot = HotSet::new(64);
    (0..1_000).for_each(|_| hot.record(&key("/yesterday"), &head(1)));
    (0..10).for_each(|_| hot.decay());
    (0..10).for_each(|_| hot.record(&key("/today"), &head(1)));
    assert_eq!(paths(&hot.top(1)), ["/today"]);
}

#[test]
fn news_are_told_once() {
    let hot = HotSet::new(64);
    (0..3).for_each(|_| hot.record(&key("/a"), &head(1)));
    assert_eq!(hot.news(10).iter().map(|hot| hot.hits).collect::<Vec<_>>(), [3]);
    assert!(hot.news(10).is_empty());
    hot.record(&key("/a"), &head(1));
    hot.decay();
    assert_eq!(hot.news(10).iter().map(|hot| hot.hits).collect::<Vec<_>>(), [1], "a halving takes nothing from news");
}

#[test]
fn a_variant_of_one_person_is_not_counted() {
    let hot = HotSet::new(64);
    let gzip = key("/a").variant([("accept-encoding", Some(&b"gzip"[..]))]);
    let person = key("/a").variant([("accept-encoding", Some(&b"gzip"[..])), ("cookie", Some(&b"session=1"[..]))]);
    hot.record(&gzip, &head(1));
    hot.record(&person, &head(1));
    hot.record(&key("/b").variant([("x-user", None)]), &head(1));
    assert_eq!(hot.top(10).into_iter().map(|hot| hot.key).collect::<Vec<_>>(), [gzip]);
}
