//! Compression of what is kept: once, however many ask.

use edge_cache_tests::{Answer, Origin, Proxy, ProxyBuilder, Reply};

fn text() -> String {
    "a line of text that repeats itself\n".repeat(200)
}

async fn origin() -> Origin {
    Origin::start(|request| async move {
        if !request.seen.header("if-none-match").is_empty() {
            // Knows nothing of what was done to its answer.
            return Reply::new(304)
                .header("cache-control", "public, max-age=60")
                .header("vary", "origin")
                .header("etag", "\"v1\"");
        }
        let reply = Reply::cached("max-age=60", text()).header("etag", "\"v1\"");
        match request.seen.target.as_str() {
            "/text" => reply.header("content-type", "text/plain"),
            "/image" => reply.header("content-type", "image/png"),
            "/as-it-is" => reply.header("content-type", "text/plain").header("cache-control", "no-transform"),
            "/public" => Reply::cached("public, max-age=60", text()).header("content-type", "text/plain"),
            "/varied" => reply.header("content-type", "text/plain").header("vary", "Accept-Encoding"),
            "/private" => Reply::cached("private", text()).header("content-type", "text/plain"),
            "/cookie" => reply.header("content-type", "text/plain").header("set-cookie", "a=b"),
            "/digest" => reply.header("content-type", "text/plain").header("content-digest", "sha-256=:x:"),
            "/stale" => Reply::cached("max-age=0", text())
                .header("content-type", "text/plain")
                .header("vary", "origin")
                .header("etag", "\"v1\""),
            _ => Reply::cached("max-age=60", "short").header("content-type", "text/plain"),
        }
    })
    .await
}

async fn compressing(origin: &Origin) -> Proxy {
    let toml = format!("[origin]\nurl = \"{}\"\n[compression]\nenabled = true\n", origin.url());
    ProxyBuilder::config(&toml).start().await
}

async fn accepting(proxy: &Proxy, target: &str, codings: &str) -> Answer {
    proxy.client().get(target).header("accept-encoding", codings).send().await
}

/// What is in a gzip file, by another program.
fn gunzip(body: &[u8]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), body).unwrap();
    let out = std::process::Command::new("gzip").arg("-dc").stdin(file.reopen().unwrap()).output().unwrap();
    assert!(out.status.success(), "{out:?}");
    out.stdout
}

#[tokio::test]
async fn the_compressed_copy_is_what_is_kept() {
    let origin = origin().await;
    let proxy = compressing(&origin).await;
    let first = accepting(&proxy, "/text", "gzip").await;
    assert_eq!((first.header("content-encoding"), first.header("vary")), ("gzip", "accept-encoding"));
    assert_eq!(first.header("etag"), "W/\"v1\"", "other bytes than the tag was made for");
    assert_eq!(gunzip(&first.body), text().as_bytes());
    let hit = accepting(&proxy, "/text", "gzip;q=0.9, deflate").await;
    assert!(hit.is_hit_of("memory"), "{hit:?}");
    assert_eq!((&hit.body, hit.header("content-encoding")), (&first.body, "gzip"));
    assert_eq!(hit.header("content-length"), first.body.len().to_string());
    assert_eq!(origin.count("/text"), 1);
    assert_eq!(origin.seen()[0].header("accept-encoding"), "gzip");
    let unchanged = proxy.client().get("/text").header("accept-encoding", "gzip").header("if-none-match", "W/\"v1\"");
    assert_eq!(unchanged.send().await.status.as_u16(), 304);
}

#[tokio::test]
async fn every_wish_is_one_of_a_few() {
    let origin = origin().await;
    let proxy = compressing(&origin).await;
    let browsers = ["gzip, deflate, br, zstd", "br, zstd, gzip;q=0.8", "zstd", "*"];
    for codings in browsers {
        assert_eq!(accepting(&proxy, "/text", codings).await.header("content-encoding"), "zstd", "{codings}");
    }
    assert_eq!(accepting(&proxy, "/text", "gzip, deflate, br").await.header("content-encoding"), "br");
    for codings in ["identity", "deflate", "gzip;q=0"] {
        let plain = accepting(&proxy, "/text", codings).await;
        assert_eq!((plain.header("content-encoding"), plain.text()), ("", text().as_str()), "{codings}");
        assert_eq!((plain.header("vary"), plain.header("etag")), ("accept-encoding", "\"v1\""));
    }
    assert_eq!(origin.count("/text"), 4, "three sets that were taken, and none");
    for codings in ["gzip", "identity"] {
        let varied = accepting(&proxy, "/varied", codings).await;
        assert_eq!(varied.headers.get_all("vary").iter().collect::<Vec<_>>(), ["Accept-Encoding"], "it is said once");
    }
}

#[tokio::test]
async fn what_gains_nothing_or_may_not_is_left_alone() {
    let origin = origin().await;
    let proxy = compressing(&origin).await;
    for target in ["/image", "/as-it-is", "/short", "/private", "/cookie", "/digest"] {
        let answer = accepting(&proxy, target, "gzip").await;
        assert_eq!(answer.header("content-encoding"), "", "{target}");
        assert!(answer.text().starts_with("a line") || answer.text() == "short");
    }
    // Nor what a credential asked for, whatever the answer says.
    let bearer = proxy.client().get("/text").header("accept-encoding", "gzip").bearer("x").send().await;
    assert_eq!(bearer.header("content-encoding"), "");
    // Not for others: left to its handler.
    let private = proxy.client().get("/private").header("accept-encoding", "gzip").header("cookie", "a=b").send().await;
    assert_eq!((private.header("content-encoding"), private.text()), ("", text().as_str()));
    assert_eq!(origin.seen().last().unwrap().header("accept-encoding"), "gzip", "as the client said it");
}

#[tokio::test]
async fn a_304_does_not_undo_it() {
    let origin = origin().await;
    let proxy = compressing(&origin).await;
    accepting(&proxy, "/stale", "gzip").await;
    let renewed = accepting(&proxy, "/stale", "gzip").await;
    assert_eq!(origin.seen().last().unwrap().header("if-none-match"), "W/\"v1\"");
    for answer in [renewed, accepting(&proxy, "/stale", "gzip").await] {
        assert_eq!((answer.header("content-encoding"), answer.header("etag")), ("gzip", "W/\"v1\""));
        let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["origin", "accept-encoding"]);
    }
    let plain = proxy.get("/stale").await;
    assert_eq!((plain.header("content-encoding"), plain.text()), ("", text().as_str()), "not what another took");
}

#[tokio::test]
async fn nor_does_what_a_credential_asked_for() {
    let origin = origin().await;
    let proxy = compressing(&origin).await;
    let with_credential = |target| proxy.client().get(target).header("accept-encoding", "gzip").bearer("x").send();
    accepting(&proxy, "/stale", "gzip").await;
    let renewed = with_credential("/stale").await;
    assert_eq!((renewed.header("content-encoding"), renewed.header("etag")), ("gzip", "W/\"v1\""));
    assert!(accepting(&proxy, "/stale", "gzip").await.is_hit_of("memory"));
    let plain = accepting(&proxy, "/stale", "identity").await;
    assert_eq!((plain.header("content-encoding"), plain.text()), ("", text().as_str()));
    // And what it brought uncompressed is one of several.
    assert_eq!(with_credential("/public").await.header("content-encoding"), "");
    assert!(accepting(&proxy, "/public", "gzip").await.is_hit_of("memory"));
    assert_eq!(accepting(&proxy, "/public", "br").await.header("content-encoding"), "br");
}

#[tokio::test]
async fn a_head_describes_what_a_get_would_bring_and_leaves_it_fresh() {
    let origin = origin().await;
    let proxy = compressing(&origin).await;
    let head = || proxy.client().ask("HEAD", "/text").header("accept-encoding", "gzip").send();
    let alone = head().await;
    assert_eq!((alone.header("content-encoding"), alone.header("etag")), ("gzip", "W/\"v1\""));
    accepting(&proxy, "/text", "gzip").await;
    assert!(head().await.is_hit_of("memory"));
    assert!(accepting(&proxy, "/text", "gzip").await.is_hit_of("memory"));
}
