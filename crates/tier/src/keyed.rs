//! What the key layer knows of a request, handed inward by request extensions.

use std::{borrow::Cow, sync::Arc};

use edge_cache_core::{
    Bypass, CacheKey, ClientAddress, KeyParts, KeyProbe, Timestamp,
    route::{Identity, QueryRule, Route, Routes},
};
use edge_cache_policy::{Mode, coding::Coding, normalize, request::Directives};
use http::{Extensions, HeaderMap, HeaderName, Uri, header};
use ipnet::IpNet;

use crate::identity::{Belief, IdentityWatch};

/// A request that the cache may answer. Set by [`KeyLayer`](crate::KeyLayer); a request without it goes past every tier.
#[derive(Clone, Debug)]
pub struct Keyed(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) key: CacheKey,
    pub(crate) route: Arc<Route>,
    pub(crate) mode: Mode,
    pub(crate) directives: Directives,
    pub(crate) authorization: bool,
    /// What is believed of the route; `None` where it declares nothing.
    pub(crate) belief: Option<Belief>,
    /// Whether its answer may be kept under a key that is new; see [`NoNewKeys`].
    pub(crate) brings: bool,
}

impl Keyed {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The same request, whose answer is not kept under a key that is new.
    pub(crate) fn without_new_keys(self) -> Self {
        let inner = &*self.0;
        Self::new(Inner {
            brings: false,
            key: inner.key.clone(),
            route: Arc::clone(&inner.route),
            belief: inner.belief.clone(),
            ..*inner
        })
    }

    /// Whether its answer may be kept, where nothing is kept under its key yet.
    pub(crate) fn brings(&self) -> bool {
        self.0.brings
    }

    /// The base key.
    #[must_use]
    pub fn key(&self) -> &CacheKey {
        &self.0.key
    }

    /// What is declared about the route.
    #[must_use]
    pub fn route(&self) -> &Arc<Route> {
        &self.0.route
    }

    pub(crate) fn mode(&self) -> Mode {
        self.0.mode
    }

    pub(crate) fn directives(&self) -> &Directives {
        &self.0.directives
    }

    pub(crate) fn authorization(&self) -> bool {
        self.0.authorization
    }

    pub(crate) fn belief(&self) -> Option<&Belief> {
        self.0.belief.as_ref()
    }
}

/// Why a request has no key (request extension).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bypassed(pub Bypass);

/// Marks a request whose purpose is a newer answer than one already held: an inner tier does not answer it with a stale copy, nor with one
/// that is fresh no longer than what is held.
#[derive(Clone, Copy, Debug)]
pub struct Refresh {
    /// The end of freshness of what is held.
    pub beyond: Timestamp,
}

/// The tiers whose fills a request is part of: a tier that meets its own mark would wait for itself.
#[derive(Clone, Debug)]
pub(crate) struct Within {
    tier: usize,
    outer: Option<Arc<Self>>,
}

impl Within {
    pub(crate) fn new(tier: usize, outer: Option<Self>) -> Self {
        Self { tier, outer: outer.map(Arc::new) }
    }

    pub(crate) fn has(&self, tier: usize) -> bool {
        self.tier == tier || self.outer.as_ref().is_some_and(|outer| outer.has(tier))
    }
}

/// Marks a request from a client whose directives count under the guarded policy. Set by the server, never by the network.
#[derive(Clone, Copy, Debug)]
pub struct Trusted;

/// Marks a request whose client brought so many new keys into the cache that this one's answer is not to be kept: it gets what is stored, else what
/// the origin says. Set by the server, never by the network.
#[derive(Clone, Copy, Debug)]
pub struct NoNewKeys;

/// How URLs become keys. Shared by the key layer, the invalidation of written URLs, and purges by URL, so that they agree.
#[derive(Clone, Debug, Default)]
pub struct Keying {
    /// The rules, where a route does not name its own.
    pub mode: Mode,
    /// The declared routes.
    pub routes: Arc<Routes>,
    /// The tenant that every key carries; empty where there is one.
    pub tenant: Arc<str>,
    /// Clients whose request directives count under [`Mode::Guarded`], as by [`Trusted`]: known by the [`ClientAddress`] of their requests.
    pub trusted: Arc<[IpNet]>,
    /// Leave `Cache-Tag` and the like on answers instead of taking them off.
    pub expose_tags: bool,
    /// Purge the URI of a `PURGE` request from a [`Trusted`] client, instead of passing it on.
    pub purge_method: bool,
    /// Codings that a layer inside the tiers applies, the best liked first: origins are asked for these or none.
    pub codings: Arc<[Coding]>,
    /// Which of the routes' declarations are still believed; `None` for all of them, for good.
    pub identity: Option<IdentityWatch>,
    /// Request headers that steer the origin, beside those that are known to: they are taken off before a handler whose answer may be kept, under
    /// [`Mode::Guarded`].
    pub steering_headers: Arc<[HeaderName]>,
}

/// A URL as the cache knows it.
#[derive(Clone, Debug)]
pub struct Located {
    /// Its key.
    pub key: CacheKey,
    /// Its route.
    pub route: Arc<Route>,
    /// The rules that apply to it.
    pub mode: Mode,
    /// Path and query as the origin is asked for them, where that differs from what was sent.
    pub canonical_target: Option<String>,
    /// The route's place among all.
    pub(crate) route_at: usize,
}

/// A URL as the cache knows it, and nothing made of it yet.
pub(crate) struct Place<'k, 'r> {
    scheme: &'r str,
    authority: Cow<'r, str>,
    path: Cow<'r, str>,
    query: Cow<'r, str>,
    tenant: &'k str,
    pub(crate) route: &'k Arc<Route>,
    /// The route's place among all.
    pub(crate) route_at: usize,
    pub(crate) mode: Mode,
    /// The query that the origin is asked for, where the path or the query differs from what was sent.
    respelt: Option<Cow<'r, str>>,
}

impl Place<'_, '_> {
    fn parts(&self) -> KeyParts<'_> {
        let Self { scheme, authority, tenant, path, query, .. } = self;
        KeyParts { scheme, authority, tenant, path, query }
    }

    pub(crate) fn probe(&self) -> KeyProbe {
        KeyProbe::new(&self.parts())
    }

    /// Path and query as the origin is asked for them, where that differs from what was sent: what is stored under a key is the answer to its spelling
    /// and to no other.
    pub(crate) fn canonical_target(self) -> Option<String> {
        let (path, query) = (self.path, self.respelt?);
        Some(if query.is_empty() { path.into_owned() } else { format!("{path}?{query}") })
    }
}

impl Keying {
    /// Whether a request with these extensions is from a client whose directives count.
    #[must_use]
    pub fn trusts(&self, extensions: &Extensions) -> bool {
        let contains = |client| self.trusted.iter().any(|network| network.contains(client));
        let is_named = || extensions.get().is_some_and(|ClientAddress(client)| contains(client));
        extensions.get::<Trusted>().is_some() || (!self.trusted.is_empty() && is_named())
    }

    /// The key of a URL.
    ///
    /// # Errors
    /// Why it has none.
    pub fn locate(&self, scheme: &str, authority: &str, path: &str, query: &str) -> Result<Located, Bypass> {
        let place = self.place(scheme, authority, path, query)?;
        let (key, route, mode) = (CacheKey::new(&place.parts()), Arc::clone(place.route), place.mode);
        let route_at = place.route_at;
        Ok(Located { key, route, mode, canonical_target: place.canonical_target(), route_at })
    }

    /// [`locate`](Self::locate), with nothing made that a lookup does not need.
    pub(crate) fn place<'k, 'r>(
        &'k self,
        scheme: &'r str,
        authority: &'r str,
        path: &'r str,
        query: &'r str,
    ) -> Result<Place<'k, 'r>, Bypass> {
        let canonical = normalize::path(path);
        let (route_at, route) = self.routes.find_at(canonical.as_deref().unwrap_or(path));
        // A path that two servers could read differently is nobody's: no route's own policy takes it in.
        let mode = route.policy.filter(|_| canonical.is_ok()).unwrap_or(self.mode);
        let guarded = mode == Mode::Guarded;
        let key_path = match canonical {
            Ok(canonical) if guarded => canonical,
            Err(normalize::Ambiguous) if guarded => return Err(Bypass::Path),
            _ => path.into(),
        };
        if guarded && !route.content_types.is_empty() && normalize::looks_static(&key_path) {
            return Err(Bypass::Path);
        }
        let key_query = match (&route.query, guarded) {
            (QueryRule::Declared(spec), true) => {
                spec.canonicalize(query).map_err(|_| Bypass::Query)?.to_string().into()
            }
            (QueryRule::Allow(names), true) => normalize::allowed_query(query, names),
            (QueryRule::Policy, true) => normalize::sorted_query(query),
            (_, false) => query.into(),
        };
        // A policy that only sorts leaves the origin's query as it was sent: some sign it.
        let query_differs = !matches!(route.query, QueryRule::Policy) && key_query != query;
        let path_differs = matches!(key_path, Cow::Owned(_)) && key_path != path;
        let respelt = match (query_differs, path_differs) {
            (true, _) => Some(key_query.clone()),
            (false, true) => Some(query.into()),
            (false, false) => None,
        };
        let authority = normalize::without_default_port(scheme, authority);
        let authority = if authority.bytes().any(|b| b.is_ascii_uppercase()) {
            authority.to_ascii_lowercase().into()
        } else {
            authority.into()
        };
        let (path, query, tenant) = (key_path, key_query, &self.tenant);
        Ok(Place { scheme, authority, path, query, tenant, route, route_at, mode, respelt })
    }

    /// Whether the declaration of what was located is not believed any more.
    #[must_use]
    pub fn is_distrusted(&self, located: &Located) -> bool {
        located.mode == Mode::Guarded
            && self.identity.as_ref().is_some_and(|watch| watch.is_distrusted(located.route_at))
    }

    /// What is believed of the route at this place.
    pub(crate) fn belief(&self, route_at: usize, mode: Mode) -> Option<Belief> {
        let watch = self.identity.as_ref().filter(|_| mode == Mode::Guarded)?;
        let declares = !matches!(watch.identity(route_at), Identity::Private);
        declares.then(|| Belief { watch: watch.clone(), route_at })
    }

    /// The forms in which keys may carry paths that begin with `prefix`: as written, and canonical.
    pub(crate) fn key_prefixes<'a>(&self, prefix: &'a str) -> Result<Vec<Cow<'a, str>>, Bypass> {
        let any_rfc = self.mode == Mode::Rfc || self.routes.iter().any(|route| route.policy == Some(Mode::Rfc));
        let mut prefixes = match normalize::path(prefix) {
            Ok(canonical) => vec![canonical],
            Err(normalize::Ambiguous) if self.mode == Mode::Guarded => return Err(Bypass::Path),
            Err(normalize::Ambiguous) => Vec::new(),
        };
        if any_rfc && !prefixes.iter().any(|canonical| canonical == prefix) {
            prefixes.push(prefix.into());
        }
        Ok(prefixes)
    }

    /// Scheme and authority of a request: from an absolute URI, else `http` and `Host`.
    #[must_use]
    pub fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<(&'a str, &'a str)> {
        let scheme = uri.scheme_str().unwrap_or("http");
        let authority = match uri.authority() {
            Some(authority) => authority.as_str(),
            None => {
                let mut hosts = headers.get_all(header::HOST).iter();
                // Two Host lines name two hosts, to whoever reads them differently (RFC 9112 §3.2).
                let host = hosts.next().filter(|_| hosts.next().is_none())?;
                host.to_str().ok()?
            }
        };
        (!authority.is_empty()).then_some((scheme, authority))
    }
}

#[cfg(test)]
mod tests {
    use edge_cache_core::route::PathPattern;

    use super::*;

    fn keying(mode: Mode) -> Keying {
        let mut api = Route::new("api", PathPattern::parse("/api/*").unwrap());
        api.content_types = vec!["application/json".into()];
        Keying { mode, routes: Arc::new(Routes::new([api])), ..Keying::default() }
    }

    fn key(mode: Mode, authority: &str, path: &str, query: &str) -> Result<CacheKey, Bypass> {
        keying(mode).locate("http", authority, path, query).map(|located| located.key)
    }

    #[test]
    fn guarded_keys_join_spellings_and_rfc_keys_do_not() {
        for (mode, joined) in [(Mode::Guarded, true), (Mode::Rfc, false)] {
            let same = |a: (&str, &str), b: (&str, &str)| key(mode, "h", a.0, a.1) == key(mode, "h", b.0, b.1);
            assert_eq!(same(("/x", "b=1&a=2"), ("/x", "a=2&b=1")), joined);
            assert_eq!(same(("/%7Ex", ""), ("/~x", "")), joined);
            assert!(!same(("/x", "a=1"), ("/x", "a=2")));
            assert_eq!(key(mode, "H.Example", "/", ""), key(mode, "h.example", "/", ""), "hosts have no case");
        }
    }

    #[test]
    fn a_port_that_says_nothing_is_in_no_key() {
        let at = |scheme, authority| keying(Mode::Rfc).locate(scheme, authority, "/", "").unwrap().key;
        for (scheme, spellings) in [("http", ["h:80", "H:", "h"]), ("https", ["h:443", "h:", "h"])] {
            assert!(spellings.iter().all(|spelling| at(scheme, spelling) == at(scheme, "h")), "{scheme}");
        }
        assert_ne!(at("http", "h:443"), at("http", "h"));
        assert_ne!(at("http", "[::80]"), at("http", "[:"));
    }

    #[test]
    fn the_origin_is_asked_for_the_spelling_that_is_keyed() {
        let target = |mode, path, query| keying(mode).locate("http", "h", path, query).unwrap().canonical_target;
        assert_eq!(target(Mode::Guarded, "/%61%e4", "b=1&a=2").as_deref(), Some("/a%E4?b=1&a=2"));
        assert_eq!(target(Mode::Guarded, "/%61", "").as_deref(), Some("/a"));
        assert_eq!(target(Mode::Guarded, "/a%2C", "b=1&a=2"), None);
        assert_eq!(target(Mode::Rfc, "/%61", ""), None, "as sent");
    }

    #[test]
    fn deceptive_paths_have_no_key_under_guarded() {
        assert_eq!(key(Mode::Guarded, "h", "/api/me/x.css", ""), Err(Bypass::Path));
        assert_eq!(key(Mode::Guarded, "h", "/api/%2e%2e/me", ""), Err(Bypass::Path));
        assert!(key(Mode::Guarded, "h", "/style.css", "").is_ok(), "nothing is declared of it");
        assert!(key(Mode::Rfc, "h", "/api/me/x.css", "").is_ok());
    }

    #[test]
    fn a_route_can_have_rules_of_its_own() {
        let mut plain = Route::new("plain", PathPattern::parse("/plain/*").unwrap());
        plain.policy = Some(Mode::Rfc);
        let keying = Keying { routes: Arc::new(Routes::new([plain])), ..Keying::default() };
        let mode = |path: &str| keying.locate("http", "h", path, "").map(|located| located.mode);
        assert_eq!((mode("/plain/x"), mode("/other")), (Ok(Mode::Rfc), Ok(Mode::Guarded)));
        assert_eq!(mode("/plain/../other"), Err(Bypass::Path), "what may lie elsewhere has the rules of the whole");
        let key = |query| keying.locate("http", "h", "/plain/%7Ex", query).unwrap().key;
        assert_ne!(key("a=1&b=2"), key("b=2&a=1"), "as sent");
        assert_eq!(keying.key_prefixes("/plain/%7Ex/").unwrap(), ["/plain/~x/", "/plain/%7Ex/"]);
        assert_eq!(Keying::default().key_prefixes("/%7Ex/").unwrap(), ["/~x/"]);
    }

    #[test]
    fn authority_is_required() {
        let headers = HeaderMap::new();
        assert_eq!(Keying::authority(&Uri::from_static("/x"), &headers), None);
        assert_eq!(Keying::authority(&Uri::from_static("https://a.b:1/x"), &headers), Some(("https", "a.b:1")));
    }
}
