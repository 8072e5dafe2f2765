//! What is declared about a part of the URL space.

use std::{borrow::Cow, time::Duration};

use crate::{Mode, query::QuerySpec};

/// A declared route. Everything has a default that a plain shared cache would use; a declaration only adds knowledge.
#[derive(Clone, Debug)]
pub struct Route {
    /// The metric label: stable, few, never a raw path.
    pub name: Cow<'static, str>,
    /// Which paths.
    pub path: PathPattern,
    /// Which rules apply here; `None` for those of the whole cache.
    pub policy: Option<Mode>,
    /// What may depend on who asks.
    pub identity: Identity,
    /// How the query becomes part of the key.
    pub query: QueryRule,
    /// Never stored, whatever the answer says.
    pub uncacheable: bool,
    /// Freshness lifetime where the answer names none (RFC 9111 §4.2.1 leaves that to us only as a declaration).
    pub ttl: Option<Duration>,
    /// Lifetimes below are raised to this.
    pub ttl_min: Option<Duration>,
    /// Lifetimes above are cut to this.
    pub ttl_max: Option<Duration>,
    /// `stale-while-revalidate` where the answer names none.
    pub stale_while_revalidate: Option<Duration>,
    /// `stale-if-error` where the answer names none.
    pub stale_if_error: Option<Duration>,
    /// How long a node that lost touch with the others may go on covering errors of the origin with what may have been purged
    /// meanwhile. Zero for not at all.
    pub stale_when_cut: Duration,
    /// Content types that may be stored, as prefixes (`application/json`); empty for any.
    pub content_types: Vec<Cow<'static, str>>,
}

impl Route {
    /// A route with nothing declared.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, path: PathPattern) -> Self {
        Self {
            name: name.into(),
            path,
            policy: None,
            identity: Identity::default(),
            query: QueryRule::default(),
            uncacheable: false,
            ttl: None,
            ttl_min: None,
            ttl_max: None,
            stale_while_revalidate: None,
            stale_if_error: None,
            stale_when_cut: Duration::ZERO,
            content_types: Vec::new(),
        }
    }

    /// The route of whatever matches no other.
    #[must_use]
    pub fn fallback() -> Self {
        Self::new("other", PathPattern::any())
    }
}

/// What an answer may depend on; private by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// A request with `Cookie` goes past the cache, one with `Authorization` is stored only as RFC 9111 §3.5 allows.
    #[default]
    Private,
    /// The answer never depends on who asks. Credentials are *taken off* before the handler, so no answer can hold what is somebody's; that nobody misses
    /// it is found out by asking (`edge_cache::identity`).
    Free,
    /// The answer depends on who asks only if the request has `Authorization` or one of these cookies; other cookies are taken off.
    Session {
        /// Names of the cookies that identify a caller.
        cookies: Vec<Cow<'static, str>>,
    },
}

/// How the query becomes part of the key.
#[derive(Clone, Debug, Default)]
pub enum QueryRule {
    /// As sent under `rfc`; stably sorted by name under `guarded`.
    #[default]
    Policy,
    /// Only parameters of these names, sorted; the rest reach neither the key nor the origin. Under `rfc` as sent.
    Allow(Vec<Cow<'static, str>>),
    /// Only declared parameters, in their canonical spelling. Under `rfc` as sent.
    Declared(QuerySpec),
}

/// A path with `{name}` segments, or a prefix ending in `/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Any,
}

/// Why a text is no path pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no path pattern: {rule}")]
pub struct PatternError {
    text: String,
    rule: &'static str,
}

impl PathPattern {
    /// Matches every path.
    #[must_use]
    pub const fn any() -> Self {
        Self { segments: Vec::new(), open: true }
    }

    /// Reads `/api/pitches/{id}`, `/static/*` or `/*`.
    ///
    /// # Errors
    /// When it does not begin with `/`, has a `*` that is not its last segment, or a `{` that is not closed.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let err = |rule| PatternError { text: text.to_owned(), rule };
        let rest = text.strip_prefix('/').ok_or_else(|| err("it must begin with `/`"))?;
        let (rest, open) = match rest.strip_suffix('*') {
            Some("") => return Ok(Self::any()),
            Some(head) => (head.strip_suffix('/').ok_or_else(|| err("`*` must be a segment of its own"))?, true),
            None => (rest, false),
        };
        let segments = rest.split('/').map(|segment| match segment.strip_prefix('{') {
            Some(name) if name.ends_with('}') => Ok(Segment::Any),
            None if !segment.contains(['*', '{', '}']) => Ok(Segment::Literal(segment.to_owned())),
            _ => Err(err("a segment is a literal, `{name}`, or a last `*`")),
        });
        Ok(Self { segments: segments.collect::<Result<_, _>>()?, open })
    }

    /// Whether `path` fits.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix('/') else { return self.open && self.segments.is_empty() };
        if self.open && self.segments.is_empty() {
            return true;
        }
        let mut parts = rest.split('/');
        let all = self.segments.iter().all(|segment| match (segment, parts.next()) {
            (Segment::Literal(literal), Some(part)) => literal == part,
            (Segment::Any, Some(part)) => !part.is_empty(),
            (_, None) => false,
        });
        all && (self.open || parts.next().is_none())
    }

    /// How specific the pattern is: more literal segments first, then more segments, then closed ones.
    #[must_use]
    pub fn rank(&self) -> (usize, usize, bool) {
        let literals = self.segments.iter().filter(|s| matches!(s, Segment::Literal(_))).count();
        (literals, self.segments.len(), !self.open)
    }
}

/// The route that a request matched (response extension), for whoever counts outside the key layer.
#[derive(Clone, Debug)]
pub struct Matched(pub std::sync::Arc<Route>);

/// The declared routes, most specific first.
#[derive(Clone, Debug)]
pub struct Routes(Vec<std::sync::Arc<Route>>);

impl Default for Routes {
    fn default() -> Self {
        Self::new([])
    }
}

impl Routes {
    /// Orders `routes` and adds the fallback.
    #[must_use]
    pub fn new(routes: impl IntoIterator<Item = Route>) -> Self {
        let mut routes: Vec<_> = routes.into_iter().map(std::sync::Arc::new).collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.path.rank()));
        routes.push(std::sync::Arc::new(Route::fallback()));
        Self(routes)
    }

    /// The most specific route that fits `path`.
    #[must_use]
    pub fn find(&self, path: &str) -> &std::sync::Arc<Route> {
        self.find_at(path).1
    }

    /// The most specific route that fits `path`, after its place among all.
    #[must_use]
    pub fn find_at(&self, path: &str) -> (usize, &std::sync::Arc<Route>) {
        let fits = |(_, route): &(usize, &std::sync::Arc<Route>)| route.path.matches(path);
        self.0.iter().enumerate().find(fits).expect("the fallback matches every path")
    }

    /// All of them, for labels.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter().map(|route| &**route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::parse(text).unwrap()
    }

    #[test]
    fn patterns_match_whole_segments() {
        assert!(pattern("/api/pitches/{id}").matches("/api/pitches/12"));
        assert!(!pattern("/api/pitches/{id}").matches("/api/pitches/"));
        assert!(!pattern("/api/pitches/{id}").matches("/api/pitches/12/like"));
        assert!(pattern("/static/*").matches("/static/a/b.css"));
        assert!(!pattern("/static/*").matches("/statics"));
        assert!(pattern("/*").matches("/") && pattern("/").matches("/") && !pattern("/").matches("/x"));
        assert!(PathPattern::any().matches("*"), "OPTIONS * has no slash");
    }

    #[test]
    fn bad_patterns_say_why() {
        for bad in ["api", "/a*", "/a/*/b", "/{a", "/x{a}"] {
            assert!(PathPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_most_specific_route_wins() {
        let routes = Routes::new(
            [("any", "/*"), ("detail", "/api/pitches/{id}"), ("new", "/api/pitches/new"), ("api", "/api/*")]
                .map(|(name, path)| Route::new(name, pattern(path))),
        );
        for (path, name) in
            [("/api/pitches/new", "new"), ("/api/pitches/7", "detail"), ("/api/x/y/z", "api"), ("/", "any")]
        {
            assert_eq!(routes.find(path).name, name, "{path}");
        }
    }
}
