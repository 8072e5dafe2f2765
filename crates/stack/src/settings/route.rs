use std::{borrow::Cow, time::Duration};

use edge_cache_core::route::{Identity, PathPattern, QueryRule, Route};
use serde::{Deserialize, Serialize};

use super::{Policy, SettingsError, error::time};

/// What an answer may depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteIdentity {
    /// A request with credentials is private.
    #[default]
    Private,
    /// Never on who asks: credentials are taken off before the origin.
    Free,
    /// On who asks only where `session_cookies` or `Authorization` are sent.
    Session,
}

/// `[[route]]`: what is declared about a part of the URL space. The most specific path wins. Under `rfc` only `name`, `policy`
/// and `uncacheable` count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteSettings {
    /// Label in metrics; unique.
    pub name: String,
    /// `/api/pitches/{id}`, `/static/*` or `/*`.
    pub path: String,
    /// `guarded` or `rfc`, in place of `cache.policy`. Default: that.
    pub policy: Option<Policy>,
    /// Never store. Default: false.
    pub uncacheable: bool,
    /// `private`, `free` or `session`. Default: `private`.
    pub identity: RouteIdentity,
    /// Cookies that identify a caller, for `session`.
    pub session_cookies: Vec<String>,
    /// Only these parameters reach the key and the origin. Default: all do.
    pub query: Option<Vec<String>>,
    /// Freshness lifetime where the answer names none.
    #[serde(with = "humantime_serde")]
    pub ttl: Option<Duration>,
    /// Shorter lifetimes are raised to this.
    #[serde(with = "humantime_serde")]
    pub ttl_min: Option<Duration>,
    /// Longer lifetimes are cut to this.
    #[serde(with = "humantime_serde")]
    pub ttl_max: Option<Duration>,
    /// Where the answer names none.
    #[serde(with = "humantime_serde")]
    pub stale_while_revalidate: Option<Duration>,
    /// Where the answer names none.
    #[serde(with = "humantime_serde")]
    pub stale_if_error: Option<Duration>,
    /// How long a node that lost touch with Redis may cover errors of the origin with what may have been purged meanwhile. Default: not.
    #[serde(with = "humantime_serde")]
    pub stale_when_cut: Duration,
    /// Content types that may be stored, as prefixes. Default: any.
    pub content_types: Vec<String>,
}

impl RouteSettings {
    pub(super) fn declared(&self, at: usize) -> Result<Route, SettingsError> {
        let key = |name: &str| format!("route[{at}].{name}");
        if self.name.is_empty() {
            return Err(SettingsError::rule(&key("name"), "\"\"", "must not be empty"));
        }
        let path = PathPattern::parse(&self.path)
            .map_err(|error| SettingsError::rule(&key("path"), format!("\"{}\"", self.path), error))?;
        if let (Some(min), Some(max)) = (self.ttl_min, self.ttl_max)
            && min > max
        {
            let rule = format!("must be at most {} ({max:?})", key("ttl_max"));
            return Err(SettingsError::rule(&key("ttl_min"), time(min), rule));
        }
        let owned = |texts: &[String]| texts.iter().cloned().map(Cow::Owned).collect::<Vec<Cow<'static, str>>>();
        let identity = match (self.identity, self.session_cookies.is_empty()) {
            (RouteIdentity::Session, true) => {
                let rule = "must name the cookies that identify a caller, as identity = \"session\"";
                return Err(SettingsError::rule(&key("session_cookies"), "[]", rule));
            }
            (RouteIdentity::Session, false) => Identity::Session { cookies: owned(&self.session_cookies) },
            (RouteIdentity::Free, _) => Identity::Free,
            (RouteIdentity::Private, _) => Identity::Private,
        };
        Ok(Route {
            name: self.name.clone().into(),
            path,
            policy: self.policy.map(Into::into),
            identity,
            query: self.query.as_deref().map_or(QueryRule::Policy, |names| QueryRule::Allow(owned(names))),
            uncacheable: self.uncacheable,
            ttl: self.ttl,
            ttl_min: self.ttl_min,
            ttl_max: self.ttl_max,
            stale_while_revalidate: self.stale_while_revalidate,
            stale_if_error: self.stale_if_error,
            stale_when_cut: self.stale_when_cut,
            content_types: owned(&self.content_types),
        })
    }
}
