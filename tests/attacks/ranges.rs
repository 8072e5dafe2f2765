//! Range requests: neither the client's answer nor what the origin is asked for grows beyond what there is, and a part poisons no whole.

use edge_cache_tests::{Proxy, ProxyBuilder, WireOrigin, Wired, answer};
use http::StatusCode;

const TEXT: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

/// An origin that serves every range that it is asked for, as often as it is asked.
async fn obliging(cache_control: &'static str) -> WireOrigin {
    WireOrigin::start(move |request| ranged(request, cache_control)).await
}

fn ranged(request: &Wired, cache_control: &str) -> Vec<u8> {
    let common = format!("cache-control: {cache_control}\r\netag: \"a\"\r\n");
    let Some(set) = request.header("range").strip_prefix("bytes=") else { return answer(200, &common, TEXT) };
    let part = |spec: &str| {
        let (first, last) = spec.trim().split_once('-').unwrap();
        let end = TEXT.len();
        match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) => (first, (last + 1).min(end)),
            (Ok(first), Err(_)) => (first, end),
            (Err(_), Ok(last)) => (end - last.min(end), end),
            _ => panic!("{spec}"),
        }
    };
    let parts: Vec<_> = set.split(',').map(part).collect();
    if parts.iter().all(|(first, end)| first >= end) {
        return answer(416, &format!("{common}content-range: bytes */{}\r\n", TEXT.len()), "");
    }
    if let [(first, end)] = parts[..] {
        let lines = format!("{common}content-range: bytes {first}-{}/{}\r\n", end - 1, TEXT.len());
        return answer(206, &lines, &TEXT[first..end]);
    }
    let body: String = parts.iter().map(|(first, end)| format!("--b\r\n\r\n{}\r\n", &TEXT[*first..*end])).collect();
    answer(206, &format!("{common}content-type: multipart/byteranges; boundary=b\r\n"), &body)
}

async fn asks(proxy: &Proxy, target: &str, ranges: &[&str]) -> edge_cache_tests::Answer {
    let ask = proxy.client().get(target);
    ranges.iter().fold(ask, |ask, range| ask.header("range", range)).send().await
}

fn abusive() -> Vec<Vec<String>> {
    let list = |count: usize, one: &dyn Fn(usize) -> String| {
        format!("bytes={}", (0..count).map(one).collect::<Vec<_>>().join(","))
    };
    vec![
        vec![list(1000, &|_| "0-".to_owned())],
        vec![list(1300, &|n| format!("5-{}", n + 5))],
        vec![list(17, &|n| format!("{}-{}", n * 2, n * 2))],
        vec![list(500, &|_| "-1".to_owned())],
        vec!["bytes=0-,0-".to_owned()],
        vec!["bytes=0-35,0-35,0-35".to_owned()],
        vec!["bytes=0-,-36".to_owned()],
        vec!["bytes=0-1".to_owned(), "bytes=2-3".to_owned()],
    ]
}

#[tokio::test]
async fn many_and_overlapping_ranges_of_what_is_kept() {
    let origin = obliging("max-age=60").await;
    let proxy = ProxyBuilder::serve(&origin.url()).start().await;
    proxy.get("/").await;
    for ranges in abusive() {
        let ranges: Vec<_> = ranges.iter().map(String::as_str).collect();
        let attacker = asks(&proxy, "/", &ranges).await;
        assert_eq!((attacker.status, attacker.text()), (StatusCode::OK, TEXT), "{ranges:?}: no more than there is");
    }
    assert_eq!(origin.asked().len(), 1);
}

#[tokio::test]
async fn many_and_overlapping_ranges_of_what_is_not() {
    for cache_control in ["max-age=60", "no-store"] {
        let origin = obliging(cache_control).await;
        let proxy = ProxyBuilder::serve(&origin.url()).start().await;
        for (at, ranges) in abusive().iter().enumerate() {
            let ranges: Vec<_> = ranges.iter().map(String::as_str).collect();
            let target = format!("/{at}");
            let attacker = asks(&proxy, &target, &ranges).await;
            assert_eq!((attacker.status, attacker.text()), (StatusCode::OK, TEXT), "{ranges:?}");
            assert_eq!(proxy.get(&target).await.text(), TEXT);
            // With credentials too, which make it the origin's alone to answer.
            let ask = ranges
                .iter()
                .fold(proxy.client().get(&target).header("cookie", "a=b"), |ask, range| ask.header("range", range));
            let attacker = ask.send().await;
            assert_eq!((attacker.status, attacker.text()), (StatusCode::OK, TEXT), "{ranges:?}");
        }
        assert!(
            origin.seen().iter().all(|seen| seen.header("range").is_empty()),
            "{cache_control}: {:?}",
            origin.seen()
        );
    }
}

#[tokio::test]
async fn a_small_range_makes_the_origin_send_little() {
    let origin = obliging("max-age=60").await;
    let rfc = ProxyBuilder::serve(&origin.url()).args(&["--policy", "rfc"]).start().await;
    // Under `guarded` the whole is asked for, to be kept: once, and of what is larger than is kept never again.
    let guarded = ProxyBuilder::serve(&origin.url()).start().await;
    let small = format!("[origin]\nurl = \"{}\"\n[memory]\nbody_bytes_max = 20\n", origin.url());
    let small = ProxyBuilder::config(&small).start().await;
    let as_sent = &["bytes=0-0", "bytes=5-5", "bytes=9-9"][..];
    for (proxy, sent) in [(&rfc, as_sent), (&guarded, &[""]), (&small, &["", "bytes=5-5", "bytes=9-9"])] {
        let before = origin.seen().len();
        for (at, (range, text)) in [("bytes=0-0", "0"), ("bytes=5-5", "5"), ("bytes=9-9", "9")].into_iter().enumerate()
        {
            let attacker = asks(proxy, "/", &[range]).await;
            let is_whole = at == 0 && sent.len() == 3 && sent[0].is_empty();
            // What the origin sent for a large one, its client gets too: nothing is multiplied.
            assert_eq!(attacker.text(), if is_whole { TEXT } else { text }, "{range} {attacker:?}");
        }
        let seen: Vec<_> = origin.seen()[before..].iter().map(|seen| seen.header("range").to_owned()).collect();
        assert_eq!(seen, sent);
    }
}

#[tokio::test]
async fn a_part_or_its_refusal_is_not_the_whole_of_others() {
    let origin = obliging("max-age=60").await;
    for policy in ["guarded", "rfc"] {
        refused_or_part(&ProxyBuilder::serve(&origin.url()).args(&["--policy", policy]).start().await).await;
    }
}

async fn refused_or_part(proxy: &Proxy) {
    for (at, range) in
        ["bytes=0-0", "bytes=35-35", "bytes=5-9", "bytes=99-", "bytes=0-1,5-6", "bytes=-1", "bytes=x", "items=0-1"]
            .into_iter()
            .enumerate()
    {
        let target = format!("/{at}");
        asks(proxy, &target, &[range]).await;
        for _ in 0..2 {
            let victim = proxy.get(&target).await;
            assert_eq!(
                (victim.status, victim.text(), victim.header("content-range")),
                (StatusCode::OK, TEXT, ""),
                "{range}"
            );
        }
        let other = asks(proxy, &target, &["bytes=1-2"]).await;
        assert_eq!((other.status, other.text()), (StatusCode::PARTIAL_CONTENT, "12"), "{range}");
    }
}

#[tokio::test]
async fn a_condition_of_a_stranger_s_does_not_join_what_does_not_belong_together() {
    // A new version at each request, each with its own tag.
    let count = std::sync::atomic::AtomicUsize::new(0);
    let origin = WireOrigin::start(move |request| {
        let version = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let letter = char::from(b'a' + u8::try_from(version % 26).unwrap());
        let common = format!("cache-control: max-age=60\r\netag: \"{version}\"\r\n");
        match request.header("range") {
            "bytes=0-4" => {
                answer(206, &format!("{common}content-range: bytes 0-4/10\r\n"), &letter.to_string().repeat(5))
            }
            "bytes=5-" => {
                answer(206, &format!("{common}content-range: bytes 5-9/10\r\n"), &letter.to_string().repeat(5))
            }
            _ => answer(200, &common, &letter.to_string().repeat(10)),
        }
    })
    .await;
    let proxy = ProxyBuilder::serve(&origin.url()).args(&["--policy", "rfc"]).start().await;
    for lines in [
        &[][..],
        &[("if-range", "\"0\"")],
        &[("connection", "if-range"), ("if-range", "\"0\"")],
        &[("connection", "range, if-range")],
    ] {
        let target = format!("/{}", lines.len());
        asks(&proxy, &target, &["bytes=0-4"]).await;
        lines.iter().fold(proxy.client().get(&target), |ask, (name, value)| ask.header(name, value)).send().await;
        let victim = proxy.get(&target).await;
        let first = victim.text().chars().next().unwrap();
        assert_eq!(victim.text(), first.to_string().repeat(10), "{lines:?}: one version");
    }
}

#[tokio::test]
async fn an_origin_that_lies_about_its_part() {
    for (content_range, body) in [
        ("bytes 0-3/4", "evil"),
        ("bytes 0-9/10", "evil"),
        ("bytes 4-7/36", "evil"),
        ("bytes 0-99999999999999999999/4", "evil"),
        ("bytes 3-0/10", "evil"),
        ("bytes */4", "evil"),
        ("", "evil"),
        ("chars 0-3/4", "evil"),
    ] {
        let origin = WireOrigin::start(move |request| {
            if request.header("range") != "bytes=0-0" {
                return answer(200, "cache-control: max-age=60\r\n", TEXT);
            }
            answer(206, &format!("cache-control: max-age=60\r\ncontent-range: {content_range}\r\n"), body)
        })
        .await;
        let proxy = ProxyBuilder::serve(&origin.url()).args(&["--policy", "rfc"]).start().await;
        drop(proxy.client().get("/").header("range", "bytes=0-0").try_send().await);
        let victim = proxy.get("/").await;
        // Whoever says that he goes to the end, and gives a length, has told where the end is.
        let whole = if ["bytes 0-3/4", "bytes 0-9/10"].contains(&content_range) { "evil" } else { TEXT };
        assert_eq!((victim.status, victim.text()), (StatusCode::OK, whole), "{content_range}");
    }
}
