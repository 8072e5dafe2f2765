use bytes::{BufMut, Bytes, BytesMut};
use http::header;

use super::*;

fn headers() -> HeaderMap {
    let mut map = HeaderMap::new();
    map.append("content-type", HeaderValue::from_static("application/json"));
    map.append("link", HeaderValue::from_static("<a>"));
    map.append("link", HeaderValue::from_static("<b>"));
    map.append("x-odd", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    map.append("x-empty", HeaderValue::from_static(""));
    map
}

fn block(packed: &PackedHeaders) -> Bytes {
    let mut block = BytesMut::new();
    packed.put_block(&mut block);
    block.freeze()
}

#[test]
fn packing_keeps_every_line_and_byte() {
    let packed = PackedHeaders::pack(&headers());
    assert_eq!(packed.unpack(), headers());
    assert_eq!(packed.get(&header::LINK), Some(&b"<a>"[..]));
    assert_eq!(packed.get(&HeaderName::from_static("x-odd")), Some(&b"caf\xe9"[..]));
    assert_eq!(packed.get(&header::ETAG), None);
    assert_eq!(
        (PackedHeaders::default().unpack(), PackedHeaders::default().get(&header::ETAG)),
        (HeaderMap::new(), None)
    );
}

#[test]
fn texts_of_any_length_come_back() {
    for len in [0, 1, 253, 254, 255, 256, 70_000] {
        let mut map = HeaderMap::new();
        map.append(header::ETAG, HeaderValue::try_from("e".repeat(len)).unwrap());
        map.append(HeaderName::try_from("x".repeat(len.clamp(1, 60_000))).unwrap(), HeaderValue::from_static("y"));
        let packed = PackedHeaders::pack(&map);
        assert_eq!(packed.unpack(), map, "{len}");
        assert_eq!(PackedHeaders::from_block(&block(&packed)), Ok(packed), "{len}");
    }
}

#[test]
fn a_block_spells_every_name() {
    let packed = PackedHeaders::pack(&headers());
    let block = block(&packed);
    // Written out: other nodes read this layout.
    let mut want = b"\x0c\0\x10\0\0\0content-typeapplication/json".to_vec();
    want.extend_from_slice(b"\x04\0\x03\0\0\0link<a>\x04\0\x03\0\0\0link<b>");
    want.extend_from_slice(b"\x05\0\x04\0\0\0x-oddcaf\xe9\x07\0\0\0\0\0x-empty");
    assert_eq!((&block[..], packed.block_len()), (&want[..], want.len()));
    assert_eq!(PackedHeaders::from_block(&block), Ok(packed));
}

#[test]
fn a_damaged_block_is_an_error_and_never_a_panic() {
    let block = block(&PackedHeaders::pack(&headers()));
    for cut in 1..block.len() {
        if let Ok(packed) = PackedHeaders::from_block(&block.slice(..cut)) {
            assert!(packed.unpack().len() < headers().len(), "a cut at a header's end");
        }
    }
    let from_static = |block: &'static [u8]| PackedHeaders::from_block(block);
    assert!(from_static(b"\x01\0\x01\0\0\0 x").is_err(), "a space is no name");
    assert!(from_static(b"\x01\0\xff\xff\xff\xffxy").is_err());
    for byte in 0..=u8::MAX {
        let read = PackedHeaders::from_block(&[1, 0, 1, 0, 0, 0, b'x', byte]);
        assert_eq!(read.is_ok(), HeaderValue::from_bytes(&[byte]).is_ok(), "{byte}");
    }
}

#[test]
fn a_name_that_is_read_can_be_unpacked() {
    for byte in 0..=u8::MAX {
        let name = [b'x', byte];
        // What HTTP/1 has for a name, spelt as it is kept.
        let is_name = HeaderName::from_bytes(&name).is_ok_and(|name| name.as_str().as_bytes()[1] == byte);
        let read = PackedHeaders::from_block(&[2, 0, 1, 0, 0, 0, b'x', byte, b'y']);
        assert_eq!(read.is_ok(), is_name, "{byte}");
        let Ok(known) = HeaderName::from_lowercase(&name) else { continue };
        let map = HeaderMap::from_iter([(known, HeaderValue::from_static("y"))]);
        assert_eq!(PackedHeaders::pack(&map).unpack(), map, "{byte}");
    }
}

#[test]
fn a_block_of_more_lines_than_a_map_takes_is_an_error() {
    const LINES_MAX: usize = 16_384;
    let read = |lines: usize| {
        let mut block = BytesMut::new();
        for n in 0..lines {
            let name = format!("x-{n}");
            block.put_u16_le(u16::try_from(name.len()).unwrap());
            block.put_u32_le(0);
            block.put_slice(name.as_bytes());
        }
        PackedHeaders::from_block(&block.freeze())
    };
    assert_eq!(read(LINES_MAX).unwrap().unpack().len(), LINES_MAX);
    assert!(read(LINES_MAX + 1).is_err() && read(40_000).is_err());
}

#[test]
fn lines_are_written_as_they_were_but_those_that_are_left_out() {
    let written = |headers: &HeaderMap, left_out: &[&'static str]| {
        let (mut out, left_out) =
            (b"before ".to_vec(), left_out.iter().map(|name| HeaderName::from_static(name)).collect());
        let is_dated = PackedHeaders::pack(headers).write(&left_out, &mut out);
        (String::from_utf8(out).unwrap(), is_dated)
    };
    let mut headers = headers();
    headers.insert("x-odd", HeaderValue::from_static("y"));
    let all = "before content-type: application/json\r\nlink: <a>\r\nlink: <b>\r\nx-odd: y\r\nx-empty: \r\n";
    assert_eq!(written(&headers, &[]), (all.to_owned(), false));
    let some = "before content-type: application/json\r\nx-empty: \r\n";
    assert_eq!(written(&headers, &["link", "x-odd", "etag", "x-none"]), (some.to_owned(), false));
    headers.insert(header::DATE, HeaderValue::from_static("now"));
    assert!(written(&headers, &[]).1);
}
