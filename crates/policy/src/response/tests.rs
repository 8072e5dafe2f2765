use edge_cache_core::Judgement;
use http::HeaderValue;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(784_111_777);

fn asked(mode: Mode, route: &Route) -> Asked<'_> {
    Asked { mode, route, authorization: false, no_store: false, requested: NOW, received: NOW, unit: 0.0 }
}

fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
    lines.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_str(v).unwrap())).collect()
}

fn planned(mode: Mode, status: u16, lines: &[(&'static str, &str)]) -> Result<Plan, NoStore> {
    plan(&asked(mode, &Route::fallback()), StatusCode::from_u16(status).unwrap(), &map(lines))
}

/// Lifetime in seconds under `rfc`, or why not.
fn ttl(lines: &[(&'static str, &str)]) -> Result<i64, NoStore> {
    planned(Mode::Rfc, 200, lines).map(|plan| plan.freshness.ttl_secs(NOW))
}

#[test]
fn a_stream_of_events_is_one_client_s_whatever_it_says() {
    let lines = &[("cache-control", "max-age=60"), ("content-type", "Text/Event-Stream; charset=utf-8")];
    assert_eq!(planned(Mode::Guarded, 200, lines), Err(NoStore::ContentType));
    assert!(planned(Mode::Rfc, 200, lines).is_ok(), "by the letter it may be kept");
}

#[test]
fn precedence_of_lifetimes() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let later = "Sun, 06 Nov 1994 08:51:17 GMT";
    assert_eq!(ttl(&[("cache-control", "max-age=60, s-maxage=90"), ("expires", later)]), Ok(90));
    assert_eq!(ttl(&[("cache-control", "max-age=60"), ("expires", later)]), Ok(60));
    assert_eq!(ttl(&[("date", date), ("expires", later)]), Ok(100));
    assert_eq!(ttl(&[("date", date), ("expires", "0"), ("etag", "\"a\"")]), Ok(0));
    let mut doubled = map(&[("date", date), ("expires", later), ("etag", "\"a\"")]);
    doubled.append("expires", HeaderValue::from_str(later).unwrap());
    let plan = plan(&asked(Mode::Rfc, &Route::fallback()), StatusCode::OK, &doubled).unwrap();
    assert_eq!(plan.freshness.ttl_secs(NOW), 0, "two lines are no date");
    assert_eq!(ttl(&[("cdn-cache-control", "max-age=5"), ("cache-control", "no-store")]), Ok(5));
    assert_eq!(
        ttl(&[("cdn-cache-control", "max-age=x y"), ("cache-control", "no-store")]),
        Err(NoStore::ResponseNoStore)
    );
    assert_eq!(ttl(&[("last-modified", "Sun, 06 Nov 1994 08:32:57 GMT")]), Ok(100));
    assert_eq!(ttl(&[]), Err(NoStore::NoFreshness));
}

#[test]
fn age_shortens_what_is_left() {
    assert_eq!(ttl(&[("cache-control", "max-age=60"), ("age", "20")]), Ok(40));
    assert_eq!(ttl(&[("cache-control", "max-age=60"), ("age", "20, 50")]), Ok(40));
    assert_eq!(ttl(&[("cache-control", "max-age=60"), ("age", "x")]), Ok(60));
    assert_eq!(ttl(&[("cache-control", "max-age=60"), ("date", "Sun, 06 Nov 1994 08:49:07 GMT")]), Ok(30));
    let route = Route::fallback();
    for (mode, age, left) in [(Mode::Rfc, "0", 57), (Mode::Guarded, "0", 60), (Mode::Guarded, "20", 37)] {
        let asked = Asked { requested: NOW - Duration::from_secs(3), ..asked(mode, &route) };
        let headers = map(&[("cache-control", "max-age=60"), ("age", age)]);
        let plan = plan(&asked, StatusCode::OK, &headers).unwrap();
        assert_eq!(plan.freshness.ttl_secs(NOW), left, "{mode:?} {age}: the response delay (RFC 9111 §4.2.3)");
    }
}

#[test]
fn what_may_not_be_stored() {
    for (line, why) in [
        ("no-store", NoStore::ResponseNoStore),
        ("NO-STORE, max-age=60", NoStore::ResponseNoStore),
        ("private, max-age=60", NoStore::Private),
        ("Private", NoStore::Private),
    ] {
        assert_eq!(ttl(&[("cache-control", line)]), Err(why), "{line}");
    }
    assert_eq!(ttl(&[("cache-control", "max-age=60"), ("vary", "*")]), Err(NoStore::VaryStar));
    for status in [304, 416] {
        assert_eq!(planned(Mode::Rfc, status, &[("cache-control", "max-age=60")]).unwrap_err(), NoStore::Status);
    }
}

#[test]
fn authorization_needs_leave_to_share() {
    let route = Route::fallback();
    let asked = Asked { authorization: true, ..asked(Mode::Rfc, &route) };
    let with = |line| plan(&asked, StatusCode::OK, &map(&[("cache-control", line)])).map(|_| ());
    assert_eq!(with("max-age=60"), Err(NoStore::Authorization));
    for line in ["public, max-age=60", "s-maxage=60", "max-age=60, must-revalidate"] {
        assert_eq!(with(line), Ok(()), "{line}");
    }
}

#[test]
fn the_guarded_policy_stores_no_cookie_and_no_error() {
    let cookie = [("cache-control", "max-age=60"), ("set-cookie", "a=1")];
    assert_eq!(planned(Mode::Guarded, 200, &cookie), Err(NoStore::SetCookie));
    assert!(planned(Mode::Rfc, 200, &cookie).is_ok());
    for status in [400, 401, 403, 405, 406, 413, 414, 417, 422, 429, 431, 451, 500, 501, 503] {
        let lines = [("cache-control", "public, max-age=60")];
        assert_eq!(planned(Mode::Guarded, status, &lines), Err(NoStore::Status), "{status}");
        assert!(planned(Mode::Rfc, status, &lines).is_ok(), "{status}");
    }
    assert_eq!(planned(Mode::Guarded, 404, &[]).unwrap().freshness.fresh_until, NOW + NOT_FOUND_TTL.mul_f64(0.9));
    assert_eq!(planned(Mode::Rfc, 404, &[]), Err(NoStore::NoFreshness));
}

#[test]
fn stale_windows_come_from_the_answer_or_the_route_and_can_be_forbidden() {
    let route = Route {
        ttl: Some(Duration::from_secs(100)),
        stale_while_revalidate: Some(Duration::from_secs(30)),
        stale_if_error: Some(Duration::from_secs(300)),
        ..Route::fallback()
    };
    let judged = |mode, line: &str, after| {
        let plan =
            plan(&asked(mode, &route), StatusCode::OK, &map(&[("cache-control", line), ("etag", "\"x\"")])).unwrap();
        plan.freshness.judge(plan.freshness.fresh_until + Duration::from_secs(after))
    };
    assert_eq!(judged(Mode::Guarded, "x", 29), Judgement::StaleWhileRevalidate);
    assert_eq!(judged(Mode::Guarded, "x", 299), Judgement::StaleIfError);
    assert_eq!(judged(Mode::Guarded, "max-age=9, stale-while-revalidate=5", 6), Judgement::StaleIfError);
    assert_eq!(judged(Mode::Guarded, "max-age=9, must-revalidate, stale-if-error=99", 1), Judgement::Expired);
    assert_eq!(judged(Mode::Rfc, "max-age=9", 1), Judgement::Expired, "rfc knows no route defaults");
    assert_eq!(judged(Mode::Rfc, "max-age=9, stale-if-error=99", 1), Judgement::StaleIfError);
    assert_eq!(judged(Mode::Rfc, "s-maxage=9, stale-if-error=99", 1), Judgement::Expired, "RFC 9111 §5.2.2.10");
    assert_eq!(judged(Mode::Guarded, "s-maxage=9, stale-if-error=99", 1), Judgement::StaleIfError);
}

#[test]
fn a_lifetime_without_end_is_not_jittered_past_what_a_duration_holds() {
    let route = Route { ttl: Some(Duration::MAX), ..Route::fallback() };
    let asked = Asked { unit: 0.999, ..asked(Mode::Guarded, &route) };
    let plan = plan(&asked, StatusCode::OK, &HeaderMap::new()).unwrap();
    assert!(matches!(plan.freshness.judge(NOW), Judgement::Fresh { .. }));
}

#[test]
fn jitter_only_under_guarded_and_within_ten_percent() {
    let route = Route { ttl: Some(Duration::from_secs(1000)), ..Route::fallback() };
    let lifetime = |mode, unit, lines: &[(&'static str, &str)]| {
        let asked = Asked { unit, ..asked(mode, &route) };
        plan(&asked, StatusCode::OK, &map(lines)).map(|plan| plan.freshness.ttl_secs(NOW))
    };
    let explicit = [("cache-control", "max-age=1000")];
    assert_eq!(lifetime(Mode::Rfc, 0.99, &explicit), Ok(1000));
    assert_eq!(lifetime(Mode::Guarded, 0.0, &explicit), Ok(1000));
    assert_eq!(lifetime(Mode::Guarded, 0.5, &explicit), Ok(950));
    assert_eq!(lifetime(Mode::Guarded, 0.0, &[]), Ok(900));
    assert_eq!(lifetime(Mode::Guarded, 0.75, &[]), Ok(1050));
}

#[test]
fn routes_clamp_and_bound_the_content_type() {
    let route = Route {
        ttl_min: Some(Duration::from_secs(10)),
        ttl_max: Some(Duration::from_secs(20)),
        content_types: vec!["application/json".into()],
        ..Route::fallback()
    };
    let with = |cc: &str, kind: &str| {
        let lines = [("cache-control", cc), ("content-type", kind)];
        plan(&asked(Mode::Guarded, &route), StatusCode::OK, &map(&lines)).map(|p| p.freshness.ttl_secs(NOW))
    };
    assert_eq!(with("max-age=5", "Application/JSON; charset=utf-8"), Ok(10));
    assert_eq!(with("max-age=500", "application/json"), Ok(20));
    assert_eq!(with("max-age=500", "text/html"), Err(NoStore::ContentType));
}

#[test]
fn qualified_directives_withhold_fields() {
    let plan = planned(Mode::Rfc, 200, &[("cache-control", "max-age=60, no-cache=\"x-a\", private=\"x-b\"")]).unwrap();
    assert_eq!(plan.withheld, [HeaderName::from_static("x-a"), HeaderName::from_static("x-b")]);
}
