//! Writes the seeds that no editor can: frames of entries, and snapshots of them.

use std::{fs, io, path::Path};

use bytes::{BufMut, Bytes, BytesMut};
use edge_cache_core::{
    CacheKey, Entry, Freshness, Head, KeyParts, Kind, PackedHeaders, TagHash, TagSet, Timestamp,
    marker::{Fence, Start},
};
use edge_cache_wire::encode;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use xxhash_rust::xxh3::xxh3_64;

fn entry(kind: Kind, status: StatusCode, headers: &HeaderMap, tags: &[&str], body: Bytes) -> Entry {
    let at = |millis: i64| Timestamp::from_millis(1_700_000_000_000 + millis);
    let fence = Fence { incarnation: 7, seq: 8 };
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
        tags: TagSet::from_hashes(tags.iter().map(|tag| TagHash::user(tag)).collect()),
        fill_millis: 12,
    };
    Entry::new(head, body, Start::promoted(fence))
}

fn frames() -> [(&'static str, Bytes); 6] {
    let key = CacheKey::new(&KeyParts { scheme: "http", authority: "h", tenant: "", path: "/", query: "a=1" });
    let mut json = HeaderMap::new();
    json.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    json.insert(header::ETAG, HeaderValue::from_static("\"x\""));
    let mut part = json.clone();
    part.insert(header::CONTENT_RANGE, HeaderValue::from_static("bytes 0-1/9"));
    let none = HeaderMap::new();
    let text = || Bytes::from("abc ".repeat(20));
    let index = key.variant([("accept-language", Some(&b"de"[..])), ("save-data", None)]);
    [
        ("bare", encode(&key, &entry(Kind::Response, StatusCode::OK, &none, &[], Bytes::new()), 0)),
        ("json", encode(&key, &entry(Kind::Response, StatusCode::NOT_FOUND, &json, &["a", "b"], "{}".into()), 0)),
        ("part", encode(&key, &entry(Kind::Partial, StatusCode::OK, &part, &["a"], "{}".into()), 0)),
        ("compressed", encode(&key, &entry(Kind::Response, StatusCode::OK, &json, &["a"], text()), 1)),
        ("variant", encode(&index, &entry(Kind::Response, StatusCode::OK, &json, &[], "de".into()), 0)),
        ("index", encode(&key, &entry(Kind::VariantIndex, StatusCode::OK, &none, &[], "save-data\n".into()), 0)),
    ]
}

fn snapshot(is_alone: bool, frames: &[&Bytes]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(b"ECSNAP\x01\0");
    out.put_u8(is_alone.into());
    for frame in frames {
        out.put_u32_le(5);
        out.put_u32_le(u32::try_from(frame.len()).expect("a frame is small"));
        out.put_slice(frame);
    }
    out.put_u32_le(u32::MAX);
    out.put_u32_le(u32::try_from(frames.len()).expect("a few"));
    let checksum = xxh3_64(&out);
    out.put_u64_le(checksum);
    out.freeze()
}

fn main() -> io::Result<()> {
    let seeds = edge_cache_fuzz::home().join("seeds");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder: &Path = &seeds.join(target);
        fs::create_dir_all(folder)?;
        fs::write(folder.join(name), bytes)
    };
    let frames = frames();
    for (name, frame) in &frames {
        write("wire", name, frame)?;
        write("snapshot", name, &snapshot(true, &[frame]))?;
    }
    write("snapshot", "empty", &snapshot(false, &[]))?;
    write("snapshot", "three", &snapshot(false, &[&frames[5].1, &frames[3].1, &frames[0].1]))
}
