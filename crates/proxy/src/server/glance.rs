//! What one look over the lines of a request's head tells, in place of a search for each name that hardly any request has.

use edge_cache::core::headers::PRIORITY;
use edge_cache_origin::upstream::CDN_LOOP;
use http::{HeaderMap, HeaderValue, header};

use super::peer::tells_of_client;

/// What is there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Glance<'a> {
    /// The first `Host`, and how many there are.
    pub(super) host: Option<&'a HeaderValue>,
    pub(super) hosts: usize,
    /// Lines of `CDN-Loop`.
    pub(super) loops: bool,
    /// Lines of `Priority`.
    pub(super) priority: bool,
    /// Lines that say whom it is from.
    pub(super) tells_of_client: bool,
}

impl<'a> Glance<'a> {
    pub(super) fn over(headers: &'a HeaderMap) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers {
            match name.as_str().as_bytes() {
                [b'h', ..] if *name == header::HOST => {
                    seen.host.get_or_insert(value);
                    seen.hosts += 1;
                }
                [b'c', ..] => seen.loops |= *name == CDN_LOOP,
                [b'p', ..] => seen.priority |= *name == PRIORITY,
                [b'f' | b'x', ..] => seen.tells_of_client |= tells_of_client(name),
                _ => {}
            }
        }
        seen
    }
}
