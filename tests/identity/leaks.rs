//! A page that shows who asks.

use edge_cache_sandbox::Redis;
use edge_cache_tests::{Origin, PATIENCE, Reply, eventually};
use serde_json::Value;
use tokio::{sync::mpsc, time::timeout};

use super::*;

async fn personal() -> Origin {
    Origin::start(|request| async move { Reply::cached("max-age=600", format!("page of <{}>", who(&request))) }).await
}

#[tokio::test]
async fn one_request_is_enough_to_find_it() {
    let origin = personal().await;
    let other = "[[route]]\nname = \"others\"\npath = \"/pages/others/*\"\nidentity = \"free\"";
    let proxy = node(&origin, "10s", other).start().await;
    assert_eq!(ask(&proxy, "/pages/1").await.text(), "page of <>");
    assert!(ask(&proxy, "/pages/others/1").await.said_by("memory").contains("stored"));
    let served = ask_as(&proxy, "sid=ada", "/pages/1").await;
    assert!(served.is_hit_of("memory") && served.text() == "page of <>", "as declared: {served:?}");
    distrusted(&proxy, "pages").await;
    checked(&proxy, "differs", 1).await;
    assert!(!is_distrusted(&proxy, "others").await);

    // From here on each has the page that is meant for it, and nothing of it is kept.
    for nobody in ["", "", "sid=ada", "sid=bob", "sid=ada", ""] {
        let before = origin.count("/pages/1");
        let own = match nobody {
            "" => ask(&proxy, "/pages/1").await,
            cookie => ask_as(&proxy, cookie, "/pages/1").await,
        };
        assert!(went_past(&own) && own.text() == format!("page of <{nobody}>"), "{nobody}: {own:?}");
        assert_eq!(origin.count("/pages/1"), before + 1);
    }
    let elsewhere = proxy.client().get("/pages/2").bearer("t0ken").send().await;
    assert_eq!(elsewhere.text(), "page of <Bearer t0ken>", "so it is on the whole route");
    assert!(ask(&proxy, "/pages/others/1").await.is_hit_of("memory"), "and only there");

    let line = proxy.logged("depend on who asks").await;
    assert!(line.contains("pages") && line.contains("another body") && !line.contains("ada"), "{line}");
    let explained = proxy.admin().get(&format!("/explain?url=http://{}/pages/1", proxy.address)).send().await;
    assert_eq!(explained.json()["goes_past"]["why"], "distrusted", "{explained:?}");
    proxy.logged("identity check").await;
}

#[tokio::test]
async fn it_is_told_to_whoever_has_to_know() {
    let (told, mut messages) = mpsc::unbounded_channel::<Value>();
    let receiver = Origin::start(move |mut request| {
        let told = told.clone();
        async move {
            told.send(serde_json::from_slice(&request.whole().await).unwrap()).unwrap();
            Reply::new(200)
        }
    })
    .await;
    let origin = personal().await;
    let alerts = format!("[alerts]\nwebhook = \"{}/\"\nevery = \"50ms\"", receiver.url());
    let proxy = node(&origin, "10s", &alerts).start().await;
    ask_as(&proxy, "sid=ada", "/pages/1").await;
    let message = timeout(PATIENCE, messages.recv()).await.expect("somebody is told").unwrap();
    assert_eq!((&message["rule"], &message["severity"]), (&"identity-leak".into(), &"critical".into()), "{message}");
    assert!(!message.to_string().contains("ada"), "{message}");
}

#[tokio::test]
async fn what_other_nodes_hold_is_purged_too() {
    let (redis, origin) = (Redis::start().await.unwrap(), personal().await);
    let redis = format!("[redis]\nurl = \"{}\"", redis.url());
    // It does not look for itself, and goes on believing.
    let believing = node(&origin, "0s", &redis).start().await;
    let proxy = node(&origin, "10s", &redis).start().await;
    let get = async |host, target| believing.client().get(target).header("host", host).send().await;
    let (hosts, pages) = (["a.example", "b.example"], ["/pages/1", "/pages/deep/er"]);
    for (host, target) in hosts.into_iter().flat_map(|host| pages.map(|page| (host, page))) {
        get(host, target).await;
        assert!(get(host, target).await.is_hit_of("memory"), "{host}{target}");
    }
    get("a.example", "/elsewhere").await;

    proxy.client().get("/pages/3").header("host", "c.example").bearer("x").send().await;
    distrusted(&proxy, "pages").await;
    for (host, target) in hosts.into_iter().flat_map(|host| pages.map(|page| (host, page))) {
        eventually("it is gone", async || (!get(host, target).await.is_hit_of("memory")).then_some(())).await;
    }
    assert!(get("a.example", "/elsewhere").await.is_hit_of("memory"), "other routes keep what they have");
    assert!(!is_distrusted(&believing, "pages").await, "each node finds out by itself");
}

#[tokio::test]
async fn a_session_route_is_looked_at_with_the_cookies_that_are_no_session() {
    let origin = personal().await;
    let session = "[[route]]\nname = \"shop\"\npath = \"/shop\"\nidentity = \"session\"\nsession_cookies = [\"sid\"]";
    let proxy = node(&origin, "1h", session).start().await;
    let own = ask_as(&proxy, "sid=ada; theme=dark", "/shop").await;
    assert_eq!(own.text(), "page of <sid=ada; theme=dark>", "private, and nothing is looked at");
    assert_eq!(ask_as(&proxy, "theme=dark", "/shop").await.text(), "page of <>");
    distrusted(&proxy, "shop").await;
    assert_eq!(ask_as(&proxy, "theme=dark", "/shop").await.text(), "page of <theme=dark>");
    let with_session = |seen: &&edge_cache_tests::Seen| seen.header("cookie").contains("sid");
    assert_eq!(origin.seen().iter().filter(with_session).count(), 1, "what is private is asked once");
}
