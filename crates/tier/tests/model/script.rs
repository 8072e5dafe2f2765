//! What happens: requests, replies and steps of the clock, as values that both sides read.

use proptest::prelude::*;

use crate::origin::get;

/// One request, and what the origin would say to it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Seconds since the step before.
    pub(crate) after: u64,
    pub(crate) method: Method,
    /// `Accept-Language`, in one of several spellings.
    pub(crate) language: &'static str,
    pub(crate) authorization: bool,
    pub(crate) wants: Wants,
    pub(crate) reply: Reply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

/// A request's directives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) no_cache: bool,
    pub(crate) no_store: bool,
    pub(crate) only_if_cached: bool,
    pub(crate) max_age: Option<u64>,
    pub(crate) min_fresh: Option<u64>,
    /// Without a number: any.
    pub(crate) max_stale: Option<Option<u64>>,
}

/// What the origin says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) hangs_up: bool,
    pub(crate) status: u16,
    /// Seconds until the head comes.
    pub(crate) takes: u64,
    pub(crate) control: Control,
    /// Seconds from `Date`.
    pub(crate) expires: Option<i64>,
    /// Seconds that `Date` lies before now.
    pub(crate) date_behind: u64,
    pub(crate) age: Option<u64>,
    /// Seconds before `Date`.
    pub(crate) last_modified: Option<u64>,
    pub(crate) etag: bool,
    pub(crate) vary: Vary,
    /// Says 304 where the request holds what was said before.
    pub(crate) confirms: bool,
    /// Names in capitals, numbers in quotes.
    pub(crate) odd: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Vary {
    #[default]
    None,
    Language,
    Star,
}

/// A reply's directives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) max_age: Option<u64>,
    pub(crate) s_maxage: Option<u64>,
    pub(crate) swr: Option<u64>,
    pub(crate) sie: Option<u64>,
    pub(crate) no_store: bool,
    pub(crate) no_cache: bool,
    pub(crate) private: bool,
    pub(crate) public: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) proxy_revalidate: bool,
}

impl Step {
    pub(crate) fn request(&self) -> http::request::Builder {
        let mut req = get("/a").header("accept-language", self.language);
        if self.method == Method::Post {
            req = req.method("POST");
        }
        if self.authorization {
            req = req.header("authorization", "Bearer x");
        }
        let Wants { no_cache, no_store, only_if_cached, max_age, min_fresh, max_stale } = &self.wants;
        let flag = |on: &bool, name: &str| on.then(|| name.to_owned());
        let number = |value: &Option<u64>, name: &str| value.map(|value| format!("{name}={value}"));
        let stale = max_stale.map(|max| max.map_or("max-stale".to_owned(), |max| format!("max-stale={max}")));
        let lines: Vec<_> = [
            flag(no_cache, "no-cache"),
            flag(no_store, "no-store"),
            flag(only_if_cached, "only-if-cached"),
            number(max_age, "max-age"),
            number(min_fresh, "min-fresh"),
            stale,
        ]
        .into_iter()
        .flatten()
        .collect();
        if lines.is_empty() { req } else { req.header("cache-control", lines.join(", ")) }
    }
}

impl Control {
    /// The header's value; `None` where there is nothing to say.
    pub(crate) fn text(&self, odd: bool) -> Option<String> {
        let number = |name: &str, value: Option<u64>| {
            value.map(
                |value| if odd { format!("{}=\"{value}\"", name.to_uppercase()) } else { format!("{name}={value}") },
            )
        };
        let flag = |name: &str, on: bool| on.then(|| if odd { name.to_uppercase() } else { name.to_owned() });
        let all = [
            number("max-age", self.max_age),
            number("s-maxage", self.s_maxage),
            number("stale-while-revalidate", self.swr),
            number("stale-if-error", self.sie),
            flag("no-store", self.no_store),
            flag("no-cache", self.no_cache),
            flag("private", self.private),
            flag("public", self.public),
            flag("must-revalidate", self.must_revalidate),
            flag("proxy-revalidate", self.proxy_revalidate),
        ];
        let said: Vec<_> = all.into_iter().flatten().collect();
        (!said.is_empty()).then(|| said.join(if odd { " ,, " } else { ", " }))
    }
}

/// Mostly not, so that most sequences get somewhere.
fn seldom() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.08)
}

fn often<T: Strategy>(value: T, weight: f64) -> impl Strategy<Value = Option<T::Value>>
where
    T::Value: Clone,
{
    prop::option::weighted(weight, value)
}

fn control() -> impl Strategy<Value = Control> {
    let lifetimes = (often(0..60u64, 0.6), often(0..60u64, 0.1), often(0..60u64, 0.2), often(0..90u64, 0.2));
    let flags = (seldom(), seldom(), seldom(), prop::bool::weighted(0.2), seldom(), seldom());
    (lifetimes, flags).prop_map(|((max_age, s_maxage, swr, sie), flags)| {
        let (no_store, no_cache, private, public, must_revalidate, proxy_revalidate) = flags;
        Control { max_age, s_maxage, swr, sie, no_store, no_cache, private, public, must_revalidate, proxy_revalidate }
    })
}

fn reply() -> impl Strategy<Value = Reply> {
    let status = prop::sample::select(&[200, 200, 200, 200, 200, 200, 404, 302, 500, 503][..]);
    let vary = prop::sample::select(&[Vary::None, Vary::None, Vary::Language, Vary::Language, Vary::Star][..]);
    let dates = (often(-20..80i64, 0.15), 0..6u64, often(0..30u64, 0.2), often(0..400u64, 0.3));
    let rest = (any::<bool>(), vary, any::<bool>(), seldom(), prop::bool::weighted(0.1), 0..3u64);
    (status, control(), dates, rest).prop_map(|(status, control, dates, rest)| {
        let (expires, date_behind, age, last_modified) = dates;
        let (etag, vary, confirms, odd, hangs_up, takes) = rest;
        Reply { hangs_up, status, takes, control, expires, date_behind, age, last_modified, etag, vary, confirms, odd }
    })
}

fn wants() -> impl Strategy<Value = Wants> {
    let numbers = (often(0..40u64, 0.1), often(0..40u64, 0.05), often(often(0..60u64, 0.5), 0.1));
    (seldom(), seldom(), seldom(), numbers).prop_map(|(no_cache, no_store, only_if_cached, numbers)| {
        let (max_age, min_fresh, max_stale) = numbers;
        Wants { no_cache, no_store, only_if_cached, max_age, min_fresh, max_stale }
    })
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let method =
        prop::sample::select(&[Method::Get, Method::Get, Method::Get, Method::Get, Method::Get, Method::Post][..]);
    let language = prop::sample::select(&["de", "DE", "en, de", "de,en", "fr;q=0.5,  en", "en"][..]);
    let step = (0..40u64, method, language, seldom(), wants(), reply()).prop_map(
        |(after, method, language, authorization, wants, reply)| Step {
            after,
            method,
            language,
            authorization,
            wants,
            reply,
        },
    );
    prop::collection::vec(step, 1..14)
}
