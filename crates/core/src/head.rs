//! Everything of a stored response but its body.

use http::StatusCode;

use crate::{Freshness, PackedHeaders, TagSet, marker::Fence};

/// What an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A response that can be served.
    Response,
    /// Some bytes of a representation, as a 206 brought them; its `Content-Range` says which (RFC 9111 §3.3).
    Partial,
    /// The list of request headers that select a variant of the resource (RFC 9111 §4.1); its body holds the names and variants.
    VariantIndex,
}

/// Everything of a stored response but its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What the entry stands for.
    pub kind: Kind,
    /// The response's status.
    pub status: StatusCode,
    /// The response's headers, hop-by-hop and tag headers taken off.
    pub headers: PackedHeaders,
    /// The instants of its life.
    pub freshness: Freshness,
    /// Where in the order of purges its origin read began.
    pub fence: Fence,
    /// The tags that purge it.
    pub tags: TagSet,
    /// Milliseconds that the origin took, for early refresh.
    pub fill_millis: u32,
}

impl Head {
    /// Bytes this head occupies beside itself.
    #[must_use]
    pub fn referred_bytes(&self) -> usize {
        self.headers.weight_bytes() + size_of_val(self.tags.as_slice())
    }
}
