//! Heads of requests that stand alone.

use std::{cell::RefCell, mem::MaybeUninit};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header, request::Parts};
use httparse::{Header, Status};

/// More lines are the server's to read.
const LINES_MAX: usize = 64;
/// Memory is taken for so many bytes of heads at a time.
const BLOCK: usize = 4 << 10;

thread_local! {
    static BLOCKS: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// Whether `bytes` are the head of one request of HTTP/1.1 to GET a resource of this server, and nothing else: one that has no body, and leaves the connection open.
/// They are read by the parser, and the options, that the server reads by.
pub(super) fn is_alone(bytes: &[u8], lines_max: usize) -> bool {
    read(bytes, lines_max, |_, _| Some(())).is_some()
}

/// The request whose head `bytes` are, if they [are one](is_alone).
pub(super) fn alone_in(bytes: &[u8], lines_max: usize) -> Option<Parts> {
    read(bytes, lines_max, |path, lines| {
        let block = block(bytes);
        let of_block = |text: &[u8]| {
            let start = text.as_ptr() as usize - bytes.as_ptr() as usize;
            block.slice(start..start + text.len())
        };
        let mut headers = HeaderMap::with_capacity(lines.len());
        for line in lines {
            let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_maybe_shared(of_block(line.value)).ok()?);
        }
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.uri = Uri::from_maybe_shared(of_block(path.as_bytes())).ok()?;
        parts.headers = headers;
        Some(parts)
    })
}

/// What `made` makes of the target and the lines of a head that stands alone.
fn read<T>(bytes: &[u8], lines_max: usize, made: impl FnOnce(&str, &[Header<'_>]) -> Option<T>) -> Option<T> {
    if !bytes.starts_with(b"GET /") {
        return None;
    }
    let mut lines = [const { MaybeUninit::uninit() }; LINES_MAX];
    let mut head = httparse::Request::new(&mut []);
    let read = head.parse_with_uninit_headers(bytes, &mut lines);
    let is_one =
        read == Ok(Status::Complete(bytes.len())) && head.version == Some(1) && head.headers.len() <= lines_max;
    if !is_one || head.headers.iter().any(settles) {
        return None;
    }
    made(head.path?, head.headers)
}

/// Whether a line settles something between a client and its server: where the request ends, or what becomes of the connection.
fn settles(line: &Header<'_>) -> bool {
    // By its length first: most lines are of no such name.
    let is = |name: &HeaderName| line.name.eq_ignore_ascii_case(name.as_str());
    match line.name.len() {
        6 => is(&header::EXPECT),
        7 => is(&header::UPGRADE),
        10 => is(&header::CONNECTION) && !line.value.eq_ignore_ascii_case(b"keep-alive"),
        14 => is(&header::CONTENT_LENGTH),
        17 => is(&header::TRANSFER_ENCODING),
        _ => false,
    }
}

/// The bytes, in memory that many heads share: most are gone before the next comes, and then it is used again.
fn block(bytes: &[u8]) -> Bytes {
    BLOCKS.with_borrow_mut(|blocks| {
        if blocks.capacity() < bytes.len() {
            blocks.reserve(bytes.len().max(BLOCK));
        }
        blocks.extend_from_slice(bytes);
        blocks.split().freeze()
    })
}
