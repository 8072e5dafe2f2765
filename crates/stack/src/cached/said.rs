//! What every hit says anew: its age, its `Cache-Status` and its name, in one piece of memory.

use std::{
    fmt::{self, Write},
    time::Duration,
};

use bytes::Bytes;
use edge_cache_core::{Head, RequestId, TierName, Timestamp};
use edge_cache_policy::cache_status::Member;
use edge_cache_tier::Stamps;
use http::HeaderValue;

/// As long as all of it can be: 20 digits, 29 letters and 20 digits, 16 digits.
const IN_PLACE: usize = 96;

/// What a plain hit on `head` says.
pub(super) fn stamps(head: &Head, now: Timestamp, id: Option<RequestId>) -> Stamps {
    said(head.freshness.age(now), head.freshness.ttl_secs(now), id)
}

fn said(age: Duration, ttl: i64, id: Option<RequestId>) -> Stamps {
    const FITS: &str = "two numbers, a name and a few words fit";
    let mut text = Text { bytes: [0; IN_PLACE], len: 0 };
    text.write_str(itoa::Buffer::new().format(age.as_secs())).expect(FITS);
    let age = 0..text.len;
    Member::Hit { ttl, detail: None }.write(TierName::Memory, &mut text).expect(FITS);
    let cache_status = age.end..text.len;
    let named = id.map(|id| {
        text.write_str(std::str::from_utf8(&id.digits()).expect("digits are text")).expect(FITS);
        cache_status.end..text.len
    });
    let all = Bytes::from_owner(text);
    let value = |range| {
        HeaderValue::from_maybe_shared(all.slice(range)).expect("digits, tokens and spaces make a header value")
    };
    Stamps { age: value(age), cache_status: value(cache_status), id: named.map(value) }
}

struct Text {
    bytes: [u8; IN_PLACE],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
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
        let all = said(Duration::from_secs(u64::MAX), i64::MIN, Some(RequestId(0xab)));
        assert_eq!(all.age, "18446744073709551615");
        assert_eq!(all.cache_status, "edge-memory; hit; ttl=-9223372036854775808");
        assert_eq!(all.id.unwrap(), "00000000000000ab");
        let some = said(Duration::from_secs(7), 53, None);
        assert_eq!((some.age.as_bytes(), some.id), (&b"7"[..], None));
        assert_eq!(some.cache_status, "edge-memory; hit; ttl=53");
    }
}
