//! Private answers: every body names whom it is for, and none reaches anybody else, whatever is mixed (scenario h).

use edge_cache_tests::{Answer, Arrived, Ask, Demo, Gate, Origin, Proxy, ProxyBuilder, Reply, eventually};
use http::StatusCode;

/// Two tokens that begin alike, as all of one issuer do.
const TOKENS: [&str; 2] = ["eyJhbGciOiJIUzI1NiJ9.zoe.x", "eyJhbGciOiJIUzI1NiJ9.bob.x"];

/// Who asks, as an application finds it out: by a cookie in any spelling that some parser takes, or by a token.
fn whose(request: &Arrived) -> String {
    let lines = request.seen.headers.iter().filter(|(name, _)| ["cookie", "authorization"].contains(&name.as_str()));
    let text: String = lines.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
    ["zoe", "bob"].into_iter().find(|name| text.contains(name)).unwrap_or("nobody").to_owned()
}

/// An application that says what may be done with its answers in the query of its own URLs: `/page?cache-control=…&vary=…`.
async fn personal() -> Origin {
    Origin::start(|request| async move { page(&request) }).await
}

fn page(request: &Arrived) -> Reply {
    let who = whose(request);
    let etag = format!("\"{who}\"");
    let query = request.seen.target.split_once('?').map_or("", |(_, query)| query);
    let mut reply = Reply::new(200).header("etag", &etag);
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = value.replace('+', " ").replace("%22", "\"");
        reply = reply.header(name, &value.replace("WHO", &who));
    }
    if request.seen.header("if-none-match") == etag {
        return Reply::new(304).header("etag", &etag);
    }
    reply.body(format!("page of {who}"))
}

async fn proxy(origin: &Origin, routes: &str) -> Proxy {
    ProxyBuilder::config(&format!("[origin]\nurl = \"{}\"\n{routes}", origin.url())).start().await
}

/// Wrong declarations too: what they cost is looked at here, and not how they are found out (`tests/identity`).
const DECLARED: &str = "[cache]\nidentity_check = \"0s\"\n[[route]]\nname = \"free\"\npath = \"/free/*\"\nidentity = \"free\"\nttl = \"1h\"\n\
    [[route]]\nname = \"session\"\npath = \"/session/*\"\nidentity = \"session\"\nsession_cookies = [\"sid\"]\nttl = \"1h\"\nstale_if_error = \"1h\"\nstale_while_revalidate = \"1h\"\n";

fn with(ask: Ask, credentials: &[(&str, String)]) -> Ask {
    credentials.iter().fold(ask, |ask, (name, value)| ask.header(name, value))
}

/// All ways in which one person says who he is.
fn credentials(who: &str) -> Vec<Vec<(&'static str, String)>> {
    let token = TOKENS[usize::from(who == "bob")];
    vec![
        vec![("cookie", format!("sid={who}"))],
        vec![("cookie", format!("theme=dark; sid={who}"))],
        vec![("cookie", "theme=dark".into()), ("cookie", format!("sid={who}"))],
        vec![("cookie", format!("sid={who}; sid={who}2"))],
        vec![("cookie", format!("sid=\"{who}\""))],
        vec![("cookie", format!("sid ={who}"))],
        vec![("cookie", format!(" ;; sid= {who};"))],
        vec![("cookie", format!("SID={who}"))],
        vec![("cookie", format!("\"sid\"={who}"))],
        vec![("cookie", format!("theme=dark, sid={who}"))],
        vec![("cookie", format!("$Version=1; sid={who}; $Path=/"))],
        vec![("cookie", format!("__Host-sid={who}"))],
        vec![("cookie", who.into())],
        vec![("cookie", format!("={who}"))],
        vec![("authorization", format!("Bearer {token}"))],
        vec![("authorization", format!("Basic {who}"))],
        vec![("authorization", format!("bearer\t{token}"))],
        vec![("authorization", token.into())],
        vec![("authorization", format!("Bearer {token}")), ("cookie", "theme=dark".into())],
        vec![("authorization", format!("Bearer {token}")), ("connection", "authorization".into())],
        vec![("cookie", format!("sid={who}")), ("connection", "cookie".into())],
        vec![("cookie", format!("sid={who}")), ("cache-control", "max-stale, only-if-cached=x".into())],
        vec![("cookie", format!("sid={who}")), ("if-none-match", format!("\"{who}\""))],
        vec![("cookie", format!("sid={who}")), ("range", "bytes=0-".into())],
    ]
}

fn is_for(answer: &Answer, who: &str, shown: &str) {
    let other = if who == "zoe" { "bob" } else { "zoe" };
    let all = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
    assert!(!all.contains(other), "{shown}: {who} got {all}");
    if who == "nobody" {
        assert!(!all.contains("zoe"), "{shown}: {who} got {all}");
    }
}

/// What an application may say, from careless to careful.
const SAID: [&str; 12] = [
    "cache-control=max-age=60",
    "cache-control=max-age=60&vary=cookie",
    "cache-control=max-age=60&set-cookie=sid%3DWHO",
    "cache-control=private,+max-age=60",
    "cache-control=private=%22set-cookie%22,+max-age=60&set-cookie=sid%3DWHO",
    "cache-control=no-cache=%22set-cookie%22,+max-age=60&set-cookie=sid%3DWHO",
    "cache-control=no-cache",
    "cache-control=max-age=0,+stale-while-revalidate=60,+stale-if-error=60",
    "cache-control=no-store",
    "cdn-cache-control=max-age=60",
    "expires=Thu,+01+Jan+2099+00:00:00+GMT",
    "last-modified=Thu,+01+Jan+2015+00:00:00+GMT",
];

#[tokio::test]
async fn every_credential_on_every_kind_of_route() {
    let origin = personal().await;
    let proxy = proxy(&origin, DECLARED).await;
    // It is no wonder where nothing is kept: nobody's page is, until an answer says against its declaration that it is somebody's.
    for path in ["/page", "/free/page", "/session/page"] {
        let target = format!("{path}?{}", SAID[0]);
        proxy.get(&target).await;
        assert!(proxy.get(&target).await.is_hit_of("memory"), "{path}");
    }
    for path in ["/page", "/free/page", "/session/page"] {
        for said in SAID {
            let target = format!("{path}?{said}");
            for (zoe, bob) in credentials("zoe").iter().zip(credentials("bob")) {
                let shown = format!("{target} {zoe:?}");
                // One after the other, each twice, and nobody in between: as GET and as HEAD.
                for (who, how) in [("zoe", zoe), ("bob", &bob), ("zoe", zoe)] {
                    is_for(&with(proxy.client().get(&target), how).send().await, who, &shown);
                    is_for(&with(proxy.client().ask("HEAD", &target), how).send().await, who, &shown);
                    let nobody = proxy.client().get(&target).send().await;
                    is_for(&nobody, "nobody", &shown);
                    assert_eq!(nobody.text(), "page of nobody", "{shown}");
                }
            }
        }
    }
}

#[tokio::test]
async fn who_is_known_gets_his_own_page_where_the_route_lets_him() {
    let origin = personal().await;
    let proxy = proxy(&origin, DECLARED).await;
    for (path, own) in [("/page", "page of zoe"), ("/free/page", "page of nobody"), ("/session/page", "page of zoe")] {
        let target = format!("{path}?cache-control=max-age=60");
        proxy.get(&target).await;
        for _ in 0..2 {
            let answer = proxy.client().get(&target).header("cookie", "sid=zoe").send().await;
            assert_eq!(answer.text(), own, "{path}");
        }
    }
    // A cookie that the route does not call a session is taken off: the page is nobody's, for him too.
    let other = proxy.client().get("/session/page?cache-control=max-age=60").header("cookie", "theme=zoe").send().await;
    assert_eq!((other.is_hit_of("memory"), other.text()), (true, "page of nobody"));
}

#[tokio::test]
async fn at_once_while_one_leads_the_fill() {
    let gate = Gate::new();
    let closed = gate.clone();
    let origin = Origin::start(move |request| {
        let closed = closed.clone();
        async move {
            closed.passed().await;
            page(&request)
        }
    })
    .await;
    let proxy = proxy(&origin, DECLARED).await;
    let mut asked = Vec::new();
    for path in ["/page", "/free/page", "/session/page"] {
        for said in SAID {
            let target = format!("{path}?{said}");
            for who in ["zoe", "nobody", "bob"] {
                let token = format!("Bearer {}", TOKENS[usize::from(who == "bob")]);
                for how in [vec![("authorization", token.clone())], vec![("cookie", format!("sid={who}"))]] {
                    let how = if who == "nobody" { vec![] } else { how };
                    let ask = with(proxy.client().get(&target), &how);
                    asked.push((who, target.clone(), tokio::spawn(ask.send())));
                }
            }
        }
    }
    let count = asked.len();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let all = count as f64;
    eventually("all are waiting", async || {
        (proxy.metrics().await.sum("edge_cache_requests_in_flight", &[]) >= all).then_some(())
    })
    .await;
    gate.open();
    for (who, target, answer) in asked {
        let answer = answer.await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        is_for(&answer, who, &target);
    }
}

#[tokio::test]
async fn a_token_with_an_answer_that_the_origin_gives_to_all() {
    let origin = personal().await;
    let proxy = proxy(&origin, "").await;
    let ask = |target: &str, token: &str| proxy.client().get(target).bearer(token).send();
    // RFC 9111 §3.5: the origin says that it is for everybody, in so many words.
    for said in ["public,+max-age=60", "s-maxage=60", "max-age=60,+must-revalidate"] {
        let target = format!("/?cache-control={said}");
        assert_eq!(ask(&target, TOKENS[0]).await.text(), "page of zoe", "{said}");
        assert_eq!(ask(&target, TOKENS[1]).await.text(), "page of zoe", "{said}: as the origin wants it");
    }
    // With `Vary` each token has its own, and without a word each is asked for anew.
    for said in [
        "max-age=60",
        "max-age=60,+proxy-revalidate",
        "private,+s-maxage=60",
        "public,+no-store",
        "public,+max-age=60&vary=authorization",
    ] {
        let target = format!("/?cache-control={said}");
        for (token, who) in [(TOKENS[0], "zoe"), (TOKENS[1], "bob"), (TOKENS[0], "zoe")] {
            assert_eq!(ask(&target, token).await.text(), format!("page of {who}"), "{said}");
        }
    }
}

#[tokio::test]
async fn another_s_validators() {
    let origin = personal().await;
    let proxy = proxy(&origin, DECLARED).await;
    for target in [
        "/page?cache-control=no-cache",
        "/session/page?cache-control=no-cache",
        "/session/page?cache-control=max-age=60",
    ] {
        for condition in ["\"zoe\"", "\"bob\"", "W/\"zoe\"", "\"nobody\"", "*"] {
            let zoe =
                proxy.client().get(target).header("cookie", "sid=zoe").header("if-none-match", condition).send().await;
            is_for(&zoe, "zoe", target);
            let nobody = proxy.get(target).await;
            assert_eq!((nobody.status, nobody.text()), (StatusCode::OK, "page of nobody"), "{target} {condition}");
            let bob =
                proxy.client().get(target).header("cookie", "sid=bob").header("if-none-match", "\"zoe\"").send().await;
            assert_eq!((bob.status, bob.text()), (StatusCode::OK, "page of bob"), "{target} {condition}");
        }
    }
}

#[tokio::test]
async fn a_private_answer_is_nothing_to_fall_back_on() {
    let mut origin = personal().await;
    let proxy = proxy(&origin, DECLARED).await;
    let targets = [
        "/page?cache-control=private,+max-age=60,+stale-if-error=60",
        "/session/page?cache-control=max-age=60,+stale-if-error=60",
        "/page?cache-control=max-age=60",
    ];
    for target in targets {
        let zoe = proxy.client().get(target).header("cookie", "sid=zoe").send().await;
        assert_eq!(zoe.text(), "page of zoe");
        let token = proxy.client().get(target).bearer(TOKENS[0]).send().await;
        assert_eq!(token.text(), "page of zoe");
    }
    origin.stop().await;
    for target in targets {
        for how in [vec![], vec![("cookie", "sid=bob".to_owned())], vec![("cookie", "sid=zoe".to_owned())]] {
            let answer = with(proxy.client().get(target), &how).send().await;
            assert!(answer.status.is_server_error() && !answer.text().contains("zoe"), "{target} {how:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_range_of_a_private_answer() {
    let origin = Origin::start(|request| async move {
        let who = whose(&request);
        let reply = Reply::new(206).header("cache-control", "max-age=60").header("etag", "\"same\"");
        match request.seen.header("range") {
            "" => Reply::cached("max-age=60", format!("page of {who:6}")).header("etag", "\"same\""),
            _ => reply.header("content-range", "bytes 8-13/14").body(format!("{who:6}")),
        }
    })
    .await;
    let proxy = proxy(&origin, DECLARED).await;
    for (at, how) in credentials("zoe").iter().filter(|how| !how.iter().any(|(name, _)| *name == "range")).enumerate() {
        for path in ["/page", "/session/page"] {
            let target = format!("{path}/{at}");
            with(proxy.client().get(&target).header("range", "bytes=8-13"), how).send().await;
            with(proxy.client().get(&target), how).send().await;
            for range in ["bytes=8-13", "bytes=0-13", "bytes=8-9", ""] {
                let ask = proxy.client().get(&target);
                let answer = if range.is_empty() { ask } else { ask.header("range", range) }.send().await;
                assert!(!answer.text().contains("zoe"), "{target} {how:?} {range}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_credential_to_this_cache() {
    // Limits: a header of the application's own is none unless the origin says `Vary` or `private`, or the operator names it.
    let origin = Origin::start(|request| async move {
        let reply = Reply::cached("max-age=60", format!("page of {}", request.seen.header("x-api-key")));
        if request.seen.target == "/vary" { reply.header("vary", "x-api-key") } else { reply }
    })
    .await;
    let undeclared = proxy(&origin, "").await;
    let declared = proxy(&origin, "[cache]\nsteering_headers = [\"x-api-key\"]\n").await;
    for (proxy, target, expected) in
        [(&undeclared, "/", "page of zoe"), (&undeclared, "/vary", "page of bob"), (&declared, "/", "page of ")]
    {
        proxy.client().get(target).header("x-api-key", "zoe").send().await;
        assert_eq!(proxy.client().get(target).header("x-api-key", "bob").send().await.text(), expected);
    }
    // That of a proxy ends here.
    let ask = undeclared.client().get("/proxy").header("proxy-authorization", "Basic zoe").send().await;
    assert_eq!(ask.status, StatusCode::OK);
    assert!(origin.seen().iter().all(|seen| seen.header("proxy-authorization").is_empty()));
}

#[tokio::test]
async fn trace_shows_no_credentials_and_is_not_kept() {
    let origin = personal().await;
    let proxy = proxy(&origin, "").await;
    let trace = |left: &'static str| {
        with(
            proxy.client().ask("TRACE", "/page?cache-control=max-age=60"),
            &[("cookie", "sid=zoe".into()), ("authorization", "Bearer zoe".into()), ("max-forwards", left.into())],
        )
        .send()
    };
    assert!(!trace("0").await.text().contains("zoe"));
    trace("5").await;
    assert_eq!(proxy.get("/page?cache-control=max-age=60").await.text(), "page of nobody");
}

#[tokio::test]
async fn of_pitchey_s_pages_each_is_for_whom_it_names() {
    let demo = Demo::start().await;
    let id = demo.draft("Ada Lovelace Alone").await;
    let (detail, mine) = (format!("/api/pitches/{id}"), "/api/pitches/mine");
    let token = demo.token("creator");
    let hows: Vec<Vec<(&str, String)>> = vec![
        vec![("authorization", format!("Bearer {token}"))],
        vec![("authorization", format!("bearer  {token}"))],
        vec![("cookie", format!("pitchey-session={token}"))],
        vec![("cookie", format!("a=b; pitchey-session=\"{token}\""))],
        vec![("cookie", format!("pitchey-session ={token}"))],
        vec![("cookie", format!("PITCHEY-SESSION={token}"))],
        vec![("cookie", "a=b".into()), ("cookie", format!("pitchey-session={token}"))],
        vec![("cookie", "pitchey-session=nobody".into()), ("authorization", format!("Bearer {token}"))],
        vec![("cookie", format!("pitchey-session={token}")), ("connection", "cookie".into())],
    ];
    let spellings = [
        detail.clone(),
        format!("{detail}?x=1"),
        format!("/api/pitches/%{:x}{}", id.to_string().as_bytes()[0], &id.to_string()[1..]),
        format!("{detail}/x.css"),
        format!("{detail};x.css"),
        mine.to_owned(),
    ];
    for how in &hows {
        for target in &spellings {
            with(demo.client().get(target), how).send().await;
            with(demo.client().ask("HEAD", target), how).send().await;
            for who in ["", "viewer", "investor"] {
                let other = demo.get_as(who, target).await;
                assert!(!other.text().contains("Ada Lovelace"), "{target} {how:?} {who}: {other:?}");
            }
        }
    }
    let owner = demo.get_as("creator", &detail).await;
    assert!(owner.text().contains("Ada Lovelace"), "{owner:?}");
}
