use edge_cache_core::{
    Bypass, Timestamp,
    route::{PathPattern, Route},
};
use edge_cache_testkit::FakeClock;
use http::Request;
use tokio::time::advance;

use super::*;
use crate::Keying;

const SECOND: Duration = Duration::from_secs(1);

fn declared(name: &'static str, path: &str, identity: Identity) -> Route {
    let mut route = Route::new(name, PathPattern::parse(path).unwrap());
    route.identity = identity;
    route
}

fn session() -> Identity {
    Identity::Session { cookies: vec!["sid".into()] }
}

fn keying(mode: Mode) -> (Keying, IdentityWatch) {
    let clock = FakeClock::at(Timestamp::from_secs(1_000_000));
    let routes = Arc::new(Routes::new([
        declared("free", "/free", Identity::Free),
        declared("session", "/session", session()),
        declared("private", "/private", Identity::Private),
    ]));
    let watch = IdentityWatch::new(&routes, mode, clock.shared());
    (Keying { mode, routes, identity: Some(watch.clone()), ..Keying::default() }, watch)
}

fn decide(keying: &Keying, method: &str, uri: &str, headers: &[(&str, &str)]) -> (Result<usize, Bypass>, Parts) {
    let mut request = Request::builder().method(method).uri(uri).header("host", "h");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    let decided = keying.decide(&mut parts, true, false).map(|decision| decision.route().1);
    (decided, parts)
}

fn place(watch: &IdentityWatch, name: &str) -> usize {
    watch.declared().find(|(_, declared, _)| *declared == name).unwrap().0
}

#[tokio::test(start_paused = true)]
async fn a_sample_has_the_credentials_that_the_request_loses() {
    let (keying, watch) = keying(Mode::Guarded);
    let mut samples = watch.sample(SECOND).unwrap();
    let sent = [
        ("cookie", "a=1"),
        ("authorization", "Bearer x"),
        ("accept", "*/*"),
        ("if-none-match", "\"x\""),
        ("range", "bytes=0-1"),
        ("accept-encoding", "gzip"),
        ("x-forwarded-host", "evil"),
    ];
    let (decided, parts) = decide(&keying, "GET", "/free?b=2&a=1", &sent);
    assert!(decided.is_ok() && !parts.headers.contains_key("cookie") && !parts.headers.contains_key("authorization"));
    let sample = samples.try_recv().unwrap();
    let names: Vec<_> = sample.headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["host", "cookie", "authorization", "accept"]);
    assert_eq!(sample.uri, "/free?b=2&a=1");
}

#[tokio::test(start_paused = true)]
async fn only_what_is_taken_off_a_get_of_a_declared_route_is_a_sample() {
    let (keying, watch) = keying(Mode::Guarded);
    let mut samples = watch.sample(SECOND).unwrap();
    for (method, uri, headers) in [
        ("GET", "/free", &[][..]),
        ("GET", "/free", &[("range", "bytes=0-1")]),
        ("HEAD", "/free", &[("cookie", "a=1")]),
        ("GET", "/private", &[("authorization", "x")]),
        ("GET", "/other", &[("authorization", "x")]),
        ("GET", "/session", &[("authorization", "x")]),
        ("GET", "/session", &[("cookie", "a=1; sid=x")]),
    ] {
        drop(decide(&keying, method, uri, headers));
        assert!(samples.try_recv().is_err(), "{method} {uri} {headers:?}");
    }
    drop(decide(&keying, "GET", "/session", &[("cookie", "a=1")]));
    assert!(samples.try_recv().is_ok(), "a cookie that is no session");
}

#[tokio::test(start_paused = true)]
async fn each_route_is_sampled_once_in_a_while() {
    let (keying, watch) = keying(Mode::Guarded);
    let ask = |uri| drop(decide(&keying, "GET", uri, &[("cookie", "a=1")]));
    ask("/free");
    let mut samples = watch.sample(10 * SECOND).unwrap();
    let mut taken = |uri| {
        ask(uri);
        samples.try_recv().is_ok()
    };
    assert_eq!([taken("/free"), taken("/free"), taken("/session")], [true, false, true]);
    advance(9 * SECOND).await;
    assert!(!taken("/free"));
    advance(SECOND).await;
    assert_eq!([taken("/free"), taken("/free")], [true, false]);
}

#[tokio::test(start_paused = true)]
async fn more_than_wait_are_dropped_and_counted() {
    let (keying, watch) = keying(Mode::Guarded);
    let samples = watch.sample(SECOND).unwrap();
    for _ in 0..QUEUE + 3 {
        drop(decide(&keying, "GET", "/free", &[("cookie", "a=1")]));
        advance(SECOND).await;
    }
    assert_eq!((samples.len(), watch.counted(CheckResult::Dropped)), (QUEUE, 3));
    assert!(watch.sample(SECOND).is_none(), "somebody has them already");
}

#[tokio::test(start_paused = true)]
async fn a_distrusted_route_goes_past_with_its_credentials() {
    let (keying, watch) = keying(Mode::Guarded);
    let free = place(&watch, "free");
    assert!(decide(&keying, "GET", "/free", &[]).0.is_ok() && watch.untold().is_empty());
    watch.distrust(free, Distrust::Body);
    watch.distrust(free, Distrust::Vary);
    let (decided, parts) = decide(&keying, "GET", "/free", &[("cookie", "a=1")]);
    assert_eq!((decided, parts.headers["cookie"].as_bytes()), (Err(Bypass::Distrusted), &b"a=1"[..]));
    assert_eq!(decide(&keying, "GET", "/free", &[]).0, Err(Bypass::Distrusted), "also for those who have none");
    assert!(decide(&keying, "GET", "/session", &[]).0.is_ok(), "only this one");
    assert!(keying.is_distrusted(&keying.locate("http", "h", "/free", "").unwrap()));
    assert_eq!(watch.untold(), [free]);
    assert!(watch.untold().is_empty(), "once");
    let why = watch.declared().find(|(at, ..)| *at == free).unwrap().2;
    assert_eq!(why, Some(Distrust::Body), "the first reason stays");
}

#[tokio::test(start_paused = true)]
async fn what_declares_nothing_cannot_be_distrusted() {
    let (keying, watch) = keying(Mode::Guarded);
    for at in 0..10 {
        if !watch.declared().any(|(declared, ..)| declared == at) {
            watch.distrust(at, Distrust::Private);
        }
    }
    assert_eq!(decide(&keying, "GET", "/private", &[]).0.err(), None);
    assert_eq!(decide(&keying, "GET", "/other", &[]).0.err(), None);
}

#[tokio::test(start_paused = true)]
async fn to_the_letter_nothing_is_declared() {
    let (keying, watch) = keying(Mode::Rfc);
    assert_eq!(watch.declared().count(), 0);
    for at in 0..4 {
        watch.distrust(at, Distrust::Body);
    }
    assert!(decide(&keying, "GET", "/free", &[("cookie", "a=1")]).0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn other_declarations_lift_the_distrust_and_the_same_one_does_not() {
    let (keying, watch) = keying(Mode::Guarded);
    let mut samples = watch.sample(SECOND).unwrap();
    watch.distrust(place(&watch, "free"), Distrust::Body);
    watch.distrust(place(&watch, "session"), Distrust::Body);
    let routes = Arc::new(Routes::new([
        declared("new", "/new", Identity::Free),
        declared("free", "/free", Identity::Free),
        declared("session", "/session", Identity::Free),
    ]));
    let before = watch;
    let watch = before.redeclared(&routes, Mode::Guarded);
    assert!(watch.is_distrusted(place(&watch, "free")), "it is declared as before");
    assert!(!watch.is_distrusted(place(&watch, "session")) && !watch.is_distrusted(place(&watch, "new")));
    assert_eq!(watch.untold(), [place(&watch, "free")]);
    let between = watch.redeclared(&routes, Mode::Guarded);
    let gone = Arc::downgrade(&between.0);
    let again = watch.redeclared(&routes, Mode::Guarded);
    drop(between);
    assert!(gone.upgrade().is_none(), "what is declared no more is not kept");
    watch.distrust(place(&watch, "session"), Distrust::Body);
    assert!(again.is_distrusted(place(&again, "session")), "found out late");
    let watch = again;
    let keying = Keying { routes, identity: Some(watch.clone()), ..keying };
    drop(decide(&keying, "GET", "/new", &[("cookie", "a=1")]));
    let sample = samples.try_recv().expect("who looked at samples goes on to do so");
    sample.watch.distrust(sample.route_at, Distrust::Vary);
    assert!(watch.is_distrusted(place(&watch, "new")));
}
