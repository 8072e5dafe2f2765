//! What every hit says anew: its age, its `Cache-Status` and its name, in one piece of memory.

use std::{
    fmt::{self, Write},
    ops::Range,
    time::Duration,
};

use bytes::Bytes;
use edge_cache_core::{Head, RequestId, TierName, Timestamp};
use edge_cache_policy::cache_status::Member;
use edge_cache_tier::Stamps;
use http::HeaderValue;

/// As long as all of it can be: 20 digits, 29 letters and 20 digits, 16 digits.
const IN_PLACE: usize = 96;

/// What a plain hit says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    text: Text,
    /// Where its age ends and its `Cache-Status` begins, and where that ends.
    age_end: usize,
    status_end: usize,
}

impl Said {
    /// Of a hit on `head`.
    pub(super) fn of(head: &Head, now: Timestamp, id: Option<RequestId>) -> Self {
        Self::new(head.freshness.age(now), head.freshness.ttl_secs(now), id)
    }

    fn new(age: Duration, ttl: i64, id: Option<RequestId>) -> Self {
        const FITS: &str = "two numbers, a name and a few words fit";
        let mut text = Text { bytes: [0; IN_PLACE], len: 0 };
        text.write_str(itoa::Buffer::new().format(age.as_secs())).expect(FITS);
        let age_end = text.len;
        Member::Hit { ttl, detail: None }.write(TierName::Memory, &mut text).expect(FITS);
        let status_end = text.len;
        if let Some(id) = id {
            text.push(&id.digits()).expect(FITS);
        }
        Self { text, age_end, status_end }
    }

    pub(super) fn cache_status(&self) -> &[u8] {
        &self.text.bytes[self.age_end..self.status_end]
    }

    pub(super) fn bytes(&self) -> Stamps<&[u8]> {
        let (said, id) = self.text.bytes[..self.text.len].split_at(self.status_end);
        let (age, cache_status) = said.split_at(self.age_end);
        Stamps { age, cache_status, id: (!id.is_empty()).then_some(id) }
    }

    pub(super) fn stamps(&self) -> Stamps {
        let all = Bytes::from_owner(self.text);
        let value = |range: Range<usize>| {
            HeaderValue::from_maybe_shared(all.slice(range)).expect("digits, tokens and spaces make a header value")
        };
        Stamps {
            age: value(0..self.age_end),
            cache_status: value(self.age_end..self.status_end),
            id: (self.status_end < all.len()).then(|| value(self.status_end..all.len())),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Text {
    bytes: [u8; IN_PLACE],
    len: usize,
}

impl Text {
    fn push(&mut self, more: &[u8]) -> fmt::Result {
        let end = self.len + more.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(more);
        self.len = end;
        Ok(())
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes())
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_its_own() {
        let said = Said::new(Duration::from_secs(u64::MAX), i64::MIN, Some(RequestId(0xab)));
        let all = said.stamps();
        let bytes = said.bytes();
        assert_eq!((all.age.as_bytes(), all.cache_status.as_bytes()), (bytes.age, bytes.cache_status));
        assert_eq!(all.id.as_ref().map(HeaderValue::as_bytes), bytes.id);
        assert_eq!(all.cache_status.as_bytes(), said.cache_status());
        assert_eq!(all.age, "18446744073709551615");
        assert_eq!(all.cache_status, "edge-memory; hit; ttl=-9223372036854775808");
        assert_eq!(all.id.unwrap(), "00000000000000ab");
        let some = Said::new(Duration::from_secs(7), 53, None).stamps();
        assert_eq!((some.age.as_bytes(), some.id), (&b"7"[..], None));
        assert_eq!(some.cache_status, "edge-memory; hit; ttl=53");
    }
}
