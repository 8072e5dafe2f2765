//! Whether a request has a key, and which.

use std::sync::Arc;

use edge_cache_core::{Bypass, KeyProbe, route::Route};
use edge_cache_policy::{
    Mode, coding, conditional, hop, normalize,
    request::{self, Directives},
    steering,
};
use http::{
    HeaderValue, Uri, header,
    request::Parts,
    uri::{Authority, PathAndQuery},
};

use crate::{Keyed, Keying, identity::Sample, keyed::Inner};

/// The key of a request, and what counts of the request itself: nothing is made that only somebody further in would need.
#[derive(Debug)]
pub struct Decision<'a> {
    pub(crate) probe: KeyProbe,
    pub(crate) route: &'a Arc<Route>,
    route_at: usize,
    pub(crate) mode: Mode,
    pub(crate) directives: Directives,
    authorization: bool,
    /// Whether the request says nothing beside what it wants.
    pub(crate) is_bare: bool,
    canonical_target: Option<String>,
}

/// What was decided of a request before it came to the [key layer](super) (request extension), by whoever asked for it with
/// [`Keying::decide`]: it is not decided again.
#[derive(Clone, Debug)]
pub struct Decided {
    keyed: Result<Keyed, Bypass>,
    canonical_target: Option<String>,
    /// By whose routes it was decided.
    by: usize,
}

impl Decision<'_> {
    /// The route, and its place among the declared ones.
    #[must_use]
    pub fn route(&self) -> (&Route, usize) {
        (self.route, self.route_at)
    }

    /// The key to look for.
    #[must_use]
    pub const fn probe(&self) -> &KeyProbe {
        &self.probe
    }
}

impl Decided {
    /// What was decided with `keying`, to be added to the request's extensions.
    #[must_use]
    pub fn new(keying: &Keying, decision: Result<Decision<'_>, Bypass>) -> Self {
        let by = Arc::as_ptr(&keying.routes).addr();
        match decision {
            Err(why) => Self { keyed: Err(why), canonical_target: None, by },
            Ok(decision) => {
                let Decision { probe, route, route_at, mode, directives, authorization, canonical_target, .. } =
                    decision;
                let (key, route) = (probe.to_key(), Arc::clone(route));
                let belief = keying.belief(route_at, mode);
                let keyed = Ok(Keyed::new(Inner { key, route, mode, directives, authorization, belief, brings: true }));
                Self { keyed, canonical_target, by }
            }
        }
    }

    /// Whether `keying` decided it.
    pub(super) fn is_by(&self, keying: &Keying) -> bool {
        self.by == Arc::as_ptr(&keying.routes).addr()
    }

    /// What goes further in. From here on the request asks the canonical question: what is stored under a key is the answer to that key. Unless `keep`, its
    /// answer is not kept under a key that is [new](crate::NoNewKeys).
    ///
    /// # Errors
    /// Why it has no key.
    pub(super) fn apply(self, parts: &mut Parts, keep: bool) -> Result<Keyed, Bypass> {
        let keyed = self.keyed?;
        let keyed = if keep { keyed } else { keyed.without_new_keys() };
        name_no_default_port(parts);
        if let Some(target) = self.canonical_target {
            parts.uri = with_target(&parts.uri, &target).ok_or(Bypass::Query)?;
        }
        Ok(keyed)
    }
}

/// `None` where it grew beyond what a URI may hold.
fn with_target(uri: &Uri, target: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

/// Has `Host` name the host that the target names, as it does for whoever passes a request on: that is the host which is asked (RFC 9112 §3.2.2), and the one in the
/// key. A handler that looks at the other would make an answer for it.
fn name_one_host(parts: &mut Parts) {
    let Some(authority) = parts.uri.authority().map(Authority::as_str) else { return };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let mut lines = parts.headers.get_all(header::HOST).iter();
    let is_said = lines.next().is_none_or(|said| said.as_bytes() == host.as_bytes()) && lines.next().is_none();
    if !is_said && let Ok(host) = HeaderValue::from_str(host) {
        parts.headers.insert(header::HOST, host);
    }
}

/// Takes off a port that says nothing, as it is in no key: what an answer makes of it is for all.
fn name_no_default_port(parts: &mut Parts) {
    let scheme = parts.uri.scheme_str().unwrap_or("http");
    let shorter = |said: &str| {
        let plain = normalize::without_default_port(scheme, said);
        (plain.len() < said.len()).then(|| plain.to_owned())
    };
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).and_then(shorter);
    let named = parts.uri.authority().map(Authority::as_str).and_then(shorter);
    if let Some(Ok(host)) = host.map(HeaderValue::try_from) {
        parts.headers.insert(header::HOST, host);
    }
    if let Some(Ok(authority)) = named.map(Authority::try_from) {
        let mut uri = parts.uri.clone().into_parts();
        uri.authority = Some(authority);
        if let Ok(uri) = Uri::from_parts(uri) {
            parts.uri = uri;
        }
    }
}

impl Keying {
    /// Whether a request has a key. Takes off the request what its answer does not depend on; `no_body` tells whether it has no body, `trusted` whether all its
    /// directives count.
    ///
    /// # Errors
    /// Why it has none.
    pub fn decide(&self, parts: &mut Parts, no_body: bool, trusted: bool) -> Result<Decision<'_>, Bypass> {
        name_one_host(parts);
        let further = &self.steering_headers;
        let is_bare = request::is_bare(&parts.headers) && !steering::names_any(&parts.headers, further);
        if !is_bare {
            // Before anything is judged: the origin must not see another request than the one that has the key.
            hop::strip_named(&mut parts.headers);
        }
        if !request::cacheable_method(&parts.method) {
            return Err(Bypass::NoKey);
        }
        if !no_body {
            return Err(Bypass::Body);
        }
        if !is_bare && !request::asks_to_switch(parts.version, &parts.headers).is_empty() {
            return Err(Bypass::NoKey);
        }
        if !is_bare && conditional::guards_a_change(&parts.headers) {
            return Err(Bypass::Precondition);
        }
        let (scheme, authority) = Self::authority(&parts.uri, &parts.headers).ok_or(Bypass::NoKey)?;
        let query = parts.uri.query();
        let place = self.place(scheme, authority, parts.uri.path(), query.unwrap_or_default())?;
        let (route, route_at, mode) = (place.route, place.route_at, place.mode);
        // `/a?` is not `/a` to everybody (RFC 3986 §6.2.3), and the key does not tell them apart.
        let is_empty = query == Some("");
        if is_empty && mode == Mode::Rfc {
            return Err(Bypass::Query);
        }
        if route.uncacheable {
            return Err(Bypass::Route);
        }
        // Before anything is taken off it: the origin is asked as by the client.
        if mode == Mode::Guarded && self.identity.as_ref().is_some_and(|watch| watch.is_distrusted(route_at)) {
            return Err(Bypass::Distrusted);
        }
        let (probe, canonical_target) = (place.probe(), place.canonical_target());
        let canonical_target = canonical_target.or_else(|| is_empty.then(|| parts.uri.path().to_owned()));
        let authorization = match is_bare {
            true => false,
            false => {
                let watch = self.identity.as_ref().filter(|_| mode == Mode::Guarded);
                let own = watch.and_then(|watch| watch.wanted(route_at, parts));
                let authorization = request::identity(&mut parts.headers, &route.identity, mode)?;
                if let (Some(watch), Some(headers)) = (watch, own) {
                    let canonical = canonical_target.as_deref();
                    let uri =
                        canonical.map_or_else(|| Some(parts.uri.clone()), |target| with_target(&parts.uri, target));
                    let uri = uri.ok_or(Bypass::Query)?;
                    let sample = Sample { watch: watch.clone(), route_at, uri, version: parts.version, headers };
                    watch.offer(sample, further);
                }
                authorization
            }
        };
        if mode == Mode::Guarded && !is_bare {
            steering::strip(&mut parts.headers, further);
        }
        if !self.codings.is_empty() {
            let taken = match !is_bare && coding::is_forbidden(&parts.headers) {
                true => Vec::new(),
                false => coding::accepted(&parts.headers, &self.codings),
            };
            coding::ask_for(&mut parts.headers, &taken);
        }
        let directives = match is_bare {
            true => Directives::default(),
            false => request::directives(&parts.headers, mode, trusted),
        };
        Ok(Decision { probe, route, route_at, mode, directives, authorization, canonical_target, is_bare })
    }
}
