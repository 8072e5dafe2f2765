//! The GET endpoints as data: what the cache's key layer and the handlers both go by.

use std::sync::LazyLock;
use std::time::Duration;

use edge_cache_core::query::{Fold, Param, ParamKind, QuerySpec};
use edge_cache_core::route::{Identity, PathPattern, QueryRule, Route};

use crate::session::SESSION_COOKIE;

/// Formats that a pitch can have.
pub(crate) const FORMATS: [&str; 5] = ["feature", "short", "tv", "webseries", "other"];
/// Longest genre, in characters after folding.
pub(crate) const GENRE_CHARS_MAX: usize = 24;
/// Items that lists can be read past: deeper pages are nobody's question, and each would be a key.
const OFFSET_MAX: i64 = 10_000;
const PAGE_MAX: i64 = 500;

/// Whom an answer may be shown to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Everyone: it never depends on who asks.
    Free,
    /// Everyone who sends no session; with a session it depends on whose.
    Session,
    /// One caller, or nobody later: never stored.
    Private,
}

/// One GET endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The metric label.
    pub name: &'static str,
    /// The path, `{…}` for one segment.
    pub pattern: &'static str,
    /// The parameters it takes.
    pub query: QuerySpec,
    /// Whom an answer may be shown to.
    pub access: Access,
    /// How long an answer stays fresh in shared caches; zero for what is never stored.
    pub ttl: Duration,
    /// How long it may be used after that while a new one is fetched.
    pub stale_while_revalidate: Duration,
    /// Whether browsers may keep it for the same time without asking again.
    pub in_browsers: bool,
}

/// Every GET endpoint.
#[must_use]
pub fn endpoints() -> &'static [Endpoint] {
    static ALL: LazyLock<Vec<Endpoint>> = LazyLock::new(declare);
    &ALL
}

/// The same as routes of the cache.
#[must_use]
pub fn routes() -> Vec<Route> {
    endpoints().iter().map(Endpoint::route).collect()
}

pub(crate) fn endpoint(name: &str) -> &'static Endpoint {
    endpoints().iter().find(|endpoint| endpoint.name == name).expect("handlers name only declared endpoints")
}

impl Endpoint {
    /// The most items that one answer shows; 0 where there is no such parameter.
    pub(crate) fn limit_max(&self) -> i64 {
        let limit = self.query.params().iter().find(|param| param.name == "limit");
        match limit.map(|param| &param.kind) {
            Some(ParamKind::Int { max, .. }) => *max,
            _ => 0,
        }
    }

    fn route(&self) -> Route {
        let path = PathPattern::parse(self.pattern).expect("the patterns here are well formed, a test says so");
        let mut route = Route::new(self.name, path);
        route.identity = match self.access {
            Access::Free => Identity::Free,
            Access::Session => Identity::Session { cookies: vec![SESSION_COOKIE.into()] },
            Access::Private => Identity::Private,
        };
        route.query = QueryRule::Declared(self.query.clone());
        route.uncacheable = self.access == Access::Private;
        if self.access != Access::Private {
            route.ttl = Some(self.ttl);
            route.stale_while_revalidate = Some(self.stale_while_revalidate);
            route.content_types = vec!["application/json".into()];
        }
        route
    }
}

fn limit(default: i64, max: i64) -> Param {
    Param::int("limit", Some(default), 1, max)
}

fn offset() -> Param {
    Param::int("offset", Some(0), 0, OFFSET_MAX)
}

fn page() -> Param {
    Param::int("page", Some(1), 1, PAGE_MAX)
}

fn genre() -> Param {
    Param::text("genre", Fold::Slug, 1, GENRE_CHARS_MAX)
}

fn format() -> Param {
    Param::choice("format", &FORMATS, None)
}

fn question() -> Param {
    Param::text("q", Fold::Words, 2, 100).required()
}

fn declare() -> Vec<Endpoint> {
    use Access::{Free, Private, Session};
    let one = |name, pattern, access, ttl, stale, params: Vec<Param>| Endpoint {
        name,
        pattern,
        query: QuerySpec::new(params),
        access,
        ttl: Duration::from_secs(ttl),
        stale_while_revalidate: Duration::from_secs(stale),
        in_browsers: false,
    };
    let days = Param::choice("days", &["none", "7", "30", "90"], Some("none"));
    let tab = Param::choice("tab", &["trending", "new", "popular"], Some("trending"));
    let sort = Param::choice("sort", &["date", "views", "likes", "title"], None);
    let order = Param::choice("order", &["asc", "desc"], None);
    let browse = vec![tab, sort, order, genre(), format(), limit(24, 100), offset()];
    let search = vec![question(), genre(), format(), page(), limit(20, 50)];
    let mut all = vec![
        one("trending", "/api/pitches/trending", Free, 300, 30, vec![limit(10, 50), offset(), days]),
        one("new", "/api/pitches/new", Free, 300, 30, vec![limit(10, 50), offset()]),
        one("featured", "/api/pitches/featured", Free, 300, 30, vec![limit(6, 12)]),
        one("public", "/api/pitches/public", Free, 300, 30, vec![page(), limit(20, 50), genre(), format()]),
        one("browse", "/api/pitches/browse", Free, 300, 30, browse),
        one("search", "/api/pitches/search", Free, 60, 120, search),
        one("autocomplete", "/api/search/autocomplete", Free, 60, 120, vec![question(), limit(8, 20)]),
        one("facets", "/api/search/facets", Free, 300, 120, vec![]),
        one("categories", "/api/categories", Free, 300, 120, vec![]),
        one("detail", "/api/pitches/{id}", Session, 600, 30, vec![]),
        one("creator", "/api/creators/{id}", Free, 300, 30, vec![]),
        one("stats", "/api/stats", Free, 60, 60, vec![]),
        one("config", "/api/config", Free, 3600, 60, vec![]),
        one("content", "/api/content/{page}", Free, 3600, 60, vec![]),
        one("following", "/api/pitches/following", Private, 0, 0, vec![limit(20, 50), offset()]),
        one("mine", "/api/pitches/mine", Private, 0, 0, vec![limit(20, 50), offset()]),
        one("saved", "/api/saved-pitches", Private, 0, 0, vec![limit(20, 50), offset()]),
        one("db-test", "/api/db-test", Private, 0, 0, vec![]),
        one("health", "/api/health", Private, 0, 0, vec![]),
        one("ready", "/api/health/ready", Private, 0, 0, vec![]),
    ];
    for endpoint in all.iter_mut().filter(|endpoint| ["config", "content"].contains(&endpoint.name)) {
        endpoint.in_browsers = true;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_a_route() {
        assert_eq!(routes().len(), endpoints().len());
    }

    #[test]
    fn what_clients_really_send_is_one_key_a_question() {
        let spec = &endpoint("browse").query;
        let one = spec.canonicalize("genre=Sci-Fi&limit=24").map(|query| query.to_string());
        let other = spec.canonicalize("tab=trending&offset=0&genre=scifi&_t=17").map(|query| query.to_string());
        assert_eq!(one, other);
    }
}
