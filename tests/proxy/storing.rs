//! What may be stored is, and nothing else.

use edge_cache_tests::{Origin, Proxy, ProxyBuilder, Reply};

type Lines = &'static [(&'static str, &'static str)];

/// An origin that answers each path as `cases` says.
async fn served(cases: &'static [(&'static str, u16, Lines)]) -> (Origin, Proxy) {
    let origin = Origin::start(move |request| async move {
        let case = cases.iter().find(|(target, ..)| *target == request.seen.target).unwrap();
        let reply = Reply::new(case.1).body(format!("answer {}", request.earlier));
        case.2.iter().fold(reply, |reply, (name, value)| reply.header(name, value))
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    (origin, proxy)
}

#[tokio::test]
async fn what_an_origin_allows_to_share_is_stored() {
    const CASES: &[(&str, u16, Lines)] = &[
        ("/max-age", 200, &[("cache-control", "max-age=60")]),
        ("/public", 200, &[("cache-control", "Public, Max-Age=60")]),
        ("/s-maxage", 200, &[("cache-control", "max-age=0, s-maxage=60")]),
        ("/expires", 200, &[("date", "Sun, 06 Nov 2044 08:49:37 GMT"), ("expires", "Sun, 06 Nov 2044 09:49:37 GMT")]),
        ("/targeted", 200, &[("cdn-cache-control", "max-age=60"), ("cache-control", "no-store")]),
        ("/heuristic", 200, &[("last-modified", "Sat, 01 Jan 2000 00:00:00 GMT")]),
        ("/private-field", 200, &[("cache-control", "max-age=60, private=\"x-mine\""), ("x-mine", "secret")]),
        ("/missing", 404, &[("cache-control", "max-age=60")]),
        ("/gone", 410, &[]),
        ("/moved", 301, &[("location", "/x"), ("cache-control", "max-age=60")]),
        ("/none", 204, &[("cache-control", "max-age=60")]),
    ];
    let (origin, proxy) = served(CASES).await;
    for (target, status, _) in CASES {
        let (first, second) = (proxy.get(target).await, proxy.get(target).await);
        assert!(first.said_by("memory").contains("stored"), "{target}: {first:?}");
        assert!(second.is_hit_of("memory"), "{target}: {second:?}");
        assert_eq!((second.status.as_u16(), &second.body), (*status, &first.body), "{target}");
        assert_eq!(origin.count(target), 1, "{target}");
    }
    assert_eq!(proxy.get("/private-field").await.header("x-mine"), "", "a field that is private is not shared");
}

#[tokio::test]
async fn what_an_origin_does_not_allow_to_share_is_not() {
    const CASES: &[(&str, u16, Lines)] = &[
        ("/no-store", 200, &[("cache-control", "no-store, max-age=60")]),
        ("/private", 200, &[("cache-control", "private, max-age=60")]),
        ("/nothing", 200, &[]),
        ("/max-age-0", 200, &[("cache-control", "max-age=0")]),
        ("/s-maxage-0", 200, &[("cache-control", "max-age=60, s-maxage=0")]),
        ("/no-cache", 200, &[("cache-control", "no-cache, max-age=60")]),
        ("/targeted", 200, &[("cdn-cache-control", "no-store"), ("cache-control", "max-age=60")]),
        ("/vary-star", 200, &[("cache-control", "max-age=60"), ("vary", "*")]),
        ("/set-cookie", 200, &[("cache-control", "max-age=60"), ("set-cookie", "id=1")]),
        ("/unauthorized", 401, &[("cache-control", "max-age=60")]),
        ("/forbidden", 403, &[("cache-control", "max-age=60")]),
        ("/too-many", 429, &[("cache-control", "max-age=60")]),
        ("/broken", 500, &[("cache-control", "max-age=60")]),
        ("/away", 503, &[("cache-control", "max-age=60")]),
        ("/part", 206, &[("cache-control", "max-age=60"), ("content-range", "bytes 0-7/9")]),
    ];
    let (origin, proxy) = served(CASES).await;
    for (target, status, _) in CASES {
        for count in 1..=3 {
            let answer = proxy.get(target).await;
            assert_eq!(answer.status.as_u16(), *status, "{target}");
            assert_eq!(answer.text(), format!("answer {}", count - 1), "{target}: {answer:?}");
            assert!(!answer.said_by("memory").contains("stored"), "{target}: {answer:?}");
            assert_eq!(origin.count(target), count, "{target}");
        }
    }
}

#[tokio::test]
async fn a_cookie_of_the_client_means_bypass() {
    const CASES: &[(&str, u16, Lines)] = &[("/", 200, &[("cache-control", "max-age=60")])];
    let (origin, proxy) = served(CASES).await;
    let with_cookie = || proxy.client().get("/").header("cookie", "id=7").send();
    for number in 0..2 {
        let own = with_cookie().await;
        assert_eq!(own.text(), format!("answer {number}"));
        assert!(own.said_by("memory").contains("fwd=bypass"), "{own:?}");
    }
    assert_eq!(origin.seen()[0].header("cookie"), "id=7");
    assert_eq!(proxy.get("/").await.text(), "answer 2", "nothing of the others' was stored");
    assert!(proxy.get("/").await.is_hit_of("memory"));
    assert_eq!(with_cookie().await.text(), "answer 3", "nor is the stored answer theirs");
}

#[tokio::test]
async fn an_answer_to_authorization_is_shared_only_where_it_says_so() {
    const CASES: &[(&str, u16, Lines)] = &[
        ("/plain", 200, &[("cache-control", "max-age=60")]),
        ("/public", 200, &[("cache-control", "public, max-age=60")]),
        ("/s-maxage", 200, &[("cache-control", "s-maxage=60")]),
    ];
    let (origin, proxy) = served(CASES).await;
    let signed_in = |target: &'static str, who: &'static str| proxy.client().get(target).bearer(who).send();
    assert_eq!(signed_in("/plain", "ada").await.text(), "answer 0");
    assert_eq!(signed_in("/plain", "bob").await.text(), "answer 1");
    assert_eq!(proxy.get("/plain").await.text(), "answer 2");
    assert_eq!(origin.seen()[0].header("authorization"), "Bearer ada");
    for target in ["/public", "/s-maxage"] {
        assert_eq!(signed_in(target, "ada").await.text(), "answer 0");
        let shared = proxy.get(target).await;
        assert!(shared.is_hit_of("memory"), "{shared:?}");
    }
}

#[tokio::test]
async fn each_variant_is_stored_beside_the_others() {
    let origin = Origin::start(|request| async move {
        let language = request.seen.header("accept-language").to_owned();
        Reply::cached("max-age=60", format!("in {language}")).header("vary", "Accept-Language")
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let ask = |language: &'static str| proxy.client().get("/").header("accept-language", language).send();
    for language in ["de", "en", "fr"] {
        let first = ask(language).await;
        assert_eq!(first.text(), format!("in {language}"));
        assert!(!first.is_hit_of("memory"));
    }
    for language in ["en", "fr", "de"] {
        let again = ask(language).await;
        assert!(again.is_hit_of("memory"), "{language}: {again:?}");
        assert_eq!(again.text(), format!("in {language}"));
    }
    assert!(ask("it").await.said_by("memory").contains("fwd=vary-miss"));
    assert_eq!(origin.count("/"), 4);
}

#[tokio::test]
async fn an_encoded_answer_keeps_its_coding_and_is_only_for_those_who_take_it() {
    const PACKED: &[u8] = b"\x1f\x8b\x08\x00 not really, but nobody may look";
    let origin = Origin::start(|request| async move {
        let reply = Reply::new(200).header("cache-control", "max-age=60").header("vary", "accept-encoding");
        match request.seen.header("accept-encoding").contains("gzip") {
            true => reply.header("content-encoding", "gzip").body(PACKED),
            false => reply.body("plain"),
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    let ask = |coding: &'static str| proxy.client().get("/").header("accept-encoding", coding).send();
    for _ in 0..2 {
        let packed = ask("gzip, br").await;
        assert_eq!((packed.header("content-encoding"), &packed.body[..]), ("gzip", PACKED));
        let plain = ask("identity").await;
        assert_eq!((plain.header("content-encoding"), plain.text()), ("", "plain"));
    }
    assert_eq!(origin.count("/"), 2);
}

#[tokio::test]
async fn the_rfc_policy_adds_no_rules_of_its_own() {
    let origin = Origin::start(|request| async move {
        Reply::cached("max-age=60", format!("answer {}", request.earlier)).header("set-cookie", "id=1")
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).args(&["--policy", "rfc"]).start().await;
    assert_eq!(proxy.client().get("/?b=1&a=2").header("cookie", "x=1").send().await.text(), "answer 0");
    assert!(proxy.get("/?b=1&a=2").await.is_hit_of("memory"));
    assert!(!proxy.get("/?a=2&b=1").await.is_hit_of("memory"), "the query is keyed as sent");
    let reload = proxy.client().get("/?b=1&a=2").header("cache-control", "no-cache").send().await;
    assert!(reload.said_by("memory").contains("fwd=request"), "{reload:?}");
    assert_eq!(reload.text(), "answer 1");
}
