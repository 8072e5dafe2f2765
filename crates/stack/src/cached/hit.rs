use std::sync::Arc;

use edge_cache_telemetry::HitRecord;
use edge_cache_tier::{PlainHit, Style};
use http::Response;

use super::{HitBody, said::Said};

/// A plain hit that was found and is not an answer yet: a server makes one of it, or writes it as it is.
#[derive(Debug)]
#[must_use = "it is counted as sent"]
pub struct Hit<'a> {
    pub(super) plain: PlainHit,
    pub(super) said: Said,
    pub(super) style: &'a Arc<Style>,
    pub(super) record: Option<HitRecord>,
}

impl Hit<'_> {
    /// The answer.
    pub fn into_response(self) -> Response<HitBody> {
        let Self { plain, said, style, record } = self;
        plain.into_response(style, said.stamps()).map(|body| HitBody::new(body, record))
    }

    /// Whether its head can be [written](Self::write) as it is stored: not so for a part, an answer without a body, or one to a condition.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.plain.is_whole()
    }

    /// Appends the head of the answer to `out`, as a client of HTTP/1.1 reads it, and returns the body, which is all that is to follow. Only where it
    /// [is whole](Self::is_whole), and the connection persists.
    pub fn write(self, out: &mut Vec<u8>) -> HitBody {
        let Self { plain, said, style, record } = self;
        plain.write_head(style, said.bytes(), out);
        HitBody::new(plain.entry().body().clone(), record)
    }
}
