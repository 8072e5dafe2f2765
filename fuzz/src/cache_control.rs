use std::{fmt::Write, time::Duration};

use edge_cache_core::{Freshness, NoStore, Timestamp, headers::CDN_CACHE_CONTROL, route::Route};
use edge_cache_policy::{CacheControl, Mode, Scope, request, response, split_unquoted};
use http::{HeaderMap, StatusCode, header::CACHE_CONTROL};

use crate::lines::{self, NOW};

/// Lines with a colon are headers, others are values of `Cache-Control`.
///
/// What was understood reads the same when it is written again, in any case, on two lines or on one. What may not be stored is not, and an
/// entry's instants are in order.
pub fn check(data: &[u8]) {
    let (named, bare): (Vec<_>, Vec<_>) = lines::of(data).take(100).partition(|line| line.contains(&b':'));
    let values: Vec<_> = bare.into_iter().filter_map(lines::value).collect();
    let headers = lines::values_of(&CACHE_CONTROL, &values);
    let cc = CacheControl::of(&headers, &CACHE_CONTROL);

    assert_eq!(read(written(&cc).as_bytes()), cc, "what is written reads as the same");
    let upper: Vec<_> = values.iter().filter_map(|v| lines::value(&v.as_bytes().to_ascii_uppercase())).collect();
    let shouted = CacheControl::of(&lines::values_of(&CACHE_CONTROL, &upper), &CACHE_CONTROL);
    assert_eq!(shouted, cc, "case says nothing");
    let all: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
    if all.iter().all(|line| closes(line)) {
        assert_eq!(read(&all.join(&b','.to_owned())), cc, "two lines are one list");
    }
    for line in all {
        splits(line);
    }
    for seconds in [cc.max_age, cc.s_maxage, cc.stale_while_revalidate, cc.stale_if_error, cc.min_fresh] {
        assert!(seconds.is_none_or(|seconds| seconds <= 1 << 31), "RFC 9111 §1.2.2");
    }
    let mut headers = lines::headers(named.into_iter());
    for value in values {
        headers.append(CACHE_CONTROL, value);
    }
    asked(&headers);
    stored(&headers);
}

fn read(line: &[u8]) -> CacheControl {
    let line = lines::value(line).expect("values and commas make a value");
    CacheControl::of(&lines::values_of(&CACHE_CONTROL, &[line]), &CACHE_CONTROL)
}

/// Whether no quote is open at its end.
fn closes(line: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    !quoted
}

fn splits(line: &[u8]) {
    let members: Vec<_> = split_unquoted(line, b',').collect();
    for member in &members {
        assert!(!member.is_empty() && member.trim_ascii() == *member);
        assert_eq!(split_unquoted(member, b',').collect::<Vec<_>>(), [*member], "a member is one");
    }
    assert!(members.iter().map(|member| member.len()).sum::<usize>() <= line.len());
}

fn written(cc: &CacheControl) -> String {
    let CacheControl {
        no_store,
        no_cache,
        private,
        public,
        must_revalidate,
        proxy_revalidate,
        must_understand,
        immutable,
        no_transform,
        max_age,
        s_maxage,
        stale_while_revalidate,
        stale_if_error,
        max_stale,
        min_fresh,
        only_if_cached,
    } = cc;
    let mut text = String::new();
    let flags = [
        ("no-store", no_store),
        ("public", public),
        ("must-revalidate", must_revalidate),
        ("proxy-revalidate", proxy_revalidate),
        ("must-understand", must_understand),
        ("immutable", immutable),
        ("no-transform", no_transform),
        ("only-if-cached", only_if_cached),
    ];
    for (name, _) in flags.into_iter().filter(|(_, is_set)| **is_set) {
        write!(text, "{name}, ").expect("writing to a string cannot fail");
    }
    for (name, scope) in [("no-cache", no_cache), ("private", private)] {
        match scope {
            Scope::None => {}
            Scope::All => text.push_str(&format!("{name}, ")),
            Scope::Fields(fields) => {
                assert!(!fields.is_empty(), "no fields would mean nothing");
                let fields: Vec<_> = fields.iter().map(|field| field.as_str()).collect();
                text.push_str(&format!("{name}=\"{}\", ", fields.join(", ")));
            }
        }
    }
    let lifetimes = [
        ("max-age", max_age),
        ("s-maxage", s_maxage),
        ("stale-while-revalidate", stale_while_revalidate),
        ("stale-if-error", stale_if_error),
        ("max-stale", max_stale),
        ("min-fresh", min_fresh),
    ];
    for (name, seconds) in lifetimes {
        match seconds {
            None => {}
            Some(u64::MAX) => text.push_str(&format!("{name}, ")),
            Some(seconds) => text.push_str(&format!("{name}={seconds}, ")),
        }
    }
    text
}

fn asked(headers: &HeaderMap) {
    let freshness = Freshness {
        born: NOW,
        stored: NOW,
        fresh_until: NOW + Duration::from_secs(60),
        revalidate_until: NOW + Duration::from_secs(90),
        error_until: NOW + Duration::from_secs(400),
        stale_allowed: true,
    };
    for mode in [Mode::Guarded, Mode::Rfc] {
        let directives = request::directives(headers, mode, false);
        for now in [NOW, NOW + Duration::from_secs(70), Timestamp::from_millis(i64::MAX)] {
            let reuse = request::reuse(&freshness, &directives, now);
            let served = matches!(reuse, request::Reuse::Serve { .. } | request::Reuse::ServeAndRefresh);
            assert!(!(directives.no_cache && served), "no-cache asks for validation");
            let _no_stale = request::wants_no_stale(&freshness, &directives, now);
        }
        if mode == Mode::Guarded {
            let left = request::Directives {
                no_store: directives.no_store,
                only_if_cached: directives.only_if_cached,
                ..Default::default()
            };
            assert_eq!(directives, left, "from anybody, only what costs the origin nothing counts");
        }
    }
}

fn stored(headers: &HeaderMap) {
    let route = Route { ttl: Some(Duration::from_secs(60)), ..Route::fallback() };
    let cc = CacheControl::targeted(headers, &CDN_CACHE_CONTROL)
        .unwrap_or_else(|| CacheControl::of(headers, &CACHE_CONTROL));
    for mode in [Mode::Guarded, Mode::Rfc] {
        for (status, authorization) in [(StatusCode::OK, true), (StatusCode::OK, false), (StatusCode::NOT_FOUND, false)]
        {
            let asked = response::Asked {
                mode,
                route: &route,
                authorization,
                no_store: false,
                requested: NOW - Duration::from_secs(1),
                received: NOW,
                unit: 0.5,
            };
            let plan = match response::plan(&asked, status, headers) {
                Ok(plan) => plan,
                Err(why) => {
                    assert_ne!(why, NoStore::RequestNoStore, "the request did not say so");
                    continue;
                }
            };
            assert!(!cc.no_store || cc.must_understand, "no-store is obeyed");
            assert_ne!(cc.private, Scope::All, "what is private is not stored");
            assert!(!authorization || cc.public || cc.s_maxage.is_some() || cc.must_revalidate, "RFC 9111 §3.5");
            let Freshness { born, stored, fresh_until, revalidate_until, error_until, .. } = plan.freshness;
            assert!(born <= stored && stored == NOW, "nothing is born after it was stored");
            assert!(born <= fresh_until && fresh_until <= revalidate_until && fresh_until <= error_until);
            if cc.must_revalidate || cc.no_cache == Scope::All {
                assert!(revalidate_until == fresh_until && error_until == fresh_until, "nothing stale");
            }
            for scope in [&cc.no_cache, &cc.private] {
                if let Scope::Fields(fields) = scope {
                    assert!(fields.iter().all(|field| plan.withheld.contains(field)), "fields are withheld");
                }
            }
        }
    }
}
