//! Heads of requests that stand alone.

use std::{cell::RefCell, mem::MaybeUninit};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header, request::Parts};
use httparse::Status;

/// More lines are the server's to read.
const LINES_MAX: usize = 64;
/// Memory is taken for so many bytes of heads at a time.
const BLOCK: usize = 4 << 10;

thread_local! {
    static BLOCKS: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// The request whose head `bytes` are, where they are just that: one of HTTP/1.1 for a resource of this server, whose body, and whose connection, end as those of
/// nearly all do. It is read by the parser that the server reads by. `None` for whatever else it may be.
pub(super) fn alone_in(bytes: &[u8], lines_max: usize) -> Option<Parts> {
    if !bytes.starts_with(b"GET /") {
        return None;
    }
    let mut lines = [const { MaybeUninit::uninit() }; LINES_MAX];
    let mut head = httparse::Request::new(&mut []);
    let read = head.parse_with_uninit_headers(bytes, &mut lines);
    if read != Ok(Status::Complete(bytes.len())) || head.version != Some(1) || head.headers.len() > lines_max {
        return None;
    }
    let block = block(bytes);
    let of_block = |text: &[u8]| {
        let start = text.as_ptr() as usize - bytes.as_ptr() as usize;
        block.slice(start..start + text.len())
    };
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    for line in &*head.headers {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        if settles(&name, line.value) {
            return None;
        }
        headers.append(name, HeaderValue::from_maybe_shared(of_block(line.value)).ok()?);
    }
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.uri = Uri::from_maybe_shared(of_block(head.path?.as_bytes())).ok()?;
    parts.headers = headers;
    Some(parts)
}

/// Whether a line settles something between a client and its server: where the request ends, or what becomes of the connection.
fn settles(name: &HeaderName, value: &[u8]) -> bool {
    const SETTLING: [HeaderName; 4] =
        [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::UPGRADE, header::EXPECT];
    SETTLING.contains(name) || *name == header::CONNECTION && !value.eq_ignore_ascii_case(b"keep-alive")
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
