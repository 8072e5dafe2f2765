//! What is asked of the origin, and what it says of routes whose declaration holds.

use edge_cache_tests::{Origin, Reply};

use super::*;

#[tokio::test]
async fn an_honest_route_stays_cached() {
    let origin =
        Origin::start(
            |request| async move { Reply::cached("max-age=600", request.seen.target).header("etag", "\"1\"") },
        )
        .await;
    let lists = "[[route]]\nname = \"lists\"\npath = \"/lists\"\nidentity = \"free\"\nquery = [\"page\"]";
    let proxy = node(&origin, "1h", lists).start().await;
    let asked = proxy.client().get("/lists?utm=x&page=2").bearer("ada");
    let asked = asked.header("x-forwarded-host", "evil").header("if-none-match", "\"1\"").header("range", "bytes=0-1");
    asked.send().await;
    checked(&proxy, "same", 1).await;
    for http2 in [false, true] {
        let ask = proxy.client().get("/lists?page=2").bearer("ada");
        let again = if http2 { ask.http2() } else { ask }.send().await;
        assert!(again.is_hit_of("memory") && again.text() == "/lists?page=2", "{again:?}");
    }
    let seen = origin.seen();
    let bearers: Vec<_> = seen.iter().map(|seen| seen.header("authorization")).collect();
    assert_eq!(bearers.iter().filter(|bearer| **bearer == "Bearer ada").count(), 1, "{seen:?}");
    assert_eq!(seen.len(), 3, "for the client, and to compare, without and with: {seen:?}");
    for seen in &seen {
        assert_eq!((seen.target.as_str(), seen.header("x-forwarded-host")), ("/lists?page=2", ""));
    }
    // Over HTTP/2 the host is in the target.
    proxy.client().get("/pages/1").bearer("ada").http2().send().await;
    checked(&proxy, "same", 2).await;
    let host = proxy.address.to_string();
    assert!(origin.seen().iter().all(|seen| seen.header("host") == host), "{:?}", origin.seen());
}

#[tokio::test]
async fn a_route_is_looked_at_no_more_often_than_it_should_be() {
    let origin = Origin::start(|_| async { Reply::cached("max-age=600", "x") }).await;
    let other = "[[route]]\nname = \"other\"\npath = \"/other\"\nidentity = \"free\"";
    let proxy = node(&origin, "1h", other).start().await;
    for nth in 0..40 {
        ask_as(&proxy, "sid=ada", &format!("/pages/{}", nth % 4)).await;
    }
    // It comes after all that wait.
    ask_as(&proxy, "sid=ada", "/other").await;
    checked(&proxy, "same", 2).await;
    assert_eq!(origin.seen().len(), 5 + 2 * 2, "five fills, and two questions for each of two routes");
    assert_eq!(count(&proxy, "dropped").await, 0.0);

    let often = node(&origin, "1ms", "").start().await;
    for times in 1..=3 {
        ask_as(&often, "sid=ada", "/pages/1").await;
        checked(&often, "same", times).await;
    }
}

#[tokio::test]
async fn a_page_that_changes_at_every_request_stays_as_it_is() {
    let origin =
        Origin::start(|request| async move { Reply::cached("max-age=600", request.earlier.to_string()) }).await;
    let proxy = node(&origin, "1h", "").start().await;
    let first = ask_as(&proxy, "sid=ada", "/pages/1").await;
    checked(&proxy, "undecided", 1).await;
    let again = ask_as(&proxy, "sid=ada", "/pages/1").await;
    assert!(again.is_hit_of("memory") && again.text() == first.text(), "{again:?}");
    assert!(!is_distrusted(&proxy, "pages").await);
}

#[tokio::test]
async fn failures_and_refusals_are_no_difference() {
    let origin = Origin::start(|request| async move {
        match (who(&request).as_str(), request.seen.target.as_str()) {
            ("", _) => Reply::cached("max-age=600", "x"),
            (_, "/pages/down") => Reply::new(503),
            _ => Reply::new(401).body("who are you?"),
        }
    })
    .await;
    let proxy = node(&origin, "1ms", "").start().await;
    for (target, result) in [("/pages/down", "failed"), ("/pages/strict", "undecided")] {
        ask_as(&proxy, "sid=nonsense", target).await;
        checked(&proxy, result, 1).await;
        assert!(ask(&proxy, target).await.is_hit_of("memory"), "anybody could switch it off else");
    }
    assert!(!is_distrusted(&proxy, "pages").await);
}

#[tokio::test]
async fn to_the_letter_and_where_it_is_off_nothing_is_looked_at() {
    let personal = || Origin::start(|request| async move { Reply::cached("max-age=600, public", who(&request)) });
    let origin = personal().await;
    let mixed = "[[route]]\nname = \"letter\"\npath = \"/letter\"\nidentity = \"free\"\npolicy = \"rfc\"\n\
                 [[route]]\nname = \"never\"\npath = \"/never\"\nidentity = \"free\"\nuncacheable = true\n\
                 [[route]]\nname = \"honest\"\npath = \"/honest\"\nidentity = \"free\"";
    let proxy = node(&origin, "1ms", mixed).start().await;
    for target in ["/letter", "/never"] {
        ask_as(&proxy, "sid=ada", target).await;
    }
    let shown = proxy.metrics().await;
    for (route, is_shown) in [("letter", false), ("never", false), ("honest", true), ("pages", true)] {
        let line = format!("edge_cache_identity_distrusted{{route=\"{route}\"}}");
        assert_eq!(shown.text().contains(&line), is_shown, "{route}");
    }
    // It comes after all that wait.
    ask_as(&proxy, "sid=ada", "/honest").await;
    distrusted(&proxy, "honest").await;
    assert_eq!((origin.count("/letter"), origin.count("/never")), (1, 1));

    let origin = personal().await;
    let off = node(&origin, "0s", "").start().await;
    for _ in 0..3 {
        assert_eq!(ask_as(&off, "sid=ada", "/pages/1").await.text(), "");
    }
    assert_eq!((origin.seen().len(), is_distrusted(&off, "pages").await), (1, false));
}
