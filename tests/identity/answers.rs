//! What an origin says of its answers wins over what is declared of the route.

use edge_cache_tests::{Origin, Reply};

use super::*;

async fn saying(name: &'static str, value: &'static str) -> Origin {
    Origin::start(move |request| async move {
        let reply = Reply::new(200).body(format!("page of <{}>", who(&request)));
        if name == "cache-control" { reply } else { reply.header("cache-control", "max-age=600") }.header(name, value)
    })
    .await
}

#[tokio::test]
async fn an_answer_that_depends_on_who_asks_by_its_own_word_is_never_stored() {
    for (name, value, detail) in [
        ("vary", "Accept-Encoding, Cookie", "vary-credentials"),
        ("vary", "authorization", "vary-credentials"),
        ("cache-control", "private, max-age=600", "private"),
    ] {
        let origin = saying(name, value).await;
        // The answer itself is enough: nothing is asked twice.
        let proxy = node(&origin, "0s", "").start().await;
        let first = ask(&proxy, "/pages/1").await;
        assert!(first.said_by("memory").contains(&format!("detail={detail}")), "{value}: {first:?}");
        assert!(is_distrusted(&proxy, "pages").await, "{value}");
        for cookie in ["sid=ada", "sid=bob"] {
            let own = ask_as(&proxy, cookie, "/pages/1").await;
            assert!(went_past(&own) && own.text() == format!("page of <{cookie}>"), "{value}: {own:?}");
        }
        assert!(went_past(&ask(&proxy, "/pages/1").await), "{value}");
        assert_eq!(origin.seen().len(), 4, "{value}");
    }
}

#[tokio::test]
async fn what_is_stored_already_goes_when_the_origin_takes_its_word_back() {
    let origin = Origin::start(|request| async move {
        let reply = Reply::cached("max-age=600", who(&request));
        if request.seen.target == "/pages/2" { reply.header("vary", "Cookie") } else { reply }
    })
    .await;
    let proxy = node(&origin, "0s", "").start().await;
    ask(&proxy, "/pages/1").await;
    assert!(ask_as(&proxy, "sid=ada", "/pages/1").await.is_hit_of("memory"));
    ask(&proxy, "/pages/2").await;
    assert_eq!(ask_as(&proxy, "sid=ada", "/pages/1").await.text(), "sid=ada");
    let purges = async || proxy.metrics().await.sum("edge_cache_purges_total", &[("kind", "hard")]);
    edge_cache_tests::eventually("it is purged", async || (purges().await == 1.0).then_some(())).await;
}

#[tokio::test]
async fn what_says_nothing_of_the_credentials_that_are_taken_off_is_stored() {
    for (name, value) in
        [("vary", "Accept-Encoding, Accept-Language"), ("cache-control", "max-age=600, private=\"x-user\"")]
    {
        let origin = saying(name, value).await;
        let proxy = node(&origin, "0s", "").start().await;
        ask(&proxy, "/pages/1").await;
        let again = ask_as(&proxy, "sid=ada", "/pages/1").await;
        assert!(again.is_hit_of("memory"), "{value}: {again:?}");
        assert!(!is_distrusted(&proxy, "pages").await, "{value}");
    }
    // Of an error it says nothing, and is not stored itself.
    let origin = Origin::start(|request| async move {
        match request.seen.target.as_str() {
            "/pages/none" => Reply::new(404).header("vary", "Cookie").header("cache-control", "max-age=60"),
            _ => Reply::cached("max-age=600", "x"),
        }
    })
    .await;
    let proxy = node(&origin, "0s", "").start().await;
    for times in 1..=2 {
        ask(&proxy, "/pages/none").await;
        assert_eq!(origin.count("/pages/none"), times);
    }
    ask(&proxy, "/pages/1").await;
    assert!(ask(&proxy, "/pages/1").await.is_hit_of("memory"), "whoever asks for nothing switches nothing off");
    // Who sends Authorization goes past a session route: to name it is no contradiction.
    let origin = saying("vary", "Authorization").await;
    let session = "[[route]]\nname = \"shop\"\npath = \"/shop\"\nidentity = \"session\"\nsession_cookies = [\"sid\"]";
    let proxy = node(&origin, "0s", session).start().await;
    ask(&proxy, "/shop").await;
    assert!(ask(&proxy, "/shop").await.is_hit_of("memory"));
    assert_eq!(proxy.client().get("/shop").bearer("ada").send().await.text(), "page of <Bearer ada>");
}
