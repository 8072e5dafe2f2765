use edge_cache_core::KeyParts;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;

fn key(path: &str) -> CacheKey {
    CacheKey::new(&KeyParts { scheme: "http", authority: "h", tenant: "", path, query: "a=1" })
}

fn entry(body: Bytes) -> Entry {
    let at = Timestamp::from_millis;
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("etag", HeaderValue::from_static("\"x\""));
    let fence = Fence { incarnation: 7, seq: 1_700_000_000_000_001 };
    let head = Head {
        kind: Kind::Response,
        status: StatusCode::NOT_FOUND,
        headers: PackedHeaders::pack(&headers),
        freshness: Freshness {
            born: at(1_700_000_000_001),
            stored: at(1_700_000_000_002),
            fresh_until: at(1_700_000_000_003),
            revalidate_until: at(1_700_000_000_004),
            error_until: at(1_700_000_000_005),
            stale_allowed: true,
        },
        fence,
        tags: TagSet::from_hashes(vec![TagHash::user("a"), TagHash::all()]),
        fill_millis: 12,
    };
    Entry::new(head, body, Start::promoted(fence))
}

fn same(a: &Entry, b: &Entry) -> bool {
    a.head() == b.head() && a.body() == b.body()
}

/// What version 1 wrote: must decode for as long as version 1 may lie in a Redis.
const GOLDEN_V1: &str = "454301007cb8c6bc3978c9ff1e000000010400000068747470010000006800000000010000002f03000000613d310094010168e5cf8b0100000268e5cf8b0100000368e5cf8b0100000468e5cf8b0100000568e5cf8b010000010700000000000000000000000000000001401e18240a06000c0000000200a1e81e3c864890570dedaeb71630d0792f0000000c0010000000636f6e74656e742d747970656170706c69636174696f6e2f6a736f6e04000300000065746167227822020000007b7d";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Bytes {
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
}

#[test]
fn version_1_decodes() {
    let want = entry(Bytes::from_static(b"{}"));
    assert_eq!(hex(&encode(&key("/"), &want, 0)), GOLDEN_V1);
    assert!(same(&decode(&unhex(GOLDEN_V1), &key("/"), 1 << 20).unwrap().unwrap(), &want));
}

/// What version 2 wrote for a part.
const GOLDEN_V2: &str = "45430200604f2c0e774b4ce51e000000010400000068747470010000006800000000010000002f03000000613d310294010168e5cf8b0100000268e5cf8b0100000368e5cf8b0100000468e5cf8b0100000568e5cf8b010000010700000000000000000000000000000001401e18240a06000c0000000200a1e81e3c864890570dedaeb71630d0792f0000000c0010000000636f6e74656e742d747970656170706c69636174696f6e2f6a736f6e04000300000065746167227822020000007b7d";

#[test]
fn version_2_decodes() {
    let whole = entry(Bytes::from_static(b"{}"));
    let head = Head { kind: Kind::Partial, ..Head::clone(whole.head()) };
    let want = Entry::new(head, whole.body().clone(), whole.start());
    assert_eq!(hex(&encode(&key("/"), &want, 0)), GOLDEN_V2);
    assert!(same(&decode(&unhex(GOLDEN_V2), &key("/"), 1 << 20).unwrap().unwrap(), &want));
    let mut as_version_1 = unhex(GOLDEN_V2).to_vec();
    as_version_1[2] = 1;
    let decoded = decode(&as_version_1.into(), &key("/"), 1 << 20);
    assert_eq!(decoded.unwrap_err(), WireError::Field("kind"), "version 1 knows no parts");
}

#[test]
fn a_large_text_travels_compressed_and_comes_back_whole() {
    let want = entry(Bytes::from("abc ".repeat(10_000)));
    let frame = encode(&key("/"), &want, 1024);
    assert!(frame.len() < 2_000);
    assert!(same(&decode(&frame, &key("/"), 1 << 20).unwrap().unwrap(), &want));
    assert_eq!(
        decode(&frame, &key("/"), 100).unwrap_err(),
        WireError::Field("body"),
        "the limit holds before allocating"
    );
}

#[test]
fn a_text_that_gains_little_travels_as_it_is() {
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    });
    for (repeated, is_compressed) in [(100, false), (400, true)] {
        let body: Bytes = noise.take(2_000 - repeated).chain(std::iter::repeat_n(b' ', repeated)).collect();
        let want = entry(body);
        let frame = encode(&key("/"), &want, 1024);
        assert_eq!(frame[3] & COMPRESSED != 0, is_compressed, "{repeated} of 2000");
        assert!(same(&decode(&frame, &key("/"), 1 << 20).unwrap().unwrap(), &want));
    }
}

#[test]
fn another_key_s_entry_is_a_miss() {
    let frame = encode(&key("/a"), &entry(Bytes::new()), 0);
    assert!(decode(&frame, &key("/b"), 1 << 20).unwrap().is_none());
}

#[test]
fn a_frame_tells_its_own_key() {
    let variant = key("/a").variant([("accept-encoding", Some(&b"gzip"[..])), ("accept", None)]);
    for key in [key("/a"), variant] {
        let want = entry(Bytes::from_static(b"body"));
        let (found, decoded) = decode_keyed(&encode(&key, &want, 0), 1 << 20).unwrap();
        assert_eq!((found.clone(), found.parts()), (key.clone(), key.parts()));
        assert!(same(&decoded, &want));
    }
}

#[test]
fn unknown_versions_and_foreign_values_are_errors() {
    let mut frame = encode(&key("/"), &entry(Bytes::new()), 0).to_vec();
    frame[2] = 3;
    assert_eq!(decode(&Bytes::from(frame), &key("/"), 1 << 20).unwrap_err(), WireError::Version(3));
    assert_eq!(decode(&Bytes::from_static(b"hello, world!"), &key("/"), 1 << 20).unwrap_err(), WireError::Foreign);
}

proptest! {
    #[test]
    fn no_damage_goes_unseen(at in 4usize..200, bit in 0u8..8) {
        let mut frame = encode(&key("/"), &entry(Bytes::from_static(b"body")), 0).to_vec();
        let at = at % (frame.len() - 4) + 4;
        frame[at] ^= 1 << bit;
        prop_assert_eq!(decode(&Bytes::from(frame), &key("/"), 1 << 20).unwrap_err(), WireError::Checksum);
    }

    #[test]
    fn any_bytes_decode_or_fail_and_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), sign: bool, part: bool) {
        if sign && bytes.len() > PREAMBLE {
            bytes[..2].copy_from_slice(&MAGIC);
            bytes[2] = if part { VERSION_PART } else { VERSION };
            let checksum = xxh3_64(&bytes[PREAMBLE..]).to_le_bytes();
            bytes[4..PREAMBLE].copy_from_slice(&checksum);
        }
        let bytes = Bytes::from(bytes);
        drop(decode(&bytes, &key("/"), 1 << 20));
        drop(decode_keyed(&bytes, 1 << 20));
    }

    #[test]
    fn bodies_of_any_kind_come_back(body in proptest::collection::vec(any::<u8>(), 0..5000)) {
        let want = entry(Bytes::from(body));
        let frame = encode(&key("/"), &want, 100);
        prop_assert!(same(&decode(&frame, &key("/"), 1 << 20).unwrap().unwrap(), &want));
    }
}
