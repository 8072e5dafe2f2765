use std::time::Duration;

use bytes::Bytes;
use edge_cache_core::{CacheKey, Entry, Freshness, Timestamp};
use edge_cache_wire::{decode, decode_keyed, encode};
use xxhash_rust::xxh3::xxh3_64;

/// Largest body that is taken.
pub(crate) const BODY_BYTES_MAX: u64 = 1 << 20;
/// Magic, version, flags and checksum.
const PREAMBLE: usize = 12;

/// The input is a frame; its checksum is put right, or nothing behind it would ever be reached.
///
/// What decodes is bounded, is found under its own key and no other, can be judged at any time, and comes back when it is encoded again.
pub fn check(data: &[u8]) {
    let _as_it_is = decode_keyed(&Bytes::copy_from_slice(data), BODY_BYTES_MAX);
    let mut frame = data.to_vec();
    sign(&mut frame);
    let frame = Bytes::from(frame);
    let Ok((key, entry)) = decode_keyed(&frame, BODY_BYTES_MAX) else { return };
    holds(&key, &entry, frame.len());
    let found = decode(&frame, &key, BODY_BYTES_MAX);
    assert!(found.is_ok_and(|found| found.is_some_and(|found| same(&found, &entry))), "under its own key");
    let other = key.part(b"other");
    assert!(decode(&frame, &other, BODY_BYTES_MAX).is_ok_and(|found| found.is_none()), "and under no other");
    // What changed on the way is noticed.
    for at in [PREAMBLE, frame.len() / 2, frame.len() - 1] {
        let mut damaged = frame.to_vec();
        damaged[at.max(PREAMBLE)] ^= 1;
        assert!(decode_keyed(&damaged.into(), BODY_BYTES_MAX).is_err(), "a bit of byte {at}");
    }
    for cut in [0, PREAMBLE, frame.len() / 2, frame.len() - 1] {
        assert!(decode_keyed(&frame.slice(..cut), BODY_BYTES_MAX).is_err(), "cut at {cut}");
    }
}

/// Puts the checksum of a frame right, where it has one.
pub(crate) fn sign(frame: &mut [u8]) {
    if frame.len() >= PREAMBLE {
        let checksum = xxh3_64(&frame[PREAMBLE..]);
        frame[4..PREAMBLE].copy_from_slice(&checksum.to_le_bytes());
    }
}

pub(crate) fn same(one: &Entry, other: &Entry) -> bool {
    one.head() == other.head() && one.body() == other.body()
}

/// What must hold of every entry that came from outside in `bytes` bytes.
pub(crate) fn holds(key: &CacheKey, entry: &Entry, bytes: usize) {
    let (head, body) = (entry.head(), entry.body());
    assert!(body.len() as u64 <= BODY_BYTES_MAX || body.len() <= bytes, "bounded by the limit or by what came");
    let parts = key.parts();
    assert!(key.base().parts() == parts && key.selecting().count() <= bytes);
    assert_eq!(CacheKey::from_fields(key.fields()).as_ref(), Some(key));
    let headers = head.headers.unpack();
    for (name, value) in &headers {
        assert!(value.len() + name.as_str().len() <= bytes);
    }
    judged(&head.freshness);
    for compress_bytes_min in [0, 1] {
        let again = encode(key, entry, compress_bytes_min);
        let (again_key, again) = decode_keyed(&again, BODY_BYTES_MAX.max(body.len() as u64)).expect("it is ours");
        assert!(again_key == *key && same(&again, entry), "encoded again, {compress_bytes_min}");
    }
    assert!(entry.weight_bytes(key.weight_bytes()) >= body.len() + key.weight_bytes());
}

/// Instants from outside may be anything: nothing overflows.
fn judged(freshness: &Freshness) {
    for now in [i64::MIN, -1, 0, 1_700_000_000_000, i64::MAX] {
        let now = Timestamp::from_millis(now);
        let _judgement = freshness.judge(now);
        let (_age, _ttl) = (freshness.age(now), freshness.ttl_secs(now));
        let _serves = freshness.serves_errors(now);
        let _later = freshness.last_use() + Duration::MAX;
    }
}
