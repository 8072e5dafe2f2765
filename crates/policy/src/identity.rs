//! What an answer says of the declaration that it does not depend on who asks (`identity = "free"` and `"session"`), and what follows from the
//! answers to the same question with a client's own credentials and without.

use edge_cache_core::{headers::CDN_CACHE_CONTROL, route::Identity};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::{CacheControl, Scope, vary::Vary};

/// Why a declaration is not believed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// `Vary` names a header that is taken off.
    Vary,
    /// `private`.
    Private,
    /// With credentials the origin sets a cookie that it does not set without.
    SetCookie,
    /// With credentials it answers with another status.
    Status,
    /// With credentials it answers with another body, or leads elsewhere.
    Body,
}

impl Distrust {
    /// In a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vary => "vary",
            Self::Private => "private",
            Self::SetCookie => "set-cookie",
            Self::Status => "status",
            Self::Body => "body",
        }
    }

    /// As a sentence.
    #[must_use]
    pub const fn as_reason(self) -> &'static str {
        match self {
            Self::Vary => "the origin names a credential in Vary",
            Self::Private => "the origin calls an answer private",
            Self::SetCookie => "the origin sets a cookie for whoever sends credentials, and not without",
            Self::Status => "with credentials the origin answers with another status than without",
            Self::Body => "with credentials the origin answers with another body than without",
        }
    }
}

/// Whether `Vary` names what is taken off requests: the answer is one variant of several, and nobody could tell for whom it is. `Authorization` under
/// [`Identity::Session`] is no such header: who sends it goes past the cache.
#[must_use]
pub fn varies(identity: &Identity, answer: &HeaderMap) -> bool {
    let taken_off: &[HeaderName] = match identity {
        Identity::Private => &[],
        Identity::Session { .. } => &[header::COOKIE],
        Identity::Free => &[header::COOKIE, header::AUTHORIZATION],
    };
    !taken_off.is_empty()
        && matches!(Vary::of(answer), Vary::Fields(names) if names.iter().any(|name| taken_off.contains(name)))
}

/// What an answer itself says against the declaration of its route. Only of one that succeeded: what a server says of its errors, it mostly says of all.
#[must_use]
pub fn said_against(identity: &Identity, status: StatusCode, answer: &HeaderMap) -> Option<Distrust> {
    if !status.is_success() || matches!(identity, Identity::Private) {
        return None;
    }
    if varies(identity, answer) {
        return Some(Distrust::Vary);
    }
    let targeted = CacheControl::targeted(answer, &CDN_CACHE_CONTROL);
    let cc = targeted.unwrap_or_else(|| CacheControl::of(answer, &header::CACHE_CONTROL));
    (cc.private == Scope::All).then_some(Distrust::Private)
}

/// An answer, as far as two of them are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Likeness {
    status: StatusCode,
    location: Option<HeaderValue>,
    /// Names of the cookies that it sets, those that it takes away aside.
    cookies: Vec<Vec<u8>>,
    body: u128,
}

/// What two answers say of a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// It holds.
    Same,
    /// It does not.
    Differs(Distrust),
    /// They say nothing.
    Undecided,
}

/// Whether an answer is the origin's failure, or says that it has no time: such a one is not compared.
#[must_use]
pub fn is_no_answer(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

impl Likeness {
    /// Of an answer whose body has the digest `body`.
    #[must_use]
    pub fn of(status: StatusCode, headers: &HeaderMap, body: u128) -> Self {
        let cookies = headers.get_all(header::SET_COOKIE).iter().filter_map(|line| set(line.as_bytes()));
        let location = headers.get(header::LOCATION).cloned();
        Self { status, location, cookies: cookies.map(<[u8]>::to_vec).collect(), body }
    }

    /// Whether two answers without credentials are one: else what changed meanwhile could be taken for what depends on who asks.
    #[must_use]
    pub fn is_still(&self, later: &Self) -> bool {
        (self.status, &self.location, self.body) == (later.status, &later.location, later.body)
    }

    /// Compares the answer without credentials with that to `own`.
    ///
    /// A refusal of credentials says nothing: anybody could send bad ones, and have a route switched off.
    #[must_use]
    pub fn compare(&self, own: &Self) -> Compared {
        if own.status.is_client_error() {
            return if self.is_still(own) { Compared::Same } else { Compared::Undecided };
        }
        if self.status != own.status {
            return Compared::Differs(Distrust::Status);
        }
        if !self.is_still(own) {
            return Compared::Differs(Distrust::Body);
        }
        match own.cookies.iter().any(|name| !self.cookies.contains(name)) {
            true => Compared::Differs(Distrust::SetCookie),
            false => Compared::Same,
        }
    }
}

/// The name of the cookie that a `Set-Cookie` sets; `None` for one that it takes away, as servers do with a session that they do not know.
fn set(line: &[u8]) -> Option<&[u8]> {
    let mut parts = line.split(|b| *b == b';').map(<[u8]>::trim_ascii);
    let pair = parts.next()?;
    let at = pair.iter().position(|b| *b == b'=')?;
    let (name, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
    let ends = |attribute: &[u8]| {
        let (name, value) = attribute.split_at(attribute.len().min(b"max-age=".len()));
        name.eq_ignore_ascii_case(b"max-age=") && (value == b"0" || value.starts_with(b"-"))
    };
    let is_taken = matches!(value, b"" | b"\"\"") || parts.any(ends);
    (!is_taken).then_some(name)
}

#[cfg(test)]
mod tests {
    use edge_cache_core::{
        Mode, NoStore, Timestamp,
        route::{PathPattern, Route},
    };

    use super::*;
    use crate::response::{Asked, plan};

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    fn session() -> Identity {
        Identity::Session { cookies: vec!["sid".into()] }
    }

    #[test]
    fn vary_counts_where_it_names_what_is_taken_off() {
        for (identity, vary, counts) in [
            (Identity::Free, "Accept, Cookie", true),
            (Identity::Free, "authorization", true),
            (Identity::Free, "Accept-Encoding, Origin", false),
            (session(), "cookie", true),
            (session(), "Authorization", false),
            (Identity::Private, "Cookie, Authorization", false),
        ] {
            assert_eq!(varies(&identity, &map(&[("vary", vary)])), counts, "{identity:?} {vary}");
        }
    }

    #[test]
    fn an_answer_that_varies_by_what_is_taken_off_is_not_stored() {
        let planned = |mode, identity, vary| {
            let mut route = Route::new("r", PathPattern::any());
            route.identity = identity;
            let (at, no) = (Timestamp::from_secs(1000), false);
            let asked =
                Asked { mode, route: &route, authorization: no, no_store: no, requested: at, received: at, unit: 0.0 };
            let headers = map(&[("cache-control", "max-age=60"), ("vary", vary)]);
            plan(&asked, StatusCode::OK, &headers).map(drop)
        };
        assert_eq!(planned(Mode::Guarded, Identity::Free, "cookie"), Err(NoStore::VaryCredentials));
        assert_eq!(planned(Mode::Guarded, session(), "Cookie"), Err(NoStore::VaryCredentials));
        assert_eq!(planned(Mode::Guarded, session(), "Authorization"), Ok(()));
        assert_eq!(planned(Mode::Guarded, Identity::Private, "Cookie"), Ok(()), "one variant of many");
        assert_eq!(planned(Mode::Rfc, Identity::Free, "Cookie"), Ok(()), "to the letter nothing is declared");
    }

    #[test]
    fn an_answer_that_succeeded_can_say_that_it_depends_on_who_asks() {
        let said = |status, name, value| said_against(&Identity::Free, status, &map(&[(name, value)]));
        assert_eq!(said(StatusCode::OK, "vary", "Cookie"), Some(Distrust::Vary));
        assert_eq!(said(StatusCode::OK, "cache-control", "private, max-age=60"), Some(Distrust::Private));
        assert_eq!(said(StatusCode::OK, "cache-control", "private=\"x-user\""), None, "a field only");
        assert_eq!(said(StatusCode::OK, "cache-control", "no-store"), None, "of nobody in particular");
        assert_eq!(said(StatusCode::NOT_FOUND, "cache-control", "private"), None, "frameworks say so of every error");
        let both = map(&[("cache-control", "private"), ("cdn-cache-control", "max-age=60")]);
        assert_eq!(said_against(&Identity::Free, StatusCode::OK, &both), None, "what is said to shared caches counts");
        let private = map(&[("cache-control", "private")]);
        assert_eq!(said_against(&Identity::Private, StatusCode::OK, &private), None, "nothing is declared");
        assert_eq!(said_against(&session(), StatusCode::OK, &private), Some(Distrust::Private));
    }

    fn answer(status: u16, lines: &[(&'static str, &'static str)], body: u128) -> Likeness {
        Likeness::of(StatusCode::from_u16(status).unwrap(), &map(lines), body)
    }

    #[test]
    fn what_differs_with_credentials_breaks_the_declaration() {
        let page = answer(200, &[], 1);
        let compared = |own: Likeness| page.compare(&own);
        assert_eq!(compared(page.clone()), Compared::Same);
        assert_eq!(compared(answer(200, &[], 2)), Compared::Differs(Distrust::Body));
        assert_eq!(compared(answer(302, &[("location", "/home")], 1)), Compared::Differs(Distrust::Status));
        let to = |place| answer(302, &[("location", place)], 1);
        assert_eq!(to("/login").compare(&to("/home")), Compared::Differs(Distrust::Body));
        for hidden in [401, 403, 404] {
            assert_eq!(answer(hidden, &[], 1).compare(&page), Compared::Differs(Distrust::Status), "{hidden}");
        }
    }

    #[test]
    fn a_refusal_or_a_failure_is_no_difference() {
        let page = answer(200, &[], 1);
        for refused in [400, 401, 403, 404, 431] {
            assert_eq!(page.compare(&answer(refused, &[], 2)), Compared::Undecided, "{refused}");
            assert_eq!(answer(404, &[], 1).compare(&answer(refused, &[], 2)), Compared::Undecided, "{refused}");
        }
        assert_eq!(answer(404, &[], 1).compare(&answer(404, &[], 1)), Compared::Same);
        for failed in [408, 429, 500, 503] {
            assert!(is_no_answer(StatusCode::from_u16(failed).unwrap()), "{failed}");
        }
        assert!(![200, 302, 401, 404].into_iter().any(|code| is_no_answer(StatusCode::from_u16(code).unwrap())));
    }

    #[test]
    fn a_cookie_for_whoever_is_known_counts_and_one_that_is_taken_away_does_not() {
        let without = answer(200, &[("set-cookie", "lb=1; Path=/")], 1);
        for (line, compared) in [
            ("lb=2; Path=/", Compared::Same),
            ("sid=x; HttpOnly", Compared::Differs(Distrust::SetCookie)),
            ("sid=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", Compared::Same),
            ("sid=deleted; max-AGE=0; Path=/", Compared::Same),
            ("sid=\"\"", Compared::Same),
            ("sid=x; Max-Age=10", Compared::Differs(Distrust::SetCookie)),
            ("nonsense", Compared::Same),
        ] {
            assert_eq!(without.compare(&answer(200, &[("set-cookie", line)], 1)), compared, "{line}");
        }
    }
}
