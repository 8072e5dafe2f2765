//! What happened to a request, as closed enums: `Cache-Status`, metrics and logs all read these, so they cannot disagree.

use std::fmt;

use crate::TierName;

/// Marks an answer that was made in place of the origin's (response extension): it closed the connection, could not be reached or was
/// too slow. What is stored may then be served stale unless it forbids that (RFC 9111 §4.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnected;

/// Marks a stored answer that spared no call further in (response extension): one was made behind it, or failed before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedBehind;

/// How a request was answered. Set in the response's extensions by the tier that decided; the outermost tier's word is last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was done.
    pub served: Served,
    /// The tier whose bytes were served; `None` for the origin.
    pub tier: Option<TierName>,
}

/// What was done for a request: the `result` label of `edge_cache_requests_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Served {
    /// A fresh entry.
    Hit,
    /// A stale entry, while revalidating or because the origin failed.
    Stale,
    /// Waited for a fill that another request led.
    Coalesced,
    /// Led a fill.
    Miss,
    /// Not a matter for the cache.
    Bypass,
    /// Neither the cache nor the origin could answer.
    Error,
}

impl Served {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [Self::Hit, Self::Stale, Self::Coalesced, Self::Miss, Self::Bypass, Self::Error];

    /// The label's text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Coalesced => "coalesced",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
            Self::Error => "error",
        }
    }
}

/// Why a request went forward (RFC 9211 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fwd {
    /// The cache was told not to handle it.
    Bypass,
    /// The method cannot be answered from the cache.
    Method,
    /// Nothing was stored for the URI.
    UriMiss,
    /// Something was stored, but not for these header values.
    VaryMiss,
    /// Something was stored, but the request's directives forbid it.
    Request,
    /// Something was stored and is stale.
    Stale,
    /// Part of it was stored, and the request needs more.
    Partial,
}

impl Fwd {
    /// The token of RFC 9211 §2.2.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// Why a request has no key: the `detail` of a bypass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// No key layer stands in front, or the request names no authority.
    NoKey,
    /// The request carries credentials and the route is not declared free of identity.
    Credentials,
    /// The route is declared uncacheable.
    Route,
    /// The route's declaration of identity was found to be wrong.
    Distrusted,
    /// A declared parameter is malformed: the origin's 400 is not worth a key. Or, under the letter, the query is empty, which a key does not tell from none.
    Query,
    /// The path is not canonical, or looks like a static file on a dynamic route (cache deception).
    Path,
    /// The request has a body.
    Body,
    /// A range was asked for and no whole representation is stored.
    Range,
    /// A recent answer to this key could not be stored (hit-for-miss).
    HitForMiss,
    /// The request carries a precondition that only the origin can judge.
    Precondition,
}

impl fmt::Display for Bypass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_reason())
    }
}

impl std::error::Error for Bypass {}

impl Bypass {
    /// The `detail` text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoKey => "no-key",
            Self::Credentials => "credentials",
            Self::Route => "route",
            Self::Distrusted => "distrusted",
            Self::Query => "query",
            Self::Path => "path",
            Self::Body => "body",
            Self::Range => "range",
            Self::HitForMiss => "hit-for-miss",
            Self::Precondition => "precondition",
        }
    }

    /// The same as a sentence.
    #[must_use]
    pub const fn as_reason(self) -> &'static str {
        match self {
            Self::NoKey => "goes past: no key can be built for it",
            Self::Credentials => "goes past: it bears credentials, and the route is not declared free of identity",
            Self::Route => "goes past: the route is declared uncacheable",
            Self::Distrusted => {
                "goes past: the route's answers were found to depend on who asks, against its declaration"
            }
            Self::Query => "goes past: a declared parameter is malformed, or the query is there and empty",
            Self::Path => "goes past: the path is not canonical, or looks like a file on a route that makes answers",
            Self::Body => "goes past: it has a body",
            Self::Range => "goes past: a range is asked for, and nothing whole is stored",
            Self::HitForMiss => "goes past: the last answer could not be stored",
            Self::Precondition => "goes past: only the origin can judge its precondition",
        }
    }
}

/// Why an answer was not stored: the `detail` of a forwarded request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoStore {
    /// The request's method is not understood by the cache.
    Method,
    /// `no-store` in the request.
    RequestNoStore,
    /// The client has brought as many new keys as it may.
    NewKeys,
    /// `no-store` in the response.
    ResponseNoStore,
    /// `private` in the response.
    Private,
    /// The request had `Authorization` and the response does not allow sharing (RFC 9111 §3.5).
    Authorization,
    /// `Set-Cookie` under the guarded policy.
    SetCookie,
    /// A status that is never stored, or only with explicit freshness.
    Status,
    /// No freshness, explicit or by default, and no validator.
    NoFreshness,
    /// `Vary: *`.
    VaryStar,
    /// `Vary` names a credential that the route's declaration takes off requests.
    VaryCredentials,
    /// Larger than the tier takes.
    TooLarge,
    /// The body ended early.
    Incomplete,
    /// A part of a representation that does not say which, or several parts.
    Part,
    /// More tags than can be kept: a purge could miss the entry.
    Tags,
    /// The content type does not fit the route (cache deception).
    ContentType,
    /// The route is declared uncacheable.
    Route,
}

impl NoStore {
    /// Every reason.
    pub const ALL: [Self; 17] = [
        Self::Method,
        Self::RequestNoStore,
        Self::NewKeys,
        Self::ResponseNoStore,
        Self::Private,
        Self::Authorization,
        Self::SetCookie,
        Self::Status,
        Self::NoFreshness,
        Self::VaryStar,
        Self::VaryCredentials,
        Self::TooLarge,
        Self::Incomplete,
        Self::Part,
        Self::Tags,
        Self::ContentType,
        Self::Route,
    ];

    /// The `detail` text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::RequestNoStore => "request-no-store",
            Self::NewKeys => "new-keys",
            Self::ResponseNoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::Status => "status",
            Self::NoFreshness => "no-freshness",
            Self::VaryStar => "vary-star",
            Self::VaryCredentials => "vary-credentials",
            Self::TooLarge => "too-large",
            Self::Incomplete => "incomplete",
            Self::Part => "part",
            Self::Tags => "tags",
            Self::ContentType => "content-type",
            Self::Route => "route",
        }
    }
}
