//! RFC 9110, 9111, 5861, 9211 and 9213 as pure functions of (message, now, declarations).
//!
//! Nothing here reads a clock, touches a socket or holds state: a tier asks, this crate answers.
//!
//! ```
//! use edge_cache_policy::CacheControl;
//! use http::{HeaderMap, HeaderValue, header::CACHE_CONTROL};
//!
//! let mut headers = HeaderMap::new();
//! headers.insert(CACHE_CONTROL, HeaderValue::from_static("PUBLIC, Max-Age=\"60\", Stale-While-Revalidate=30"));
//! let cc = CacheControl::of(&headers, &CACHE_CONTROL);
//! assert!(cc.public);
//! assert_eq!(cc.max_age, Some(60));
//! assert_eq!(cc.stale_while_revalidate, Some(30));
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cache_control;
pub mod cache_status;
pub mod coding;
pub mod conditional;
pub mod date;
pub mod groups;
pub mod hop;
pub mod identity;
pub mod normalize;
pub mod range;
pub mod request;
pub mod response;
pub mod steering;
pub mod vary;

pub use edge_cache_core::Mode;

pub use self::cache_control::{CacheControl, Scope, split_unquoted};

/// A whole number of seconds as HTTP directives and `Age` write it: digits only, capped at 2^31 (RFC 9111 §1.2.2).
#[must_use]
pub(crate) fn delta_seconds(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter()
        .try_fold(0u64, |sum, byte| byte.is_ascii_digit().then(|| (sum * 10 + u64::from(byte - b'0')).min(1 << 31)))
}
