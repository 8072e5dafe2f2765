//! What every store promises, as one test: a store's crate runs it over its own.

use std::time::Duration;

use bytes::Bytes;
use edge_cache_core::{
    CacheKey, Entry, Freshness, Head, KeyParts, Kind, PackedHeaders, Store, TagHash, TagSet, Timestamp,
    marker::{Fence, Start},
};
use http::{HeaderMap, HeaderValue, StatusCode};

/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(3600);
/// Keys that are put and read at once.
const MANY: u32 = 500;

/// A key for tests.
#[must_use]
pub fn key(path: &str) -> CacheKey {
    CacheKey::new(&KeyParts { scheme: "http", authority: "contract.example", tenant: "", path, query: "a=1" })
}

/// An entry for tests, no two of whose instants are the same. The body is of a kind that may be compressed.
#[must_use]
pub fn entry(kind: Kind, body: Bytes) -> Entry {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.append("link", HeaderValue::from_static("<a>"));
    headers.append("link", HeaderValue::from_static("<b>"));
    headers.insert("x-odd", HeaderValue::from_bytes(b"caf\xe9").expect("a header may hold any byte above 127"));
    let status = if kind == Kind::Partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::NOT_FOUND };
    let fence = Fence { incarnation: u128::MAX - 6, seq: 1_700_000_000_000_001 };
    let tags = vec![TagHash::user("a"), TagHash::user("b"), TagHash::all()];
    entry_of(kind, (status, &headers), fence, tags, body)
}

/// The same, with what a test wants to see of it.
#[must_use]
pub fn entry_of(
    kind: Kind,
    (status, headers): (StatusCode, &HeaderMap),
    fence: Fence,
    tags: Vec<TagHash>,
    body: Bytes,
) -> Entry {
    let at = |millis: i64| Timestamp::from_millis(1_700_000_000_000 + millis);
    let head = Head {
        kind,
        status,
        headers: PackedHeaders::pack(headers),
        freshness: Freshness {
            born: at(1),
            stored: at(2),
            fresh_until: at(3),
            revalidate_until: at(4),
            error_until: at(5),
            stale_allowed: true,
        },
        fence,
        tags: TagSet::from_hashes(tags),
        fill_millis: 12,
    };
    Entry::new(head, body, Start::promoted(fence))
}

/// Bytes that do not compress, the same for the same `seed`.
#[must_use]
pub fn noise(seed: u64, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(len).collect()
}

/// Runs everything that is promised of a store over `store`, which must be empty.
///
/// # Panics
/// At the first promise that is not kept.
pub async fn store_contract<St: Store>(store: &St) {
    an_entry_comes_back_whole(store).await;
    the_last_put_wins(store).await;
    what_is_removed_is_a_miss(store).await;
    every_kind_and_size_comes_back(store).await;
    keys_are_kept_apart(store).await;
    many_at_once_do_not_mix(store).await;
}

async fn put(store: &impl Store, key: &CacheKey, entry: &Entry) {
    store.put(key.clone(), entry.clone(), LONG).await.expect("a put is taken");
}

async fn get(store: &impl Store, key: &CacheKey) -> Option<Entry> {
    store.get(key).await.expect("a get is answered")
}

async fn assert_finds(store: &impl Store, key: &CacheKey, want: &Entry, what: &str) {
    let found = get(store, key).await.unwrap_or_else(|| panic!("{what}: a miss"));
    assert_eq!(found.head(), want.head(), "{what}");
    assert!(found.body() == want.body(), "{what}: another body of {} bytes", found.body().len());
}

async fn an_entry_comes_back_whole(store: &impl Store) {
    let key = key("/whole");
    assert!(get(store, &key).await.is_none(), "nothing was put yet");
    let want = entry(Kind::Response, Bytes::from_static(b"{\"a\":1}"));
    put(store, &key, &want).await;
    assert_finds(store, &key, &want, "instants, fence, tags and headers as they were").await;
    assert_finds(store, &key, &want, "a second time").await;
}

async fn the_last_put_wins(store: &impl Store) {
    let key = key("/twice");
    put(store, &key, &entry(Kind::Response, Bytes::from_static(b"first"))).await;
    let second = entry(Kind::Response, Bytes::from_static(b"second"));
    put(store, &key, &second).await;
    assert_finds(store, &key, &second, "the last put").await;
}

async fn what_is_removed_is_a_miss(store: &impl Store) {
    let key = key("/removed");
    store.remove(&key).await.expect("what is not there can be removed");
    let want = entry(Kind::Response, Bytes::from_static(b"body"));
    put(store, &key, &want).await;
    store.remove(&key).await.expect("a remove is taken");
    assert!(get(store, &key).await.is_none(), "removed");
    put(store, &key, &want).await;
    assert_finds(store, &key, &want, "put again").await;
}

async fn every_kind_and_size_comes_back(store: &impl Store) {
    let most = usize::try_from(store.body_bytes_max()).expect("a body fits into memory");
    let text = Bytes::from("0123456789 ".repeat(most / 11));
    for kind in [Kind::Response, Kind::Partial, Kind::VariantIndex] {
        for (name, body) in [("none", Bytes::new()), ("noise", noise(1, most)), ("text", text.clone())] {
            let key = key(&format!("/{kind:?}/{name}"));
            let want = entry(kind, body);
            put(store, &key, &want).await;
            assert_finds(store, &key, &want, &format!("{kind:?}, {name}")).await;
        }
    }
}

async fn keys_are_kept_apart(store: &impl Store) {
    let base = key("/apart");
    let gzip = base.variant([("accept-encoding", Some(&b"gzip"[..]))]);
    let none = base.variant([("accept-encoding", None)]);
    let want = [(&base, "base"), (&gzip, "gzip"), (&none, "none")];
    for (key, body) in want {
        put(store, key, &entry(Kind::Response, Bytes::from_static(body.as_bytes()))).await;
    }
    for (key, body) in want {
        assert_eq!(get(store, key).await.expect("it was put").body(), body, "variants are keys of their own");
    }
}

async fn many_at_once_do_not_mix(store: &impl Store) {
    let body = |n: u32| noise(u64::from(n), 1 + n as usize * 7);
    let putting: Vec<_> = (0..MANY)
        .map(|n| {
            let put = store.put(key(&format!("/many/{n}")), entry(Kind::Response, body(n)), LONG);
            tokio::spawn(async move { put.await.expect("a put is taken") })
        })
        .collect();
    for put in putting {
        put.await.expect("no put panics");
    }
    let getting: Vec<_> = (0..MANY)
        .map(|n| {
            let get = store.get(&key(&format!("/many/{n}")));
            tokio::spawn(async move { get.await.expect("a get is answered").map(|found| found.body() == &body(n)) })
        })
        .collect();
    for (n, get) in getting.into_iter().enumerate() {
        assert_eq!(get.await.expect("no get panics"), Some(true), "entry {n}");
    }
}
