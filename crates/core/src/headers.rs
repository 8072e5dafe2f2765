//! Header names that the `http` crate does not know.

use http::HeaderName;

/// `Cache-Status` (RFC 9211).
pub const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// `CDN-Cache-Control` (RFC 9213): before `Cache-Control`, for shared caches.
pub const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");
/// Tags of an answer, comma or space separated; taken off before a client sees it.
pub const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
/// Tags of an answer, space separated (Fastly's spelling).
pub const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
/// Groups of an answer (RFC 9875 §2), a structured-field list of strings; a group belongs to the origin that names it.
pub const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
/// Tags that the answer to an unsafe request makes stale (RFC 9875 §3), a structured-field list of strings.
///
/// Our one extension is the parameter `hard`: what it stands on is not served again even when the origin fails.
pub const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");
/// `Priority` (RFC 9218): how urgent a request is to its client.
pub const PRIORITY: HeaderName = HeaderName::from_static("priority");
