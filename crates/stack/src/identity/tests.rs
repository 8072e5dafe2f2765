use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use edge_cache_core::{
    SystemClock,
    route::{Identity, PathPattern, Route, Routes},
};
use edge_cache_policy::Mode;
use http_body_util::Full;
use tower::service_fn;

use super::*;

/// An answer: status, a header if its name is not empty, and the body.
type Said = (u16, (&'static str, &'static str), String);

/// What comes of checking a request with a cookie and a bearer against an origin that answers the nth request, with credentials or without, so; and how
/// often it was asked.
async fn checked(
    identity: Identity,
    said: impl Fn(usize, bool) -> Said + Send + Sync + 'static,
) -> (Option<Compared>, usize) {
    let mut route = Route::new("r", PathPattern::parse("/x").unwrap());
    route.identity = identity;
    let watch = IdentityWatch::new(&Routes::new([route]), Mode::Guarded, Arc::new(SystemClock));
    let samples = watch.sample(Duration::from_secs(1)).unwrap();
    let (asked, said) = (Arc::new(AtomicUsize::new(0)), Arc::new(said));
    let count = Arc::clone(&asked);
    let origin = service_fn(move |request: Request<RequestBody<Full<Bytes>>>| {
        let (cookie, bearer) = (request.headers().get("cookie"), request.headers().get("authorization"));
        assert_eq!(cookie.is_some(), bearer.is_some(), "both or none");
        let extensions = request.extensions();
        assert_eq!(extensions.get::<Priority>(), Some(&Priority::Refresh), "clients go first");
        assert!(extensions.get::<OwnRequest>().is_some() && extensions.get::<Deadline>().is_some());
        let (status, (name, value), body) = said(asked.fetch_add(1, Ordering::Relaxed), cookie.is_some());
        let mut response = Response::builder().status(status);
        if !name.is_empty() {
            response = response.header(name, value);
        }
        let response = response.body(Full::new(Bytes::from(body)));
        async move { Ok::<_, Infallible>(response.unwrap()) }
    });
    let headers = [("cookie", "a=1"), ("authorization", "Bearer x"), ("host", "h")];
    let headers =
        headers.map(|(n, v)| (n.parse::<http::HeaderName>().unwrap(), v.parse::<http::HeaderValue>().unwrap()));
    let sample = Sample {
        watch: watch.clone(),
        route_at: 0,
        uri: http::Uri::from_static("/x"),
        version: http::Version::HTTP_11,
        headers: headers.into_iter().collect(),
    };
    let check = IdentityCheck::new(watch, samples, Vec::new(), origin);
    let compared = check.check::<Full<Bytes>>(&sample).await;
    (compared, count.load(Ordering::Relaxed))
}

fn page(body: impl ToString) -> Said {
    (200, ("", ""), body.to_string())
}

async fn free(said: impl Fn(usize, bool) -> Said + Send + Sync + 'static) -> (Option<Compared>, usize) {
    checked(Identity::Free, said).await
}

#[tokio::test]
async fn an_honest_page_takes_two_questions() {
    assert_eq!(free(|_, _| page("same")).await, (Some(Compared::Same), 2));
}

#[tokio::test]
async fn a_page_for_somebody_is_found() {
    let found = free(|_, known| page(if known { "Ada's page" } else { "a page" })).await;
    assert_eq!(found, (Some(Compared::Differs(Distrust::Body)), 7));
    let hidden = free(|_, known| if known { page("x") } else { (401, ("", ""), String::new()) }).await;
    assert_eq!(hidden.0, Some(Compared::Differs(Distrust::Status)));
    // Also where it is another one each time.
    let nonce = free(|nth, known| page(if known { nth } else { 99 })).await;
    assert_eq!(nonce.0, Some(Compared::Differs(Distrust::Body)));
}

#[tokio::test]
async fn a_page_that_changes_by_itself_says_nothing() {
    assert_eq!(free(|nth, _| page(nth)).await, (Some(Compared::Undecided), 3), "at every request");
    assert_eq!(free(|nth, _| page(nth % 2)).await.0, Some(Compared::Undecided), "in turn");
    assert_eq!(free(|nth, _| page(nth % 3)).await.0, Some(Compared::Undecided), "among three");
    for at in 1..7 {
        assert_eq!(
            free(move |nth, _| page(nth >= at)).await.0,
            if at == 1 { Some(Compared::Undecided) } else { Some(Compared::Same) }
        );
    }
    // A change between the questions, on a page that does depend on who asks: the next sample will tell.
    let changed = free(|nth, known| page(format!("{known} {}", nth >= 4))).await;
    assert_eq!(changed.0, Some(Compared::Undecided));
}

#[tokio::test]
async fn a_failure_is_no_difference() {
    for at in 0..7 {
        let failed = free(move |nth, known| if nth == at { (503, ("", ""), String::new()) } else { page(known) }).await;
        assert_eq!(failed, (None, at + 1));
    }
    let refused = free(|_, known| if known { (401, ("", ""), String::new()) } else { page("x") }).await;
    assert_eq!(refused, (Some(Compared::Undecided), 2), "anybody can send a bad password");
}

#[tokio::test]
async fn what_the_origin_says_of_itself_is_enough() {
    for said in [("vary", "Cookie"), ("cache-control", "private")] {
        let found = free(move |_, known| (200, if known { said } else { ("", "") }, "same".to_owned())).await;
        assert!(
            matches!(found, (Some(Compared::Differs(Distrust::Vary | Distrust::Private)), 2)),
            "{said:?} {found:?}"
        );
    }
    let set = free(|_, known| (200, if known { ("set-cookie", "sid=1") } else { ("", "") }, "same".to_owned())).await;
    assert_eq!(set.0, Some(Compared::Differs(Distrust::SetCookie)));
    let session = Identity::Session { cookies: vec!["sid".into()] };
    let found = checked(session, |_, _| (200, ("vary", "Authorization"), "same".to_owned())).await;
    assert_eq!(found.0, Some(Compared::Same), "who sends it goes past the cache");
}

#[tokio::test]
async fn a_body_without_end_is_not_read_to_it() {
    let long = free(|_, known| page("x".repeat(BODY_BYTES_MAX + usize::from(known)))).await;
    assert_eq!(long, (Some(Compared::Undecided), 2));
    let fits = free(|_, _| page("x".repeat(BODY_BYTES_MAX))).await;
    assert_eq!(fits.0, Some(Compared::Same));
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_does_not_answer_is_given_up() {
    let mut route = Route::new("r", PathPattern::parse("/x").unwrap());
    route.identity = Identity::Free;
    let watch = IdentityWatch::new(&Routes::new([route]), Mode::Guarded, Arc::new(SystemClock));
    let samples = watch.sample(Duration::from_secs(1)).unwrap();
    let origin = service_fn(|_: Request<RequestBody<Full<Bytes>>>| {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let uri = http::Uri::from_static("/x");
    let (version, headers) = (http::Version::HTTP_11, HeaderMap::new());
    let sample = Sample { watch: watch.clone(), route_at: 0, uri, version, headers };
    let check = IdentityCheck::new(watch, samples, Vec::new(), origin);
    assert_eq!(check.check::<Full<Bytes>>(&sample).await, None);
}
