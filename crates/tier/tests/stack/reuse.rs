use std::sync::Arc;

use edge_cache_core::{ClientAddress, Served, TierName};
use edge_cache_policy::Mode;
use http::Request;

use crate::origin::{Bench, Origin, answer, ask, get};

const HOUR: &[(&str, &str)] = &[("cache-control", "max-age=3600"), ("etag", "\"v1\"")];

#[tokio::test(start_paused = true)]
async fn the_second_answer_is_a_hit_with_the_same_bytes() {
    let origin = Origin::fixed(HOUR);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    let (first, second) = (ask(&stack, get("/a")).await, ask(&stack, get("/a")).await);
    assert_eq!(first.cache_status(), "edge-memory; fwd=uri-miss; ttl=3600; stored");
    assert_eq!(first.header("age"), None, "made for this request");
    assert_eq!(second.cache_status(), "edge-memory; hit; ttl=3600");
    assert_eq!(second.header("age"), Some("0"));
    assert_eq!((first.text.as_str(), second.text.as_str()), ("body 0", "body 0"));
    assert_eq!(first.header("date"), second.header("date"));
    let outcome = second.outcome.unwrap();
    assert_eq!((outcome.served, outcome.tier), (Served::Hit, Some(TierName::Memory)));
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn hosts_and_queries_are_different_questions() {
    let origin = Origin::fixed(HOUR);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    for (path, host) in [("/a", "one"), ("/a", "two"), ("/a?x=1", "one"), ("/b", "one")] {
        let req = http::Request::get(path).header("host", host);
        assert!(ask(&stack, req).await.cache_status().contains("uri-miss"), "{path} {host}");
    }
    assert_eq!(origin.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_host_is_not_for_the_cache() {
    let origin = Origin::fixed(HOUR);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    for _ in 0..2 {
        let got = ask(&stack, http::Request::get("/a")).await;
        assert_eq!(got.cache_status(), "edge-memory; fwd=bypass; detail=no-key");
    }
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn head_is_answered_from_a_stored_get_and_never_becomes_one() {
    let origin = Origin::new(|_, req| async move {
        let text = if req.method() == "HEAD" { "" } else { "twelve bytes" };
        answer(200, HOUR, text)
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    let head = || http::Request::head("/a").header("host", "h.example");
    assert_eq!(ask(&stack, head()).await.cache_status(), "edge-memory; fwd=uri-miss; detail=head");
    assert_eq!(ask(&stack, get("/a")).await.text, "twelve bytes");
    let got = ask(&stack, head()).await;
    assert_eq!((got.text.as_str(), got.header("content-length")), ("", Some("12")));
    assert_eq!(got.cache_status(), "edge-memory; hit; ttl=3600");
    assert_eq!(origin.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_holds_the_answer_gets_a_304() {
    let origin = Origin::fixed(HOUR);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    for round in ["miss", "hit"] {
        let got = ask(&stack, get("/a").header("if-none-match", "W/\"v1\"")).await;
        assert_eq!((got.status.as_u16(), got.text.as_str()), (304, ""), "{round}");
        assert_eq!(got.header("etag"), Some("\"v1\""));
        assert_eq!(got.header("content-length"), None);
    }
    assert_eq!(origin.last_header("if-none-match"), None, "the whole answer was asked for");
    assert_eq!(ask(&stack, get("/a").header("if-none-match", "\"v2\"")).await.text, "body 0");
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn parts_come_from_the_stored_whole() {
    let origin = Origin::fixed(HOUR);
    let stack = Bench::new(Mode::Rfc).over(&origin);
    let range = |value| get("/a").header("range", value);
    // The origin knows no ranges: what it sends instead is stored, and the range cut from it.
    let first = ask(&stack, range("bytes=0-3")).await;
    assert_eq!((first.status.as_u16(), first.text.as_str()), (206, "body"));
    assert_eq!(first.cache_status(), "edge-memory; fwd=uri-miss; fwd-status=200; ttl=3600; stored");
    assert_eq!(origin.last_header("range").as_deref(), Some("bytes=0-3"));
    let part = ask(&stack, range("bytes=2-3")).await;
    assert_eq!((part.status.as_u16(), part.text.as_str()), (206, "dy"));
    assert_eq!(part.header("content-range"), Some("bytes 2-3/6"));
    let none = ask(&stack, range("bytes=9-")).await;
    assert_eq!((none.status.as_u16(), none.header("content-range")), (416, Some("bytes */6")));
    assert_eq!((none.header("cache-control"), none.header("etag")), (Some("no-store"), None), "for nobody else");
    assert_eq!(ask(&stack, range("bytes=0-3,2-5")).await.text, "body 0", "an overlap is answered whole");
    let parts = ask(&stack, range("bytes=0-1,-2")).await;
    let kind = parts.header("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let want = format!(
        "--{boundary}\r\nContent-Range: bytes 0-1/6\r\n\r\nbo\r\n--{boundary}\r\nContent-Range: bytes 4-5/6\r\n\r\n 0\r\n--{boundary}--\r\n"
    );
    assert_eq!((parts.status.as_u16(), parts.text.as_str()), (206, want.as_str()));
    assert_eq!(parts.header("content-length"), Some(want.len().to_string().as_str()));
    assert_eq!(parts.header("content-range"), None);
    assert_eq!(origin.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_digest_of_other_bytes_is_not_told() {
    let origin = Origin::fixed(&[
        ("cache-control", "max-age=3600"),
        ("etag", "\"a\""),
        ("content-digest", "sha-256=:AAAA:"),
        ("repr-digest", "sha-256=:BBBB:"),
    ]);
    let stack = Bench::new(Mode::Rfc).over(&origin);
    assert_eq!(ask(&stack, get("/a")).await.header("content-digest"), Some("sha-256=:AAAA:"));
    for (name, value, status) in [
        ("range", "bytes=0-1", 206),
        ("range", "bytes=0-1,3-4", 206),
        ("range", "bytes=9-", 416),
        ("if-none-match", "\"a\"", 304),
    ] {
        let got = ask(&stack, get("/a").header(name, value)).await;
        assert_eq!((got.status.as_u16(), got.header("content-digest")), (status, None), "{value}");
        assert_eq!(got.header("repr-digest"), Some("sha-256=:BBBB:"), "{value}: that of the whole");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_query_is_not_one_thing_with_none() {
    for (mode, asked, kept) in [(Mode::Rfc, "/a?", false), (Mode::Guarded, "/a", true)] {
        let origin = Origin::fixed(HOUR);
        let stack = Bench::new(mode).over(&origin);
        let first = ask(&stack, get("/a?")).await;
        let target = origin.seen.lock().unwrap()[0].uri.path_and_query().unwrap().to_string();
        assert_eq!((target.as_str(), first.cache_status().contains("stored")), (asked, kept), "{mode:?}");
        ask(&stack, get("/a")).await;
        assert_eq!(origin.calls(), if kept { 1 } else { 2 }, "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_the_host_that_has_the_key() {
    let origin = Origin::fixed(HOUR);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    for method in ["GET", "POST"] {
        ask(&stack, Request::builder().method(method).uri("http://u:p@shop.example/a").header("host", "evil.example"))
            .await;
        assert_eq!(origin.last_header("host").as_deref(), Some("shop.example"), "{method}");
    }
    ask(&stack, Request::get("http://shop.example/a")).await;
    assert_eq!(origin.last_header("host"), None, "over HTTP/2 there is none");
}

#[tokio::test(start_paused = true)]
async fn a_client_is_trusted_by_its_address() {
    let origin = Origin::fixed(HOUR);
    let mut bench = Bench::new(Mode::Guarded);
    bench.keying.trusted = Arc::new([std::net::IpAddr::from([10, 0, 0, 1]).into()]);
    let stack = bench.over(&origin);
    let reload = |last| get("/a").header("cache-control", "no-cache").extension(ClientAddress([10, 0, 0, last].into()));
    for (last, calls) in [(2, 1), (2, 1), (1, 2), (2, 2)] {
        ask(&stack, reload(last)).await;
        assert_eq!(origin.calls(), calls, "10.0.0.{last}");
    }
}

#[tokio::test(start_paused = true)]
async fn variants_are_kept_apart_and_spellings_together() {
    let origin = Origin::new(|n, req| async move {
        let language = req.headers()["accept-language"].to_str().unwrap().to_owned();
        let headers = [("cache-control", "max-age=3600"), ("vary", "Accept-Language")];
        answer(200, &headers, format!("{n}: {language}"))
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    let speak = |language| get("/a").header("accept-language", language);
    assert_eq!(ask(&stack, speak("en")).await.text, "0: en");
    let other = ask(&stack, speak("de")).await;
    assert_eq!(
        (other.text.as_str(), other.cache_status().as_str()),
        ("1: de", "edge-memory; fwd=vary-miss; ttl=3600; stored")
    );
    assert_eq!(ask(&stack, speak("EN")).await.cache_status(), "edge-memory; hit; ttl=3600");
    assert_eq!(ask(&stack, speak("de")).await.text, "1: de");
    for n in 0..40 {
        ask(&stack, speak(Box::leak(format!("x-{n}").into_boxed_str()))).await;
    }
    assert_eq!(ask(&stack, speak("x-39")).await.cache_status(), "edge-memory; hit; ttl=3600");
    let pushed_out = ask(&stack, speak("en")).await;
    assert_eq!(pushed_out.cache_status(), "edge-memory; fwd=vary-miss; ttl=3600; stored", "at most sixteen are kept");
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_stored_passes_and_is_not_queued_for() {
    let origin = Origin::fixed(&[("cache-control", "no-store")]);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    for n in 0..3 {
        let got = ask(&stack, get("/a")).await;
        assert_eq!(got.cache_status(), "edge-memory; fwd=uri-miss; detail=no-store");
        assert_eq!(got.text, format!("body {n}"));
    }
}

#[tokio::test(start_paused = true)]
async fn only_if_cached_never_asks_the_origin() {
    let origin = Origin::fixed(HOUR);
    let stack = Bench::new(Mode::Rfc).over(&origin);
    let only = || get("/a").header("cache-control", "only-if-cached");
    assert_eq!(ask(&stack, only()).await.status, 504);
    assert_eq!(origin.calls(), 0);
    ask(&stack, get("/a")).await;
    assert_eq!(ask(&stack, only()).await.text, "body 0");
}

#[tokio::test(start_paused = true)]
async fn tags_are_for_the_cache_and_not_for_clients() {
    let origin = Origin::fixed(&[("cache-control", "max-age=9"), ("cache-tag", "a,b"), ("surrogate-key", "c")]);
    let stack = Bench::new(Mode::Guarded).over(&origin);
    for _ in 0..2 {
        let got = ask(&stack, get("/a")).await;
        assert_eq!((got.header("cache-tag"), got.header("surrogate-key")), (None, None));
    }
    let mut bench = Bench::new(Mode::Guarded);
    (bench.keying.expose_tags, bench.config.keep_tags) = (true, true);
    let stack = bench.over(&origin);
    for _ in 0..2 {
        assert_eq!(ask(&stack, get("/a")).await.header("cache-tag"), Some("a,b"), "unless asked for");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_more_tags_than_can_be_kept_is_not_stored() {
    let tags: Vec<String> = (0..200).map(|n| format!("t{n}")).collect();
    let tags: &'static str = tags.join(",").leak();
    let origin = Origin::new(move |n, _| async move {
        answer(200, &[("cache-control", "max-age=9"), ("cache-tag", tags)], format!("{n}"))
    });
    let stack = Bench::new(Mode::Guarded).over(&origin);
    assert!(ask(&stack, get("/a")).await.cache_status().ends_with("detail=tags"));
    assert_eq!(ask(&stack, get("/a")).await.text, "1");
}

#[tokio::test(start_paused = true)]
async fn a_reload_of_what_is_immutable_is_a_hit() {
    let origin = Origin::fixed(&[("cache-control", "max-age=3600, immutable")]);
    let stack = Bench::new(Mode::Rfc).over(&origin);
    ask(&stack, get("/a")).await;
    let reload = ask(&stack, get("/a").header("cache-control", "max-age=0")).await;
    assert_eq!(reload.cache_status(), "edge-memory; hit; ttl=3600; detail=immutable");
    ask(&stack, get("/a").header("cache-control", "no-cache")).await;
    assert_eq!(origin.calls(), 2, "no-cache asks for validation itself");
}

#[tokio::test(start_paused = true)]
async fn what_is_immutable_the_field_for_us_says() {
    for (ours, everybodys, calls) in
        [("max-age=60", "max-age=60, immutable", 2), ("max-age=60, immutable", "no-store", 1)]
    {
        let headers = vec![("cdn-cache-control", ours), ("cache-control", everybodys)];
        let origin = Origin::fixed(headers.leak());
        let stack = Bench::new(Mode::Rfc).over(&origin);
        for _ in 0..2 {
            ask(&stack, get("/a").header("cache-control", "max-age=0")).await;
        }
        assert_eq!(origin.calls(), calls, "{ours}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_variant_in_the_preferred_language_will_do() {
    let origin = Origin::new(|n, _| async move {
        let headers = [("cache-control", "max-age=60"), ("vary", "Accept-Language"), ("content-language", "de")];
        answer(200, &[&headers[..], &[("etag", "\"a\"")]].concat(), format!("{n}"))
    });
    let stack = Bench::new(Mode::Rfc).over(&origin);
    let speak = |language| get("/a").header("accept-language", language);
    ask(&stack, speak("en, de")).await;
    assert_eq!(ask(&stack, speak("fr;q=0.5, de")).await.text, "0");
    for other in ["fr, de;q=0.5", "fr, de"] {
        ask(&stack, speak(other)).await;
    }
    assert_eq!(origin.calls(), 3, "what is not liked best is asked for");
    tokio::time::advance(std::time::Duration::from_secs(70)).await;
    ask(&stack, speak("de, it;q=0.1")).await;
    assert_eq!(
        (origin.calls(), origin.last_header("if-none-match")),
        (4, None),
        "what is stale is another's variant again"
    );
}
